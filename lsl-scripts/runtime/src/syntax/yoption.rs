//! YEngine's own words. OpenSimulator's engine reads them only below a line such as `yoption advflowctl;` that switches
//! them on (`MMRScriptTokenize.cs`); until then they are names like any other. Second Life has none of them.

/// What a script can switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YOption {
    /// `switch`, `break`, `continue`, `constant`.
    AdvFlowCtl,
    /// `try`, `catch`, `throw`.
    TryCatch,
    /// `array`, `foreach`, `object`.
    Arrays,
    /// `class`, `delegate` and their relatives.
    Objects,
    /// `char`.
    Chars,
    /// `$` in names.
    DollarSigns,
    /// Operands from left to right.
    NoRightToLeft,
}

const NAMES: [(&str, YOption); 7] = [
    ("advflowctl", YOption::AdvFlowCtl),
    ("trycatch", YOption::TryCatch),
    ("arrays", YOption::Arrays),
    ("objects", YOption::Objects),
    ("chars", YOption::Chars),
    ("dollarsigns", YOption::DollarSigns),
    ("norighttoleft", YOption::NoRightToLeft),
];

impl YOption {
    /// As written in a script.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, o)| *o == self).map_or("", |(n, _)| n)
    }

    /// Whether this checker and runner know what it switches on.
    pub(crate) const fn is_known(self) -> bool {
        matches!(self, Self::AdvFlowCtl)
    }

    /// The option that makes a word of the language of this name.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "break" | "case" | "constant" | "continue" | "switch" => Self::AdvFlowCtl,
            "catch" | "exception" | "scriptexception" | "finally" | "throw" | "try" => Self::TryCatch,
            "array" | "foreach" | "in" | "is" | "object" | "undef" => Self::Arrays,
            "abstract" | "base" | "class" | "constructor" | "delegate" | "destructor" | "final" | "get"
            | "interface" | "new" | "override" | "partial" | "private" | "protected" | "public" | "set"
            | "static" | "this" | "typedef" | "virtual" => Self::Objects,
            "char" => Self::Chars,
            _ => return None,
        })
    }
}

/// Those that a script has switched on.
#[derive(Debug, Clone, Default)]
pub struct YOptions(Vec<YOption>);

impl YOptions {
    /// Whether it is on.
    pub(crate) fn has(&self, option: YOption) -> bool {
        self.0.contains(&option)
    }

    /// `yoptions;`, or `yoption name;`. `false` for a name that YEngine does not know either.
    pub(crate) fn switch_on(&mut self, name: Option<&str>) -> bool {
        let Some(name) = name else {
            self.0.extend([YOption::AdvFlowCtl, YOption::TryCatch]);
            return true;
        };
        if name.eq_ignore_ascii_case("allowall") {
            self.0.extend(NAMES.map(|(_, o)| o).into_iter().filter(|o| *o != YOption::NoRightToLeft));
            return true;
        }
        match NAMES.iter().find(|(n, _)| name.eq_ignore_ascii_case(n)) {
            Some((_, option)) => {
                self.0.push(*option);
                true
            }
            None => false,
        }
    }
}

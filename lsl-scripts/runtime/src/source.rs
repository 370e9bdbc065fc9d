//! One source for several grids.
//!
//! A source is LSL with four kinds of directive, each alone on its line:
//!
//! ```text
//! //#include text.lsl                    the file of lsl-scripts/include, the first time it is asked for
//! //#if secondlife opensim-master        what follows is for these profiles only
//! //#else                                … for all others
//! //#end
//! ```
//!
//! They nest. `@PROFILE@` and `@VERSION@` are filled in. Every branch is examined for every profile, so that a
//! mistake in one is found whichever grid is made.

use crate::Profile;
use std::collections::BTreeSet;
use std::fmt;

/// What is wrong with a source, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl std::error::Error for Mistake {}

/// How a source is found: by its path below `lsl-scripts`.
pub type Reader<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The script in `file` as `profile` gets it.
///
/// # Errors
///
/// The first [`Mistake`].
pub fn expand(read: Reader<'_>, file: &str, profile: Profile) -> Result<String, Mistake> {
    let mut expansion = Expansion { read, profile, included: BTreeSet::new(), out: String::new() };
    let Some(text) = read(file) else {
        return Err(Mistake { file: file.to_owned(), line: 1, what: "there is no such file".to_owned() });
    };
    expansion.file(file, &text, true)?;
    Ok(expansion.out)
}

struct Expansion<'a> {
    read: Reader<'a>,
    profile: Profile,
    included: BTreeSet<String>,
    out: String,
}

/// An open `//#if`.
struct Branch {
    line: usize,
    /// Whether this profile is among the named ones.
    named: bool,
    /// Whether what surrounds it is for this profile.
    around: bool,
    /// After `//#else`.
    other: bool,
}

impl Branch {
    const fn active(&self) -> bool {
        self.around && self.named != self.other
    }
}

impl Expansion<'_> {
    fn file(&mut self, file: &str, text: &str, wanted: bool) -> Result<(), Mistake> {
        let mut open: Vec<Branch> = Vec::new();
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let fail = |what: String| Err(Mistake { file: file.to_owned(), line, what });
            let active = open.last().map_or(wanted, Branch::active);
            let Some(directive) = raw.trim().strip_prefix("//#") else {
                if active {
                    let filled = raw
                        .replace("@PROFILE@", self.profile.name())
                        .replace("@VERSION@", env!("CARGO_PKG_VERSION"));
                    if let Some(name) = placeholder(&filled) {
                        return fail(format!("{name} is not known: there are @PROFILE@ and @VERSION@"));
                    }
                    self.line(&filled);
                }
                continue;
            };
            let mut words = directive.split_whitespace();
            match words.next().unwrap_or_default() {
                "if" => {
                    let mut named = None;
                    for word in words {
                        match word.parse::<Profile>() {
                            Ok(p) => named = Some(named.unwrap_or(false) || p == self.profile),
                            Err(unknown) => return fail(unknown.to_string()),
                        }
                    }
                    let Some(named) = named else { return fail("//#if names no profile".to_owned()) };
                    open.push(Branch { line, named, around: active, other: false });
                }
                "else" => match open.last_mut() {
                    None => return fail("//#else without //#if".to_owned()),
                    Some(branch) if branch.other => {
                        return fail(format!("a second //#else for the //#if of line {}", branch.line));
                    }
                    Some(branch) => branch.other = true,
                },
                "end" => {
                    if open.pop().is_none() {
                        return fail("//#end without //#if".to_owned());
                    }
                }
                "include" => {
                    let (Some(name), None) = (words.next(), words.next()) else {
                        return fail("//#include takes one file name".to_owned());
                    };
                    let path = format!("include/{name}");
                    let Some(text) = (self.read)(&path) else {
                        return fail(format!("there is no lsl-scripts/{path}"));
                    };
                    if active && self.included.insert(path.clone()) {
                        self.file(&path, &text, true)?;
                    }
                }
                other => {
                    return fail(format!(
                        "//#{other} is not known: there are //#include, //#if, //#else and //#end"
                    ));
                }
            }
        }
        if let Some(branch) = open.last() {
            return Err(Mistake {
                file: file.to_owned(),
                line: branch.line,
                what: "this //#if has no //#end".to_owned(),
            });
        }
        Ok(())
    }

    /// Adds a line; of several blank ones in a row only the first.
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() && (self.out.is_empty() || self.out.ends_with("\n\n")) {
            return;
        }
        self.out.push_str(line);
        self.out.push('\n');
    }
}

/// The first `@WORD@` in a line.
fn placeholder(line: &str) -> Option<&str> {
    let is_name = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    line.match_indices('@').find_map(|(start, _)| {
        let end = start + 1 + line[start + 1..].find('@')?;
        if is_name(&line[start + 1..end]) { Some(&line[start..=end]) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(files: &[(&str, &str)], profile: Profile) -> Result<String, String> {
        let read =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        expand(&read, files[0].0, profile).map_err(|m| m.to_string())
    }

    fn mistake(source: &str) -> String {
        made(&[("a.lsl", source)], Profile::SecondLife).unwrap_err()
    }

    #[test]
    fn each_profile_gets_its_branch_and_the_others_the_other() {
        let source = "a\n//#if secondlife opensim-master\nb\n//#else\nc\n//#end\nd\n";
        let of = |p| made(&[("a.lsl", source)], p).unwrap();
        assert_eq!(of(Profile::SecondLife), "a\nb\nd\n");
        assert_eq!(of(Profile::OpenSimMaster), "a\nb\nd\n");
        assert_eq!(of(Profile::OpenSim092), "a\nc\nd\n");
        assert_eq!(of(Profile::OpenSim093), "a\nc\nd\n");
    }

    #[test]
    fn branches_nest_and_an_inner_else_stays_inside_the_outer_branch() {
        let source = "//#if secondlife\n//#if opensim-0.9.2\nx\n//#else\ny\n//#end\n//#else\nz\n//#end\n";
        assert_eq!(made(&[("a.lsl", source)], Profile::SecondLife).unwrap(), "y\n");
        assert_eq!(made(&[("a.lsl", source)], Profile::OpenSim092).unwrap(), "z\n");
    }

    #[test]
    fn a_file_is_included_once_even_when_two_ask_for_it_or_it_asks_for_itself() {
        let files = [
            ("a.lsl", "//#include b.lsl\n//#include c.lsl\nend\n"),
            ("include/b.lsl", "//#include c.lsl\n//#include b.lsl\nb\n"),
            ("include/c.lsl", "c\n"),
        ];
        assert_eq!(made(&files, Profile::SecondLife).unwrap(), "c\nb\nend\n");
    }

    #[test]
    fn an_include_in_a_branch_is_for_that_branch() {
        let files = [
            ("a.lsl", "//#if secondlife\n//#include b.lsl\n//#end\n//#include b.lsl\n"),
            ("include/b.lsl", "@PROFILE@\n"),
        ];
        assert_eq!(made(&files, Profile::SecondLife).unwrap(), "secondlife\n");
        assert_eq!(made(&files, Profile::OpenSim093).unwrap(), "opensim-0.9.3\n");
    }

    #[test]
    fn a_mistake_names_its_file_and_line() {
        assert_eq!(
            mistake("x\n//#if secondlife opensim\n//#end\n"),
            "a.lsl:2: unknown profile \"opensim\": use secondlife, opensim-0.9.2, opensim-0.9.3 or opensim-master"
        );
        assert_eq!(mistake("//#if\n//#end\n"), "a.lsl:1: //#if names no profile");
        assert_eq!(mistake("x\n//#else\n"), "a.lsl:2: //#else without //#if");
        assert_eq!(mistake("x\n\n//#end\n"), "a.lsl:3: //#end without //#if");
        assert_eq!(mistake("x\n//#if secondlife\n"), "a.lsl:2: this //#if has no //#end");
        assert_eq!(
            mistake("//#if secondlife\n//#else\n//#else\n//#end\n"),
            "a.lsl:3: a second //#else for the //#if of line 1"
        );
        assert!(mistake("//#elif secondlife\n").starts_with("a.lsl:1: //#elif is not known"));
        assert_eq!(mistake("//#include nix.lsl\n"), "a.lsl:1: there is no lsl-scripts/include/nix.lsl");
        assert_eq!(mistake("//#include\n"), "a.lsl:1: //#include takes one file name");
        assert!(mistake("x = \"@VERSOIN@\";\n").starts_with("a.lsl:1: @VERSOIN@ is not known"));
    }

    #[test]
    fn a_mistake_in_a_branch_for_another_grid_is_found_too() {
        assert!(
            mistake("//#if opensim-0.9.2\n//#if sl\n//#end\n//#end\n")
                .starts_with("a.lsl:2: unknown profile")
        );
        assert!(
            mistake("//#if opensim-0.9.2\n//#include nix.lsl\n//#end\n").starts_with("a.lsl:2: there is no")
        );
    }

    #[test]
    fn a_mistake_in_an_included_file_names_that_file() {
        let files = [("a.lsl", "\n//#include b.lsl\n"), ("include/b.lsl", "\n//#end\n")];
        assert_eq!(made(&files, Profile::SecondLife).unwrap_err(), "include/b.lsl:2: //#end without //#if");
    }

    #[test]
    fn text_with_at_signs_is_not_taken_for_a_placeholder() {
        let source = "llOwnerSay(\"a@b and c@D@\");\n";
        assert!(made(&[("a.lsl", source)], Profile::SecondLife).unwrap_err().contains("@D@"));
        let source = "llOwnerSay(\"a@b.example, c@d.example\");\n";
        assert_eq!(made(&[("a.lsl", source)], Profile::SecondLife).unwrap(), source);
    }
}

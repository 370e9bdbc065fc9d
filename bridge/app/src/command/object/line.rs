//! What is typed at a rack in the terminal.

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// `touch 3`, `touch 3 as Ada`, or just `3`.
    Touch { unit: u8, who: Option<String> },
    /// `pick Start`, `pick 1`.
    Pick(String),
    /// `write TEXT`.
    Write(String),
    /// `as Ada`: who touches from now on.
    As(String),
    /// `wait 3 on`: nothing further is read until the unit shows it.
    Wait { unit: u8, state: String },
    /// `report TEXT`: the script reports trouble.
    Report(String),
    /// `show`.
    Show,
    /// `help`.
    Help,
    /// `quit`.
    Quit,
    /// An empty line or a comment.
    Nothing,
}

/// What can be typed.
pub(super) const HELP: &str = "\
touch 3          touch unit 3 (just 3 does too)
touch 3 as Ada   as somebody else, by name or UUID
pick Start       choose from the menu, by word or number
write TEXT       answer a question for a line of text
as Ada           be Ada from now on
show             print the units
wait 3 on        read on when unit 3 shows it, for scripts
report TEXT      report trouble, as a script does
quit             end";

/// Understands a line.
///
/// # Errors
/// What to write instead.
pub(super) fn parse(text: &str) -> Result<Typed, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let need = |what: &str| if rest.is_empty() { Err(what.to_owned()) } else { Ok(rest.to_owned()) };
    match word.to_lowercase().as_str() {
        "" => Ok(Typed::Nothing),
        word if word.starts_with('#') => Ok(Typed::Nothing),
        "touch" | "t" => {
            let (number, who) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let who = match who.trim().split_once(char::is_whitespace) {
                None if who.trim().is_empty() => None,
                Some(("as", name)) if !name.trim().is_empty() => Some(name.trim().to_owned()),
                _ => return Err("write it as `touch 3 as Ada`".to_owned()),
            };
            Ok(Typed::Touch { unit: unit(number)?, who })
        }
        "pick" | "p" => Ok(Typed::Pick(need("pick what? One of the offered words, or its number")?)),
        "write" | "w" => Ok(Typed::Write(need("write what?")?)),
        "as" => Ok(Typed::As(need("as whom? A name or a UUID")?)),
        "wait" => match rest.split_once(char::is_whitespace) {
            Some((number, state)) => {
                Ok(Typed::Wait { unit: unit(number)?, state: state.trim().to_lowercase() })
            }
            None => Err("write it as `wait 3 on`".to_owned()),
        },
        "report" => Ok(Typed::Report(need("report what?")?)),
        "show" | "ls" => Ok(Typed::Show),
        "help" | "?" => Ok(Typed::Help),
        "quit" | "exit" | "q" => Ok(Typed::Quit),
        other if rest.is_empty() && other.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Typed::Touch { unit: unit(other)?, who: None })
        }
        other => Err(format!("{other:?} is nothing I know: `help` lists what I do")),
    }
}

fn unit(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| match text {
        "" => "touch which unit? Such as `touch 3`".to_owned(),
        _ => format!("{text:?} is no unit: units are numbers from 0 to 255"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        assert_eq!(parse("touch 3"), Ok(Typed::Touch { unit: 3, who: None }));
        assert_eq!(parse(" 3 "), Ok(Typed::Touch { unit: 3, who: None }));
        let ada = Some("Ada Lovelace".to_owned());
        assert_eq!(parse("touch 3 as Ada Lovelace"), Ok(Typed::Touch { unit: 3, who: ada }));
        assert_eq!(parse("pick Shut down"), Ok(Typed::Pick("Shut down".to_owned())));
        assert_eq!(parse("wait 3 On"), Ok(Typed::Wait { unit: 3, state: "on".to_owned() }));
        assert_eq!(parse("# a comment"), Ok(Typed::Nothing));
        assert_eq!(parse("QUIT"), Ok(Typed::Quit));
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        for (text, words) in [
            ("touch", "touch which unit"),
            ("touch 300", "no unit"),
            ("touch 3 Ada", "touch 3 as Ada"),
            ("pick", "pick what"),
            ("wait 3", "wait 3 on"),
            ("start web-1", "help"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

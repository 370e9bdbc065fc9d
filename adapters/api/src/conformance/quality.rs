//! What an adapter says of itself in `quality.toml`, held against what the suite checked.

use std::collections::BTreeMap;

use super::RULES;

/// Compares an adapter's quality file with the rules that [`super::check`] returned. The file is one
/// table, `[rules]`, with `"done"` or `"exempt: why"` for each of [`RULES`]; other tables are for people.
///
/// # Errors
/// Every difference, one per line.
pub fn compare(quality: &BTreeMap<String, String>, checked: &[&str]) -> Result<(), String> {
    let mut wrong = Vec::new();
    for rule in RULES {
        match (quality.get(rule).map(String::as_str), checked.contains(&rule)) {
            (None, _) => wrong.push(format!("{rule}: missing")),
            (Some("done"), false) => wrong.push(format!("{rule}: said to be done, but it was not checked")),
            (Some(said), true) if said != "done" => {
                wrong.push(format!("{rule}: it is kept, but the file says {said:?}"));
            }
            (Some(said), false) if said.strip_prefix("exempt: ").is_none_or(|why| why.trim().is_empty()) => {
                wrong.push(format!("{rule}: write \"done\" or \"exempt: \" and why, not {said:?}"));
            }
            (Some(_), _) => {}
        }
    }
    for rule in quality.keys().filter(|rule| !RULES.contains(&rule.as_str())) {
        wrong.push(format!("{rule}: there is no such rule"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quality_file_cannot_claim_what_was_not_checked() {
        let all: BTreeMap<_, _> = RULES.iter().map(|rule| ((*rule).to_owned(), "done".to_owned())).collect();
        assert_eq!(compare(&all, &RULES), Ok(()));
        let wrong = compare(&all, &RULES[..14]).unwrap_err();
        assert_eq!(wrong, "drop-safe: said to be done, but it was not checked");
        let mut exempt = all;
        exempt.insert("drop-safe".into(), "exempt: ".into());
        assert!(compare(&exempt, &RULES[..14]).is_err(), "an exemption needs a reason");
        exempt.insert("drop-safe".into(), "exempt: nothing to drop".into());
        assert_eq!(compare(&exempt, &RULES[..14]), Ok(()));
    }
}

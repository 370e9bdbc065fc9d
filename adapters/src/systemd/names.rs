//! Names of units (systemd.unit(5), "Description"), patterns for them, and the paths they have on the bus.

/// The kinds of units, by suffix. Devices are not among them: nobody starts or stops one.
const SUFFIXES: [&str; 10] =
    ["service", "scope", "slice", "socket", "target", "timer", "path", "mount", "automount", "swap"];

/// Where systemd keeps its units on the bus (org.freedesktop.systemd1(5)).
const UNITS: &str = "/org/freedesktop/systemd1/unit/";

/// A unit's suffix, if it is one we know.
pub(super) fn suffix(name: &str) -> Option<&'static str> {
    let (_, suffix) = name.rsplit_once('.')?;
    SUFFIXES.into_iter().find(|known| *known == suffix)
}

/// Whether it is a pattern and no name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Checks a name or pattern of the configuration.
pub(super) fn check(text: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(|c| fine(c) || "*?".contains(c)) {
        return Err(format!(
            "{text:?} is no unit's name: 1 to 255 of A-Z a-z 0-9 : - _ . \\ @ and, in a pattern, * and ?"
        ));
    }
    match suffix(text) {
        Some(_) => Ok(()),
        None => {
            Err(format!("{text:?} has no suffix that can be acted on: write one of .{}", SUFFIXES.join(" .")))
        }
    }
}

/// Whether `name` is what `pattern` says: `*` stands for any text, `?` for one character.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the latest `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    p = after;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The unit of a path on the bus: other characters than letters and digits are `_` and two hex digits.
pub(super) fn of_path(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix(UNITS)?.bytes();
    let mut name = Vec::new();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let digits = [rest.next()?, rest.next()?];
            name.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_name() {
        let path = "/org/freedesktop/systemd1/unit/app_40web_2d1_2eservice";
        assert_eq!(of_path(path).as_deref(), Some("app@web-1.service"));
        assert_eq!(of_path("/org/freedesktop/systemd1/job/7"), None);
        assert_eq!(of_path("/org/freedesktop/systemd1/unit/a_2"), None);
    }

    #[test]
    fn a_pattern_fits_whole_names() {
        for (pattern, name, fit) in [
            ("app-*.service", "app-1.service", true),
            ("app-*.service", "app-.service", true),
            ("app-*.service", "my-app-1.service", false),
            ("app-?.service", "app-12.service", false),
            ("*a*b.socket", "aab.ab.socket", true),
            ("*a*b.socket", "aab.ab.sockets", false),
            ("*", "anything", true),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}

//! From what commands print to machines and their states.

use std::collections::BTreeMap;

use primrack_model::{Observation, Power};
use smol_str::SmolStr;

use super::CommandSet;
use super::sets::NAME;

/// The longest name of a machine.
const LONGEST: usize = 64;

/// Whether a name may stand in a command. It cannot begin an option, and no shell finds anything in it.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// A command for one machine. `name` was checked by [`is_name`].
pub(super) fn filled(command: &str, name: &str) -> String {
    command.replace(NAME, name)
}

/// The machines of a host with their states, by the output of `list` and, where the set has it, `names`.
/// At most `limit`; lines without a fit name are left out.
pub(super) fn machines(
    set: &CommandSet,
    listed: &str,
    names: Option<&str>,
    limit: usize,
) -> BTreeMap<SmolStr, Observation> {
    let mut found = BTreeMap::new();
    let fits = |name: &str| is_name(name) && !set.ignore.iter().any(|ignored| ignored == name);
    for line in listed.lines().skip(set.skip_lines) {
        let columns: Vec<&str> = if set.separator.is_empty() {
            line.split_whitespace().collect()
        } else {
            line.split(set.separator.as_str()).collect()
        };
        let Some(name) = columns.get(set.name).map(|name| name.trim()).filter(|name| fits(name)) else {
            continue;
        };
        let seen = match set.state {
            None => Observation::of(Power::On),
            Some(column) => state(set, columns.get(column).copied().unwrap_or_default().trim()),
        };
        if found.len() < limit {
            found.insert(SmolStr::new(name), seen);
        }
    }
    for name in names.unwrap_or_default().lines().map(str::trim).filter(|name| fits(name)) {
        if found.len() < limit {
            found.entry(SmolStr::new(name)).or_insert_with(|| Observation::of(Power::Off));
        }
    }
    found
}

/// What one word says.
pub(super) fn state(set: &CommandSet, word: &str) -> Observation {
    match set.states.get(word) {
        Some(power) => Observation::of(*power),
        None => {
            let word: String = word.chars().take(40).collect();
            Observation::unknown(format!("it is {word:?}, which the command set does not know"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_as_zoneadm_prints_them() {
        let set = CommandSet::ready("zones").unwrap();
        let text = "0:global:running:/::ipkg:shared\n1:web:running:/zones/web:5f6b:ipkg:excl\n\
                    -:db:installed:/zones/db:77aa:ipkg:excl\n-:bad name:installed:/z:1:ipkg:excl\n\
                    -:new:incomplete:/zones/new::ipkg:excl\n";
        let found = machines(&set, text, None, 100);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["db", "new", "web"]);
        assert_eq!((found["web"].power, found["db"].power), (Power::On, Power::Off));
        assert_eq!(found["new"].power, Power::Unknown);
    }

    #[test]
    fn vservers_that_are_not_in_the_list_are_off() {
        let set = CommandSet::ready("vserver").unwrap();
        let text = "CTX   PROC    VSZ    RSS  userTIME   sysTIME    UPTIME NAME\n\
                    0       54 131.6M   9.7M   0m30s10   0m21s50   1h20m00 root\n\
                    49152    9  23.3M   6.5M   0m00s20   0m00s10   0m10s00 web\n";
        let found = machines(&set, text, Some("db\nweb\n"), 100);
        assert_eq!((found["web"].power, found["db"].power, found.len()), (Power::On, Power::Off, 2));
        assert_eq!(machines(&set, text, Some("db\nweb\nx\ny\n"), 2).len(), 2);
    }

    #[test]
    fn a_name_holds_nothing_for_a_shell() {
        for bad in ["", "-rf", "a b", "a;b", "$(x)", "a'b", "a/b", "`x`", "é", "a\nb", ".."] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(!is_name(&"a".repeat(65)) && is_name("web-1.lan_2"));
        assert_eq!(filled("zoneadm -z {name} boot", "web"), "zoneadm -z web boot");
    }
}

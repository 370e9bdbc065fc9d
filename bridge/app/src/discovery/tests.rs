use primrack_adapter_api::Found;
use primrack_model::UnixMs;

use super::*;
use crate::config::{inventory_after, read};

const CONFIG: &str = "
[backends.lab.process]
state_dir = 'p'
[backends.other.process]
state_dir = 'q'
[targets.known]
backend = 'lab'
address = 'web-9'
[discover.lab]
backend = 'lab'
name = 'web-*'
except = ['*-tmp']
groups = ['public']
limit = 3
[discover.tagged]
backend = 'other'
tags = ['env=prod*']
host = 'node-?'
prefix = 'o-'
protected = false
[objects.rack]
units = { 1 = 'known', '10-11' = 'found:lab', 20 = 'found:tagged', 30 = 'lab-web-7' }
";

fn told(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("primrack.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = match read(&file, std::iter::empty()) {
        Ok(loaded) => loaded,
        Err(mistake) => return vec![mistake.to_string()],
    };
    match inventory_after(&loaded, &primrack_model::Inventory::default(), UnixMs(0), &Memory::default()) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

fn loaded() -> crate::config::Loaded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("primrack.toml");
    std::fs::write(&file, CONFIG).unwrap();
    read(&file, std::iter::empty()).unwrap()
}

fn found(names: &[&str]) -> Vec<Found> {
    names.iter().map(|name| Found::of(Address(SmolStr::new(name)))).collect()
}

fn ids(memory: &Memory) -> Vec<String> {
    let loaded = loaded();
    let inventory =
        inventory_after(&loaded, &primrack_model::Inventory::default(), UnixMs(0), memory).unwrap();
    let mut ids: Vec<String> = inventory.live_targets().map(|(_, target)| target.id.to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn machines_get_the_same_ids_in_whatever_order_they_are_listed() {
    let rules = rules(&loaded(), &mut Vec::new());
    let lab = BackendId::new("lab").unwrap();
    let names = ["web-2", "web-1", "db-1", "web-3-tmp", "web-ä/4"];
    let mut memory = Memory::default();
    memory.take(&lab, &found(&names), &rules, UnixMs(5), true);
    let first = ids(&memory);
    // No rule wants db-1 and web-3-tmp; what no id can hold has a hash.
    assert_eq!(first.len(), 4, "{first:?}");
    assert_eq!([&first[0], &first[2], &first[3]], ["known", "lab-web-1", "lab-web-2"]);
    assert!(first[1].starts_with("lab-web---4-") && first[1].len() == "lab-web---4-".len() + 8, "{first:?}");
    let mut backwards = Memory::default();
    let names: Vec<&str> = names.into_iter().rev().collect();
    backwards.take(&lab, &found(&names), &rules, UnixMs(5), true);
    assert_eq!(ids(&backwards), first);
    assert_eq!(backwards, memory);
}

#[test]
fn a_machine_with_a_table_of_its_own_is_not_found_again() {
    let rules = rules(&loaded(), &mut Vec::new());
    let mut memory = Memory::default();
    memory.take(&BackendId::new("lab").unwrap(), &found(&["web-1", "web-9"]), &rules, UnixMs(5), true);
    assert_eq!(ids(&memory), ["known", "lab-web-1"]);
}

#[test]
fn tags_and_hosts_are_matched_and_units_show_what_is_there() {
    let loaded = loaded();
    let rules = rules(&loaded, &mut Vec::new());
    let (lab, other) = (BackendId::new("lab").unwrap(), BackendId::new("other").unwrap());
    let mut memory = Memory::default();
    memory.take(&lab, &found(&["web-1", "web-2", "web-3"]), &rules, UnixMs(5), true);
    let one = |name: &str, tag: &str, host: &str| Found {
        tags: vec!["x".into(), tag.into()],
        host: host.into(),
        ..Found::of(Address(name.into()))
    };
    let all =
        [one("a", "env=prod-1", "node-2"), one("b", "env=test", "node-2"), one("c", "env=prod", "node-13")];
    memory.take(&other, &all, &rules, UnixMs(6), true);
    let inventory =
        inventory_after(&loaded, &primrack_model::Inventory::default(), UnixMs(0), &memory).unwrap();
    let rack = &inventory.objects()[0];
    let shown: Vec<(u8, &str)> =
        rack.units.iter().map(|(unit, ix)| (*unit, inventory.target(*ix).id.as_str())).collect();
    // Two units are given to three machines; unit 30 waits for its own.
    assert_eq!(shown, [(1, "known"), (10, "lab-web-1"), (11, "lab-web-2"), (20, "o-a")]);
    let target = |id: &str| inventory.target(inventory.find_target(id).unwrap());
    assert!(target("lab-web-1").protected && !target("o-a").protected && !target("known").protected);
    let groups: Vec<&str> = target("lab-web-1").groups.iter().map(primrack_model::GroupId::as_str).collect();
    assert_eq!(groups, ["public", DISCOVERED]);
    assert!(inventory.may_come("lab-web-7") && !inventory.may_come("web-7"));
}

#[test]
fn what_is_gone_stays_for_its_time_and_makes_room_when_there_is_none() {
    let rules = rules(&loaded(), &mut Vec::new());
    let lab = BackendId::new("lab").unwrap();
    let mut memory = Memory::default();
    let hour = 3_600_000;
    memory.take(&lab, &found(&["web-1", "web-2"]), &rules, UnixMs(0), true);
    memory.take(&lab, &found(&["web-2"]), &rules, UnixMs(hour), true);
    let gone = |memory: &Memory, name: &str| {
        memory.get(&lab, &Address(name.into())).map(|machine| machine.gone.map(|since| since.0))
    };
    assert_eq!((gone(&memory, "web-1"), gone(&memory, "web-2")), (Some(Some(hour)), Some(None)));
    assert!(ids(&memory).contains(&"lab-web-1".to_owned()));
    // A list that was cut takes nothing away, and who is back is gone no more.
    memory.take(&lab, &found(&["web-1"]), &rules, UnixMs(2 * hour), false);
    assert_eq!((gone(&memory, "web-1"), gone(&memory, "web-2")), (Some(None), Some(None)));
    // Written and read again.
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Memory::read(folder.path()).unwrap(), Memory::default());
    memory.write(folder.path()).unwrap();
    assert_eq!(Memory::read(folder.path()).unwrap(), memory);
    std::fs::write(folder.path().join(FILE), "{").unwrap();
    assert!(format!("{:#}", Memory::read(folder.path()).unwrap_err()).contains("damaged"));
    // Over its time.
    memory.take(&lab, &found(&["web-2"]), &rules, UnixMs(3 * hour), true);
    memory.take(&lab, &found(&["web-2"]), &rules, UnixMs(28 * hour), true);
    assert_eq!(gone(&memory, "web-1"), None);
    // The limit is three: those that are gone for longest make room, those that are there stay.
    memory.take(&lab, &found(&["web-3", "web-4"]), &rules, UnixMs(29 * hour), true);
    memory.take(&lab, &found(&["web-3", "web-4", "web-5", "web-6"]), &rules, UnixMs(30 * hour), true);
    let known: Vec<String> = memory.of(&lab).map(|(address, _)| address.0.to_string()).collect();
    assert_eq!(known, ["web-3", "web-4", "web-5"]);
}

#[test]
fn five_thousand_machines_are_taken_in_a_bounded_table() {
    let text = CONFIG.replace("limit = 3", "limit = 4000");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("primrack.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = read(&file, std::iter::empty()).unwrap();
    let rules = rules(&loaded, &mut Vec::new());
    let names: Vec<String> = (0..5000).map(|n| format!("web-{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut memory = Memory::default();
    memory.take(&BackendId::new("lab").unwrap(), &found(&names), &rules, UnixMs(1), true);
    assert_eq!(memory.of(&BackendId::new("lab").unwrap()).count(), 4000);
}

#[test]
fn mistakes_in_rules_are_named_with_what_to_do() {
    assert_eq!(told(CONFIG), Vec::<String>::new());
    let is = |from: &str, to: &str, words: &str| {
        let told = told(&CONFIG.replace(from, to)).join("\n");
        assert!(told.contains(words), "{told}");
    };
    is("backend = 'lab'\nname", "backend = 'lap'\nname", "there is no backend \"lap\"");
    is("name = 'web-*'", "regex = 'web-('", "discover.lab");
    is("limit = 3", "limit = 0", "1 to 10000");
    is("prefix = 'o-'", "prefix = 'lab-o-'", "machines of two backends could get one id");
    is("prefix = 'o-'", "prefix = '-o'", "ids cannot begin");
    is("'found:lab'", "'found:lap'", "discover.lap");
    is("'10-11'", "'11-10'", "is no unit");
    is("'10-11'", "'1-11'", "unit 1 of rack is in");
    is("'found:lab'", "'known'", "cannot all show");
    is("'lab-web-7'", "'lap-web-7'", "is no target");
    is("host = ", "hots = ", "no setting `hots`");
}

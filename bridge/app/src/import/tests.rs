use super::*;

const TABLE: &str = "name,rack,position,backend,groups,protected,label
web-1,Row 1 Rack A,10,lab,public;web,no,
web-2,Row 1 Rack A,12,,public,,\"Web, the second\"
db ä,Row 2,1,lab,,yes,
spare,,,lab,,,
";

#[test]
fn a_table_becomes_configuration_that_is_fine() {
    let machines = read_csv(TABLE.as_bytes(), Some("other"), b',').unwrap();
    assert_eq!(machines.len(), 4);
    let text = configuration(&machines).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("primrack.toml");
    let backends = "[backends.lab.process]\nstate_dir = 'p'\n[backends.other.process]\nstate_dir = 'q'\n";
    std::fs::write(&file, format!("{backends}{text}")).unwrap();
    let loaded = crate::config::read(&file, std::iter::empty()).unwrap();
    let inventory = crate::config::inventory(&loaded).unwrap();
    assert_eq!((inventory.target_count(), inventory.object_count()), (4, 2));
    let target = |id: &str| inventory.target(inventory.find_target(id).unwrap());
    assert_eq!(
        (target("web-2").label.as_str(), target("web-2").backend.as_str()),
        ("Web, the second", "other")
    );
    assert_eq!((target("db--").address.0.as_str(), target("db--").protected), ("db ä", true));
    let rack = inventory.live_objects().map(|(_, object)| object).find(|it| it.id.as_str() == "Row-1-Rack-A");
    let rack = rack.unwrap();
    assert_eq!(rack.label, "Row 1 Rack A");
    assert_eq!(rack.units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>(), [10, 12]);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let table = "name,rack,position\nweb-1,A,300\n,A,2\nweb-2,A,3\n";
    let wrong = read_csv(table.as_bytes(), Some("lab"), b',').unwrap_err();
    assert!(
        wrong.len() == 2
            && wrong[0].starts_with("line 2: the position")
            && wrong[1].starts_with("line 3: no name"),
        "{wrong:?}"
    );
    let wrong = read_csv("nome,rack\nx,y\n".as_bytes(), None, b',').unwrap_err();
    assert!(wrong[0].contains("\"nome\"") && wrong[1].contains("`name`"), "{wrong:?}");
    assert!(read_csv("name\nx\n".as_bytes(), None, b',').unwrap_err()[0].contains("--backend"));
    let twice = read_csv("name;rack;position\nx;A;1\nx;A;1\n".as_bytes(), Some("lab"), b';').unwrap();
    let wrong = configuration(&twice).unwrap_err();
    assert!(wrong.len() == 2 && wrong[0].starts_with("line 3: another machine has the id"), "{wrong:?}");
}

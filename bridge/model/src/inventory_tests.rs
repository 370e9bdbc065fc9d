use super::*;

fn target(id: &str) -> TargetEntry {
    TargetEntry {
        id: TargetId::new(id).unwrap(),
        label: id.into(),
        kind: TargetKind::Machine,
        backend: BackendId::new("local").unwrap(),
        address: Address(id.into()),
        protected: false,
        groups: Vec::new(),
    }
}

fn object(id: &str, units: &[(u8, &str)]) -> ObjectPlan {
    let units = units.iter().map(|(unit, target)| (*unit, TargetId::new(target).unwrap())).collect();
    (ObjectId::new(id).unwrap(), id.into(), TouchMode::Menu, units)
}

fn after(old: &Inventory, ids: &[&str], objects: Vec<ObjectPlan>, at: i64) -> Inventory {
    old.succeed(ids.iter().map(|id| target(id)).collect(), objects, Vec::new(), UnixMs(at)).unwrap()
}

fn live(inventory: &Inventory) -> Vec<(u32, &str)> {
    inventory.live_targets().map(|(ix, entry)| (ix.0, entry.id.as_str())).collect()
}

#[test]
fn what_stays_keeps_its_place_and_what_comes_back_finds_it() {
    let first = after(&Inventory::default(), &["a", "b", "c"], Vec::new(), 0);
    let second = after(&first, &["d", "c", "a"], Vec::new(), 10);
    assert_eq!(live(&second), [(0, "a"), (2, "c"), (3, "d")]);
    assert!(second.is_retired(TargetIx(1)) && second.find_target("b").is_none());
    assert_eq!(
        second.target(TargetIx(1)).id.as_str(),
        "b",
        "a place that somebody holds still has its words"
    );
    assert_eq!((second.gone_since("b"), second.gone_since("x")), (Some(UnixMs(10)), None));
    let third = after(&second, &["b", "c"], Vec::new(), 20);
    assert_eq!(live(&third), [(1, "b"), (2, "c")]);
    assert_eq!((third.target_count(), third.targets().len()), (2, 4));
}

#[test]
fn a_place_is_given_away_after_an_hour_and_not_before() {
    let mut now = after(&Inventory::default(), &["keep", "vm-0"], Vec::new(), 0);
    for n in 1..=200_i64 {
        // A machine of a new name every minute.
        now = after(&now, &["keep", &format!("vm-{n}")], Vec::new(), n * 60_000);
    }
    assert_eq!(now.target_count(), 2);
    assert!((60..70).contains(&now.targets().len()), "{}", now.targets().len());
    assert_eq!(now.find_target("keep"), Some(TargetIx(0)));
    assert_eq!(now.find_target("vm-200").map(|ix| now.is_retired(ix)), Some(false));
}

#[test]
fn units_that_show_nothing_any_more_are_named_until_they_do() {
    let first = after(&Inventory::default(), &["a", "b"], vec![object("rack", &[(1, "a"), (2, "b")])], 0);
    let second = after(&first, &["b"], vec![object("rack", &[(3, "b")])], 1);
    let rack = second.object("rack").unwrap();
    assert_eq!((rack.units.as_slice(), rack.blank.as_slice()), (&[(3, TargetIx(1))][..], &[1, 2][..]));
    assert_eq!(second.shown_by(TargetIx(1)), [(0, 3)]);
    let third = after(&second, &["a", "b"], vec![object("rack", &[(1, "a"), (3, "b")])], 2);
    assert_eq!(third.object("rack").unwrap().blank, [2]);
}

#[test]
fn an_object_that_is_gone_keeps_its_place_and_shows_nothing() {
    let first =
        after(&Inventory::default(), &["a"], vec![object("x", &[(1, "a")]), object("y", &[(1, "a")])], 0);
    let second = after(&first, &["a"], vec![object("z", &[(1, "a")]), object("y", &[(1, "a")])], 1);
    assert!(second.is_object_retired(0) && second.find_object("x").is_none());
    assert_eq!(
        second.live_objects().map(|(at, entry)| (at, entry.id.as_str())).collect::<Vec<_>>(),
        [(1, "y"), (2, "z")]
    );
    assert_eq!(second.shown_by(TargetIx(0)), [(2, 1), (1, 1)]);
    assert_eq!(second.object_count(), 2);
}

#[test]
fn the_same_id_twice_is_refused_and_so_is_a_unit_without_a_target() {
    let twice =
        Inventory::default().succeed(vec![target("a"), target("a")], Vec::new(), Vec::new(), UnixMs(0));
    assert!(matches!(twice, Err(InventoryError::TargetTwice(_))));
    let first = after(&Inventory::default(), &["a"], vec![object("x", &[])], 0);
    let twice = first.succeed(Vec::new(), vec![object("x", &[]), object("x", &[])], Vec::new(), UnixMs(0));
    assert!(matches!(twice, Err(InventoryError::ObjectTwice(_))));
    let twice = first.succeed(Vec::new(), vec![object("y", &[]), object("y", &[])], Vec::new(), UnixMs(0));
    assert!(matches!(twice, Err(InventoryError::ObjectTwice(_))));
    // `a` is known from before, and gone now.
    let none = first.succeed(Vec::new(), vec![object("x", &[(1, "a")])], Vec::new(), UnixMs(0));
    assert!(matches!(none, Err(InventoryError::NoTarget { unit: 1, .. })));
}

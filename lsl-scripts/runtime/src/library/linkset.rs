//! Linkset data: the key-value store of a linkset.

use super::args::{Args, int, size};
use super::{LibCtx, pattern};
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::Value;
use crate::value::cast::utf16_len;
use std::collections::BTreeMap;

type Out = Result<Value, RuntimeError>;

// Result codes.
const OK: i32 = 0;
const OUT_OF_MEMORY: i32 = 1;
const NO_KEY: i32 = 2;
const PROTECTED: i32 = 3;
const NOT_FOUND: i32 = 4;
const NO_UPDATE: i32 = 5;

// Actions of the linkset_data event.
const RESET: i32 = 0;
const UPDATE: i32 = 1;
const DELETE: i32 = 2;
const MULTIPLE_DELETE: i32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    value: String,
    /// Empty for an entry anyone may read.
    pass: String,
}

/// The key-value store of a linkset, as every script in it sees it. Keys are kept in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinksetData {
    entries: BTreeMap<String, Entry>,
    /// What the entries cost, as each family of grids counts.
    linden: usize,
    opensim: usize,
}

/// Bytes that a grid lets a linkset store.
#[must_use]
pub const fn capacity(profile: Profile) -> usize {
    if profile.is_opensim() { 32_768 } else { 131_072 }
}

/// What an entry costs: UTF-8 bytes and 32 more when protected on Second Life; UTF-16 units and the password in
/// OpenSimulator.
fn cost(name: &str, entry: &Entry, profile: Profile) -> usize {
    if profile.is_opensim() {
        utf16_len(name) + utf16_len(&entry.value) + utf16_len(&entry.pass)
    } else {
        name.len() + entry.value.len() + if entry.pass.is_empty() { 0 } else { 32 }
    }
}

impl LinksetData {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Entries held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True where nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes in use by that grid's count.
    #[must_use]
    pub fn used(&self, profile: Profile) -> usize {
        if profile.is_opensim() { self.opensim } else { self.linden }
    }

    /// Bytes left.
    #[must_use]
    pub fn available(&self, profile: Profile) -> usize {
        capacity(profile).saturating_sub(self.used(profile))
    }

    /// The value, empty where there is none or the pass phrase is wrong.
    #[must_use]
    pub fn read(&self, name: &str, pass: &str) -> &str {
        self.entries.get(name).filter(|e| e.opens(pass)).map_or("", |e| &e.value)
    }

    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Takes over what `other` has and this store lacks, as when linksets are joined, while there is room.
    pub fn merge(&mut self, other: &Self, profile: Profile) {
        let mut free = self.available(profile);
        for (name, entry) in &other.entries {
            let needed = cost(name, entry, profile);
            if needed > free {
                break;
            }
            if !self.entries.contains_key(name) {
                self.insert(name, entry.clone());
                free -= needed;
            }
        }
    }

    fn write(&mut self, name: &str, value: &str, pass: &str, profile: Profile) -> i32 {
        let old = self.entries.get(name);
        if let Some(old) = old {
            if !old.opens(pass) {
                return PROTECTED;
            }
            if old.value == value {
                return NO_UPDATE;
            }
        }
        let kept = old.map_or_else(|| pass.to_owned(), |old| old.pass.clone());
        let entry = Entry { value: value.to_owned(), pass: kept };
        let freed = old.map_or(0, |old| cost(name, old, profile));
        if self.used(profile) - freed + cost(name, &entry, profile) > capacity(profile) {
            return OUT_OF_MEMORY;
        }
        self.insert(name, entry);
        OK
    }

    fn insert(&mut self, name: &str, entry: Entry) {
        self.remove(name);
        self.linden += cost(name, &entry, Profile::SecondLife);
        self.opensim += cost(name, &entry, Profile::OpenSimMaster);
        self.entries.insert(name.to_owned(), entry);
    }

    fn remove(&mut self, name: &str) {
        if let Some(old) = self.entries.remove(name) {
            self.linden -= cost(name, &old, Profile::SecondLife);
            self.opensim -= cost(name, &old, Profile::OpenSimMaster);
        }
    }

    fn delete(&mut self, name: &str, pass: &str) -> i32 {
        match self.entries.get(name) {
            None => NOT_FOUND,
            Some(entry) if !entry.opens(pass) => PROTECTED,
            Some(_) => {
                self.remove(name);
                OK
            }
        }
    }
}

impl Entry {
    /// An unprotected entry opens to any pass phrase.
    fn opens(&self, pass: &str) -> bool {
        self.pass.is_empty() || self.pass == pass
    }
}

pub(super) fn write(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    store(ctx, args, "")
}

pub(super) fn write_protected(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    store(ctx, args, Args(args).text(2)?)
}

/// An empty value deletes. The event of a protected write does not show the value.
fn store(ctx: &mut LibCtx<'_>, args: &[Value], pass: &str) -> Out {
    let a = Args(args);
    let (name, value) = (a.text(0)?, a.text(1)?);
    if name.is_empty() {
        return int(NO_KEY);
    }
    if value.is_empty() {
        return remove(ctx, name, pass);
    }
    let profile = ctx.profile;
    let code = ctx.host.linkset_data().write(name, value, pass, profile);
    if code == OK {
        ctx.host.linkset_data_changed(UPDATE, name, if pass.is_empty() { value } else { "" });
    }
    int(code)
}

fn remove(ctx: &mut LibCtx<'_>, name: &str, pass: &str) -> Out {
    let code = ctx.host.linkset_data().delete(name, pass);
    if code == OK {
        ctx.host.linkset_data_changed(DELETE, name, "");
    }
    int(code)
}

pub(super) fn delete(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    delete_named(ctx, Args(args).text(0)?, "")
}

pub(super) fn delete_protected(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    delete_named(ctx, Args(args).text(0)?, Args(args).text(1)?)
}

fn delete_named(ctx: &mut LibCtx<'_>, name: &str, pass: &str) -> Out {
    if name.is_empty() {
        return int(NO_KEY);
    }
    remove(ctx, name, pass)
}

pub(super) fn read(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    Ok(Value::str(ctx.host.linkset_data().read(Args(args).text(0)?, "")))
}

pub(super) fn read_protected(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    Ok(Value::str(ctx.host.linkset_data().read(a.text(0)?, a.text(1)?)))
}

pub(super) fn reset(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let data = ctx.host.linkset_data();
    let had = !data.is_empty();
    *data = LinksetData::new();
    if had {
        ctx.host.linkset_data_changed(RESET, "", "");
    }
    int(0)
}

pub(super) fn available(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    let profile = ctx.profile;
    size(ctx.host.linkset_data().available(profile))
}

pub(super) fn count_keys(ctx: &mut LibCtx<'_>, _: &[Value]) -> Out {
    size(ctx.host.linkset_data().len())
}

/// The names that match. An empty or wrong pattern matches nothing.
fn matching(ctx: &mut LibCtx<'_>, wanted: &str) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let Some(regex) = pattern::compile(wanted) else { return Vec::new() };
    ctx.host.linkset_data().names().filter(|n| regex.is_match(n)).map(str::to_owned).collect()
}

pub(super) fn count_found(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    size(matching(ctx, Args(args).text(0)?).len())
}

/// `count` names from `start` on; all the rest for a count below 1.
fn page(ctx: &LibCtx<'_>, names: Vec<String>, start: i32, count: i32) -> Out {
    let from = super::span::clamp(
        if ctx.linden() { super::span::absolute(start, names.len()) } else { i64::from(start) },
        names.len(),
    );
    let most = usize::try_from(count).ok().filter(|n| *n > 0).unwrap_or(usize::MAX);
    ctx.list(names.into_iter().skip(from).take(most).map(Value::str).collect())
}

pub(super) fn list_keys(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let names = ctx.host.linkset_data().names().map(str::to_owned).collect();
    page(ctx, names, a.int(0)?, a.int(1)?)
}

pub(super) fn find_keys(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let names = matching(ctx, a.text(0)?);
    page(ctx, names, a.int(1)?, a.int(2)?)
}

/// Gives how many were deleted and how many matched but stayed, being protected by another pass phrase.
pub(super) fn delete_found(ctx: &mut LibCtx<'_>, args: &[Value]) -> Out {
    let a = Args(args);
    let pass = a.text(1)?;
    let names = matching(ctx, a.text(0)?);
    let data = ctx.host.linkset_data();
    let (gone, kept): (Vec<_>, Vec<_>) = names.into_iter().partition(|n| data.delete(n, pass) == OK);
    if !gone.is_empty() {
        ctx.host.linkset_data_changed(MULTIPLE_DELETE, &gone.join(","), "");
    }
    let count = |n: usize| Value::Integer(i32::try_from(n).unwrap_or(i32::MAX));
    ctx.list(vec![count(gone.len()), count(kept.len())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::testing::{World, call_in, l, s};
    use crate::profile::Profile::{OpenSimMaster as Master, SecondLife as Sl};
    use Value::Integer as I;

    fn run(w: &mut World, p: Profile, name: &str, args: &[Value]) -> Value {
        call_in(w, p, name, args).unwrap()
    }

    #[test]
    fn write_read_delete_with_codes_and_events() {
        for p in [Sl, Profile::OpenSim093, Master] {
            let mut w = World::default();
            assert_eq!(run(&mut w, p, "llLinksetDataWrite", &[s("a"), s("1")]), I(0));
            assert_eq!(run(&mut w, p, "llLinksetDataWrite", &[s("a"), s("1")]), I(5));
            assert_eq!(run(&mut w, p, "llLinksetDataWrite", &[s(""), s("1")]), I(2));
            assert_eq!(run(&mut w, p, "llLinksetDataRead", &[s("a")]), s("1"));
            assert_eq!(run(&mut w, p, "llLinksetDataRead", &[s("b")]), s(""));
            assert_eq!(run(&mut w, p, "llLinksetDataDelete", &[s("b")]), I(4));
            assert_eq!(run(&mut w, p, "llLinksetDataDelete", &[s("")]), I(2));
            assert_eq!(
                run(&mut w, p, "llLinksetDataWrite", &[s("a"), s("")]),
                I(0),
                "an empty value deletes"
            );
            assert_eq!(run(&mut w, p, "llLinksetDataCountKeys", &[]), I(0));
            assert_eq!(w.changes, [(1, "a".into(), "1".into()), (2, "a".into(), String::new())]);
            run(&mut w, p, "llLinksetDataReset", &[]);
            assert_eq!(w.changes.len(), 2, "nothing to reset, no event");
        }
    }

    #[test]
    fn protected_entries_open_to_their_pass_phrase_only() {
        for p in [Sl, Master] {
            let mut w = World::default();
            assert_eq!(run(&mut w, p, "llLinksetDataWriteProtected", &[s("k"), s("v"), s("p")]), I(0));
            assert_eq!(w.changes, [(1, "k".into(), String::new())], "the event hides the value");
            assert_eq!(run(&mut w, p, "llLinksetDataRead", &[s("k")]), s(""));
            assert_eq!(run(&mut w, p, "llLinksetDataReadProtected", &[s("k"), s("x")]), s(""));
            assert_eq!(run(&mut w, p, "llLinksetDataReadProtected", &[s("k"), s("p")]), s("v"));
            assert_eq!(run(&mut w, p, "llLinksetDataWrite", &[s("k"), s("2")]), I(3));
            assert_eq!(run(&mut w, p, "llLinksetDataDelete", &[s("k")]), I(3));
            assert_eq!(run(&mut w, p, "llLinksetDataDeleteFound", &[s("k"), s("x")]), l([I(0), I(1)]));
            assert_eq!(run(&mut w, p, "llLinksetDataDeleteProtected", &[s("k"), s("p")]), I(0));
        }
    }

    #[test]
    fn sizes_follow_the_grid() {
        let mut w = World::default();
        assert_eq!(run(&mut w, Sl, "llLinksetDataAvailable", &[]), I(131_072));
        assert_eq!(run(&mut w, Master, "llLinksetDataAvailable", &[]), I(32_768));
        run(&mut w, Sl, "llLinksetDataWriteProtected", &[s("é"), s("v"), s("pass")]);
        assert_eq!(run(&mut w, Sl, "llLinksetDataAvailable", &[]), I(131_072 - 2 - 1 - 32));
        assert_eq!(run(&mut w, Master, "llLinksetDataAvailable", &[]), I(32_768 - 1 - 1 - 4));
        let full = s(&"x".repeat(32_762 - 1));
        assert_eq!(run(&mut w, Master, "llLinksetDataWrite", &[s("f"), full.clone()]), I(0));
        assert_eq!(run(&mut w, Master, "llLinksetDataWrite", &[s("g"), s("1")]), I(1), "full");
        assert_eq!(run(&mut w, Master, "llLinksetDataWrite", &[s("f"), s("less")]), I(0));
        assert_eq!(run(&mut w, Sl, "llLinksetDataWrite", &[s("h"), full]), I(0), "Second Life has room");
    }

    #[test]
    fn names_are_listed_in_order_and_by_pattern() {
        let mut w = World::default();
        for name in ["b2", "a1", "a2", "c"] {
            run(&mut w, Sl, "llLinksetDataWrite", &[s(name), s("x")]);
        }
        assert_eq!(
            run(&mut w, Sl, "llLinksetDataListKeys", &[I(0), I(-1)]),
            l([s("a1"), s("a2"), s("b2"), s("c")])
        );
        assert_eq!(run(&mut w, Sl, "llLinksetDataListKeys", &[I(1), I(2)]), l([s("a2"), s("b2")]));
        assert_eq!(run(&mut w, Sl, "llLinksetDataFindKeys", &[s("^a"), I(0), I(0)]), l([s("a1"), s("a2")]));
        assert_eq!(run(&mut w, Sl, "llLinksetDataCountFound", &[s("2$")]), I(2));
        assert_eq!(run(&mut w, Sl, "llLinksetDataCountFound", &[s("(")]), I(0));
        assert_eq!(run(&mut w, Sl, "llLinksetDataDeleteFound", &[s("2$"), s("")]), l([I(2), I(0)]));
        assert_eq!(w.changes.last(), Some(&(3, "a2,b2".into(), String::new())));
        run(&mut w, Sl, "llLinksetDataReset", &[]);
        assert_eq!(w.changes.last(), Some(&(0, String::new(), String::new())));
    }

    #[test]
    fn joining_linksets_keeps_the_roots_entries() {
        let (mut root, mut child) = (LinksetData::new(), LinksetData::new());
        assert_eq!(root.write("a", "root", "", Sl), OK);
        assert_eq!(child.write("a", "child", "", Sl), OK);
        assert_eq!(child.write("b", "child", "", Sl), OK);
        root.merge(&child, Sl);
        assert_eq!(root.used(Sl), 1 + 4 + 1 + 5);
        assert_eq!((root.read("a", ""), root.read("b", ""), root.len()), ("root", "child", 2));
    }
}

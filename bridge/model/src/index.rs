//! Places by name, for many things: five bytes an entry, since the names stay where they are.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Finds the place of a name in somebody else's list. The caller shows it the name at a place.
///
/// ```
/// use primrack_model::NameIndex;
/// let names = ["web-1", "web-2"];
/// let mut index = NameIndex::with_capacity(2);
/// for (at, name) in (0..).zip(names) {
///     assert!(index.insert(name, at, |at| names[at as usize]));
/// }
/// assert_eq!(index.find("web-2", |at| names[at as usize]), Some(1));
/// assert_eq!(index.find("web-3", |at| names[at as usize]), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct NameIndex {
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl NameIndex {
    /// With room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self { places: HashTable::with_capacity(count), hasher: DefaultHashBuilder::default() }
    }
    /// Adds a name's place. False, and unchanged, when the name has one.
    pub fn insert<'n>(&mut self, name: &str, at: u32, name_at: impl Fn(u32) -> &'n str) -> bool {
        let Self { places, hasher } = self;
        let hash = hasher.hash_one(name);
        if places.find(hash, |at| name_at(*at) == name).is_some() {
            return false;
        }
        places.insert_unique(hash, at, |at| hasher.hash_one(name_at(*at)));
        true
    }
    /// Forgets a name. False when it had no place.
    pub fn remove<'n>(&mut self, name: &str, name_at: impl Fn(u32) -> &'n str) -> bool {
        let hash = self.hasher.hash_one(name);
        self.places.find_entry(hash, |at| name_at(*at) == name).map(|entry| entry.remove()).is_ok()
    }
    /// The place of a name.
    pub fn find<'n>(&self, name: &str, name_at: impl Fn(u32) -> &'n str) -> Option<u32> {
        self.places.find(self.hasher.hash_one(name), |at| name_at(*at) == name).copied()
    }
    /// How many names it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }
    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

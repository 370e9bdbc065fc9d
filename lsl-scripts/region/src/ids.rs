//! Names of things in a region.

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// An avatar's UUID.
pub type AvatarKey = Uuid;

/// A prim, for viewers: stable while the prim exists, never given twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrimId(pub u32);

/// An object (a linkset), never given twice in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(pub u32);

/// A menu or text box in front of an avatar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DialogId(pub u64);

/// The UUID that something of this name has in every run: a room that is loaded again has the same objects, as a
/// region has after a restart.
pub(crate) fn lasting_key(parts: &[&str]) -> Uuid {
    // FNV-1a twice with different beginnings; only has to be spread, not secret.
    let run = |mut h: u64| {
        for p in parts {
            for b in p.bytes().chain([0]) {
                h = (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        h ^ (h >> 29)
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&run(0xcbf2_9ce4_8422_2325).to_be_bytes());
    bytes[8..].copy_from_slice(&run(0x9ae1_6a3b_2f90_404f).to_be_bytes());
    Builder::from_random_bytes(bytes).into_uuid()
}

/// A fresh UUID.
pub(crate) fn fresh_key() -> Uuid {
    Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasting_keys_last_and_differ() {
        assert_eq!(lasting_key(&["a", "b"]), lasting_key(&["a", "b"]));
        assert_ne!(lasting_key(&["a", "b"]), lasting_key(&["ab", ""]));
        assert_ne!(lasting_key(&["rack-1"]), lasting_key(&["rack-2"]));
    }
}

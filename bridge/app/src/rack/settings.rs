//! What a rack is told before it starts.

use std::net::SocketAddr;
use std::time::Duration;

use primrack_wire::world::{Form, KeyId, Secret, UnitRanges};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use uuid::{Builder, Uuid};

/// A key with its id.
#[derive(Debug, Clone)]
pub struct RackKey {
    /// Its id.
    pub id: KeyId,
    /// The secret.
    pub secret: Secret,
}

/// Somebody who touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avatar {
    /// Their UUID in lower case.
    pub id: SmolStr,
    /// Their name.
    pub name: SmolStr,
}

impl Avatar {
    /// Somebody by name, with a UUID made from it, so that the same name is the same person; or by
    /// UUID, where `name` is one.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match Uuid::try_parse(name) {
            Ok(id) => Self { id: SmolStr::new(id.to_string()), name: SmolStr::default() },
            Err(_) => Self {
                id: SmolStr::new(uuid_of(&format!("avatar {}", name.to_lowercase()))),
                name: SmolStr::new(name),
            },
        }
    }
}

/// A UUID made from a text (version 8, RFC 9562): the same text is the same everywhere.
#[must_use]
pub fn uuid_of(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("primrack simulated {text}")).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// What a rack is.
#[derive(Debug, Clone)]
pub struct RackSettings {
    /// Where the bridge takes messages, such as `http://127.0.0.1:8480/world/1`. Without a path,
    /// `/world/1` is meant.
    pub bridge_url: String,
    /// Its id.
    pub object: SmolStr,
    /// Its key.
    pub key: RackKey,
    /// How it makes its MACs.
    pub form: Form,
    /// The UUID of the prim that speaks.
    pub holder: SmolStr,
    /// The UUID of its owner.
    pub owner: SmolStr,
    /// Where it stands.
    pub region: SmolStr,
    /// What it says it runs on.
    pub grid: SmolStr,
    /// The units it has; none named means it tells none.
    pub units: UnitRanges,
    /// Where its callback listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// How the bridge reaches that, such as `http://host:9000`; the listener's own address if absent.
    pub public_url: Option<String>,
    /// How long an answer may take. The grids' scripts wait 30 to 60 s.
    pub timeout: Duration,
    /// How long an event is sent again before the asker is told that nothing came.
    pub patience: Duration,
}

impl RackSettings {
    /// A rack of this id at this bridge, everything else as it is for the terminal.
    #[must_use]
    pub fn new(bridge_url: impl Into<String>, object: &str, key: RackKey) -> Self {
        Self {
            bridge_url: bridge_url.into(),
            object: SmolStr::new(object),
            key,
            form: Form::Hex,
            holder: SmolStr::new(uuid_of(&format!("holder {object}"))),
            owner: SmolStr::new(uuid_of("owner")),
            region: SmolStr::new_static("terminal (simulated)"),
            grid: SmolStr::new_static("primrack object (simulated)"),
            units: UnitRanges::default(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_person_every_time() {
        assert_eq!(Avatar::named("Ada"), Avatar { name: "Ada".into(), id: Avatar::named("ada").id });
        assert_ne!(Avatar::named("Ada").id, Avatar::named("Bob").id);
        let id = "11111111-2222-4333-8444-555555555555";
        assert_eq!(Avatar::named(id).id, id);
    }
}

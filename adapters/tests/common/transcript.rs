//! What a test saw running, kept for the table that `cargo xtask test` prints at its end.
//!
//! One file per test, `target/transcripts/backends/<name>.json`:
//! `{"technology": "docker", "against": "Podman 4.3.1", "real": "real", "seconds": 3.2, "rules": ["start", …]}`.
//! The table fails when a technology (a folder with a `quality.toml`) has left none, or when one is less
//! real than the file's table `[transcripts]` says (`NAME = "real"`; without that table: one file called
//! like the folder is wanted).

use std::fs;
use std::path::Path;
use std::time::Instant;

/// How real the peer of a test was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The thing itself.
    Real,
    /// Another program that speaks the protocol and keeps states, such as vcsim.
    Simulator,
    /// A stand-in that answers by the interface's description, such as fakepve.
    Fake,
    /// Answers written down beforehand.
    Recording,
}

/// A transcript under way: begun before the backend is started, ended when everything held.
#[derive(Debug)]
pub struct Transcript {
    name: String,
    technology: &'static str,
    real: Peer,
    began: Instant,
}

impl Transcript {
    /// Begins one. `name` is the file's: the technology's, or `libvirt-lxc` where one technology runs
    /// against several peers.
    pub fn begin(name: &str, technology: &'static str, real: Peer) -> Self {
        assert!(name.starts_with(technology), "{name}: begin the name with {technology}");
        Self { name: name.to_owned(), technology, real, began: Instant::now() }
    }

    /// How long it is under way, in seconds.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Writes it. `against` is the peer with its version, in words for people; `rules` is what
    /// `conformance::check` returned.
    pub fn end(self, against: &str, rules: &[&str]) {
        let words = match self.real {
            Peer::Real => "real",
            Peer::Simulator => "simulator",
            Peer::Fake => "fake",
            Peer::Recording => "recording",
        };
        let text = serde_json::json!({
            "technology": self.technology,
            "against": against,
            "real": words,
            "seconds": (self.seconds() * 10.0).round() / 10.0,
            "rules": rules,
        });
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/transcripts/backends");
        fs::create_dir_all(&folder).unwrap();
        // Whole or not at all: others may read.
        let draft = folder.join(format!("{}.{}.tmp", self.name, std::process::id()));
        fs::write(&draft, format!("{text:#}\n")).unwrap();
        fs::rename(draft, folder.join(format!("{}.json", self.name))).unwrap();
    }
}

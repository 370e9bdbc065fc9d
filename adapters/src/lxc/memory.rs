//! What was heard of ends, and which of them we asked for.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;

use super::map::{End, Event};

/// How many containers are remembered; beyond it all is forgotten, and their ends are told without a cause.
const KEPT: usize = 20_000;

#[derive(Debug, Default)]
struct Track {
    /// We told it to end, and an end until then is by us.
    asked: Option<Instant>,
    end: Option<End>,
}

/// By name.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Track>>);

impl Memory {
    /// It is being told to end. Before it is done: the end may come at once.
    pub(super) fn asks(&self, name: &str, until: Instant) {
        self.change(name, |track| track.asked = Some(until));
    }
    /// It was not.
    pub(super) fn takes_back(&self, name: &str) {
        self.change(name, |track| track.asked = None);
    }

    pub(super) fn hear(&self, name: &str, event: &Event) {
        match event {
            Event::State(state) if state == "STARTING" => {
                self.change(name, |track| *track = Track::default());
            }
            Event::State(_) => {}
            Event::Exited(status) => self.change(name, |track| {
                let ours = track.asked.take().is_some_and(|until| Instant::now() < until);
                track.end = Some(if ours { End::Asked } else { End::Status(*status) });
            }),
        }
    }

    /// Events were missed, or may have been.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    pub(super) fn end(&self, name: &str) -> Option<End> {
        self.0.lock().get(name)?.end
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Track)) {
        let mut tracks = self.0.lock();
        if tracks.len() >= KEPT && !tracks.contains_key(name) {
            tracks.clear();
        }
        change(tracks.entry(name.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_ended_it_is_what_was_heard() {
        let memory = Memory::default();
        let soon = Instant::now() + Duration::from_secs(60);
        memory.asks("a", soon);
        memory.hear("a", &Event::Exited(0));
        assert_eq!(memory.end("a"), Some(End::Asked));
        memory.hear("a", &Event::State("STARTING".into()));
        assert_eq!(memory.end("a"), None);
        memory.hear("a", &Event::Exited(3));
        assert_eq!(memory.end("a"), Some(End::Status(3)));
        // One that did not end in its time ended by itself later.
        memory.asks("b", Instant::now());
        memory.hear("b", &Event::Exited(0));
        assert_eq!(memory.end("b"), Some(End::Status(0)));
        memory.forget();
        assert_eq!(memory.end("a"), None);
    }
}

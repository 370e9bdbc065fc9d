//! What is remembered of the events: who ended what.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::map::Heard;

/// How many containers are remembered; beyond it all is forgotten, and their ends are told without a cause.
const KEPT: usize = 20_000;
/// An end this long after a signal is still its effect.
const EFFECT: Duration = Duration::from_secs(300);

/// What was heard, by the containers' ids.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Run>>);

#[derive(Debug, Clone, Copy, Default)]
struct Run {
    signalled: Option<Instant>,
    died: bool,
    asked: bool,
}

impl Memory {
    /// Takes an event in. Whether it can have changed the container's state.
    pub(super) fn hear(&self, id: &str, action: &str, signal: Option<&str>) -> bool {
        match action {
            "start" | "restart" => self.change(id, |run| *run = Run::default()),
            "kill" if signal.is_none_or(ends) => self.signalled(id),
            "stop" => self.change(id, |run| run.asked = true),
            "die" | "died" => self.change(id, |run| {
                run.asked |= run.signalled.is_some_and(|at| at.elapsed() < EFFECT);
                run.died = true;
            }),
            "destroy" | "remove" => {
                self.0.lock().remove(id);
            }
            // What runs beside the container's own process, and what only reads.
            "kill" | "top" | "resize" | "attach" | "detach" | "copy" | "archive-path" | "extract-to-dir"
            | "export" | "commit" | "update" | "mount" | "unmount" => return false,
            _ if action.starts_with("exec") => return false,
            _ => {}
        }
        true
    }

    /// A signal that ends is on its way.
    pub(super) fn signalled(&self, id: &str) {
        self.change(id, |run| run.signalled = Some(Instant::now()));
    }

    /// It was not sent after all.
    pub(super) fn not_signalled(&self, id: &str) {
        self.change(id, |run| run.signalled = None);
    }

    /// Events were missed, or may have been.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    pub(super) fn heard(&self, id: &str) -> Heard {
        let known = self.0.lock().get(id).copied().unwrap_or_default();
        // An end can be seen before its event comes.
        let just_now = !known.died && known.signalled.is_some_and(|at| at.elapsed() < EFFECT);
        Heard { signalled: known.asked || just_now, died: known.died }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Run)) {
        let mut runs = self.0.lock();
        if runs.len() >= KEPT && !runs.contains_key(id) {
            runs.clear();
        }
        change(runs.entry(id.to_owned()).or_default());
    }
}

/// Whether a signal is one to end by. The others tell a program to read its files again and the like.
fn ends(signal: &str) -> bool {
    !matches!(
        signal.trim_start_matches("SIG"),
        "1" | "10" | "12" | "17" | "18" | "28" | "HUP" | "USR1" | "USR2" | "CHLD" | "CONT" | "WINCH"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ended_it_is_what_was_heard() {
        let memory = Memory::default();
        assert!(memory.hear("a", "start", None) && !memory.hear("a", "kill", Some("1")));
        assert!(memory.hear("a", "die", None));
        assert_eq!(memory.heard("a"), Heard { signalled: false, died: true });
        memory.hear("a", "start", None);
        memory.hear("a", "kill", Some("15"));
        assert_eq!(memory.heard("a"), Heard { signalled: true, died: false });
        memory.hear("a", "die", None);
        assert_eq!(memory.heard("a"), Heard { signalled: true, died: true });
        memory.forget();
        assert_eq!(memory.heard("a"), Heard::default());
        assert!(!memory.hear("a", "exec_start: sh", None), "a health check is no change");
    }
}

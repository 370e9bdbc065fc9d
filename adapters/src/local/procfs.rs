//! What the kernel says of processes (proc(5)). These files are answered from memory, not from a disk.

use std::fs;
use std::io;

/// The part of `/proc/<pid>/stat` that is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `T` (stopped), `Z` (ended, not yet waited for)...
    pub(crate) state: char,
    /// The session's first process.
    pub(crate) session: i32,
    /// User and system time in clock ticks.
    pub(crate) ticks: u64,
    /// When it started, in clock ticks since the machine started: with the pid it names a process for good.
    pub(crate) started: u64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

impl Stat {
    pub(crate) fn read(pid: i32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::other("/proc/<pid>/stat has another form"))
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets, and may itself hold brackets and spaces.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // `fields[0]` is field 3 of proc(5).
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            session: fields.get(3)?.parse().ok()?,
            ticks: number(14)? + number(15)?,
            started: number(22)?,
            resident: number(24)? * rustix::param::page_size() as u64,
        })
    }

    /// Whether it still does anything.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == 'T'
    }
}

/// Changes with every start of the machine: pids and start times of another boot mean nothing.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Every living process whose environment holds `variable=value`. Reads all of /proc: for the rare
/// case that a record is missing, and never on a runtime thread.
pub(crate) fn marked(variable: &str, value: &str) -> Vec<(i32, Stat)> {
    let wanted = format!("{variable}={value}");
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir("/proc") else { return found };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // Unreadable means it belongs to somebody else, and ours run as ourselves.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|pair| pair == wanted.as_bytes())
            && let Ok(stat) = Stat::read(pid)
            && stat.is_alive()
        {
            found.push((pid, stat));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let text = "42 (a) S (b) T 1 42 42 0 -1 4194304 1 0 0 0 7 5 0 0 20 0 1 0 123456 10000 3 184467";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.state, stat.session, stat.ticks, stat.started), ('T', 42, 12, 123_456));
        assert!(Stat::parse("42 (a").is_none());
    }

    #[test]
    fn this_process_is_alive() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let stat = Stat::read(pid).unwrap();
        assert!(stat.is_alive() && stat.resident > 0);
        assert_eq!(boot_id().len(), 36);
    }
}

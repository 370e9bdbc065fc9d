//! LXC's programs: each question and each order is one of them run to its end, with bounds on time and answer.

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::LxcConfig;
use crate::containers::head;

/// All that is used.
pub(super) const TOOLS: [&str; 7] =
    ["lxc-info", "lxc-ls", "lxc-start", "lxc-stop", "lxc-freeze", "lxc-unfreeze", "lxc-monitor"];
/// The longest answer: a list of some ten thousand containers.
const ANSWER: u64 = 4 << 20;
/// What is kept of its complaints.
const WORDS: usize = 300;

/// How the programs are run.
#[derive(Debug)]
pub(super) struct Client {
    config: LxcConfig,
}

/// What one said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) out: String,
    /// Its complaint, for people.
    pub(super) words: String,
}

impl Client {
    pub(super) fn new(config: LxcConfig) -> Self {
        Self { config }
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.config.answer_ms.unwrap_or(10_000))
    }

    fn command(&self, tool: &str, arguments: &[&str]) -> Command {
        let mut words = self.config.with.iter().map(String::as_str).chain([tool]);
        let mut command = Command::new(words.next().unwrap_or(tool));
        command.args(words);
        if let Some(path) = &self.config.path {
            command.args([OsStr::new("-P"), path.as_os_str()]);
        }
        // Its words are read.
        command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs one to its end. Dropping the future, or waiting in vain, ends it.
    ///
    /// # Errors
    /// Unreachable where it cannot be run, says too much or takes too long.
    pub(super) async fn run(
        &self,
        tool: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Said, AdapterError> {
        let mut command = self.command(tool, arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| AdapterError::Unreachable(format!("{tool} cannot be run: {why}")))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let ended = async {
            // What it started may hold its ends of the pipes open: its own end is what counts.
            let reading = async { tokio::join!(read(out, ANSWER), read(err, 64 << 10)) };
            tokio::pin!(reading);
            tokio::select! {
                said = &mut reading => (said, child.wait().await),
                status = child.wait() => {
                    let said = tokio::time::timeout(Duration::from_millis(500), &mut reading).await;
                    (said.unwrap_or_default(), status)
                }
            }
        };
        let ((out, err), status) = tokio::time::timeout(limit, ended).await.map_err(|_| {
            AdapterError::Unreachable(format!("{tool} gives no answer within {} ms", limit.as_millis()))
        })?;
        let status = status.map_err(|why| AdapterError::Unreachable(format!("{tool}: {why}")))?;
        if out.len() as u64 >= ANSWER {
            return Err(AdapterError::Unreachable(format!(
                "the answer of {tool} is longer than {ANSWER} bytes"
            )));
        }
        Ok(Said { status, out: String::from_utf8_lossy(&out).into_owned(), words: complaint(&err, tool) })
    }

    /// The listener, with its lines to be read.
    ///
    /// # Errors
    /// Unreachable where it cannot be run.
    pub(super) fn monitor(&self) -> Result<Child, AdapterError> {
        self.command("lxc-monitor", &["-n", ".*"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| AdapterError::Unreachable(format!("lxc-monitor cannot be run: {why}")))
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read before it broke off is what was said.
        from.take(limit).read_to_end(&mut bytes).await.ok();
    }
    bytes
}

/// The last line that says something, without the place in LXC's source: `lxc-stop: web: ../src/…: main: 168 web is
/// not running`.
fn complaint(bytes: &[u8], tool: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let words = match last.split_once(": main: ") {
        Some((_, said)) => said.trim_start_matches(|c: char| c.is_ascii_digit()).trim(),
        None => last.strip_prefix(tool).map_or(last, |rest| rest.trim_start_matches([':', ' '])),
    };
    head(words, WORDS).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_its_last_words() {
        let said = b"lxc-stop: web: ../src/lxc/tools/lxc_stop.c: main: 168 web is not running\n\n";
        assert_eq!(complaint(said, "lxc-stop"), "web is not running");
        assert_eq!(complaint(b"sudo: a password is required\n", "lxc-ls"), "sudo: a password is required");
        assert_eq!(complaint(b"", "lxc-ls"), "");
    }

    #[tokio::test]
    async fn who_says_too_much_or_too_little_is_unreachable() {
        let client = |with: &[&str]| {
            let with = with.iter().map(|word| (*word).to_owned()).collect();
            Client::new(LxcConfig { with, ..LxcConfig::default() })
        };
        let soon = Duration::from_secs(20);
        let why = client(&["sh", "-c", "yes"]).run("lxc-ls", &[], soon).await.unwrap_err();
        assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("longer than")), "{why:?}");
        let why = client(&["sleep", "100"]).run("7", &[], Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(&why, AdapterError::Unreachable(words) if words.contains("no answer")), "{why:?}");
        let why = client(&["/no/such"]).run("lxc-ls", &[], soon).await.unwrap_err();
        assert!(
            matches!(&why, AdapterError::Unreachable(words) if words.contains("cannot be run")),
            "{why:?}"
        );
        // A child of it that holds the pipe open is not waited for.
        let said = client(&["sh", "-c", "sleep 100 & echo here"]).run("lxc-ls", &[], soon).await.unwrap();
        assert!(said.status.success());
    }
}

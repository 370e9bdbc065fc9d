//! The board emulator as a process: commands go in, events come out, and the port is a pty.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// An Uno with the shipped firmware, simulated. It ends when this is dropped.
pub(crate) struct Emulator {
    pub(crate) path: PathBuf,
    _folder: tempfile::TempDir,
    _process: Child,
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
}

fn hardware() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds firmware and emulator, which is quick when they are built. Tests run in processes of their own, so a lock on a file keeps them apart.
fn build() {
    let lock =
        std::fs::File::create(std::env::temp_dir().join("primrack-hardware-build.lock")).expect("a lock");
    lock.lock().expect("a lock");
    for (folder, target) in [("emulator", "all"), ("firmware", "build/uno/gateway.elf")] {
        let made = std::process::Command::new("make")
            .arg("-s")
            .arg("-C")
            .arg(hardware().join(folder))
            .arg(target)
            .output()
            .expect("make");
        assert!(
            made.status.success(),
            "Debian's make gcc g++ pkg-config libsimavr-dev libelf-dev gcc-avr avr-libc arduino-core-avr are needed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
}

impl Emulator {
    pub(crate) async fn start() -> Self {
        tokio::task::spawn_blocking(build).await.expect("a build");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("usb-board-if00");
        let hardware = hardware();
        let mut process = Command::new(hardware.join("emulator/build/primrack-board-emulator"))
            .args(["--board", "uno", "--seed", "1", "--eeprom"])
            .arg(folder.path().join("eeprom"))
            .arg("--wiring")
            .arg(hardware.join("emulator/wiring/uno.txt"))
            .arg(hardware.join("firmware/build/uno/gateway.elf"))
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator");
        let commands = process.stdin.take().expect("piped");
        let events = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut emulator = Self { path, _folder: folder, _process: process, commands, events };
        emulator.event("plugged ").await;
        emulator
    }

    /// Gives a command and waits until it is done.
    pub(crate) async fn command(&mut self, command: &str) -> String {
        self.commands.write_all(format!("@t {command}\n").as_bytes()).await.expect("the emulator listens");
        loop {
            let line = self.line().await;
            if line.starts_with("error") {
                panic!("{command}: {line}");
            }
            if let Some(answer) = line.strip_prefix("ok @t") {
                return answer.trim().to_owned();
            }
        }
    }

    /// Waits for an event that begins so.
    pub(crate) async fn event(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// The next line without its two stamps.
    async fn line(&mut self) -> String {
        let line = timeout(LONG, self.events.next_line())
            .await
            .expect("in time")
            .expect("a line")
            .expect("an emulator");
        line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
    }
}

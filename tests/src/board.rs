//! Boards to test with: one played in software, and the shipped firmware in the emulator, both behind a pty that the
//! bridge opens like a serial device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use primrack_link::message::Uid;
use primrack_link::soft::{OutputKind, SoftBoard, SoftConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::soon;

/// One line of the emulator: when its cycle was due, and what it says.
#[derive(Debug, Clone)]
pub struct Line {
    /// By our clock, to about a tenth of a millisecond.
    pub at: Instant,
    /// `pin D5 1`, `ok @7 …`
    pub text: String,
}

/// The shipped firmware of an Uno in the emulator, a program of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    _child: Child,
    stdin: ChildStdin,
    lines: broadcast::Receiver<(u64, String)>,
    /// A moment of the system's clock, and the same by ours.
    zero: (u64, Instant),
    pins: BTreeMap<String, u32>,
    tag: u32,
}

/// Where a folder of the hardware is.
fn hardware(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("hardware").join(path)
}

impl Emulator {
    /// Starts an Uno whose port is `link`; waits until it is plugged in.
    ///
    /// # Panics
    /// When emulator or firmware are not built.
    pub async fn start(link: &Path, eeprom: &Path) -> Self {
        let program = hardware("emulator/build/primrack-board-emulator");
        let firmware = hardware("firmware/build/uno/gateway.elf");
        for (file, how) in
            [(&program, "make -C hardware/emulator"), (&firmware, "make -C hardware/firmware uno")]
        {
            assert!(file.is_file(), "no {}: `{how}`, or `cargo xtask firmware`", file.display());
        }
        let mut child = Command::new(program)
            .args(["--board", "uno", "--wiring"])
            .arg(hardware("emulator/wiring/uno.txt"))
            .arg("--eeprom")
            .arg(eeprom)
            .arg(firmware)
            .arg(link)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut read = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, lines) = broadcast::channel(16 * 1024);
        tokio::spawn(async move {
            while let Ok(Some(line)) = read.next_line().await {
                // Simulated microseconds, the system's monotonic clock in nanoseconds, the words.
                let mut parts = line.splitn(3, ' ').skip(1);
                let host: u64 = parts.next().and_then(|at| at.parse().ok()).unwrap_or(0);
                let text = parts.next().unwrap_or_default().to_owned();
                // Nobody listens any more when the test is over.
                drop(tell.send((host, text)));
            }
        });
        let mut emulator =
            Self { _child: child, stdin, lines, zero: (0, Instant::now()), pins: BTreeMap::new(), tag: 0 };
        emulator.until("it is plugged in", |line| line.starts_with("plugged")).await;
        emulator.compare_clocks().await;
        // Latch, tower, bolt, siren.
        emulator.tell("watch D5 A1 A2 A3").await;
        emulator
    }

    /// Finds what the emulator's stamps are by our clock: the quickest of some answers says it best.
    async fn compare_clocks(&mut self) {
        let mut best = std::time::Duration::MAX;
        for _ in 0..10 {
            let asked = Instant::now();
            self.tag += 1;
            let mark = format!("@{}", self.tag);
            self.stdin.write_all(format!("{mark} read D5\n").as_bytes()).await.unwrap();
            let host = loop {
                let (host, text) = soon("an answer", self.lines.recv()).await.unwrap();
                if text.contains(&mark) {
                    break host;
                }
            };
            let took = asked.elapsed();
            if took < best {
                (best, self.zero) = (took, (host, asked + took / 2));
            }
        }
    }

    /// Gives a command and waits for its answer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn tell(&mut self, command: &str) -> Line {
        self.tag += 1;
        let mark = format!("@{}", self.tag);
        self.stdin.write_all(format!("{mark} {command}\n").as_bytes()).await.unwrap();
        self.stdin.flush().await.unwrap();
        let answer = self
            .until(command, |line| {
                line.split(' ').nth(1).is_some_and(|word| word.trim_end_matches(':') == mark)
                    || line.contains(&mark)
            })
            .await;
        assert!(answer.text.starts_with("ok"), "{command}: {}", answer.text);
        answer
    }

    /// Waits for a line, and keeps count of the pins meanwhile.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Line {
        let waiting = async {
            loop {
                let (host, text) = self.lines.recv().await.unwrap();
                let (zero, then) = self.zero;
                let at = if host >= zero {
                    then + std::time::Duration::from_nanos(host - zero)
                } else {
                    then.checked_sub(std::time::Duration::from_nanos(zero - host)).unwrap_or(then)
                };
                let line = Line { at, text };
                let words: Vec<&str> = line.text.split(' ').collect();
                if let ["pin", pin, level] = words[..] {
                    *self.pins.entry(format!("{pin} {level}")).or_default() += 1;
                }
                if wanted(&line.text) {
                    return line;
                }
            }
        };
        soon(what, waiting).await
    }

    /// How often a pin took a level, as far as the lines were read.
    #[must_use]
    pub fn edges(&self, pin: &str, level: u8) -> u32 {
        self.pins.get(&format!("{pin} {level}")).copied().unwrap_or(0)
    }
}

/// A board played in software with what the shipped Uno has.
#[derive(Debug)]
pub struct Soft {
    /// The board.
    pub board: SoftBoard,
    _ends: DropGuard,
}

impl Soft {
    /// One whose port is `link`.
    ///
    /// # Panics
    /// When there is no pty.
    #[must_use]
    pub fn start(link: &Path) -> Self {
        let stop = CancellationToken::new();
        let named = |kind, name: &str| (kind, name.into());
        let config = SoftConfig {
            id: "soft-uno".into(),
            outputs: vec![
                named(OutputKind::Relay, "latch"),
                named(OutputKind::Lamp, "tower"),
                named(OutputKind::Lock, "bolt"),
                named(OutputKind::Buzzer, "siren"),
                named(OutputKind::Lcd, "screen"),
            ],
            ..SoftConfig::default()
        };
        let board = SoftBoard::start_on_pty(config, link.to_owned(), stop.child_token()).unwrap();
        Self { board, _ends: stop.drop_guard() }
    }
}

/// Either, for a test that holds for both.
#[derive(Debug)]
pub enum Player {
    /// Played in software.
    Soft(Soft),
    /// The shipped firmware.
    Real(Box<Emulator>),
}

/// An output of the shipped Uno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The relay.
    Latch,
    /// The tower's red lamp.
    Red,
    /// The tower's green lamp.
    Green,
}

impl Part {
    fn pin(self) -> &'static str {
        match self {
            Self::Latch => "D5",
            Self::Red => "A1",
            Self::Green => "A3",
        }
    }
}

impl Player {
    /// A badge is laid on reader 0 for a moment; says when.
    ///
    /// # Panics
    /// When the board refuses.
    pub async fn badge(&mut self, uid: &str) -> Instant {
        match self {
            Self::Soft(soft) => {
                soft.board.badge(0, Uid::from_hex(uid).unwrap());
                Instant::now()
            }
            Self::Real(real) => real.tell(&format!("card 0 {uid} plain for 300")).await.at,
        }
    }
    /// Button 0 is pressed and let go.
    ///
    /// # Panics
    /// When the board refuses.
    pub async fn press(&mut self) {
        match self {
            Self::Soft(soft) => {
                soft.board.button(0, true);
                soft.board.button(0, false);
            }
            Self::Real(real) => {
                real.tell("button D4 press 500 3").await;
                tokio::time::sleep(std::time::Duration::from_millis(120)).await;
                real.tell("button D4 release").await;
            }
        }
    }
    /// Waits until an output is on or off; says when it was.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn shows(&mut self, part: Part, on: bool) -> Instant {
        match self {
            Self::Soft(soft) => {
                let mut outputs = soft.board.outputs();
                let lit = |value: u32| match part {
                    Part::Latch => value != 0,
                    Part::Red => value & 1 != 0,
                    Part::Green => value & 4 != 0,
                };
                let at = usize::from(part != Part::Latch);
                let seen = outputs.wait_for(|outputs| lit(outputs[at].value) == on);
                drop(soon(&format!("{part:?} {on}"), seen).await.unwrap());
                Instant::now()
            }
            Self::Real(real) => {
                let now = format!("{} {}", part.pin(), u8::from(on));
                let level = real.tell(&format!("read {}", part.pin())).await;
                if level.text.ends_with(&now) {
                    return level.at;
                }
                let wanted = format!("pin {now}");
                real.until(&wanted, |line| line == wanted).await.at
            }
        }
    }
}

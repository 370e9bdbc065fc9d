//! `primrack board`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use primrack_board::{BoardStatus, Seen};
use primrack_link::port::PortAddress;
use primrack_link::{Link, LinkConfig, RunningLink};
use primrack_model::UnixMs;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::ControlSocket;
use crate::board::SetOutput;
use crate::out::line;
use crate::show;

/// How long a board may take to say hello: an Uno's bootloader takes one and a half seconds.
const HELLO: Duration = Duration::from_secs(5);
/// Where Linux names serial devices by what they are.
pub(crate) const BY_ID: &str = "/dev/serial/by-id";
/// The firmware that is shipped with this bridge.
pub(crate) const FIRMWARE: &str = "gw-1.0.0";

/// Boards: microcontrollers with readers, buttons, lamps and relays.
#[derive(Debug, Args)]
pub struct BoardCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The boards of a running bridge, and the ports of this machine
    List {
        /// For machines: JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        control: ControlSocket,
    },
    /// Shows what happens at a board, until interrupted
    Monitor {
        /// The board's backend in the configuration; the only one if absent
        board: Option<String>,
        /// Talks to this port itself, while no bridge has it: shows every line, numbers of badges in full
        #[arg(long, conflicts_with = "board")]
        port: Option<PortAddress>,
        /// Bits per second, with --port
        #[arg(long, default_value_t = 115_200, requires = "port")]
        baud: u32,
        #[command(flatten)]
        control: ControlSocket,
    },
    /// Sets an output by hand, past targets and policy: to see whether it is wired right
    Set {
        /// Which output of the board, from 0
        output: u8,
        /// To what: 1 and 0 for a relay; see hardware/PROTOCOL.md for the others
        value: u32,
        /// The board's backend in the configuration; the only one if absent
        #[arg(long)]
        board: Option<String>,
        /// For how many milliseconds
        #[arg(long, default_value_t = 5000)]
        lease: u32,
        /// Talks to this port itself, while no bridge has it
        #[arg(long, conflicts_with = "board")]
        port: Option<PortAddress>,
        /// Bits per second, with --port
        #[arg(long, default_value_t = 115_200, requires = "port")]
        baud: u32,
        #[command(flatten)]
        control: ControlSocket,
    },
    /// Says how to put the firmware on a board
    FlashHelp,
}

impl BoardCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers, or the board does not.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.what.run())
    }
}

impl What {
    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { json, control } => list(json, &control).await?,
            Self::Monitor { port: Some(port), baud, .. } => monitor_port(&port, baud).await?,
            Self::Monitor { board, control, .. } => monitor(board, &control).await?,
            Self::Set { output, value, lease, port: Some(port), baud, .. } => {
                set_port(&port, baud, output, value, lease).await?;
            }
            Self::Set { output, value, board, lease, control, .. } => {
                let control = control.control()?;
                let board = only(&control, board).await?;
                let set = SetOutput { output, value, lease_ms: lease };
                let now: serde_json::Value = control.post(&format!("/boards/{board}/set"), &set).await?;
                line(&format!("Output {output} of {board} is {} now.", now["value"]))?;
            }
            Self::FlashHelp => line(&flash_help())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn boards(control: &crate::control::Control) -> anyhow::Result<Vec<BoardStatus>> {
    control.get("/boards").await
}

/// The board that is meant.
async fn only(control: &crate::control::Control, named: Option<String>) -> anyhow::Result<String> {
    if let Some(named) = named {
        return Ok(named);
    }
    let all = boards(control).await?;
    match all.as_slice() {
        [one] => Ok(one.board.to_string()),
        [] => bail!("the bridge has no boards: add [backends.NAME.board] to its configuration"),
        many => {
            let names: Vec<&str> = many.iter().map(|board| board.board.as_str()).collect();
            bail!("which board? There are: {}", names.join(", "))
        }
    }
}

async fn list(json: bool, control: &ControlSocket) -> anyhow::Result<()> {
    let running = match control.control() {
        Ok(control) => boards(&control).await,
        Err(error) => Err(error),
    };
    let ports = ports();
    if json {
        let boards = running.as_ref().ok();
        return Ok(line(&json!({ "boards": boards, "ports": ports }).to_string())?);
    }
    let colour = show::colours();
    match &running {
        Ok(boards) if boards.is_empty() => line("The bridge has no boards: add [backends.NAME.board].")?,
        Ok(boards) => boards.iter().try_for_each(|board| line(&in_words(board, UnixMs::now(), colour)))?,
        Err(error) => line(&format!("Boards of a bridge: {error}"))?,
    }
    if ports.is_empty() {
        line("No serial port is connected to this machine.")?;
    }
    for Port { path, why } in &ports {
        let what = why.as_deref().unwrap_or("can be opened by this user");
        line(&format!("port {}: {what}", path.display()))?;
    }
    Ok(())
}

fn in_words(board: &BoardStatus, now: UnixMs, colour: bool) -> String {
    let token = if board.up { "on" } else { "crashed" };
    let word = show::tinted(token, if board.up { "there" } else { "away" }, colour);
    let mut notes = vec![format!("for {}", show::age(board.since, now)), board.words.clone()];
    if board.up {
        notes.extend(board.parts.clone());
    }
    for (reader, health) in board.readers.iter().filter(|(_, health)| *health != "ok") {
        notes.push(format!("reader {reader} {health}"));
    }
    if !board.outputs.is_empty() {
        let outputs: Vec<String> =
            board.outputs.iter().map(|(index, value)| format!("{index}={value}")).collect();
        notes.push(format!("outputs {}", outputs.join(" ")));
    }
    if !board.inputs.is_empty() {
        let inputs: Vec<String> =
            board.inputs.iter().map(|(index, value)| format!("{index}={value}")).collect();
        notes.push(format!("inputs {}", inputs.join(" ")));
    }
    if board.bad_frames + u64::from(board.lost) > 0 {
        notes.push(format!("{} damaged frames, {} lost events", board.bad_frames, board.lost));
    }
    if board.simulated {
        notes.push("simulated".to_owned());
    }
    format!("{} {word} {}", show::column(&board.board, 12), show::plain(&notes.join(", ")))
}

/// A serial port of this machine.
#[derive(Debug, serde::Serialize)]
struct Port {
    path: PathBuf,
    /// Why it cannot be opened.
    why: Option<String>,
}

/// Serial ports by their stable names; those that have none by their device.
fn ports() -> Vec<Port> {
    let mut found: Vec<PathBuf> = paths(Path::new(BY_ID), |_| true);
    let known: Vec<PathBuf> = found.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let usb = |name: &str| name.starts_with("ttyACM") || name.starts_with("ttyUSB");
    found.extend(paths(Path::new("/dev"), usb).into_iter().filter(|path| !known.contains(path)));
    found.into_iter().map(|path| Port { why: cannot_open(&path), path }).collect()
}

fn paths(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// By its permissions alone: opening it would reset an Uno.
fn cannot_open(path: &Path) -> Option<String> {
    use rustix::fs::{Access, access};
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => None,
        Err(rustix::io::Errno::ACCESS) => Some(
            "no permission: `sudo adduser USER dialout` for the bridge's user, and log in again".to_owned(),
        ),
        Err(error) => Some(error.to_string()),
    }
}

async fn monitor(board: Option<String>, control: &ControlSocket) -> anyhow::Result<()> {
    let control = control.control()?;
    let board = only(&control, board).await?;
    let mut watch = control.lines(&format!("/boards/{board}/watch")).await?;
    while let Some(Seen { board: _, at, what }) = watch.next_of().await? {
        line(&format!("{at} {}", show::plain(&what)))?;
    }
    crate::out::complain("the bridge stopped");
    Ok(())
}

fn open(port: &PortAddress, baud: u32) -> (RunningLink, CancellationToken) {
    let stop = CancellationToken::new();
    (Link::start(port.dial(baud), &LinkConfig::default(), stop.clone()), stop)
}

async fn monitor_port(port: &PortAddress, baud: u32) -> anyhow::Result<()> {
    let (RunningLink { link, mut inputs, task }, stop) = open(port, baud);
    let mut traffic = link.monitor();
    let mut status = link.status();
    let mut ends = std::pin::pin!(super::serve::interrupted());
    let (mut from, mut to) = (Vec::new(), Vec::new());
    let mut told = String::new();
    loop {
        tokio::select! {
            ended = &mut ends => {
                ended?;
                break;
            }
            changed = status.changed() => {
                if changed.is_err() {
                    break;
                }
                let words = status.borrow_and_update().words.clone();
                if words != told {
                    line(&format!("-- {}", show::plain(&words)))?;
                    told = words;
                }
            }
            // Fetched, so that the board is answered.
            Some(_) = inputs.recv() => {}
            piece = traffic.recv() => {
                let Ok(piece) = piece else { continue };
                let (arrow, kept) = if piece.from_board { ("<", &mut from) } else { (">", &mut to) };
                for byte in &piece.bytes {
                    if *byte == b'\n' || kept.len() >= 256 {
                        line(&format!("{arrow} {}", show::plain(&String::from_utf8_lossy(kept))))?;
                        kept.clear();
                    } else if *byte != b'\r' {
                        kept.push(*byte);
                    }
                }
            }
        }
    }
    stop.cancel();
    task.await.context("the line ended badly")
}

async fn set_port(port: &PortAddress, baud: u32, output: u8, value: u32, lease: u32) -> anyhow::Result<()> {
    let (RunningLink { link, inputs, task }, stop) = open(port, baud);
    // Nobody listens: what happens meanwhile is for a bridge.
    drop(inputs);
    link.adopted(HELLO).await.map_err(|why| anyhow!("{why}"))?;
    let lease = Duration::from_millis(lease.clamp(1, 60_000).into());
    let now = link.set(output, value, Some(lease)).await?;
    line(&format!("Output {output} is {now} now, for {:.1} s.", lease.as_secs_f32()))?;
    // When we leave, the board makes its outputs safe at once.
    tokio::time::sleep(lease).await;
    stop.cancel();
    task.await.context("the line ended badly")
}

/// How to put the firmware on a board.
pub(crate) fn flash_help() -> String {
    format!(
        "The firmware of this bridge is {FIRMWARE}, in the folder hardware/firmware of its source.

  sudo apt-get install gcc-avr avr-libc arduino-core-avr make avrdude
  primrack board list                                   names the port
  make -C hardware/firmware flash BOARD=uno PORT=/dev/serial/by-id/…

BOARD is uno, nano or mega. Which part is on which pin is in hardware/firmware/src/boards/BOARD.h;
hardware/firmware/wiring has the pictures. Stop the bridge before: only one program can have the port.
A Nano with the old bootloader wants `avrdude -b 57600` instead of 115200."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_told_in_one_line() {
        let status: BoardStatus = serde_json::from_value(json!({
            "board": "gate", "port": "/dev/x", "up": true, "since": 1000, "words": "board gate is there",
            "simulated": true, "id": "gate", "firmware": "soft-1.0", "boot": 7, "parts": "r1b1a1o4",
            "readers": { "0": "deaf" }, "outputs": { "0": 1 }, "inputs": {}, "adoptions": 1,
            "bad_frames": 2, "resent": 0, "lost": 0
        }))
        .unwrap();
        assert_eq!(
            in_words(&status, UnixMs(61_000), false),
            "gate         there for 60 s, board gate is there, r1b1a1o4, reader 0 deaf, outputs 0=1, 2 damaged frames, 0 lost events, simulated"
        );
    }

    #[test]
    fn flashing_is_explained_with_the_firmware_that_fits() {
        assert!(flash_help().contains(FIRMWARE) && flash_help().contains("make -C hardware/firmware flash"));
    }
}

//! Boards: whether the port is there and may be opened, whether a board answers, and whether its firmware is ours.
//!
//! A running bridge is asked. Without one the port is opened for a moment, which resets an Uno.

use std::time::Duration;

use primrack_board::{BoardConfig, BoardStatus, SOFT};
use primrack_link::plain::PlainFormat;
use primrack_link::port::PortAddress;
use primrack_link::session::{Phase, Status};
use primrack_link::{Link, LinkConfig, RunningLink};
use primrack_model::UnixMs;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Finding;
use crate::command::board::FIRMWARE;
use crate::config::Loaded;
use crate::control::Control;
use crate::show;

/// How long a board may take to say hello: an Uno's bootloader takes one and a half seconds.
const HELLO: Duration = Duration::from_secs(4);

pub(super) async fn boards(loaded: &Loaded, control: Option<&Control>, findings: &mut Vec<Finding>) {
    let configured = || {
        let backends = loaded.config.backends.iter();
        backends.filter_map(|(name, backend)| Some((name, backend.board()?)))
    };
    if configured().next().is_none() {
        return;
    }
    let told: Option<Vec<BoardStatus>> = match control {
        None => None,
        Some(control) => match control.get("/boards").await {
            Ok(told) => Some(told),
            Err(error) => {
                let what = format!("the bridge does not tell: {error}");
                findings.push(Finding::warn("boards", what, "restart the bridge"));
                return;
            }
        },
    };
    for (name, board) in configured() {
        let area = format!("board {name}");
        match &told {
            Some(told) => match told.iter().find(|status| status.board == *name) {
                Some(status) => findings.push(of_bridge(&area, status)),
                None => {
                    let what = "the running bridge does not know it: the configuration was changed";
                    findings.push(Finding::warn(area, what, "restart the bridge"));
                }
            },
            None => findings.push(by_port(&area, name, board).await),
        }
    }
}

fn of_bridge(area: &str, status: &BoardStatus) -> Finding {
    let since = show::age(status.since, UnixMs::now());
    if !status.up {
        return away(area, &status.words, &status.port, &format!(", for {since}"));
    }
    if let Some((reader, health)) = status.readers.iter().find(|(_, health)| *health == "deaf") {
        let what = format!("{}, but its reader {reader} is {health}", status.words);
        return Finding::fail(
            area,
            what,
            "look at the reader's wires and its 3.3 V; the board goes on trying to heal it",
        );
    }
    let noise = status.bad_frames;
    if noise > 100 {
        let what = format!("{}, but {noise} frames came damaged", status.words);
        return Finding::warn(
            area,
            what,
            "a shorter or shielded cable, a common ground, no motors on the same supply",
        );
    }
    there(area, &status.words, status.firmware.as_deref())
}

/// A board that answers: fine, unless its firmware is another than ours.
fn there(area: &str, words: &str, firmware: Option<&str>) -> Finding {
    match firmware {
        Some(old) if old.starts_with("gw-") && old != FIRMWARE => {
            let what = format!("{words}; its firmware is {old}, this bridge brings {FIRMWARE}");
            Finding::warn(area, what, "primrack board flash-help")
        }
        _ => Finding::ok(area, words),
    }
}

/// What is to be done, by the words of the line.
fn away(area: &str, words: &str, port: &str, since: &str) -> Finding {
    let fix = if words.contains("permission") {
        "sudo adduser USER dialout   (the bridge's user; then log in again or restart the service)".to_owned()
    } else if words.contains("no such device") {
        "plug it in; `primrack board list` names the ports that there are".to_owned()
    } else if words.contains("another program") {
        format!("fuser -v {port}   names the program that has it")
    } else if words.contains("protocol") || words.contains("firmware") && !words.contains("baud") {
        "primrack board flash-help".to_owned()
    } else if words.contains("baud") {
        "set baud = 115200, what the firmware speaks; `primrack board flash-help` puts ours on it; for a plain reader set plain"
            .to_owned()
    } else {
        "press its reset button; then `primrack board monitor --port PORT` while the bridge is stopped; `primrack board flash-help`".to_owned()
    };
    Finding::fail(area, format!("{words}{since}"), fix)
}

async fn by_port(area: &str, name: &str, board: &BoardConfig) -> Finding {
    if board.port == SOFT {
        return Finding::ok(area, "it is played in software (simulated)");
    }
    let address = match board.port.parse::<PortAddress>() {
        Ok(address) => address,
        Err(error) => {
            let fix = format!("[backends.{name}.board] port = \"/dev/serial/by-id/…\"");
            return Finding::fail(area, error.to_string(), fix);
        }
    };
    let plain = board.plain.as_deref().and_then(|format| format.parse::<PlainFormat>().ok());
    let stop = CancellationToken::new();
    let config = LinkConfig { plain, ..LinkConfig::default() };
    let RunningLink { link, inputs, task } = Link::start(address.dial(board.baud), &config, stop.clone());
    // Nobody acts on what happens meanwhile.
    drop(inputs);
    let mut status = link.status();
    let decided = |status: &Status| match status.phase {
        Phase::Adopted | Phase::Plain | Phase::Refused | Phase::Silent => true,
        // Not opened: the first failure tells.
        Phase::Closed => !status.words.contains("not opened yet"),
        Phase::Listening | Phase::Adopting => false,
    };
    // Whether it was decided or took too long, what counts is how it stands then.
    drop(timeout(HELLO, status.wait_for(|status| decided(status))).await);
    let seen = std::sync::Arc::clone(&link.status().borrow());
    stop.cancel();
    if let Err(error) = task.await {
        tracing::debug!(%error, "the line ended badly");
    }
    if matches!(seen.phase, Phase::Adopted | Phase::Plain) {
        let firmware = seen.hello.as_ref().map(|hello| hello.firmware.as_str());
        return there(area, &seen.words, firmware);
    }
    away(area, &seen.words, &board.port, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn each_trouble_has_its_own_remedy() {
        let fix = |words: &str| away("board gate", words, "/dev/ttyACM0", "").fix.unwrap();
        assert!(fix("/dev/x: no permission to open this device").contains("dialout"));
        assert!(fix("/dev/x: there is no such device").contains("board list"));
        assert!(fix("/dev/x: another program has this port open").contains("fuser -v /dev/ttyACM0"));
        assert!(
            fix("no board has said hello: wrong baud rate, other firmware, or a plain reader")
                .contains("115200")
        );
        assert!(fix("the board speaks protocol 2").contains("flash-help"));
        assert_eq!(there("board gate", "it is there", Some("gw-0.9.0")).level, Level::Warn);
        assert_eq!(there("board gate", "it is there", Some(FIRMWARE)).level, Level::Ok);
    }

    #[tokio::test]
    async fn a_port_that_is_not_there_is_told_without_a_bridge() {
        let board: BoardConfig = toml::from_str("port = '/no/such/port'").unwrap();
        let finding = by_port("board gate", "gate", &board).await;
        assert!(finding.level == Level::Fail && finding.what.contains("no such device"), "{finding:?}");
    }
}

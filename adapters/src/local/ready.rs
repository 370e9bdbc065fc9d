//! When a machine that runs counts as On.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// How a machine shows that it is ready to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// It counts as ready as soon as it runs.
    #[default]
    Immediately,
    /// When it writes a line that contains this text: a process on its output, a virtual machine on
    /// its first serial port.
    Line(String),
    /// When this address accepts a TCP connection.
    Tcp(SocketAddr),
    /// When this file is there and newer than the start.
    File(PathBuf),
}

impl Ready {
    /// The text that the log has to be searched for.
    pub(crate) fn line(&self) -> Option<&str> {
        match self {
            Self::Line(text) => Some(text),
            Self::Immediately | Self::Tcp(_) | Self::File(_) => None,
        }
    }

    /// Waits until it is ready; for ever if it never gets so. `line` fires when the log shows the text.
    pub(crate) async fn reached(&self, line: oneshot::Receiver<()>, since: SystemTime) {
        match self {
            Self::Immediately => {}
            Self::Line(_) => {
                if line.await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Self::Tcp(address) => {
                let mut pause = Pause::default();
                while tokio::net::TcpStream::connect(address).await.is_err() {
                    pause.wait().await;
                }
            }
            Self::File(path) => {
                let mut pause = Pause::default();
                while !newer(path, since).await {
                    pause.wait().await;
                }
            }
        }
    }
}

/// How far file times may lag.
const TICK: Duration = Duration::from_millis(20);

async fn newer(path: &Path, since: SystemTime) -> bool {
    let written = tokio::fs::metadata(path).await.and_then(|about| about.modified());
    // The kernel stamps files with the time of its last tick, which may lie a little before ours.
    written.is_ok_and(|written| written + TICK >= since)
}

/// Between two tries: another program's port or file gives no event. From 50 ms to 1 s.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Pause {
    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(Duration::from_secs(1));
    }
}

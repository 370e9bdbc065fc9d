//! A server process: started, spoken to, measured, ended.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::words::Spec;

/// How long a server may take to answer a command, loading 100,000 objects included.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    process: tokio::process::Child,
    pid: u32,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub(crate) port: u16,
    /// From its start to its first word.
    pub(crate) started_in: Duration,
}

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) rss: u64,
    /// The most it ever was.
    pub(crate) peak: u64,
}

impl Server {
    /// Starts this program as a server and waits until it listens.
    pub(crate) async fn start(spec: &Spec) -> anyhow::Result<Self> {
        let begun = std::time::Instant::now();
        let (name, cores) = crate::cores::told(crate::cores::cores()?);
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .arg(serde_json::to_string(spec)?)
            .env(name, cores)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the server process cannot be started")?;
        let to = process.stdin.take().context("no stdin")?;
        let from = BufReader::new(process.stdout.take().context("no stdout")?).lines();
        let pid = process.id().context("it ended at once")?;
        let mut server = Self { process, pid, to, from, port: 0, started_in: Duration::ZERO };
        let ready = server.hear().await?;
        server.started_in = begun.elapsed();
        server.port = ready.strip_prefix("ready ").context("an odd first word")?.parse()?;
        Ok(server)
    }

    async fn hear(&mut self) -> anyhow::Result<String> {
        match tokio::time::timeout(PATIENCE, self.from.next_line()).await {
            Ok(line) => line?.context("the server process ended: its words are above"),
            Err(_) => bail!("the server process says nothing"),
        }
    }

    /// Sends a command line and waits for the line that answers it.
    pub(crate) async fn ask(&mut self, command: &str) -> anyhow::Result<String> {
        self.to.write_all(format!("{command}\n").as_bytes()).await?;
        self.hear().await
    }

    /// A figure that the server counts itself.
    pub(crate) async fn count(&mut self, what: &str) -> anyhow::Result<u64> {
        Ok(self.ask(what).await?.parse()?)
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // After the name, which may hold anything: state is field 3, utime 14, stime 15 (proc(5)).
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kib = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_whitespace().nth(1))
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // USER_HZ is 100 on every Linux that Rust's standard library runs on.
        Ok(Usage {
            cpu: Duration::from_millis(ticks * 10),
            rss: kib("VmRSS:") * 1024,
            peak: kib("VmHWM:") * 1024,
        })
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.to.write_all(b"quit\n").await?;
        tokio::time::timeout(PATIENCE, self.process.wait()).await.context("it does not end")??;
        Ok(())
    }

    /// Ends it as a power cut of the program would: SIGKILL.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill().await?;
        Ok(())
    }
}

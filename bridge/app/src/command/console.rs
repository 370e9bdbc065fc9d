//! `primrack console`

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use primrack_model::TargetId;

use super::ControlSocket;
use crate::out::line;

/// Shows what a target has on its console: the last lines of its serial line or log, or a picture.
///
/// Only for whoever may open the bridge's control socket. What a terminal would obey is taken out of text.
#[derive(Debug, Args)]
pub struct ConsoleCommand {
    /// The target
    target: TargetId,
    /// Where to write it; needed for a picture (PNG), and never over what is there
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    control: ControlSocket,
}

impl ConsoleCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers, or the target shows nothing.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.show())
    }

    async fn show(self) -> anyhow::Result<ExitCode> {
        let Self { target, output, control } = self;
        let (kind, bytes) = control.control()?.fetch(&format!("/console/{target}")).await?;
        let is_picture = kind == "image/png";
        match output {
            Some(path) => {
                let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
                let mut file = file.with_context(|| format!("{} cannot be written", path.display()))?;
                file.write_all(&bytes)?;
                let what = if is_picture { "a picture" } else { "text" };
                line(&format!("{}: {what}, {} bytes", path.display(), bytes.len()))?;
            }
            None if is_picture => bail!("{target} shows a picture: name a file for it with --output"),
            None => line(std::str::from_utf8(&bytes)?.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

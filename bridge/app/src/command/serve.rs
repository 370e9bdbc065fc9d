//! `primrack serve`

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Logging};
use crate::catalogue::Refused;
use crate::compose::{Bridge, Checked, start};

/// Runs the bridge until it is interrupted.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    logging: Logging,
}

impl Serve {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        crate::logs::start(self.logging.log, "info");
        match self.config.checked() {
            Ok(checked) => {
                tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(checked))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(code) => Ok(code),
        }
    }
}

async fn serve(checked: Checked) -> anyhow::Result<()> {
    let bridge = start(checked, None).await?;
    tracing::info!(address = %bridge.address, control = %bridge.control.display(), "the bridge is up");
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut ends = std::pin::pin!(interrupted());
    loop {
        tokio::select! {
            ended = &mut ends => break ended?,
            _ = hang_up.recv() => reload(&bridge).await,
        }
    }
    tracing::info!("stopping");
    bridge.stop().await;
    Ok(())
}

/// SIGHUP: configuration, keys and policies are read again. Where something is wrong with them, nothing changes.
async fn reload(bridge: &Bridge) {
    if let Err(mistakes) = bridge.catalogue.reload(false).await {
        let Refused { error, mistakes } = Refused::of(&mistakes);
        for mistake in mistakes {
            tracing::error!("{mistake}");
        }
        tracing::error!("{error}");
    }
}

/// Waits for the signals that ask a service to end.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

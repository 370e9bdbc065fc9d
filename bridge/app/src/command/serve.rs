//! `primrack serve`

use std::process::ExitCode;

use clap::Args;
use primrack_world::Keyring;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, Logging};
use crate::compose::{Bridge, Checked, keys_path, start};
use crate::config::Loaded;

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
    let loaded = checked.loaded.clone();
    let bridge = start(checked, None).await?;
    tracing::info!(address = %bridge.address, control = %bridge.control.display(), "the bridge is up");
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut ends = std::pin::pin!(interrupted());
    loop {
        tokio::select! {
            ended = &mut ends => break ended?,
            _ = hang_up.recv() => reread_keys(&loaded, &bridge).await?,
        }
    }
    tracing::info!("stopping");
    bridge.stop().await;
    Ok(())
}

/// SIGHUP: the key file is read again, so that an object is enrolled or a key changed without a restart.
/// A file that cannot be used changes nothing.
async fn reread_keys(loaded: &Loaded, bridge: &Bridge) -> anyhow::Result<()> {
    let path = keys_path(loaded);
    match tokio::task::spawn_blocking(move || Keyring::read(&path)).await? {
        Ok(keys) => {
            bridge.world.change_keys(keys);
            tracing::info!("the key file was read again");
        }
        Err(error) => tracing::error!(%error, "the keys stay as they were"),
    }
    Ok(())
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

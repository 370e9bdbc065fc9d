//! `primrack adapter`: one backend's adapter in a process of its own, started by a bridge.

use std::os::fd::AsFd as _;
use std::process::ExitCode;

use clap::Args;

/// Serves the adapter that its standard input describes.
#[derive(Debug, Args)]
pub struct AdapterCommand {
    /// The backend's name, for whoever looks at the list of processes
    backend: Option<String>,
}

impl AdapterCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge is at the other end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        crate::logs::start_bare("info");
        tracing::debug!(backend = self.backend, "started");
        let (input, output) =
            (std::io::stdin().as_fd().try_clone_to_owned()?, std::io::stdout().as_fd().try_clone_to_owned()?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(primrack_adapters::plugin::serve(input, output)).map_err(|why| {
            anyhow::anyhow!("{why} (`primrack adapter` is started by a bridge, with pipes)")
        })?;
        // What an adapter still does in the background is not worth waiting for.
        runtime.shutdown_background();
        Ok(ExitCode::SUCCESS)
    }
}

//! How a server's process is started.

use std::io;
use std::path::Path;

use crate::local::{Files, Logs, Started, clean_command};

use super::ServerConfig;

/// Starts a server with its output in its log, unless it runs. Forks: not for a runtime thread.
pub(super) fn start(files: &Files, config: &ServerConfig, logs: &Logs) -> io::Result<Started> {
    files.start(|| {
        let [program, arguments @ ..] = config.command.as_slice() else {
            return Err(io::Error::other("no command"));
        };
        let log = logs.fresh(&files.name)?;
        let mut command = clean_command(program);
        command
            .args(arguments)
            .envs(&config.env)
            .current_dir(config.cwd.as_deref().unwrap_or(Path::new("/")))
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    })
}

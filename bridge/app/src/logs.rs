//! Logs for people or for machines, on standard error.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Sets logging up, once. `PRIMRACK_LOG` filters as in `info,primrack_world=debug`.
pub fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("PRIMRACK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let set = match format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "logging was set up already");
    }
}

/// Logging of a process whose lines reach the log of another, which adds the time.
pub fn start_bare(default: &str) {
    let filter = EnvFilter::try_from_env("PRIMRACK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if let Err(error) = builder.with_target(false).with_ansi(false).without_time().try_init() {
        tracing::debug!(%error, "logging was set up already");
    }
}

//! `primrack read-only`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use primrack_model::UnixMs;
use primrack_web::{Stop, Stopped};

use super::ControlSocket;
use crate::out::line;
use crate::show;

/// The emergency stop: while it holds, everything is refused, whoever asks; what machines do is shown as
/// before. It holds over restarts of the bridge, until `primrack read-only off`.
#[derive(Debug, Args)]
pub struct ReadOnlyCommand {
    /// Begin it, end it, or say how it stands
    #[arg(default_value = "status")]
    what: What,
    /// Why, for those who are refused meanwhile
    #[arg(long, default_value = "")]
    why: String,
    /// Your name for the journal, instead of the user's
    #[arg(long)]
    name: Option<String>,
    /// For machines: JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    On,
    Off,
    Status,
}

impl ReadOnlyCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When no bridge answers, or its journal cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.ask())
    }

    async fn ask(self) -> anyhow::Result<ExitCode> {
        let Self { what, why, name, json, control } = self;
        let control = control.control()?;
        let operator = name.or_else(|| std::env::var("USER").ok()).unwrap_or_default();
        let now: Stopped = match what {
            What::Status => control.get("/read-only").await?,
            What::On | What::Off => {
                control.post("/read-only", &Stop { on: what == What::On, why, operator }).await?
            }
        };
        if json {
            line(&serde_json::to_string(&now)?)?;
        } else {
            line(&show::plain(&words(&now)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn words(stopped: &Stopped) -> String {
    let Stopped { read_only, changed } = stopped;
    let now = match read_only {
        Some(stop) => {
            let age = stop.since.age_at(UnixMs::now()).as_secs();
            let why = if stop.why.is_empty() { String::new() } else { format!(" ({})", stop.why) };
            format!(
                "Read-only for {age} s, by {}{why}: everything is refused until `primrack read-only off`.",
                stop.by
            )
        }
        None => "Not read-only: what policy permits is done.".to_owned(),
    };
    if *changed { format!("Changed. {now}") } else { now }
}

//! One file a command. Each takes its arguments and returns how the program ends.

pub mod adapter;
pub mod audit;
pub mod board;
pub mod check;
pub mod completions;
pub mod console;
pub mod demo;
pub mod doctor;
pub mod drift;
pub mod import;
pub mod object;
pub mod plugin;
pub mod read_only;
pub mod reload;
pub mod scripts;
pub mod serve;
pub mod targets;
pub mod touch;
pub mod watch;
pub mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Parser, Subcommand};

use crate::compose::{CONTROL_SOCKET, Checked, Mistakes, check};
use crate::config::{Loaded, read};
use crate::control::Control;
use crate::logs::LogFormat;

/// A bridge between a virtual world and real infrastructure.
#[derive(Debug, Parser)]
#[command(name = "primrack", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the bridge until it is interrupted
    Serve(serve::Serve),
    /// Runs a bridge with a few real servers and a rack to touch, without any configuration
    Demo(demo::DemoCommand),
    /// Checks configuration and policy without touching anything
    Check(check::Check),
    /// Looks for what keeps things from working, and says which line to change
    Doctor(doctor::Doctor),
    /// Objects in the world: keys, how they stand, and a rack to play in the terminal
    Object(object::Object),
    /// Boards: what is there, what happens at them, outputs by hand, and how to flash one
    Board(board::BoardCommand),
    /// For authors of plug-ins: programs that make machines known
    Plugin(plugin::PluginCommand),
    /// Asks a running bridge to do something to a target
    Touch(touch::TouchCommand),
    /// Shows what a target has on its console: text, or a picture
    Console(console::ConsoleCommand),
    /// The emergency stop: nothing is acted on until it is ended
    ReadOnly(read_only::ReadOnlyCommand),
    /// Has a running bridge take its configuration, keys and policies anew
    Reload(reload::Reload),
    /// Lists all targets, those that discovery found included
    Targets(targets::TargetsCommand),
    /// What differs between the inventory, the backends and the world
    Drift(drift::DriftCommand),
    /// Racks and positions from a table, as configuration to review
    Import(import::ImportCommand),
    /// Shows the state of every target, then every change
    Watch(watch::WatchCommand),
    /// Reads, checks and exports the journal
    Audit(audit::Audit),
    /// Says why somebody may or may not do something
    Why(why::Why),
    /// For script authors: LSL checked and run as each grid would
    Scripts(scripts::ScriptsCommand),
    /// Prints completions for a shell
    Completions(completions::Completions),
    /// One backend's adapter in a process of its own.
    #[command(hide = true)]
    Adapter(adapter::AdapterCommand),
    /// A server of the demonstration.
    #[command(hide = true)]
    DemoServer(crate::demo::DemoServer),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long, short, env = "PRIMRACK_CONFIG", default_value = "/etc/primrack/primrack.toml")]
    pub config: PathBuf,
}

/// How logs look.
#[derive(Debug, Clone, Args)]
pub struct Logging {
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub log: LogFormat,
}

impl ConfigFile {
    /// Reads and checks it; mistakes are shown on standard error.
    ///
    /// # Errors
    /// The exit code 2 when something is wrong.
    pub fn checked(&self) -> Result<Checked, ExitCode> {
        let checked = match read(&self.config, std::env::vars()) {
            Ok(loaded) => check(loaded),
            Err(mistake) => Err(Mistakes(vec![mistake.into()])),
        };
        checked.map_err(|Mistakes(reports)| {
            for report in reports {
                crate::out::complain(&format!("{report:?}"));
            }
            ExitCode::from(2)
        })
    }

    /// Reads it without checking what it names: for commands that need a place in it and no more.
    ///
    /// # Errors
    /// The mistake, in one line and with what to do.
    pub fn read(&self) -> anyhow::Result<Loaded> {
        read(&self.config, std::env::vars()).map_err(|mistake| {
            use miette::Diagnostic as _;
            let help = mistake.help().map(|help| format!(" ({help})")).unwrap_or_default();
            anyhow!("{mistake}{help}")
        })
    }

    /// The state folder it names.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn state_dir(&self) -> anyhow::Result<PathBuf> {
        let loaded = self.read()?;
        Ok(loaded.resolve(&loaded.config.bridge.state_dir))
    }
}

/// Where a running bridge is asked.
#[derive(Debug, Clone, Args)]
pub struct ControlSocket {
    /// The bridge's control socket, instead of the one in the configured state folder
    #[arg(long, value_name = "SOCKET", env = "PRIMRACK_CONTROL")]
    pub control: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

impl ControlSocket {
    /// The socket, whether somebody listens or not.
    ///
    /// # Errors
    /// When it has to be read from the configuration and that cannot be read.
    pub fn control(&self) -> anyhow::Result<Control> {
        match &self.control {
            Some(socket) => Ok(Control::at(socket)),
            None => Ok(Control::at(&self.config.state_dir()?.join(CONTROL_SOCKET))),
        }
    }
}

/// A runtime for a command that waits for one thing at a time.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Runs what was asked for.
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Check(check) => check.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Object(object) => object.run(),
        Command::Board(board) => board.run(),
        Command::Plugin(plugin) => plugin.run(),
        Command::Touch(touch) => touch.run(),
        Command::Console(console) => console.run(),
        Command::ReadOnly(stop) => stop.run(),
        Command::Reload(reload) => reload.run(),
        Command::Targets(targets) => targets.run(),
        Command::Drift(drift) => drift.run(),
        Command::Import(import) => import.run(),
        Command::Watch(watch) => watch.run(),
        Command::Audit(audit) => audit.run(),
        Command::Why(why) => why.run(),
        Command::Scripts(scripts) => scripts.run(),
        Command::Completions(completions) => completions.run(),
        Command::Adapter(adapter) => adapter.run(),
        Command::DemoServer(server) => server.run(),
    };
    ended.unwrap_or_else(|error| {
        crate::out::complain(&format!("primrack: {error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_input_is_told_with_what_would_be_right() {
        let told = |line: &str| Cli::try_parse_from(line.split(' ')).map(|_| ()).unwrap_err().to_string();
        assert!(told("primrack touch rack-1/999").contains("units are 0 to 255"));
        assert!(told("primrack touch web-1 strat").contains("soft-off"));
        assert!(told("primrack tuch").contains("touch"));
        assert!(told("primrack why root start web-1").contains("kind:id"));
        assert!(told("primrack audit show --since yesterday").contains("2h"));
        assert!(told("primrack object play rack-1 --form x").contains("nest"));
        assert!(told("primrack audit verify --head 5").contains("64 hex digits"));
    }
}

//! `primrack plugin`

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use primrack_adapters::plugin::{PROTOCOL, PluginCheck, PluginConfig, Rule, TEMPLATES, Verdict, check};
use primrack_model::Address;

use super::Logging;
use crate::out::line;
use crate::show;

/// For authors of plug-ins: programs in any language that make machines known to the bridge.
#[derive(Debug, Args)]
pub struct PluginCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs a program as the bridge would, and says which rules it keeps
    Check(Check),
    /// Writes a plug-in to begin with, and the protocol beside it
    New(New),
}

/// Runs a program as the bridge would, starts and stops one of its machines, and says which rules it keeps.
#[derive(Debug, Args)]
struct Check {
    /// The program, and its arguments after it
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<String>,
    /// A machine that is off now and may be started, stopped and killed; the first of its list if absent
    #[arg(long)]
    address: Option<String>,
    /// A shell command that kills the running machine behind the program's back; its address is in $MACHINE
    #[arg(long, value_name = "COMMAND")]
    kill_command: Option<String>,
    /// How long any one change may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// How long an answer may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    answer_ms: u64,
    /// What is added to its environment: NAME=value
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// What it is told at its start: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    settings: String,
    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, Args)]
struct New {
    /// Where to write it; a folder is made if need be
    folder: PathBuf,
    /// In which language
    #[arg(long, value_enum, default_value_t)]
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Language {
    #[default]
    Python,
    Shell,
}

impl PluginCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be written out.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Check(what) => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?
                .block_on(what.run()),
            What::New(new) => new.run(),
        }
    }
}

impl Check {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { program, address, kill_command, patience, answer_ms, env, settings, logging } = self;
        crate::logs::start(logging.log, "warn");
        let (command, args) = program.split_first().context("name a program")?;
        let mut config = PluginConfig::of(command.clone(), args.to_vec());
        if command.contains('/') {
            config.command = std::path::absolute(command)?.to_string_lossy().into_owned();
        }
        config.cwd = Some(std::env::current_dir()?);
        config.answer_ms = answer_ms;
        config.env = env;
        config.settings = serde_json::from_str(&settings).context("--settings is no JSON object")?;
        config.check().map_err(|why| anyhow::anyhow!("{why}"))?;
        let address = match address {
            Some(address) => address,
            None => first(config.clone()).await.unwrap_or_default(),
        };
        let what = PluginCheck {
            config,
            address: Address(address.into()),
            kill: kill_command,
            patience: Duration::from_secs(patience),
        };
        let (mut kept, mut broken, mut skipped, mut unsaid) = (0, 0, 0, None);
        let fine = check(&what, &mut |rule| {
            match rule.verdict {
                Verdict::Kept => kept += 1,
                Verdict::Broken(_) => broken += 1,
                Verdict::Skipped(_) => skipped += 1,
            }
            unsaid = unsaid.take().or(line(&words(&rule)).err());
        })
        .await;
        if let Some(error) = unsaid {
            return Err(error.into());
        }
        line(&format!("{kept} rules kept, {broken} broken, {skipped} not checked."))?;
        Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The first machine that the program lists.
async fn first(config: PluginConfig) -> Option<String> {
    use primrack_adapter_api::Adapter as _;
    let adapter = config.build().ok()?;
    adapter.list().await.ok()?.first().map(|found| found.address.0.to_string())
}

fn words(rule: &Rule) -> String {
    let Rule { name, asks, verdict } = rule;
    let (mark, why) = match verdict {
        Verdict::Kept => ("kept", String::new()),
        Verdict::Broken(words) => ("BROKEN", format!("\n        {}", show::plain(words))),
        Verdict::Skipped(why) => ("-", format!(" (not checked: {why})")),
    };
    format!("{mark:6}  {name}: {asks}{why}")
}

impl New {
    fn run(self) -> anyhow::Result<ExitCode> {
        let Self { folder, language } = self;
        let name = match language {
            Language::Python => "python",
            Language::Shell => "shell",
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let (_, file, text) =
            TEMPLATES.into_iter().find(|(known, ..)| *known == name).context("there is no such template")?;
        let program = folder.join(file);
        write(&program, text, 0o755)?;
        write(&folder.join("PROTOCOL.md"), PROTOCOL, 0o644)?;
        let program = std::path::absolute(&program)?;
        line(&format!("{} is a plug-in. PROTOCOL.md beside it says the rest. Try it:", program.display()))?;
        line(&format!("  primrack plugin check --address alpha {}", program.display()))?;
        line("and then add to your configuration:")?;
        line(&format!("  [backends.mine.plugin]\n  command = {:?}", program.display().to_string()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Never over what is there.
fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}

//! `primrack audit`

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use primrack_engine::journal::{Entry, EntryFilter, Head, Kind, Reader, Record, VerifyReport, verify};
use primrack_model::{IntentId, TargetId, UnixMs, Verdict};
use serde_json::json;

use super::ConfigFile;
use crate::compose::JOURNAL;
use crate::out::line;
use crate::show::plain;

/// How often a followed journal is looked at: another process's commit gives no event.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Reads the journal: what was asked, what was answered, how it ended. Works while a bridge runs.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints entries
    Show(Show),
    /// Checks that nothing was changed, removed or written anew
    ///
    /// Exit codes: 0 whole, 1 something is wrong.
    Verify(Verify),
    /// Writes entries as JSON lines, the head of the chain last
    Export(Export),
}

/// Where the journal is.
#[derive(Debug, Args)]
struct Place {
    /// The journal itself, instead of the configured one
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Place {
    fn path(&self) -> anyhow::Result<PathBuf> {
        let path = match &self.journal {
            Some(path) => path.clone(),
            None => self.config.state_dir()?.join(JOURNAL),
        };
        if !path.exists() {
            bail!("there is no journal at {}: the bridge makes it when it first starts", path.display());
        }
        Ok(path)
    }
}

/// Which entries.
#[derive(Debug, Args)]
struct Which {
    /// Only what is about this intent
    #[arg(long, value_name = "ID", value_parser = IntentId::from_str)]
    intent: Option<IntentId>,
    /// Only what is about this target
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Only since then: a time such as 2026-11-22T14:00:00Z, or how long ago, such as 2h or 30m
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<UnixMs>,
    /// Only these kinds: boot, decision, ended, interrupted, audit, world, closed
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    kind: Vec<Kind>,
}

impl Which {
    fn filter(&self) -> EntryFilter {
        EntryFilter {
            since: self.since,
            kinds: self.kind.clone(),
            target: self.target.clone(),
            intent: self.intent,
            ..EntryFilter::default()
        }
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    Kind::from_token(text).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.token()).collect();
        format!("no kind of entry is called {text:?}; there are {}", known.join(", "))
    })
}

fn parse_since(text: &str) -> Result<UnixMs, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(UnixMs(at.as_millisecond()));
    }
    match text.parse::<jiff::SignedDuration>() {
        Ok(ago) => {
            Ok(UnixMs(UnixMs::now().0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))))
        }
        Err(_) => {
            Err(format!("{text:?} is neither a time such as 2026-11-22T14:00:00Z nor a span such as 2h"))
        }
    }
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    which: Which,
    /// Only the last so many of them
    #[arg(long, value_name = "N", conflicts_with = "all")]
    last: Option<usize>,
    /// All of them, instead of the last 50
    #[arg(long)]
    all: bool,
    /// Goes on with every new entry until interrupted
    #[arg(long, short)]
    follow: bool,
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Verify {
    /// A head that was exported earlier, as number:hash; may be given several times
    #[arg(long, value_name = "HEAD", value_parser = Head::from_str)]
    head: Vec<Head>,
    /// A file written by `audit export`: its heads are compared
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    which: Which,
    /// Writes to this new file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Audit {
    /// Runs it.
    ///
    /// # Errors
    /// When the journal cannot be read, or nothing can be written out.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Show(show) => show.run(),
            What::Verify(verify) => verify.run(),
            What::Export(export) => export.run(),
        }
    }
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let reader = Reader::open(&self.place.path()?)?;
        let keep = if self.all { usize::MAX } else { self.last.unwrap_or(50) };
        let head = reader.head()?.seq;
        let mut kept: VecDeque<Record> = VecDeque::new();
        let mut filter = EntryFilter { upto: Some(head), ..self.which.filter() };
        if !self.all
            && self.which.intent.is_none()
            && self.which.target.is_none()
            && self.which.kind.is_empty()
        {
            filter.after = head.saturating_sub(u64::try_from(keep).unwrap_or(u64::MAX));
        }
        for record in reader.entries(filter) {
            let record = record?;
            if self.all {
                self.print(&record)?;
                continue;
            }
            kept.push_back(record);
            if kept.len() > keep {
                kept.pop_front();
            }
        }
        for record in &kept {
            self.print(record)?;
        }
        if self.follow {
            super::runtime()?.block_on(self.go_on(&reader, head))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn go_on(&self, reader: &Reader, mut after: u64) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let head = reader.head()?.seq;
            let filter = EntryFilter { after, upto: Some(head), ..self.which.filter() };
            for record in reader.entries(filter) {
                self.print(&record?)?;
            }
            after = head;
        }
    }

    fn print(&self, record: &Record) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(record)? } else { in_words(record) };
        line(&text)?;
        Ok(())
    }
}

/// Which group's intent it is a step of.
fn part_of(group: Option<IntentId>) -> String {
    group.map(|id| format!(" part of {id}")).unwrap_or_default()
}

/// An entry as a line for people.
fn in_words(record: &Record) -> String {
    let words = match &record.entry {
        Entry::Boot(boot) => {
            format!(
                "the bridge started: boot {}, version {}, policy {}",
                boot.boot, boot.version, boot.config
            )
        }
        Entry::Decision(decision) => {
            let (intent, receipt) = (&decision.intent, &decision.receipt);
            let verdict = match &receipt.verdict {
                Verdict::Accepted => "accepted".to_owned(),
                Verdict::Joined { with } => format!("joined {with}"),
                Verdict::Refused(refusal) => format!("refused ({})", refusal.code.token()),
            };
            let via = match (&intent.via.object, intent.via.unit) {
                (Some(object), Some(unit)) => format!(" at {object}/{unit}"),
                (Some(object), None) => format!(" at {object}"),
                (None, _) => String::new(),
            };
            let name = if intent.actor.name.is_empty() {
                String::new()
            } else {
                format!(" “{}”", intent.actor.name)
            };
            let rules = decision.policy.determining.join(", ");
            let by = if rules.is_empty() { String::new() } else { format!(" [{rules}]") };
            let part = part_of(decision.part_of);
            let stages: Vec<String> = decision
                .plan
                .iter()
                .map(|stage| stage.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" "))
                .collect();
            let plan =
                if stages.is_empty() { String::new() } else { format!(" order: {}", stages.join(" > ")) };
            format!(
                "{}{name}: {} {}{via}: {verdict}: {}{by} intent {}{part}{plan}",
                intent.actor, intent.action, intent.target, receipt.words, intent.id
            )
        }
        Entry::Ended { intent, target, outcome, part_of: group, at: _ } => {
            use primrack_model::Outcome as O;
            let how = match outcome {
                O::Done => "done".to_owned(),
                O::Failed(why) => format!("failed: {why}"),
                O::Unknown(why) => format!("nobody knows: {why}"),
            };
            format!("{target}: {how} intent {intent}{}", part_of(*group))
        }
        Entry::Interrupted { intent, target, at: _ } => {
            format!("{target}: cut off by the end of the bridge, not repeated; intent {intent}")
        }
        Entry::Audit { class, subject, count, words, at: _ } => {
            let subject = if subject.is_empty() { "somebody" } else { subject.as_str() };
            format!("{class} from {subject}, {count} times: {words}")
        }
        Entry::World { object, what, words, at: _ } => format!("{object}: {what}: {words}"),
        Entry::Closed { at: _ } => "the bridge ended in order".to_owned(),
    };
    plain(&format!("#{} {} {:11} {words}", record.seq, record.at, record.entry.kind().token()))
}

impl Verify {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut heads = self.head.clone();
        for file in &self.against {
            heads.extend(exported_heads(file)?);
        }
        let path = self.place.path()?;
        let report = verify(&path, &heads)?;
        if self.json {
            line(&serde_json::to_string(&report)?)?;
        } else {
            line(&verdict(&path, &report, heads.len()))?;
        }
        Ok(if report.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn verdict(path: &Path, report: &VerifyReport, given: usize) -> String {
    let VerifyReport { entries, head, fault, unfinished, heads_confirmed } = report;
    match fault {
        Some(fault) => format!(
            "{} is NOT whole: at entry {}: {}\nUp to entry {entries} it holds. Keep the file as it is and compare it with a copy.",
            path.display(),
            fault.seq,
            fault.words
        ),
        None => {
            let compared = if given == 0 {
                "\nThat nothing was cut off its end shows only a head kept elsewhere: `primrack audit export` writes one."
                    .to_owned()
            } else {
                format!("\n{heads_confirmed} exported heads are part of it.")
            };
            format!(
                "{} is whole: {entries} entries, {unfinished} commands not ended.\nhead {head}{compared}",
                path.display()
            )
        }
    }
}

/// The heads in a file of `audit export`.
fn exported_heads(path: &Path) -> anyhow::Result<Vec<Head>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut heads = Vec::new();
    for text in BufReader::new(file).lines() {
        let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
        // Only the head's own line begins so; entries are not parsed again.
        if text.starts_with(r#"{"head":"#) {
            let value: serde_json::Value = serde_json::from_str(&text)?;
            heads.push(value["head"].as_str().unwrap_or_default().parse()?);
        }
    }
    if heads.is_empty() {
        bail!("{} holds no head: is it a file of `primrack audit export`?", path.display());
    }
    Ok(heads)
}

impl Export {
    fn run(self) -> anyhow::Result<ExitCode> {
        let reader = Reader::open(&self.place.path()?)?;
        let head = reader.head()?;
        let out: Box<dyn Write> = match &self.out {
            None => Box::new(std::io::stdout()),
            Some(path) => {
                let made = File::options().write(true).create_new(true).open(path);
                Box::new(made.with_context(|| format!("{} cannot be made", path.display()))?)
            }
        };
        let mut out = BufWriter::new(out);
        let filter = EntryFilter { upto: Some(head.seq), ..self.which.filter() };
        let mut count = 0_u64;
        let mut write = || -> anyhow::Result<()> {
            for record in reader.entries(filter.clone()) {
                serde_json::to_writer(&mut out, &record?)?;
                out.write_all(b"\n")?;
                count += 1;
            }
            serde_json::to_writer(&mut out, &json!({ "head": head }))?;
            out.write_all(b"\n")?;
            Ok(out.flush()?)
        };
        match write() {
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            other => other?,
        }
        if let Some(path) = &self.out {
            line(&format!("{count} entries and the head are in {}.", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_span() {
        assert_eq!(parse_since("2007-11-23T00:00:00Z"), Ok(UnixMs(1_195_776_000_000)));
        let ago = UnixMs::now().0 - parse_since("2h").unwrap().0;
        assert!((7_199_000..7_260_000).contains(&ago), "{ago}");
        assert!(parse_since("yesterday").is_err());
        assert!(parse_kind("decison").unwrap_err().contains("decision"));
    }
}

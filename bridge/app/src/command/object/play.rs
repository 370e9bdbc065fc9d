//! `primrack object play`: a rack in the terminal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use primrack_model::{ObjectId, UnixMs};
use primrack_wire::world::{AnswerEntry, AnswerVerdict, Form, UnitRanges};
use primrack_world::Keyring;
use serde_json::json;
use smol_str::SmolStr;
use tokio::sync::{broadcast, mpsc};

use super::line::{HELP, Typed, parse};
use super::screen::Screen;
use crate::command::ConfigFile;
use crate::command::serve::interrupted;
use crate::compose::keys_path;
use crate::rack::{Avatar, News, Rack, RackError, RackKey, RackSettings};
use crate::show;

/// Plays a rack in the terminal: registers, shows the units, touches (a simulated object).
///
/// It does what the script in a region does, with the object's own key. Only one may speak for an object:
/// a rack in a region and this one are two copies of it.
#[derive(Debug, Args)]
pub(super) struct Play {
    /// The object's id
    id: ObjectId,
    /// Who touches, by name or UUID
    #[arg(long = "as", value_name = "NAME", default_value = "Ada")]
    name: String,
    /// The units it has, such as 1-8,11; those of the configuration if absent
    #[arg(long, value_name = "UNITS", value_parser = parse_units)]
    units: Option<UnitRanges>,
    /// Where the bridge is; as configured if absent
    #[arg(long, value_name = "URL")]
    bridge: Option<String>,
    /// The file with its key; as configured if absent
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How it signs: hex (OpenSimulator), b64 (Second Life) or nest (OpenSimulator 0.9.2, 0.9.3)
    #[arg(long, default_value = "hex", value_parser = parse_form)]
    form: Form,
    /// Where it takes pushes; port 0 is a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    callback: SocketAddr,
    /// How the bridge reaches that, if not by this very address, such as http://host:9000
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The region it says it stands in
    #[arg(long, default_value = "terminal (simulated)")]
    region: String,
    /// The UUID of its owner; one made up if absent
    #[arg(long, value_name = "UUID")]
    owner: Option<String>,
    /// The UUID of its prim; one made from the id if absent
    #[arg(long, value_name = "UUID")]
    holder: Option<String>,
    /// For machines: one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

fn parse_units(text: &str) -> Result<UnitRanges, String> {
    UnitRanges::try_from(SmolStr::new(text))
}

fn parse_form(text: &str) -> Result<Form, String> {
    Form::from_token(text).ok_or_else(|| format!("{text:?} is none of hex, b64 and nest"))
}

impl Play {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::logs::start(crate::logs::LogFormat::Human, "error");
        let (name, json) = (self.name.clone(), self.json);
        let settings = self.settings()?;
        crate::command::runtime()?.block_on(async {
            let rack = Arc::new(Rack::start(settings).await?);
            let keeper = Keeper { who: Avatar::named(&name), json };
            tokio::select! {
                ended = play(&rack, keeper) => ended?,
                signal = interrupted() => signal?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }

    fn settings(self) -> anyhow::Result<RackSettings> {
        let Self {
            id,
            name: _,
            units,
            bridge,
            key_file,
            form,
            callback,
            public_url,
            region,
            owner,
            holder,
            json: _,
            config,
        } = self;
        // With everything named there needs to be no configuration here.
        let loaded = if bridge.is_some() && key_file.is_some() { None } else { Some(config.read()?) };
        let bridge = match (bridge, &loaded) {
            (Some(bridge), _) => bridge,
            (None, Some(loaded)) => {
                let configured = &loaded.config.bridge;
                let scheme = if configured.tls_certificate.is_some() { "https" } else { "http" };
                format!("{scheme}://{}", configured.listen)
            }
            (None, None) => bail!("name the bridge with --bridge"),
        };
        let key_file = match (key_file, &loaded) {
            (Some(file), _) => file,
            (None, Some(loaded)) => keys_path(loaded),
            (None, None) => bail!("name the key file with --key-file"),
        };
        let ring = Keyring::read(&key_file)?;
        let now = UnixMs::now();
        let key = ring
            .of(id.as_str())
            .iter()
            .rev()
            .find(|key| key.until.is_none_or(|until| now < until))
            .ok_or_else(|| {
                anyhow!(
                    "{id} has no valid key in {}: `primrack object enrol {id}` makes one",
                    key_file.display()
                )
            })?;
        let key = RackKey { id: key.id.clone(), secret: key.secret.clone() };
        let units = match units {
            Some(units) => units,
            None => configured_units(loaded.as_ref(), &id)?,
        };
        let plain = RackSettings::new(bridge, id.as_str(), key);
        Ok(RackSettings {
            form,
            units,
            bind: callback,
            public_url,
            region: region.into(),
            owner: owner.map_or(plain.owner, SmolStr::new),
            holder: holder.map_or(plain.holder, SmolStr::new),
            patience: Duration::from_secs(20),
            ..plain
        })
    }
}

fn configured_units(loaded: Option<&crate::config::Loaded>, id: &ObjectId) -> anyhow::Result<UnitRanges> {
    let Some(object) = loaded.and_then(|loaded| loaded.config.objects.get(id.as_str())) else {
        return Ok(UnitRanges::default());
    };
    let units: Vec<&str> = object.units.keys().map(SmolStr::as_str).collect();
    parse_units(&units.join(",")).map_err(|why| anyhow!("{why}")).context("the units of the configuration")
}

/// Who sits at the terminal, and how they want to read.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    /// Who touches unless another is named.
    pub(crate) who: Avatar,
    /// One JSON object a line.
    pub(crate) json: bool,
}

/// What was asked last and may be answered.
#[derive(Debug, Clone)]
struct Open {
    menu: SmolStr,
    picks: Vec<SmolStr>,
    who: Avatar,
}

/// An answer with how long it took.
type Answered = (Avatar, Duration, Result<AnswerEntry, RackError>);

/// Registers the rack and talks with whoever sits at the terminal, until they quit.
///
/// # Errors
/// When the terminal cannot be written to, or the bridge refuses the rack for good.
pub(crate) async fn play(rack: &Arc<Rack>, keeper: Keeper) -> anyhow::Result<()> {
    let mut session = Session {
        rack: Arc::clone(rack),
        screen: Screen::new(),
        who: keeper.who,
        json: keeper.json,
        open: None,
        waits: None,
    };
    session.run().await
}

struct Session {
    rack: Arc<Rack>,
    screen: Screen,
    who: Avatar,
    json: bool,
    open: Option<Open>,
    /// No line is read until this unit shows this.
    waits: Option<(u8, String)>,
}

impl Session {
    async fn run(&mut self) -> anyhow::Result<()> {
        let mut news = self.rack.changes();
        let started = Instant::now();
        let registered = tokio::select! {
            registered = self.rack.register() => registered,
            never = tell_waiting() => match never {},
        };
        if let Err(error) = registered {
            bail!("{error}{}", advice(&error));
        }
        self.say(&format!(
            "registered after {:.1} ms; you are {} ({}). `help` lists what you can do.",
            started.elapsed().as_secs_f64() * 1000.0,
            self.who.name,
            self.who.id
        ))?;
        let mut lines = lines();
        let (answered, mut answers) = mpsc::channel::<Answered>(1);
        let mut pending = false;
        self.screen.prompt()?;
        loop {
            self.check_wait();
            let reads = !pending && self.waits.is_none();
            tokio::select! {
                told = news.recv() => match told {
                    Ok(told) => self.told(&told)?,
                    Err(broadcast::error::RecvError::Lagged(_)) => self.show_all()?,
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                Some(answer) = answers.recv() => {
                    pending = false;
                    self.answered(answer)?;
                    self.screen.prompt()?;
                }
                typed = lines.recv(), if reads => match typed {
                    None => return self.end(),
                    Some(text) => match parse(&text) {
                        Ok(Typed::Quit) => return self.end(),
                        Ok(typed) => {
                            pending = self.typed(typed, &answered)?;
                            if !pending {
                                self.screen.prompt()?;
                            }
                        }
                        Err(why) => {
                            self.say(&why)?;
                            self.screen.prompt()?;
                        }
                    },
                },
            }
        }
    }

    fn end(&mut self) -> anyhow::Result<()> {
        Ok(self.screen.leave()?)
    }

    fn check_wait(&mut self) {
        let states = self.rack.states();
        let reached = self
            .waits
            .as_ref()
            .is_some_and(|(unit, state)| states.borrow().get(unit).is_some_and(|shown| shown.s == *state));
        if reached {
            self.waits = None;
        }
    }

    /// Words of the program itself; machines get them as such.
    fn say(&self, words: &str) -> anyhow::Result<()> {
        let text =
            if self.json { json!({ "event": "say", "words": words }).to_string() } else { words.to_owned() };
        Ok(self.screen.say(&text)?)
    }

    fn show_all(&mut self) -> anyhow::Result<()> {
        let states = self.rack.states().borrow().clone();
        if self.json {
            for unit in states.into_values() {
                self.screen.say(&serde_json::to_string(&News::Unit(unit))?)?;
            }
            return Ok(());
        }
        Ok(self.screen.all(&states)?)
    }

    fn told(&mut self, news: &News) -> anyhow::Result<()> {
        if self.json {
            return Ok(self.screen.say(&serde_json::to_string(news)?)?);
        }
        match news {
            News::Registered { .. } => {}
            News::Unit(unit) => {
                let states = self.rack.states().borrow().clone();
                self.screen.changed(&states, unit)?;
            }
            News::Tell(tell) => self.say(&show::plain(&format!("to {}: {}", tell.who, tell.say)))?,
            News::Trouble { words } => self.say(&show::plain(&format!("trouble: {words}")))?,
        }
        Ok(())
    }

    /// Does what was typed; true when an answer is on its way.
    fn typed(&mut self, typed: Typed, answered: &mpsc::Sender<Answered>) -> anyhow::Result<bool> {
        let (rack, tell) = (Arc::clone(&self.rack), answered.clone());
        match typed {
            Typed::Touch { unit, who } => {
                let who = who.map_or_else(|| self.who.clone(), |name| Avatar::named(&name));
                tokio::spawn(async move {
                    let started = Instant::now();
                    let entry = rack.touch(unit, &who).await;
                    // The session may have ended meanwhile.
                    let _gone = tell.send((who, started.elapsed(), entry)).await;
                });
                return Ok(true);
            }
            Typed::Pick(pick) => {
                let Some(Open { menu, picks, who }) = self.open.take() else {
                    self.say("there is no menu: touch a unit first")?;
                    return Ok(false);
                };
                let pick = chosen(&picks, &pick);
                tokio::spawn(async move {
                    let started = Instant::now();
                    let entry = rack.choose(&menu, &who, &pick).await;
                    let _gone = tell.send((who, started.elapsed(), entry)).await;
                });
                return Ok(true);
            }
            Typed::Write(text) => {
                let Some(Open { menu, who, .. }) = self.open.take() else {
                    self.say("nobody asked for a line: touch a unit first")?;
                    return Ok(false);
                };
                tokio::spawn(async move {
                    let started = Instant::now();
                    let entry = rack.write(&menu, &who, &text).await;
                    let _gone = tell.send((who, started.elapsed(), entry)).await;
                });
                return Ok(true);
            }
            Typed::Report(text) => {
                let who = self.who.clone();
                tokio::spawn(async move {
                    let started = Instant::now();
                    let entry = rack.report(&text).await;
                    let _gone = tell.send((who, started.elapsed(), entry)).await;
                });
                return Ok(true);
            }
            Typed::As(name) => {
                self.who = Avatar::named(&name);
                self.say(&format!("you are {} ({})", self.who.name, self.who.id))?;
            }
            Typed::Wait { unit, state } => self.waits = Some((unit, state)),
            Typed::Show => self.show_all()?,
            Typed::Help => self.say(HELP)?,
            Typed::Quit | Typed::Nothing => {}
        }
        Ok(false)
    }

    fn answered(&mut self, (who, took, entry): Answered) -> anyhow::Result<()> {
        let ms = took.as_secs_f64() * 1000.0;
        if let Ok(entry) = &entry {
            self.open = match &entry.verdict {
                AnswerVerdict::Menu { menu, pick, .. } => {
                    Some(Open { menu: menu.clone(), picks: pick.clone(), who })
                }
                AnswerVerdict::Ask { menu, .. } => Some(Open { menu: menu.clone(), picks: Vec::new(), who }),
                AnswerVerdict::Accepted { .. } | AnswerVerdict::Refused { .. } | AnswerVerdict::Noted => None,
            };
        }
        if self.json {
            let value = match &entry {
                Ok(entry) => {
                    json!({ "event": "answer", "took_ms": (ms * 10.0).round() / 10.0, "answer": entry })
                }
                Err(error) => json!({ "event": "no-answer", "why": error.to_string() }),
            };
            return Ok(self.screen.say(&value.to_string())?);
        }
        let words = match entry {
            Err(error) => format!("no answer: {error}{}", advice(&error)),
            Ok(entry) => in_words(&entry.verdict, ms),
        };
        self.say(&words)
    }
}

fn in_words(verdict: &AnswerVerdict, ms: f64) -> String {
    let (word, say) = match verdict {
        AnswerVerdict::Accepted { say } => ("accepted".to_owned(), say.clone()),
        AnswerVerdict::Refused { code, say } => (format!("refused ({code})"), say.clone()),
        AnswerVerdict::Menu { say, pick, for_s, .. } => {
            let picks: Vec<String> =
                pick.iter().enumerate().map(|(at, pick)| format!("{} {pick}", at + 1)).collect();
            ("menu".to_owned(), format!("{say}  [{}]  `pick` within {for_s} s", picks.join(" | ")))
        }
        AnswerVerdict::Ask { say, for_s, .. } => {
            ("asked".to_owned(), format!("{say}  `write` within {for_s} s"))
        }
        AnswerVerdict::Noted => ("noted".to_owned(), String::new()),
    };
    show::plain(&format!("{word} after {ms:.1} ms: {say}")).trim_end_matches(": ").to_owned()
}

/// The offered word that is meant: by itself, by its number, or whatever was written.
fn chosen(picks: &[SmolStr], text: &str) -> String {
    let by_number = text.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).and_then(|at| picks.get(at));
    let by_word = picks.iter().find(|pick| pick.to_lowercase() == text.to_lowercase());
    by_word.or(by_number).map_or_else(|| text.to_owned(), ToString::to_string)
}

/// What helps against an error, where more can be said than the error says.
fn advice(error: &RackError) -> &'static str {
    match error {
        RackError::Unreachable { .. } => {
            "\nIs it running? `primrack serve` starts it, `primrack doctor` looks."
        }
        RackError::Unproved { words, .. } if words.starts_with("unknown-object") => {
            "\nThe running bridge does not know the object: enrol it, name it in the configuration, restart the bridge."
        }
        RackError::Unproved { words, .. } if words.starts_with("forged") => {
            "\nThe bridge has another key for it: did it read its key file (SIGHUP) after the key was made?"
        }
        RackError::Refused { reason, .. } if reason == "url" => {
            "\nFor a rack in this terminal: [world] callbacks = [\"127.0.0.1:*\"]"
        }
        RackError::Refused { reason, .. } if reason == "owner" => "\nPlay its owner with --owner UUID.",
        RackError::Refused { reason, .. } if reason == "copy" => {
            "\nOnly one may speak for an object: this would be a copy of the one that is registered."
        }
        RackError::Refused { .. }
        | RackError::Unproved { .. }
        | RackError::Setup(_)
        | RackError::Lost
        | RackError::Stopped => "",
    }
}

/// Told after a moment, so that nobody thinks it hangs: a second holder waits until the first was asked.
async fn tell_waiting() -> std::convert::Infallible {
    tokio::time::sleep(Duration::from_secs(2)).await;
    crate::out::complain("waiting for the bridge …");
    std::future::pending().await
}

/// Lines of standard input, read by a thread of its own: a read cannot be called off.
fn lines() -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pick_is_meant_by_word_or_number() {
        let picks = [SmolStr::new("Start"), SmolStr::new("Power off")];
        assert_eq!(chosen(&picks, "power OFF"), "Power off");
        assert_eq!(chosen(&picks, "1"), "Start");
        assert_eq!(chosen(&picks, "9"), "9");
    }
}

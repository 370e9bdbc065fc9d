//! The other side of the protocol: an adapter of this program, served to a bridge in another process.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Hint};
use primrack_model::{Address, Command};
use serde::de::DeserializeSeed as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Duration;
use tokio_util::task::AbortOnDropHandle;

use crate::{Configured as _, Named};

use super::line::{ANSWERS, Lines};
use super::map::{self, AT_ONCE, Event, Fault, Hello, Listed, Request, VERSION, What};

/// How many machines are told in one line.
const TOGETHER: usize = 100;
/// How many lines may wait to be read.
const WAITING: usize = 256;
/// Where the capabilities of an adapter's machines are asked for in general.
const NOBODY: Address = Address(smol_str::SmolStr::new_static(""));

/// What a served adapter is told at its start: the table of one backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The technology.
    pub technology: String,
    /// Its table, as in configuration.
    pub table: Map<String, Value>,
    /// The folder of the configuration, where relative paths start.
    pub folder: PathBuf,
    /// How long its calls may take.
    pub limits: CallLimits,
}

/// How long the calls of a served adapter may take, in milliseconds: as long as its driver waits. A
/// backend that is slow or hangs makes single calls fail; only a process that does not even say that is
/// taken for hung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallLimits {
    /// A look at one machine.
    pub observe_ms: u64,
    /// A listing, or a console.
    pub list_ms: u64,
    /// The acceptance of a command; its deadline where its end is its answer.
    pub execute_ms: u64,
}

impl CallLimits {
    /// The `answer_ms` with which the other side waits a little longer for every answer.
    #[must_use]
    pub fn answer_ms(self) -> u64 {
        let longest = self.observe_ms.max(self.list_ms / 3).max(self.execute_ms / 3);
        longest.saturating_add(5_000)
    }

    fn of(self, what: &What) -> Duration {
        Duration::from_millis(match what {
            What::Observe { .. } => self.observe_ms,
            What::Execute { action, deadline_ms, .. } if action.ends_with_its_call() => *deadline_ms,
            What::Execute { .. } => self.execute_ms,
            What::List | What::Console { .. } => self.list_ms,
            What::Hello { .. } | What::Ping | What::Shutdown | What::NoSuchRequest => 1_000,
        })
    }
}

impl Setting {
    /// As it is handed over in `hello`.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        let Self { technology, table, folder, limits } = self;
        let mut map = Map::new();
        map.insert("technology".into(), technology.into());
        map.insert("table".into(), table.into());
        map.insert("folder".into(), folder.to_string_lossy().into());
        let CallLimits { observe_ms, list_ms, execute_ms } = limits;
        map.insert(
            "limits".into(),
            json!({ "observe_ms": observe_ms, "list_ms": list_ms, "execute_ms": execute_ms }),
        );
        map
    }

    fn build(self) -> Result<Arc<dyn Adapter>, String> {
        let mut technology =
            Named(&self.technology).deserialize(Value::Object(self.table)).map_err(|why| why.to_string())?;
        technology.resolve(Path::new(&self.folder));
        technology.build().map_err(|why| why.to_string())
    }
}

/// Serves the adapter that the first request describes, until told to end or until its input ends. The
/// adapter is let go of then; its machines go on.
///
/// # Errors
/// When input and output are no pipes, or who reads the output is gone.
pub async fn serve(input: OwnedFd, output: OwnedFd) -> io::Result<()> {
    let mut lines = Lines::new(Receiver::from_owned_fd(input)?, ANSWERS);
    let mut output = Sender::from_owned_fd(output)?;
    let (say, mut said) = mpsc::channel::<Vec<u8>>(WAITING);
    let writer = tokio::spawn(async move {
        while let Some(line) = said.recv().await {
            output.write_all(&line).await?;
        }
        Ok::<_, io::Error>(())
    });
    let mut served: Option<Arc<Served>> = None;
    let mut listener = None;
    let mut answers = JoinSet::new();
    let allowed = Arc::new(Semaphore::new(AT_ONCE.into()));
    while let Some(line) = lines.next().await? {
        while answers.try_join_next().is_some() {}
        let request: Request = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(why) => {
                let Ok(Value::Object(map)) = serde_json::from_slice(&line) else {
                    return Err(io::Error::other(
                        "what came is no request: this program is started by a bridge",
                    ));
                };
                let fault = AdapterError::NotSupported(format!("not understood: {why}"));
                write(&say, map.get("id").cloned().unwrap_or_default(), fault_map(fault), false).await;
                continue;
            }
        };
        let id = Value::from(request.id);
        match (request.what, &served) {
            (What::Hello { versions, settings, .. }, None) => match greet(&versions, settings) {
                Ok((adapter, limits, hello)) => {
                    write(&say, id, to_map(&hello), false).await;
                    let new = Arc::new(Served {
                        adapter,
                        hello: hello.capabilities(),
                        limits,
                        listed: Notify::new(),
                        say: say.clone(),
                    });
                    listener = Some(AbortOnDropHandle::new(tokio::spawn(listen(Arc::clone(&new)))));
                    served = Some(new);
                }
                Err(why) => write(&say, id, fault_map(why), false).await,
            },
            (What::Shutdown, _) => {
                write(&say, id, ok(), false).await;
                break;
            }
            (What::Ping, _) => write(&say, id, ok(), false).await,
            (_, None) => {
                let why = AdapterError::NotSupported("hello comes first".to_owned());
                write(&say, id, fault_map(why), false).await;
            }
            (what, Some(served)) => {
                let Ok(permit) = Arc::clone(&allowed).acquire_owned().await else { break };
                let served = Arc::clone(served);
                answers.spawn(async move {
                    served.answer(id, what).await;
                    drop(permit);
                });
            }
        }
    }
    answers.shutdown().await;
    drop((listener, served, say));
    // Ended with the last sender; an error is that nobody reads any more.
    writer.await.unwrap_or(Ok(()))
}

fn greet(
    versions: &[u32],
    settings: Map<String, Value>,
) -> Result<(Arc<dyn Adapter>, CallLimits, Hello), AdapterError> {
    if !versions.contains(&VERSION) {
        return Err(AdapterError::NotSupported(format!("this program speaks version {VERSION} only")));
    }
    let setting: Setting = serde_json::from_value(Value::Object(settings))
        .map_err(|why| AdapterError::NotSupported(format!("the settings are not understood: {why}")))?;
    let (name, limits) = (setting.technology.clone(), setting.limits);
    let adapter = setting.build().map_err(AdapterError::Unreachable)?;
    let Capabilities { actions, pushes_events, simulated } = adapter.capabilities(&NOBODY);
    let hello = Hello {
        version: VERSION,
        name,
        actions: actions.to_vec(),
        events: pushes_events,
        simulated,
        at_once: AT_ONCE,
    };
    Ok((adapter, limits, hello))
}

/// An adapter and where its answers go.
struct Served {
    adapter: Arc<dyn Adapter>,
    hello: Capabilities,
    limits: CallLimits,
    /// The bridge asked for everything anew: it listens again.
    listed: Notify,
    say: mpsc::Sender<Vec<u8>>,
}

impl Served {
    async fn answer(&self, id: Value, what: What) {
        let limit = self.limits.of(&what);
        let parts = async {
            let late = || AdapterError::TimedOut(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
            tokio::time::timeout(limit, self.parts(what)).await.unwrap_or_else(|_| Err(late()))
        };
        let answered = AssertUnwindSafe(parts).catch_unwind().await;
        let parts = answered.unwrap_or_else(|_| {
            Err(AdapterError::Unreachable("the adapter failed inside (see the log)".to_owned()))
        });
        match parts {
            Ok(parts) => {
                let last = parts.len().saturating_sub(1);
                for (at, part) in parts.into_iter().enumerate() {
                    write(&self.say, id.clone(), part, at < last).await;
                }
            }
            Err(why) => write(&self.say, id, fault_map(why), false).await,
        }
    }

    async fn parts(&self, what: What) -> Result<Vec<Map<String, Value>>, AdapterError> {
        let adapter = &self.adapter;
        match what {
            What::List => {
                // Events first: what changes from here on is told.
                self.listed.notify_one();
                let found = adapter.list().await?;
                let listed: Vec<Listed> = found
                    .into_iter()
                    .map(|found| {
                        let can = adapter.capabilities(&found.address);
                        Listed::of(found, can, self.hello)
                    })
                    .collect();
                if listed.is_empty() {
                    return Ok(vec![to_map(&json!({ "machines": [] }))]);
                }
                Ok(listed.chunks(TOGETHER).map(|part| to_map(&json!({ "machines": part }))).collect())
            }
            What::Observe { address } => {
                let seen = adapter.observe(&address).await?;
                Ok(vec![to_map(&json!({ "state": seen }))])
            }
            What::Execute { address, action, intent, deadline_ms } => {
                let command = Command { intent, address, action, deadline_ms };
                adapter.execute(&command).await?;
                Ok(vec![ok()])
            }
            What::Console { address } => {
                let console = adapter.console(&address).await?;
                Ok(map::console_parts(console).iter().map(to_map).collect())
            }
            What::Hello { .. } | What::Ping | What::Shutdown | What::NoSuchRequest => {
                Err(AdapterError::NotSupported("there is no such request, or not now".to_owned()))
            }
        }
    }
}

/// Passes events on. When the adapter loses them the bridge is told, and they are asked for again when it
/// lists.
async fn listen(served: Arc<Served>) {
    loop {
        served.listed.notified().await;
        let (hints, mut heard) = mpsc::channel(WAITING);
        let listening = AssertUnwindSafe(served.adapter.listen(hints)).catch_unwind();
        let passing = async {
            while let Some(hint) = heard.recv().await {
                let event = match hint {
                    Hint::Changed(address) => Event::Changed { address },
                    Hint::State(address, state) => Event::State { address, state },
                };
                send(&served.say, &event).await;
            }
        };
        let (ended, ()) = tokio::join!(listening, passing);
        let why =
            ended.unwrap_or_else(|_| AdapterError::Unreachable("the listener failed inside".to_owned()));
        send(&served.say, &Event::Lost { fault: Fault::from(why) }).await;
    }
}

async fn send(say: &mpsc::Sender<Vec<u8>>, line: &impl Serialize) {
    let mut line = serde_json::to_vec(line).unwrap_or_default();
    line.push(b'\n');
    // Nobody reads any more: the end of the input says so, too.
    say.send(line).await.ok();
}

async fn write(say: &mpsc::Sender<Vec<u8>>, id: Value, mut part: Map<String, Value>, more: bool) {
    part.insert("id".into(), id);
    if more {
        part.insert("more".into(), true.into());
    }
    send(say, &part).await;
}

fn ok() -> Map<String, Value> {
    to_map(&json!({ "ok": true }))
}
fn fault_map(why: AdapterError) -> Map<String, Value> {
    to_map(&Fault::from(why))
}
fn to_map(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        Ok(_) | Err(_) => Map::new(),
    }
}

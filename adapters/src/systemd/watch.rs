//! systemd's signals as hints.

use std::time::Duration;

use futures::StreamExt as _;
use primrack_adapter_api::{AdapterError, Hint, Hints};
use primrack_model::Address;
use zbus::{Message, MessageStream, message};
use zbus::{OwnedObjectPath, Variant};

use super::adapter::Units;
use super::client::{Bus, MANAGER, MANAGER_INTERFACE, PROPERTIES, Properties, SYSTEMD, UNIT_INTERFACE};
use super::{SystemdConfig, names};

/// How often a quiet systemd is asked whether it is still there.
const PULSE: Duration = Duration::from_secs(10);

/// What a signal says.
#[derive(Debug, PartialEq, Eq)]
enum News {
    JobNew(String),
    JobRemoved(String, String),
    /// A unit's `ActiveState`, where that changed.
    Changed(String, Option<String>),
    /// It came or went, in systemd's memory.
    Loaded(String),
    /// systemd left the bus, or another took its name.
    Gone,
}

/// Sends hints until the connection is lost.
pub(super) async fn follow(config: &SystemdConfig, units: &Units, hints: &Hints) -> AdapterError {
    units.forget_signals();
    // Two connections: a listener that has to wait for its hints to be taken must not hold up an answer.
    let (bus, pulse) = match tokio::try_join!(Bus::connect(config), Bus::connect(config)) {
        Ok(both) => both,
        Err(why) => return why,
    };
    if let Err(why) = bus.subscribe().await {
        return why;
    }
    let mut stream = MessageStream::from(bus.connection().clone());
    let rules = [
        format!("type='signal',sender='{SYSTEMD}',path='{MANAGER}',interface='{MANAGER_INTERFACE}'"),
        format!(
            "type='signal',sender='{SYSTEMD}',path_namespace='{MANAGER}/unit',interface='{PROPERTIES}',\
             member='PropertiesChanged',arg0='{UNIT_INTERFACE}'"
        ),
        format!("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{SYSTEMD}'"),
    ];
    for rule in &rules {
        if let Err(why) = bus.add_match(rule).await {
            return why;
        }
    }
    let beating = async {
        loop {
            tokio::time::sleep(PULSE).await;
            if let Err(why) = pulse.ping().await {
                return why;
            }
        }
    };
    tokio::pin!(beating);
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            why = &mut beating => return why,
        };
        let news = match message {
            Some(Ok(message)) => read(&message),
            Some(Err(why)) => return AdapterError::Unreachable(format!("the bus failed: {why}")),
            None => return AdapterError::Unreachable("the bus closed the connection".to_owned()),
        };
        let told = match news {
            None => continue,
            Some(News::Gone) => return AdapterError::Unreachable("systemd left the bus".to_owned()),
            Some(news) => units.heard(&news),
        };
        for hint in told.into_iter().flatten() {
            if hints.send(hint).await.is_err() {
                return AdapterError::Unreachable("nobody listens any more".to_owned());
            }
        }
    }
}

impl Units {
    /// Takes note of a signal. The hints it is, if it is about a unit of ours: what passed before anyone
    /// could ask, which is certain since systemd's signals come in its own order, and that one should ask.
    fn heard(&self, news: &News) -> [Option<Hint>; 2] {
        let (News::JobNew(unit) | News::JobRemoved(unit, _) | News::Changed(unit, _) | News::Loaded(unit)) =
            news
        else {
            return [None, None];
        };
        if !self.is_ours(unit) {
            return [None, None];
        }
        let address = Address(unit.into());
        let passed = self.with(unit, |track| match news {
            News::JobNew(_) => {
                track.job_new();
                None
            }
            News::JobRemoved(_, result) => {
                track.job_removed(result);
                None
            }
            News::Changed(_, Some(active)) => track.changed(active),
            News::Changed(_, None) | News::Loaded(_) | News::Gone => None,
        });
        let ask = match news {
            News::JobNew(_) => None,
            _ => Some(Hint::Changed(address.clone())),
        };
        [passed.map(|seen| Hint::State(address, seen)), ask]
    }
}

/// Reads a signal; `None` for what is of no interest.
fn read(message: &Message) -> Option<News> {
    if message.message_type() != message::Type::Signal {
        return None;
    }
    let header = message.header();
    let body = message.body();
    let member = header.member()?.as_str();
    match (header.interface()?.as_str(), member) {
        (MANAGER_INTERFACE, "JobNew") => {
            let (_, _, unit): (u32, OwnedObjectPath, String) = body.deserialize().ok()?;
            Some(News::JobNew(unit))
        }
        (MANAGER_INTERFACE, "JobRemoved") => {
            let (_, _, unit, result): (u32, OwnedObjectPath, String, String) = body.deserialize().ok()?;
            Some(News::JobRemoved(unit, result))
        }
        (MANAGER_INTERFACE, "UnitNew" | "UnitRemoved") => {
            let (unit, _): (String, OwnedObjectPath) = body.deserialize().ok()?;
            Some(News::Loaded(unit))
        }
        (PROPERTIES, "PropertiesChanged") => {
            let unit = names::of_path(header.path()?.as_str())?;
            let (_, changed, _): (String, Properties, Vec<String>) = body.deserialize().ok()?;
            let active = match changed.get("ActiveState").map(|value| &**value) {
                Some(Variant::Str(active)) => Some(active.to_string()),
                _ => None,
            };
            Some(News::Changed(unit, active))
        }
        ("org.freedesktop.DBus", "NameOwnerChanged") => Some(News::Gone),
        _ => None,
    }
}

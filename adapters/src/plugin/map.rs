//! The protocol's words and ours. PROTOCOL.md is what they are checked against.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use primrack_adapter_api::{AdapterError, Capabilities, Console, Found};
use primrack_model::{Action, Address, IntentId, Observation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;

/// The version of the protocol that this bridge speaks.
pub const VERSION: u32 = 1;
/// How many requests may wait for an answer, whatever a plug-in says.
pub(super) const AT_ONCE: u16 = 64;
/// The longest picture.
const PNG: usize = 8 << 20;
/// The longest text of a console.
const TEXT: usize = 64 << 10;
/// The bytes of one part of a picture: with base64 well below the longest line.
const PNG_PART: usize = 384 << 10;

/// One request, as the bridge writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) what: What,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum What {
    Hello {
        versions: Vec<u32>,
        bridge: String,
        settings: Map<String, Value>,
    },
    List,
    Observe {
        address: Address,
    },
    Execute {
        address: Address,
        action: Action,
        intent: IntentId,
        deadline_ms: u64,
    },
    Console {
        address: Address,
    },
    Ping,
    Shutdown,
    /// What nobody knows: for the check.
    NoSuchRequest,
}

impl What {
    /// The name of the request.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::List => "list",
            Self::Observe { .. } => "observe",
            Self::Execute { .. } => "execute",
            Self::Console { .. } => "console",
            Self::Ping => "ping",
            Self::Shutdown => "shutdown",
            Self::NoSuchRequest => "an unknown request",
        }
    }
}

/// What a plug-in says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) actions: Vec<Action>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) events: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) simulated: bool,
    #[serde(default = "one")]
    pub(super) at_once: u16,
}

fn one() -> u16 {
    1
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Hello {
    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            actions: interned(&self.actions),
            pushes_events: self.events,
            simulated: self.simulated,
        }
    }
}

/// A machine in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Listed {
    address: Address,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    label: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<SmolStr>,
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    host: SmolStr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Observation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<Action>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    events: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    simulated: Option<bool>,
}

impl Listed {
    /// What is said where `hello` said something else.
    pub(super) fn of(found: Found, can: Capabilities, hello: Capabilities) -> Self {
        let Found { address, label, tags, host, seen } = found;
        Self {
            label: if label == address.0 { String::new() } else { label },
            actions: (can.actions != hello.actions).then(|| can.actions.to_vec()),
            events: (can.pushes_events != hello.pushes_events).then_some(can.pushes_events),
            simulated: (can.simulated != hello.simulated).then_some(can.simulated),
            address,
            tags,
            host,
            state: seen,
        }
    }

    /// The machine, and what can be done to it where that differs.
    fn found(self, hello: Capabilities) -> Result<(Found, Option<Capabilities>), String> {
        let Self { address, label, tags, host, state, actions, events, simulated } = self;
        if address.0.is_empty() || address.0.len() > 200 || address.0.contains(char::is_control) {
            return Err(format!(
                "the address {:?} cannot be used: 1 to 200 bytes without control characters",
                cut(&address.0, 60)
            ));
        }
        let differs = actions.is_some() || events.is_some() || simulated.is_some();
        let can = Capabilities {
            actions: actions.map_or(hello.actions, |actions| interned(&actions)),
            pushes_events: events.unwrap_or(hello.pushes_events),
            simulated: simulated.unwrap_or(hello.simulated),
        };
        let found = Found {
            label: if label.is_empty() { address.0.to_string() } else { cut(&label, 120).to_owned() },
            tags: tags.into_iter().take(32).map(|tag| cut(&tag, 64).into()).collect(),
            host: cut(&host, 120).into(),
            seen: state.map(trimmed),
            address,
        };
        Ok((found, differs.then_some(can)))
    }
}

/// An event's fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    Changed {
        address: Address,
    },
    State {
        address: Address,
        state: Observation,
    },
    Lost {
        #[serde(flatten)]
        fault: Fault,
    },
}

/// An error as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    error: Kind,
    #[serde(default)]
    words: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Refused,
    NotFound,
    NotSupported,
    Unreachable,
    Credentials,
    TimedOut,
}

impl From<AdapterError> for Fault {
    fn from(error: AdapterError) -> Self {
        let (error, words, ms) = match error {
            AdapterError::Refused(words) => (Kind::Refused, words, None),
            AdapterError::NotFound(address) => (Kind::NotFound, address, None),
            AdapterError::NotSupported(words) => (Kind::NotSupported, words, None),
            AdapterError::Unreachable(words) => (Kind::Unreachable, words, None),
            AdapterError::Credentials(words) => (Kind::Credentials, words, None),
            AdapterError::TimedOut(ms) => (Kind::TimedOut, format!("no answer within {ms} ms"), Some(ms)),
        };
        Self { error, words, ms }
    }
}

impl Fault {
    /// As the driver knows it. `address` is whom the request was about.
    pub(super) fn error(self, address: Option<&Address>) -> AdapterError {
        let words = if self.words.is_empty() {
            "the plug-in says no more".to_owned()
        } else {
            clean(&self.words, 500)
        };
        match self.error {
            Kind::Refused => AdapterError::Refused(words),
            // Its words are the driver's; the plug-in's would only say it again.
            Kind::NotFound => AdapterError::NotFound(address.map_or(words, |address| address.0.to_string())),
            Kind::NotSupported => AdapterError::NotSupported(words),
            Kind::Unreachable => AdapterError::Unreachable(words),
            Kind::Credentials => AdapterError::Credentials(words),
            Kind::TimedOut => AdapterError::TimedOut(self.ms.unwrap_or_default()),
        }
    }
}

/// Splits an answer's parts from an error. An answer that is not understood is the plug-in's fault.
pub(super) fn parts(
    parts: Vec<Map<String, Value>>,
    address: Option<&Address>,
) -> Result<Vec<Map<String, Value>>, AdapterError> {
    for part in &parts {
        if part.contains_key("error") {
            let fault: Fault = understood(part.clone())?;
            return Err(fault.error(address));
        }
    }
    Ok(parts)
}

/// Reads the fields of an answer.
pub(super) fn understood<T: serde::de::DeserializeOwned>(
    part: Map<String, Value>,
) -> Result<T, AdapterError> {
    serde_json::from_value(Value::Object(part)).map_err(|why| {
        AdapterError::Unreachable(format!(
            "the plug-in's answer is not understood: {}",
            clean(&why.to_string(), 300)
        ))
    })
}

/// The one part of an answer that has no more.
pub(super) fn single(mut parts: Vec<Map<String, Value>>) -> Result<Map<String, Value>, AdapterError> {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => Ok(part),
        _ => Err(AdapterError::Unreachable(
            "the plug-in's answer is in parts, which this one may not be".to_owned(),
        )),
    }
}

/// `{"ok":true}` and nothing less.
pub(super) fn taken(part: &Map<String, Value>) -> Result<(), AdapterError> {
    if part.get("ok") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let words = "the plug-in answered neither with \"ok\":true nor with an error";
    Err(AdapterError::Unreachable(words.to_owned()))
}

/// The state in the answer to `observe`.
pub(super) fn state(part: Map<String, Value>) -> Result<Observation, AdapterError> {
    #[derive(Deserialize)]
    struct Answer {
        state: Observation,
    }
    understood::<Answer>(part).map(|answer| trimmed(answer.state))
}

/// What a listing brought: the machines, and what can be done to those that differ from `hello`.
pub(super) type Listing = (Vec<Found>, BTreeMap<Address, Capabilities>);

pub(super) fn listing(parts: Vec<Map<String, Value>>, hello: Capabilities) -> Result<Listing, AdapterError> {
    #[derive(Deserialize)]
    struct Answer {
        machines: Vec<Listed>,
    }
    let (mut all, mut differ) = (Vec::new(), BTreeMap::new());
    for part in parts {
        for listed in understood::<Answer>(part)?.machines {
            let (found, can) = listed.found(hello).map_err(AdapterError::Unreachable)?;
            if let Some(can) = can {
                differ.insert(found.address.clone(), can);
            }
            all.push(found);
        }
    }
    Ok((all, differ))
}

/// What the parts of a console's answer show.
pub(super) fn console(parts: Vec<Map<String, Value>>) -> Result<Console, AdapterError> {
    #[derive(Deserialize)]
    struct Answer {
        text: Option<String>,
        png: Option<String>,
    }
    let wrong =
        |words: &str| AdapterError::Unreachable(format!("the plug-in's console is not understood: {words}"));
    let (mut text, mut png, mut is_png) = (String::new(), Vec::new(), None);
    for part in parts {
        let Answer { text: more, png: pixels } = understood(part)?;
        let kind = match (more, pixels) {
            (Some(more), None) => {
                text += &more;
                false
            }
            (None, Some(pixels)) => {
                png.extend(STANDARD.decode(pixels).map_err(|_| wrong("a part of the picture is no base64"))?);
                true
            }
            _ => return Err(wrong("each part has either text or png")),
        };
        if is_png.replace(kind).is_some_and(|before| before != kind) {
            return Err(wrong("it is text and picture at once"));
        }
    }
    if text.len() > TEXT || png.len() > PNG {
        return Err(wrong("it is too large"));
    }
    if is_png == Some(true) {
        return if png.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Console::Png(png))
        } else {
            Err(wrong("the picture is no PNG"))
        };
    }
    Ok(Console::Text(text))
}

/// A console's answer in parts: fields of each, the last without `more`.
pub(super) fn console_parts(console: Console) -> Vec<Value> {
    match console {
        Console::Text(text) => vec![serde_json::json!({ "text": tail(&text, TEXT) })],
        Console::Png(png) => {
            png.chunks(PNG_PART).map(|part| serde_json::json!({ "png": STANDARD.encode(part) })).collect()
        }
    }
}

/// The end of a text, at a character.
fn tail(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    (from..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

/// A state within bounds.
pub(super) fn trimmed(mut seen: Observation) -> Observation {
    if seen.detail.len() > 120 || seen.detail.contains(char::is_control) {
        seen.detail = clean(&seen.detail, 120).into();
    }
    if let Some(about) = &mut seen.about {
        about.host = cut(&about.host, 120).into();
        about.addresses.truncate(8);
        about.health = cut(&about.health, 120).into();
    }
    seen
}

/// The beginning of a text, at a character, of at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// A text from elsewhere as it may stand in a log: without control characters, cut.
pub(super) fn clean(text: &str, most: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    cut(&plain, most).to_owned()
}

/// A set of actions that lasts as long as the program. There are fourteen actions, so the sets that a
/// program can ever hold are few (and a list of one may not name an action twice).
pub(super) fn interned(actions: &[Action]) -> &'static [Action] {
    static SETS: Mutex<BTreeMap<Vec<Action>, &'static [Action]>> = Mutex::new(BTreeMap::new());
    let sorted: Vec<Action> = Action::ALL.into_iter().filter(|action| actions.contains(action)).collect();
    let mut sets = SETS.lock();
    if let Some(known) = sets.get(&sorted) {
        return known;
    }
    let kept: &'static [Action] = Box::leak(sorted.clone().into_boxed_slice());
    sets.insert(sorted, kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROZEN: &str = include_str!("v1.txt");

    #[test]
    fn the_frozen_lines_are_what_is_written_and_understood() {
        let hello = Capabilities { actions: &[], pushes_events: true, simulated: false };
        let mut asked: BTreeMap<u64, What> = BTreeMap::new();
        let mut parts: BTreeMap<u64, Vec<Map<String, Value>>> = BTreeMap::new();
        let mut answered = 0;
        for line in FROZEN.lines() {
            let (direction, line) = line.split_at(2);
            if direction == "> " {
                let request: Request = serde_json::from_str(line).unwrap();
                assert_eq!(serde_json::to_string(&request).unwrap(), line);
                asked.insert(request.id, request.what);
                continue;
            }
            let mut map: Map<String, Value> = serde_json::from_str(line).unwrap();
            if map.contains_key("event") {
                let event: Event = serde_json::from_value(Value::Object(map)).unwrap();
                assert_eq!(serde_json::to_string(&event).unwrap(), line);
                continue;
            }
            let id = map.remove("id").unwrap().as_u64().unwrap();
            let more = map.remove("more").is_some();
            parts.entry(id).or_default().push(map);
            if more {
                continue;
            }
            let all = parts.remove(&id).unwrap();
            answered += 1;
            match super::parts(all, Some(&Address("web-9".into()))) {
                Err(why) => assert!(
                    matches!(
                        why,
                        AdapterError::NotFound(_) | AdapterError::Refused(_) | AdapterError::TimedOut(5000)
                    ),
                    "{why:?}"
                ),
                Ok(all) => match &asked[&id] {
                    What::Hello { .. } => {
                        assert_eq!(understood::<Hello>(single(all).unwrap()).unwrap().version, 1);
                    }
                    What::List => assert_eq!(listing(all, hello).unwrap().0.len(), 2),
                    What::Observe { .. } => {
                        let seen = state(single(all).unwrap()).unwrap();
                        assert_eq!(seen.about.unwrap().temperature, Some(41.5));
                    }
                    What::Console { .. } => match console(all).unwrap() {
                        Console::Text(text) => assert_eq!(text, "login: \n"),
                        Console::Png(png) => assert_eq!(png, b"\x89PNG\r\n\x1a\n\0\0\0"),
                    },
                    What::Execute { .. } | What::Ping | What::Shutdown | What::NoSuchRequest => {
                        taken(&single(all).unwrap()).unwrap();
                    }
                },
            }
        }
        assert_eq!(answered, 13);
    }

    #[test]
    fn the_protocol_shows_every_frozen_line() {
        assert!(super::super::PROTOCOL.contains(FROZEN));
    }

    #[test]
    fn what_is_too_much_is_cut_or_refused() {
        let hello = Capabilities { actions: &[], pushes_events: false, simulated: false };
        let list = |text: &str| listing(vec![serde_json::from_str(text).unwrap()], hello);
        let long = "é".repeat(150);
        assert!(list(&format!(r#"{{"machines":[{{"address":"{long}"}}]}}"#)).is_err());
        let (found, _) = list(&format!(r#"{{"machines":[{{"address":"a","label":"{long}"}}]}}"#)).unwrap();
        assert_eq!(found[0].label.len(), 120);
        assert!(list(r#"{"machines":[{"address":"a\nb"}]}"#).is_err());
        let words =
            list(r#"{"machines":[{"address":"a","state":{"power":"running"}}]}"#).unwrap_err().to_string();
        assert!(words.contains("running") && words.contains("paused"), "{words}");
        assert_eq!(interned(&[Action::Reset, Action::Start, Action::Start]), [Action::Start, Action::Reset]);
    }
}

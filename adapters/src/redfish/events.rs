//! Its event stream, where it has one: server-sent events (DSP0266, "Server-sent events"; WHATWG HTML,
//! "Parsing an event stream"). An event is a hint; the system is asked afterwards.

use primrack_adapter_api::AdapterError;
use serde_json::Value;

use super::client::{Bmc, ROOT};
use super::map::{link, text, texts};

/// How many bytes one event may have.
const LONGEST: usize = 1 << 20;

/// Where a BMC sends its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    /// It claims to tell of changes of state, so that nobody needs to ask.
    pub(super) tells_states: bool,
}

/// Looks for the event stream.
pub(super) async fn source(bmc: &Bmc) -> Result<Option<Source>, AdapterError> {
    let root = bmc.get(ROOT).await?;
    let Some(place) = link(&root, "/EventService") else { return Ok(None) };
    Ok(bmc.look(place).await?.as_ref().and_then(found))
}

/// What an EventService tells of its stream.
fn found(service: &Value) -> Option<Source> {
    let path = text(service, "/ServerSentEventUri")?.to_owned();
    if service.get("ServiceEnabled").and_then(Value::as_bool) == Some(false) {
        return None;
    }
    let kinds = texts(service, "/EventTypesForSubscription");
    let registries = texts(service, "/RegistryPrefixes");
    let tells_states = kinds.iter().any(|kind| matches!(*kind, "StatusChange" | "ResourceUpdated"))
        || registries.iter().any(|prefix| prefix.starts_with("ResourceEvent"));
    Some(Source { path, tells_states })
}

/// Takes a stream of bytes apart into events, and keeps at most one.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    /// The last byte was a carriage return: a newline after it ends no second line.
    returned: bool,
}

impl Parser {
    /// Takes in what came and returns the data of the events that are whole.
    ///
    /// # Errors
    /// When an event is longer than this program keeps.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, AdapterError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    if line.is_empty() {
                        if !self.data.is_empty() {
                            events.push(std::mem::take(&mut self.data));
                        }
                    } else if let Some(data) = line.strip_prefix(b"data:") {
                        self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
                        self.data.push(b'\n');
                    }
                }
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > LONGEST {
                return Err(AdapterError::Unreachable(format!(
                    "an event is longer than {LONGEST} bytes: the stream was given up"
                )));
            }
        }
        Ok(events)
    }
}

/// Where the events of one message come from; an empty path where one does not tell.
pub(super) fn origins(data: &[u8]) -> Vec<String> {
    let Ok(message) = serde_json::from_slice::<Value>(data) else { return vec![String::new()] };
    let Some(events) = message.get("Events").and_then(Value::as_array) else { return vec![String::new()] };
    let mut origins: Vec<String> =
        events.iter().map(|event| link(event, "/OriginOfCondition").unwrap_or_default().to_owned()).collect();
    origins.sort();
    origins.dedup();
    origins
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_found_however_they_are_cut() {
        let stream = b": hello\r\n\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:x\n\ndata: half";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events: Vec<_> = stream.chunks(size).flat_map(|part| parser.take(part).unwrap()).collect();
            assert_eq!(events, [b"{\"a\":\n1}\n".to_vec(), b"x\n".to_vec()], "{size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_given_up() {
        let mut parser = Parser::default();
        assert!((0..20).any(|_| parser.take(&[b'x'; 100_000]).is_err()));
    }

    #[test]
    fn a_stream_is_relied_on_only_where_states_are_told() {
        let service = json!({"ServerSentEventUri": "/sse", "EventTypesForSubscription": ["Alert"]});
        assert!(!found(&service).unwrap().tells_states);
        let service = json!({"ServerSentEventUri": "/sse", "RegistryPrefixes": ["Base", "ResourceEvent"]});
        assert!(found(&service).unwrap().tells_states);
        assert_eq!(found(&json!({"ServerSentEventUri": "/sse", "ServiceEnabled": false})), None);
        assert_eq!(found(&json!({})), None);
    }

    #[test]
    fn where_an_event_comes_from() {
        let message = json!({"Events": [
            {"OriginOfCondition": {"@odata.id": "/redfish/v1/Systems/1"}},
            {"OriginOfCondition": "/redfish/v1/Systems/1"},
            {"OriginOfCondition": {"@odata.id": "/redfish/v1/Chassis/1"}},
        ]});
        assert_eq!(
            origins(message.to_string().as_bytes()),
            ["/redfish/v1/Chassis/1", "/redfish/v1/Systems/1"]
        );
        assert_eq!(origins(b"not json"), [""]);
    }
}

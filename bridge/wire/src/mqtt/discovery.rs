//! Targets and boards as Home Assistant finds them by itself.
//!
//! One retained configuration for each entity at `DISCOVERY/COMPONENT/NODE/OBJECT/config`, as
//! <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery> has it; all entities of one target or board
//! share a device. Announced again when Home Assistant says `online` at `DISCOVERY/status`.

use primrack_model::{Action, TargetKind};
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::{Account, Topics};

/// Where Home Assistant listens, and as whom it commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeAssistant {
    /// Its discovery prefix, `homeassistant` by default.
    pub discovery: SmolStr,
    /// Our node among its devices: the client id.
    pub node: SmolStr,
    /// The account that it has at the broker.
    pub account: Account,
}

/// What is announced of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// What people call it.
    pub label: &'a str,
    /// What kind of thing it is.
    pub kind: TargetKind,
    /// The technology that reaches it.
    pub technology: &'a str,
    /// What can be done to it.
    pub actions: &'a [Action],
    /// Whether it is simulated.
    pub simulated: bool,
}

/// What is announced of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardFacts<'a> {
    /// Its backend in the configuration.
    pub name: &'a str,
    /// The numbers of its readers.
    pub readers: &'a [u8],
}

/// A retained message that announces one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Value,
}

impl HomeAssistant {
    /// Where Home Assistant says that it was started.
    #[must_use]
    pub fn birth(&self) -> String {
        format!("{}/status", self.discovery)
    }
    /// The filter for everything that was announced in our name, also by an earlier run. Tag scanners have no
    /// node in their topic.
    #[must_use]
    pub fn announced(&self) -> [String; 2] {
        [format!("{}/+/{}/+/config", self.discovery, self.node), format!("{}/tag/+/config", self.discovery)]
    }
    /// Whether a configuration was announced in our name.
    #[must_use]
    pub fn is_ours(&self, topic: &str) -> bool {
        let Some(rest) = topic.strip_prefix(&*self.discovery).and_then(|rest| rest.strip_prefix('/')) else {
            return false;
        };
        let parts: Vec<&str> = rest.split('/').collect();
        match parts[..] {
            ["tag", object, "config"] => {
                object.strip_prefix(&*self.node).is_some_and(|it| it.starts_with("--"))
            }
            [_, node, _, "config"] => node == self.node,
            _ => false,
        }
    }

    /// The entities of a target.
    #[must_use]
    pub fn target(&self, topics: &Topics, facts: &TargetFacts<'_>) -> Vec<Announcement> {
        let TargetFacts { id, label, kind, technology, actions, simulated } = facts;
        let state = topics.state(id);
        let command = topics.command(&self.account, id);
        let can = |action: Action| actions.contains(&action);
        let model = if *simulated { format!("{technology} (simulated)") } else { (*technology).to_owned() };
        let device = json!({
            "identifiers": [format!("{}-{id}", self.node)],
            "name": label,
            "manufacturer": "Primrack",
            "model": model,
        });
        // Behind each entity: the bridge is there, and the machine's word is fresh.
        let availability = json!([
            { "topic": topics.status() },
            {
                "topic": state,
                "value_template": "{{ 'offline' if value_json.stale or value_json.power == 'unknown' else 'online' }}",
            },
        ]);
        let bridge_only = json!([{ "topic": topics.status() }]);
        let entity = |component: &str, object: &str, name: Value, more: Value| {
            let mut payload = json!({
                "unique_id": format!("{}-{id}-{object}", self.node),
                "object_id": format!("{}_{object}", id.replace(['.', '-'], "_").to_lowercase()),
                "name": name,
                "device": device,
                "availability": availability,
                "availability_mode": "all",
                "qos": 1,
            });
            merge(&mut payload, more);
            Announcement {
                topic: format!("{}/{component}/{}/{}-{object}/config", self.discovery, self.node, dashed(id)),
                payload,
            }
        };
        let button = |action: Action| {
            // A press is an event: no state says whether it came twice, so each has an id of its own.
            let payload = format!(
                "{{{{ {{'action': '{action}', 'id': 'ha' ~ (now().timestamp() * 1000) | int}} | to_json }}}}"
            );
            entity(
                "button",
                action.token(),
                json!(kind.label(action)),
                json!({ "command_topic": command, "command_template": payload }),
            )
        };
        let mut all = Vec::new();
        let switched = can(Action::Start) && can(Action::SoftOff);
        match kind {
            TargetKind::Door if switched => all.push(entity(
                "lock",
                "lock",
                Value::Null,
                json!({
                    "state_topic": state,
                    "command_topic": command,
                    "value_template": "{{ {'on': 'UNLOCKED', 'starting': 'UNLOCKING', 'stopping': 'LOCKING', 'off': 'LOCKED'}.get(value_json.power, 'JAMMED') }}",
                    "state_locked": "LOCKED",
                    "state_unlocked": "UNLOCKED",
                    "state_locking": "LOCKING",
                    "state_unlocking": "UNLOCKING",
                    "state_jammed": "JAMMED",
                    "payload_lock": "soft-off",
                    "payload_unlock": "start",
                }),
            )),
            TargetKind::Alarm => {
                all.push(entity(
                    "binary_sensor",
                    "alarm",
                    Value::Null,
                    json!({
                        "state_topic": state,
                        "device_class": "problem",
                        "value_template": "{{ 'ON' if value_json.power in ['on', 'starting'] else 'OFF' }}",
                    }),
                ));
                if can(Action::Pause) {
                    all.push(entity(
                        "button",
                        "acknowledge",
                        json!("Acknowledge"),
                        json!({ "command_topic": command, "payload_press": "pause" }),
                    ));
                }
            }
            _ if switched => all.push(entity(
                "switch",
                "switch",
                Value::Null,
                json!({
                    "state_topic": state,
                    "command_topic": command,
                    "value_template": "{{ value_json.switch }}",
                    "payload_on": "ON",
                    "payload_off": "OFF",
                    "state_on": "ON",
                    "state_off": "OFF",
                }),
            )),
            _ => {}
        }
        let mut sensor = entity(
            "sensor",
            "state",
            json!("State"),
            json!({
                "state_topic": state,
                "value_template": "{{ value_json.word }}",
                "json_attributes_topic": state,
            }),
        );
        // The state's own sensor also tells of a machine that does not answer.
        sensor.payload["availability"] = bridge_only;
        all.push(sensor);
        if matches!(kind, TargetKind::Machine) {
            for action in [Action::Reboot, Action::Reset, Action::HardOff, Action::Pause, Action::Resume] {
                if can(action) {
                    all.push(button(action));
                }
            }
            let figure = |object: &str, name: &str, template: &str, more: Value| {
                let mut it = entity(
                    "sensor",
                    object,
                    json!(name),
                    json!({ "state_topic": state, "value_template": template, "entity_category": "diagnostic",
                            "enabled_by_default": false, "state_class": "measurement" }),
                );
                merge(&mut it.payload, more);
                it
            };
            all.push(figure(
                "cpu",
                "CPU",
                "{{ value_json.cpu | default(none) }}",
                json!({ "unit_of_measurement": "%" }),
            ));
            all.push(figure(
                "memory",
                "Memory",
                "{{ value_json.memory | default(none) }}",
                json!({ "unit_of_measurement": "B", "device_class": "data_size" }),
            ));
        }
        all
    }

    /// The entities of a board: whether it answers, and a tag scanner for each reader.
    #[must_use]
    pub fn board(&self, topics: &Topics, facts: &BoardFacts<'_>) -> Vec<Announcement> {
        let BoardFacts { name, readers } = facts;
        let device = json!({
            "identifiers": [format!("{}-board-{name}", self.node)],
            "name": name,
            "manufacturer": "Primrack",
            "model": "board",
        });
        let mut all = vec![Announcement {
            topic: format!("{}/binary_sensor/{}/board-{}/config", self.discovery, self.node, dashed(name)),
            payload: json!({
                "unique_id": format!("{}-board-{name}", self.node),
                "name": null,
                "device": device,
                "device_class": "connectivity",
                "state_topic": topics.board(name),
                "payload_on": "online",
                "payload_off": "offline",
                "availability_topic": topics.status(),
                "qos": 1,
            }),
        }];
        all.extend(readers.iter().map(|reader| Announcement {
            topic: format!("{}/tag/{}--{}-{reader}/config", self.discovery, self.node, dashed(name)),
            payload: json!({
                "topic": topics.tag(name, *reader),
                "value_template": "{{ value_json.tag }}",
                "device": device,
            }),
        }));
        all
    }
}

/// Discovery topics allow fewer characters than ids do.
fn dashed(id: &str) -> String {
    id.replace('.', "_")
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (HomeAssistant, Topics) {
        let account = Account::new("home-assistant").unwrap();
        let home = HomeAssistant { discovery: "homeassistant".into(), node: "primrack".into(), account };
        (home, Topics::new("primrack").unwrap())
    }

    fn facts(kind: TargetKind) -> TargetFacts<'static> {
        let actions = &[Action::Start, Action::SoftOff, Action::Reset, Action::Pause];
        TargetFacts { id: "web.1", label: "Web", kind, technology: "qemu", actions, simulated: false }
    }

    #[test]
    fn every_entity_is_ours_has_a_name_of_its_own_and_commands_as_home_assistant() {
        let (home, topics) = home();
        for kind in TargetKind::ALL {
            let all = home.target(&topics, &facts(kind));
            let mut seen = std::collections::HashSet::new();
            for Announcement { topic, payload } in &all {
                assert!(home.is_ours(topic), "{topic}");
                assert!(topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/".contains(&b)), "{topic}");
                assert!(seen.insert(payload["unique_id"].as_str().unwrap().to_owned()));
                if let Some(command) = payload.get("command_topic") {
                    assert_eq!(command, "primrack/do/home-assistant/web.1");
                }
            }
            assert!(all.len() >= 2, "{kind:?}");
        }
    }

    #[test]
    fn a_door_is_a_lock_and_an_alarm_can_only_be_acknowledged() {
        let (home, topics) = home();
        let topic = |all: &[Announcement]| all[0].topic.clone();
        assert!(topic(&home.target(&topics, &facts(TargetKind::Door))).contains("/lock/"));
        let alarm = home.target(&topics, &facts(TargetKind::Alarm));
        let commands: Vec<&Value> = alarm.iter().filter_map(|it| it.payload.get("payload_press")).collect();
        assert_eq!(commands, [&json!("pause")]);
    }

    #[test]
    fn what_others_announced_is_left_alone() {
        let (home, _) = home();
        for other in ["homeassistant/switch/zigbee/x/config", "homeassistant/tag/other/config", "primrack/x"]
        {
            assert!(!home.is_ours(other), "{other}");
        }
        assert!(home.is_ours("homeassistant/tag/primrack--gate-0/config"));
    }
}

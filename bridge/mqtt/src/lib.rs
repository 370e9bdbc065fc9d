//! The MQTT side: commands in, states out, and Home Assistant's discovery. `PROTOCOL.md` beside it tells the
//! topics and messages.
//!
//! A command is an actor's like any other: the broker's access list vouches for the account in its topic, policy
//! decides, the journal knows, and a receipt comes back. States are retained, commands never.

mod commands;
mod config;
mod counters;
mod edge;
mod line;
mod refused;
mod states;

pub use config::{ConfigError, HomeAssistantConfig, MqttConfig, Plan, Version};
pub use edge::{BoardPlan, Mqtt, MqttStatus};
pub use line::{probe, remedy};

//! Any program in any language as an adapter: JSON lines over standard input and output. See README.md
//! and PROTOCOL.md in this folder.

mod adapter;
mod check;
mod client;
mod config;
mod launch;
mod line;
mod map;
mod news;
mod serve;

pub use adapter::PluginAdapter;
pub use check::{PluginCheck, Rule, Verdict, check};
pub use config::PluginConfig;
pub use map::VERSION;
pub use serve::{CallLimits, Setting, serve};

/// The templates that `primrack plugin new` writes: language, file name, text.
pub const TEMPLATES: [(&str, &str, &str); 2] = [
    ("shell", "plugin.sh", include_str!("templates/plugin.sh")),
    ("python", "plugin.py", include_str!("templates/plugin.py")),
];

/// The protocol, for whoever writes a plug-in.
pub const PROTOCOL: &str = include_str!("PROTOCOL.md");

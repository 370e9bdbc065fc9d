//! What may be configured of the region side.

use serde::Deserialize;

/// Settings of registration, menus and limits.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSettings {
    /// Objects renew their registration after this many seconds.
    pub renew_s: u32,
    /// A menu is offered for this many seconds.
    pub menu_s: u32,
    /// Requests a second that one object may make, on average.
    pub requests_per_s: f32,
    /// Requests that one object may make at once.
    pub request_burst: f32,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self { renew_s: 600, menu_s: 60, requests_per_s: 2.0, request_burst: 20.0 }
    }
}

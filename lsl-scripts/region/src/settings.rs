//! What a region is told when it starts, and what can be turned while it runs.

use ipnet::IpNet;
use primrack_lsl::Profile;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ClockKind {
    /// As on the wall.
    #[default]
    Real,
    /// Only when [`Region::advance`](crate::Region::advance) says so; sockets are real all the same.
    Manual {
        /// Seconds since 1970 at the start.
        unix: f64,
    },
}

/// Which addresses scripts may call. OpenSimulator calls it `OutboundDisallowForUserScripts` and blocks private
/// addresses by default; here everything is allowed by default, because the demonstration is on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbound {
    /// Networks that may not be called.
    pub blocked: Vec<IpNet>,
    /// `HOST:PORT` that may be called all the same.
    pub except: Vec<String>,
}

impl Outbound {
    /// What OpenSimulator blocks unless told otherwise.
    #[must_use]
    pub fn opensim_default() -> Self {
        let blocked = [
            ([0, 0, 0, 0], 8),
            ([10, 0, 0, 0], 8),
            ([100, 64, 0, 0], 10),
            ([127, 0, 0, 0], 8),
            ([169, 254, 0, 0], 16),
            ([172, 16, 0, 0], 12),
            ([192, 168, 0, 0], 16),
        ];
        Self {
            blocked: blocked
                .into_iter()
                .filter_map(|(net, bits)| IpNet::new(IpAddr::V4(Ipv4Addr::from(net)), bits).ok())
                .collect(),
            except: Vec::new(),
        }
    }

    /// Whether that address may be called under that name.
    #[must_use]
    pub fn allows(&self, host: &str, address: SocketAddr) -> bool {
        let named = format!("{host}:{}", address.port());
        self.except.iter().any(|e| e.eq_ignore_ascii_case(&named) || *e == address.to_string())
            || !self.blocked.iter().any(|net| net.contains(&address.ip().to_canonical()))
    }
}

/// What a region is like.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionSettings {
    /// The grid whose language and limits hold.
    pub profile: Profile,
    /// Its name; shown with "(simulated)" to people.
    pub name: String,
    /// Where script URLs listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The host in script URLs; `None` is the listening address.
    pub public_host: Option<String>,
    /// Which targets scripts may call.
    pub outbound: Outbound,
    /// URLs at most; `None` is the grid's own number (100 in OpenSimulator).
    pub max_urls: Option<usize>,
    /// How time passes.
    pub clock: ClockKind,
    /// Instructions per turn of a script: a script that computes for ever gets no more than this between two others.
    pub slice: u64,
    /// Events that a slow subscriber may be behind before it misses some.
    pub event_buffer: usize,
    /// Seed of `llFrand` and of losses.
    pub seed: u64,
    /// What goes wrong.
    pub knobs: Knobs,
}

impl Default for RegionSettings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            name: "Primrack".to_owned(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            public_host: None,
            outbound: Outbound::default(),
            max_urls: None,
            clock: ClockKind::Real,
            slice: 20_000,
            event_buffer: 4096,
            seed: 1,
            knobs: Knobs::default(),
        }
    }
}

/// What goes wrong, adjustable while the region runs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Every answer to a script's call comes so much later.
    pub out_delay: Duration,
    /// Every request to a script's URL reaches it so much later.
    pub in_delay: Duration,
    /// Of the answers to scripts' calls, this share (0 to 1) is lost after the server handled the call; the script sees
    /// 499 when its time is out.
    pub lose_answers: f64,
    /// So many of the next answers are lost in any case.
    pub lose_next_answers: u32,
    /// Of the scripts' responses to requests, this share (0 to 1) is lost after the script handled them: the connection
    /// ends without a response.
    pub lose_responses: f64,
    /// So many of the next responses are lost in any case.
    pub lose_next_responses: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_blocked_but_for_the_exceptions() {
        let mut o = Outbound::opensim_default();
        let at = |a: &str| a.parse::<SocketAddr>().unwrap();
        assert!(!o.allows("localhost", at("127.0.0.1:80")));
        assert!(!o.allows("x", at("192.168.1.10:8470")));
        assert!(!o.allows("x", at("[::ffff:10.0.0.1]:80")), "an IPv4 address in IPv6 clothes");
        assert!(o.allows("x", at("93.184.216.34:80")));
        o.except.push("192.168.1.10:8470".to_owned());
        assert!(o.allows("192.168.1.10", at("192.168.1.10:8470")));
        assert!(!o.allows("192.168.1.10", at("192.168.1.10:8471")));
        assert!(Outbound::default().allows("localhost", at("127.0.0.1:80")));
    }
}

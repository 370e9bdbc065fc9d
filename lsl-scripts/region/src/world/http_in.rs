//! Script URLs: granted, called, answered, dead.

use super::World;
use crate::ids::{ObjectId, fresh_key};
use crate::net::server::{Incoming, Outgoing};
use crate::view::{Hop, RegionEvent, Way};
use primrack_lsl::Value;
use primrack_lsl::vm::{Posted, ScriptId};
use std::collections::HashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

/// A URL that leads to a script.
#[derive(Debug)]
pub(crate) struct Url {
    script: ScriptId,
    text: String,
}

/// A request that a script has not answered yet.
#[derive(Debug)]
pub(crate) struct Pending {
    script: ScriptId,
    object: ObjectId,
    answer: oneshot::Sender<Outgoing>,
    method: String,
    body: String,
    sent: usize,
    headers: Vec<(String, String)>,
    content_type: &'static str,
    over: (u64, u64),
    started: Instant,
}

/// Requests that wait for answers in the whole region.
const PENDING: usize = 8192;

impl World {
    pub(crate) fn free_urls(&self) -> usize {
        self.url_quota().saturating_sub(self.urls.len())
    }

    fn url_quota(&self) -> usize {
        self.settings.max_urls.unwrap_or(self.limits.urls)
    }

    /// `llRequestURL` and, with `secure`, `llRequestSecureURL`: the answer comes as an event.
    pub(crate) fn request_url(&mut self, script: ScriptId, secure: bool) -> Value {
        let id = fresh_key();
        let opensim = self.settings.profile.is_opensim();
        let (method, body) = if secure {
            // A simulator without a certificate says no more than that; Second Life always has one.
            let why = if opensim { "" } else { "this simulated region has no https" };
            ("URL_REQUEST_DENIED", why.to_owned())
        } else if self.free_urls() == 0 {
            let why = if opensim { "Too many URLs already open" } else { "not enough free URLs" };
            ("URL_REQUEST_DENIED", why.to_owned())
        } else {
            let token = fresh_key();
            let address = self.outside.address;
            let host = self.settings.public_host.clone().unwrap_or_else(|| match address.ip() {
                std::net::IpAddr::V6(ip) => format!("[{ip}]"),
                std::net::IpAddr::V4(ip) => ip.to_string(),
            });
            let port = address.port();
            let text = if opensim {
                format!("http://{host}:{port}/lslhttp/{token}/")
            } else {
                format!("http://{host}:{port}/cap/{token}")
            };
            self.urls.insert(token, Url { script, text: text.clone() });
            ("URL_REQUEST_GRANTED", text)
        };
        let args = vec![Value::key(id.to_string()), Value::str(method), Value::str(body)];
        self.send_later(script, 0.01, "http_request", args);
        Value::key(id.to_string())
    }

    pub(crate) fn release_url(&mut self, script: ScriptId, url: &str) {
        self.urls.retain(|_, u| u.script != script || u.text != url);
    }

    pub(crate) fn release_urls_of(&mut self, script: ScriptId) {
        self.urls.retain(|_, u| u.script != script);
        let theirs: Vec<Uuid> =
            self.requests.iter().filter(|(_, p)| p.script == script).map(|(id, _)| *id).collect();
        for id in theirs {
            self.request_over(id);
        }
    }

    /// All URLs die and all connections end, as when the simulator ends.
    pub(crate) fn drop_urls(&mut self) {
        self.urls.clear();
        for (_, p) in std::mem::take(&mut self.requests) {
            self.unwake(p.over);
            self.hop(&p, 0, 0);
        }
    }

    /// A request came in from the network.
    pub(crate) fn incoming(&mut self, request: Incoming) {
        if !self.up {
            // Dropped: the connection ends.
            return;
        }
        let opensim = self.settings.profile.is_opensim();
        let prefix = if opensim { "/lslhttp/" } else { "/cap/" };
        let reply = |answer: oneshot::Sender<Outgoing>, status, body: String| {
            // The caller went away: nobody misses it.
            drop(answer.send(Outgoing { status, content_type: "text/plain", body }));
        };
        let Incoming { method, path, query, headers, body, from, host, answer } = request;
        let Some(rest) = path.strip_prefix(prefix) else {
            return reply(
                answer,
                404,
                "this is a simulated region; there is nothing at this address".to_owned(),
            );
        };
        let (token, info) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
        let Some(url) = Uuid::parse_str(token).ok().and_then(|t| self.urls.get(&t)) else {
            let (status, words) =
                if opensim { (200, String::new()) } else { (404, format!("cap not found: '{path}'")) };
            return reply(answer, status, words);
        };
        if self.requests.len() >= PENDING {
            return reply(answer, 503, "Service Unavailable".to_owned());
        }
        let script = url.script;
        let mut shown = vec![
            ("x-script-url".to_owned(), url.text.clone()),
            ("x-path-info".to_owned(), info.to_owned()),
            ("x-query-string".to_owned(), query),
            ("x-remote-ip".to_owned(), from.to_string()),
        ];
        for (name, value) in headers {
            // Second Life hands on its own and the caller's program, OpenSimulator everything.
            if (opensim || name == "user-agent") && !shown.iter().any(|(n, _)| *n == name) {
                shown.push((name, value));
            }
        }
        if opensim {
            shown.push(("host".to_owned(), host));
        }
        let sent = body.len();
        let body = String::from_utf8_lossy(&body[..sent.min(self.limits.in_body)]).into_owned();
        let id = fresh_key();
        let over = self.wake_in(self.limits.in_timeout, super::Wake::RequestOver(id));
        let object =
            self.scripts.get(&script).and_then(|s| self.prim(s.prim)).map_or(ObjectId(0), |p| p.object);
        let pending = Pending {
            script,
            object,
            answer,
            method,
            body,
            sent,
            headers: shown,
            content_type: "text/plain",
            over,
            started: Instant::now(),
        };
        self.requests.insert(id, pending);
        if self.knobs.in_delay.is_zero() {
            self.deliver(id);
        } else {
            self.wake_in(self.knobs.in_delay.as_secs_f64(), super::Wake::Deliver(id));
        }
    }

    /// The script gets the request.
    pub(crate) fn deliver(&mut self, id: Uuid) {
        let Some(p) = self.requests.get_mut(&id) else { return };
        let (script, method, body) = (p.script, std::mem::take(&mut p.method), std::mem::take(&mut p.body));
        let args = vec![Value::key(id.to_string()), Value::str(method), Value::str(body)];
        let posted = self.send(script, "http_request", args);
        if posted == Posted::Dropped && !self.settings.profile.is_opensim() {
            self.finish(id, 503, "Service Unavailable".to_owned(), true);
        }
        // Elsewhere a lost event is only seen by the time-out.
    }

    /// `llHTTPResponse`. The second one for a request, or one by another script, is as nothing.
    pub(crate) fn respond(&mut self, script: ScriptId, id: &str, status: i32, body: &str) {
        let Some(id) =
            Uuid::parse_str(id).ok().filter(|id| self.requests.get(id).is_some_and(|p| p.script == script))
        else {
            return;
        };
        let status = u16::try_from(status).ok().filter(|s| (100..=999).contains(s)).unwrap_or(500);
        let lost = if self.knobs.lose_next_responses > 0 {
            self.knobs.lose_next_responses -= 1;
            true
        } else {
            self.knobs.lose_responses > 0.0 && self.random() < self.knobs.lose_responses
        };
        self.finish(id, status, body.to_owned(), !lost);
    }

    /// A request has waited too long.
    pub(crate) fn request_over(&mut self, id: Uuid) {
        self.finish(id, 500, "Script timeout".to_owned(), true);
    }

    fn finish(&mut self, id: Uuid, status: u16, body: String, arrives: bool) {
        let Some(p) = self.requests.remove(&id) else { return };
        self.unwake(p.over);
        self.hop(&p, if arrives { status } else { 0 }, if arrives { body.len() } else { 0 });
        if arrives {
            // The caller went away: nobody misses it.
            drop(p.answer.send(Outgoing { status, content_type: p.content_type, body }));
        }
    }

    fn hop(&self, p: &Pending, status: u16, received: usize) {
        self.tell(RegionEvent::Hop(Hop {
            object: p.object,
            way: Way::In,
            status,
            micros: u64::try_from(p.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            sent: p.sent,
            received,
        }));
    }

    /// How many requests each script has not answered yet.
    pub(crate) fn requests_by_script(&self) -> HashMap<ScriptId, usize> {
        let mut all = HashMap::new();
        for p in self.requests.values() {
            *all.entry(p.script).or_default() += 1;
        }
        all
    }

    /// `llGetHTTPHeader`.
    pub(crate) fn request_header(&self, id: &str, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        Uuid::parse_str(id)
            .ok()
            .and_then(|id| self.requests.get(&id))
            .and_then(|p| p.headers.iter().find(|(n, _)| *n == name))
            .map_or_else(String::new, |(_, v)| v.clone())
    }

    /// `llSetContentType`. HTML is for the owner's own viewer only, which this region does not have.
    pub(crate) fn set_content_type(&mut self, id: &str, kind: i32) {
        let content_type = match kind {
            2 => "application/xml",
            3 => "application/xhtml+xml",
            4 => "application/atom+xml",
            5 => "application/json",
            6 => "application/llsd+xml",
            7 => "application/x-www-form-urlencoded",
            8 => "application/rss+xml",
            _ => "text/plain",
        };
        if let Some(p) = Uuid::parse_str(id).ok().and_then(|id| self.requests.get_mut(&id)) {
            p.content_type = content_type;
        }
    }
}

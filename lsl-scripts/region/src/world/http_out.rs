//! `llHTTPRequest`: what is refused, throttled, sent, cut and given up.

use super::World;
use crate::clock::micros;
use crate::ids::{ObjectId, fresh_key};
use crate::inventory::clip;
use crate::net::client::{self, Call, Reply, target};
use crate::region::Input;
use crate::view::{Chat, Hop, RegionEvent, Voice, Way};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};
use primrack_lsl::Value;
use primrack_lsl::value::NULL_KEY;
use primrack_lsl::vm::ScriptId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// A call of a script that is not over.
#[derive(Debug)]
pub(crate) struct Request {
    script: ScriptId,
    object: ObjectId,
    /// Until it has a place.
    call: Option<Call>,
    task: Option<AbortHandle>,
    over: (u64, u64),
    started: Instant,
    sent: usize,
}

/// What the parameters of a call say.
struct Wanted {
    method: Method,
    mime: String,
    keep: usize,
    verbose: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
    agent: String,
    accept: Option<String>,
    no_cache: bool,
}

/// A script may be answered with 500 and above so often …
const BAD_ANSWERS: usize = 5;
/// … in so many seconds, and is then cut off for as long.
const BAD_SECONDS: f64 = 60.0;
/// Calls that wait for a place.
const WAITING: usize = 4096;
/// Headers of a script's own.
const CUSTOM_HEADERS: usize = 8;

impl World {
    /// A script calls out. The value is the request's key, the null key when throttled, or "" when refused.
    pub(crate) fn http_request(
        &mut self,
        script: ScriptId,
        url: &str,
        params: &[Value],
        body: &str,
    ) -> Value {
        let refused = || Value::key("");
        let Some(prim) = self.scripts.get(&script).map(|s| s.prim) else { return refused() };
        let wanted = match self.wanted(params) {
            Ok(w) => w,
            Err(why) => {
                self.complain(script, &format!("llHTTPRequest: {why}"));
                return refused();
            }
        };
        let uri = match url.trim().parse::<Uri>() {
            Ok(u) if matches!(u.scheme_str(), Some("http" | "https")) && target(&u).is_some() => u,
            _ => {
                self.complain(script, "llHTTPRequest: the URL is no http or https URL");
                return refused();
            }
        };
        if !self.may_call(&uri) {
            // OpenSimulator says nothing at all; the line in its log is for its keeper.
            tracing::info!(%url, "a script may not call there: OutboundDisallow");
            return refused();
        }
        let linden = !self.settings.profile.is_opensim();
        if linden && body.len() > 32_768 {
            self.complain(script, "llHTTPRequest: the body is too long");
            return refused();
        }
        let now = self.clock.now();
        let (key, owner) = match (self.prim(prim), self.object_of(prim)) {
            (Some(p), Some(o)) => (p.key, o.owner),
            _ => return refused(),
        };
        // Second Life counts by object, OpenSimulator by prim.
        let counted =
            if linden { self.root_of(prim).and_then(|r| self.prim(r)).map_or(key, |p| p.key) } else { key };
        let cut_off = self.scripts.get(&script).is_some_and(|s| s.cut_off > now);
        if cut_off || self.calls_waiting.len() >= WAITING || !self.throttles.take(counted, owner, now) {
            if wanted.verbose && linden {
                self.complain(script, "Too many HTTP requests too fast.");
            }
            return Value::key(NULL_KEY);
        }
        let Wanted { method, mime, keep, headers: custom, agent, accept, no_cache, .. } = wanted;
        let mut headers = self.grid_headers(prim, &agent, accept.as_deref(), no_cache);
        let carries = !matches!(method, Method::GET | Method::HEAD);
        let body = if carries { Bytes::copy_from_slice(body.as_bytes()) } else { Bytes::new() };
        if carries && let Ok(v) = HeaderValue::from_str(&mime) {
            headers.push((http::header::CONTENT_TYPE, v));
        }
        headers.extend(custom);
        let sent = body.len();
        let call = Call { uri, method, headers, body, keep, text_only: linden && accept.is_none() };
        let id = fresh_key();
        let over = self.wake_in(self.limits.out_timeout, super::Wake::CallOver(id));
        let object = self.prim(prim).map_or(ObjectId(0), |p| p.object);
        let request =
            Request { script, object, call: Some(call), task: None, over, started: Instant::now(), sent };
        self.calls.insert(id, request);
        self.calls_waiting.push_back(id);
        self.pump_calls();
        Value::key(id.to_string())
    }

    /// Sends what waits, as far as there are places.
    fn pump_calls(&mut self) {
        while self.calls_running < self.limits.out_parallel {
            let Some(id) = self.calls_waiting.pop_front() else { return };
            let Some(request) = self.calls.get_mut(&id) else { continue };
            let Some(call) = request.call.take() else { continue };
            let inputs = self.outside.inputs.clone();
            let outbound = self.settings.outbound.clone();
            let stop = self.outside.stop.clone();
            let task = self.outside.tasks.spawn(async move {
                let reply = tokio::select! {
                    () = stop.cancelled() => return,
                    reply = client::send(call, &outbound) => reply,
                };
                // The region is gone: nobody waits for it.
                drop(inputs.send(Input::Reply(id, reply)).await);
            });
            request.task = Some(task.abort_handle());
            self.calls_running += 1;
            self.calls_started += 1;
        }
    }

    /// An answer came in from the network.
    pub(crate) fn call_answered(&mut self, id: Uuid, reply: Reply) {
        let Some(request) = self.calls.get_mut(&id) else { return };
        if request.task.take().is_some() {
            self.calls_running -= 1;
        }
        self.pump_calls();
        let lost = if self.knobs.lose_next_answers > 0 {
            self.knobs.lose_next_answers -= 1;
            true
        } else {
            self.knobs.lose_answers > 0.0 && self.random() < self.knobs.lose_answers
        };
        if lost {
            // The server has handled it; the script hears nothing until its time is out.
            return;
        }
        if self.knobs.out_delay.is_zero() {
            self.answered(id, reply);
        } else {
            self.wake_in(self.knobs.out_delay.as_secs_f64(), super::Wake::Answer(id, reply));
        }
    }

    /// The script gets its answer: every script in the prim does.
    pub(crate) fn answered(&mut self, id: Uuid, reply: Reply) {
        let Some(request) = self.calls.remove(&id) else { return };
        self.unwake(request.over);
        let now = self.clock.now();
        let linden = !self.settings.profile.is_opensim();
        if linden
            && reply.status >= 500
            && let Some(slot) = self.scripts.get_mut(&request.script)
        {
            slot.bad_answers.push_back(now);
            while slot.bad_answers.front().is_some_and(|t| now - t > micros(BAD_SECONDS)) {
                slot.bad_answers.pop_front();
            }
            if slot.bad_answers.len() >= BAD_ANSWERS {
                slot.bad_answers.clear();
                slot.cut_off = now + micros(BAD_SECONDS);
            }
        }
        self.tell(RegionEvent::Hop(Hop {
            object: request.object,
            way: Way::Out,
            status: reply.status,
            micros: u64::try_from(request.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            sent: request.sent,
            received: reply.bytes,
        }));
        let Some(prim) = self.scripts.get(&request.script).map(|s| s.prim) else { return };
        let key = Value::key(id.to_string());
        let body = Value::str(reply.body);
        for script in self.scripts_in(prim) {
            let args = vec![
                key.clone(),
                Value::Integer(i32::from(reply.status)),
                Value::list(Vec::new()),
                body.clone(),
            ];
            self.send(script, "http_response", args);
        }
    }

    /// A call has taken too long.
    pub(crate) fn call_over(&mut self, id: Uuid) {
        let Some(request) = self.calls.get_mut(&id) else { return };
        if let Some(task) = request.task.take() {
            task.abort();
            self.calls_running -= 1;
        }
        self.answered(id, Reply::none("Operation timed out"));
        self.pump_calls();
    }

    /// All calls are forgotten, as when the simulator ends.
    pub(crate) fn drop_calls(&mut self) {
        self.drop_calls_if(|_| true);
    }

    pub(crate) fn drop_calls_of(&mut self, script: ScriptId) {
        self.drop_calls_if(|r| r.script == script);
    }

    fn drop_calls_if(&mut self, which: impl Fn(&Request) -> bool) {
        let ids: Vec<Uuid> = self.calls.iter().filter(|(_, r)| which(r)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(request) = self.calls.remove(&id) else { continue };
            self.unwake(request.over);
            if let Some(task) = request.task {
                task.abort();
                self.calls_running -= 1;
            }
        }
        self.pump_calls();
    }

    /// Literal addresses and localhost are judged here, names when they are resolved.
    fn may_call(&self, uri: &Uri) -> bool {
        let Some((host, port)) = target(uri) else { return false };
        let ip = if host.eq_ignore_ascii_case("localhost") {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            match host.parse() {
                Ok(ip) => ip,
                Err(_) => return true,
            }
        };
        self.settings.outbound.allows(host, SocketAddr::new(ip, port))
    }

    fn wanted(&self, params: &[Value]) -> Result<Wanted, String> {
        let linden = !self.settings.profile.is_opensim();
        let mut w = Wanted {
            method: Method::GET,
            mime: "text/plain;charset=utf-8".to_owned(),
            keep: 2048,
            verbose: true,
            headers: Vec::new(),
            agent: String::new(),
            accept: None,
            no_cache: true,
        };
        let mut rest = params.iter();
        while let Some(flag) = rest.next() {
            let Value::Integer(flag) = flag else {
                return Err("a parameter flag has to be an integer".to_owned());
            };
            let most = if linden { 9 } else { 6 };
            if !(0..=most).contains(flag) {
                return Err(format!("there is no parameter flag {flag}; this grid has 0 to {most}"));
            }
            let mut next = || rest.next().ok_or_else(|| format!("the parameter {flag} has no value"));
            match flag {
                0 => {
                    let name = next()?.text(self.settings.profile);
                    w.method = match name.as_str() {
                        "GET" => Method::GET,
                        "POST" => Method::POST,
                        "PUT" => Method::PUT,
                        "DELETE" => Method::DELETE,
                        other => return Err(format!("there is no method {:?}", clip(other, 20))),
                    };
                }
                1 => w.mime = next()?.text(self.settings.profile).to_string(),
                2 => {
                    let Value::Integer(n) = next()? else {
                        return Err("HTTP_BODY_MAXLENGTH is an integer".to_owned());
                    };
                    // Beyond the limit Second Life refuses and OpenSimulator takes the limit.
                    w.keep = usize::try_from(*n).unwrap_or(0).clamp(1, 16_384);
                }
                3 | 9 => {
                    next()?;
                }
                4 => w.verbose = next()?.is_true(self.settings.profile),
                5 => {
                    let name = next()?.text(self.settings.profile);
                    let value = next()?.text(self.settings.profile);
                    if w.headers.len() >= CUSTOM_HEADERS {
                        return Err(format!("there are more than {CUSTOM_HEADERS} custom headers"));
                    }
                    if name.len() + value.len() > 253 {
                        return Err("a custom header has more than 253 bytes".to_owned());
                    }
                    let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value));
                    let (Ok(name), Ok(value)) = parsed else {
                        return Err("a custom header is malformed".to_owned());
                    };
                    if name.as_str().starts_with("x-secondlife")
                        || matches!(
                            name.as_str(),
                            "host" | "content-length" | "transfer-encoding" | "connection" | "content-type"
                        )
                    {
                        return Err(format!("the header {name} cannot be set by a script"));
                    }
                    w.headers.push((name, value));
                }
                6 => w.no_cache = next()?.is_true(self.settings.profile),
                7 => w.agent = next()?.text(self.settings.profile).to_string(),
                _ => w.accept = Some(next()?.text(self.settings.profile).to_string()),
            }
        }
        Ok(w)
    }

    /// The headers that grids add: hints about who calls, which anybody can forge.
    fn grid_headers(
        &self,
        prim: crate::ids::PrimId,
        agent: &str,
        accept: Option<&str>,
        no_cache: bool,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let opensim = self.settings.profile.is_opensim();
        let (at, turned) = self.place_of(prim);
        let (name, key) =
            self.prim(prim).map_or_else(Default::default, |p| (p.name.to_string(), p.key.to_string()));
        let owner = self.object_of(prim).map_or_else(Uuid::nil, |o| o.owner);
        let owner_name = self.name_of(owner).unwrap_or_else(|| "(Loading...)".to_owned());
        let agent = if opensim {
            "OpenSim LSL (Mozilla Compatible); simulated by primrack-region".to_owned()
        } else {
            let extra = if agent.is_empty() { String::new() } else { format!(" {agent}") };
            format!("Second-Life-LSL/2026 (https://secondlife.com); simulated by primrack-region{extra}")
        };
        let shard = if opensim { "OpenSim" } else { "Production" };
        let vector = |v: [f64; 3]| format!("({:.6}, {:.6}, {:.6})", v[0], v[1], v[2]);
        let rotation = format!("({:.6}, {:.6}, {:.6}, {:.6})", turned[0], turned[1], turned[2], turned[3]);
        let all = [
            ("user-agent", agent),
            (
                "accept",
                accept
                    .unwrap_or("text/*, application/xhtml+xml, application/json, application/xml")
                    .to_owned(),
            ),
            ("accept-charset", "utf-8;q=1.0, *;q=0.5".to_owned()),
            ("x-secondlife-shard", shard.to_owned()),
            ("x-secondlife-object-name", name),
            ("x-secondlife-object-key", key),
            ("x-secondlife-region", format!("{} (256000, 256000)", self.name())),
            ("x-secondlife-local-position", vector(at)),
            ("x-secondlife-local-rotation", rotation),
            ("x-secondlife-local-velocity", vector([0.0; 3])),
            ("x-secondlife-owner-name", owner_name),
            ("x-secondlife-owner-key", owner.to_string()),
        ];
        let mut headers: Vec<(HeaderName, HeaderValue)> = all
            .into_iter()
            .filter_map(|(n, v)| {
                // Names with line breaks or the like cannot stand in a header.
                let v: String = v.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                Some((HeaderName::from_static(n), HeaderValue::from_bytes(v.as_bytes()).ok()?))
            })
            .collect();
        if no_cache {
            headers.push((http::header::PRAGMA, HeaderValue::from_static("no-cache")));
        }
        if opensim {
            headers.push((http::header::CONNECTION, HeaderValue::from_static("close")));
        }
        headers
    }

    /// Trouble that does not stop the script goes to the debug channel.
    pub(crate) fn complain(&mut self, script: ScriptId, what: &str) {
        let Some(slot) = self.scripts.get(&script) else { return };
        let text = format!("[script:{}] {what}", slot.name);
        let from = self.speaker(slot.prim);
        self.tell(RegionEvent::Chat(Chat {
            voice: Voice::Debug,
            from: from.key,
            name: from.name.clone(),
            to: None,
            text: text.clone(),
            position: from.position,
        }));
        self.say(&from, i32::MAX, &text, Voice::Debug, super::Reach::Metres(100.0));
    }
}

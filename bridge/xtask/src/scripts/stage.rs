//! A stage for one script: a linkset, a notecard, a grid that hands out URLs and takes calls, and a clock that only
//! moves when told to. The bridge's side is played with the bridge's own wire code.

use primrack_lsl::host::{Host, HostReturn};
use primrack_lsl::library::LinksetData;
use primrack_lsl::tables::Function;
use primrack_lsl::vm::{Detected, ScriptId};
use primrack_lsl::{Event, Outcome, Profile, RuntimeError, Script, Value};
use primrack_wire::world::{Dir, Form, Nonce, NonceField, Sealing, Secret, Seq, Unverified, UpBody, seal};
use std::collections::BTreeMap;

pub(super) const SECRET: &str = "3f1c9a7be2d04658a1c7f09e5b2d6c8e3f1c9a7be2d04658a1c7f09e5b2d6c8e";
pub(super) const NOW: i64 = 1_795_360_000;
pub(super) const ADA: &str = "aaaaaaaa-0000-4000-8000-00000000ada1";
pub(super) const URL: &str = "http://sim.example:9000/lslhttp/6f1d/";

/// The notecard that fits the frozen examples.
pub(super) fn card() -> String {
    format!("# a rack\nid = rack-1\nkey = a.{SECRET}\nbridge = http://bridge.example:8480/world/1\n")
}

/// What the script sees and did.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) now: i64,
    pub(super) notecard: String,
    /// Names of the prims, the root first.
    pub(super) prims: Vec<String>,
    /// Hover text by link number.
    pub(super) text: BTreeMap<i32, String>,
    /// How often prims were set.
    pub(super) draws: usize,
    pub(super) owner: Vec<String>,
    pub(super) said: Vec<(String, String)>,
    /// Who, words, buttons (none for a text box), channel.
    pub(super) dialogs: Vec<(String, String, Vec<String>, i32)>,
    /// Channel and avatar by handle.
    pub(super) listens: BTreeMap<i32, (i32, String)>,
    /// Calls to the bridge: request and body.
    pub(super) calls: Vec<(String, String)>,
    pub(super) throttled: bool,
    /// The grid's filter refuses the bridge's address.
    pub(super) filtered: bool,
    pub(super) url_requests: Vec<String>,
    pub(super) released: Vec<String>,
    /// Status and body by request.
    pub(super) responses: BTreeMap<String, (i32, String)>,
    notecard_requests: Vec<(String, usize)>,
    timer: f64,
    dice: u64,
    count: u64,
    data: LinksetData,
}

impl World {
    fn key(&mut self) -> String {
        self.count += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.count)
    }
}

fn text(v: &Value) -> String {
    match v {
        Value::Str(t) | Value::Key(t) => t.as_str().to_owned(),
        other => panic!("{other:?} is no text"),
    }
}

fn int(v: &Value) -> i32 {
    match v {
        Value::Integer(n) => *n,
        other => panic!("{other:?} is no integer"),
    }
}

fn items(v: &Value) -> &[Value] {
    match v {
        Value::List(l) => l,
        other => panic!("{other:?} is no list"),
    }
}

impl Host for World {
    fn call(&mut self, function: &'static Function, args: &[Value]) -> Result<HostReturn, RuntimeError> {
        Ok(match function.name {
            "llOwnerSay" => {
                self.owner.push(text(&args[0]));
                HostReturn::void()
            }
            "llRegionSayTo" => {
                assert_eq!(int(&args[1]), 0, "words for people go to the public channel");
                self.said.push((text(&args[0]), text(&args[2])));
                HostReturn::void()
            }
            "llSetTimerEvent" => {
                let Value::Float(seconds) = &args[0] else { panic!("no float") };
                self.timer = *seconds;
                HostReturn::void()
            }
            "llGetObjectPrimCount" | "llGetNumberOfPrims" => {
                Value::Integer(i32::try_from(self.prims.len()).unwrap()).into()
            }
            "llGetLinkName" => {
                Value::str(self.prims[usize::try_from(int(&args[0])).unwrap() - 1].as_str()).into()
            }
            "llGetObjectName" => Value::str(self.prims[0].as_str()).into(),
            "llGetLinkNumber" => Value::Integer(1).into(),
            "llGetKey" => Value::key("7b0c5d5e-9c0b-4c3a-8a5e-0d6f2f0f9a11").into(),
            "llGetOwner" => Value::key("11111111-2222-3333-4444-555555555555").into(),
            "llGetRegionName" => Value::str("Prim \"rack\"").into(),
            "llGetInventoryType" => Value::Integer(7).into(),
            "llGetNotecardLine" => {
                let key = self.key();
                self.notecard_requests.push((key.clone(), usize::try_from(int(&args[1])).unwrap()));
                Value::key(key.as_str()).into()
            }
            "llRequestURL" => {
                let key = self.key();
                self.url_requests.push(key.clone());
                Value::key(key.as_str()).into()
            }
            "llReleaseURL" => {
                self.released.push(text(&args[0]));
                HostReturn::void()
            }
            "llHTTPRequest" if self.filtered => Value::key("").into(),
            "llHTTPRequest" if self.throttled => Value::key(primrack_lsl::value::NULL_KEY).into(),
            "llHTTPRequest" => {
                assert_eq!(text(&args[0]), "http://bridge.example:8480/world/1");
                let key = self.key();
                self.calls.push((key.clone(), text(&args[2])));
                Value::key(key.as_str()).into()
            }
            "llHTTPResponse" => {
                let answered = (int(&args[1]), text(&args[2]));
                assert!(answered.1.len() <= 2048);
                assert!(
                    self.responses.insert(text(&args[0]), answered).is_none(),
                    "a request is answered once"
                );
                HostReturn::void()
            }
            "llListen" => {
                self.count += 1;
                let handle = i32::try_from(self.count).unwrap();
                self.listens.insert(handle, (int(&args[0]), text(&args[2])));
                Value::Integer(handle).into()
            }
            "llListenRemove" => {
                assert!(self.listens.remove(&int(&args[0])).is_some(), "only what listens is removed");
                HostReturn::void()
            }
            "llDialog" => {
                let buttons: Vec<String> = items(&args[2]).iter().map(text).collect();
                assert!(
                    buttons.len() <= 12 && buttons.iter().all(|b| (1..=24).contains(&b.len())),
                    "{buttons:?}"
                );
                self.dialogs.push((text(&args[0]), text(&args[1]), buttons, int(&args[3])));
                HostReturn::void()
            }
            "llTextBox" => {
                self.dialogs.push((text(&args[0]), text(&args[1]), Vec::new(), int(&args[2])));
                HostReturn::void()
            }
            "llGetLinkPrimitiveParams" => self.primitive(int(&args[0]), int(&items(&args[1])[0])).into(),
            "llSetLinkPrimitiveParamsFast" => {
                self.set(int(&args[0]), items(&args[1]));
                HostReturn::void()
            }
            other => return Err(RuntimeError::unsupported(other)),
        })
    }

    fn unix_time(&mut self) -> f64 {
        self.now as f64
    }

    fn random(&mut self) -> f64 {
        // A fixed walk: every run is the same.
        self.dice = (self.dice + 7) % 16;
        self.dice as f64 / 16.0
    }

    fn linkset_data(&mut self) -> &mut LinksetData {
        &mut self.data
    }

    fn linkset_data_changed(&mut self, _action: i32, _name: &str, _value: &str) {}
}

impl World {
    fn link(link: i32) -> i32 {
        if link == -4 { 1 } else { link }
    }

    fn primitive(&self, link: i32, what: i32) -> Value {
        match what {
            26 => {
                let words = self.text.get(&Self::link(link)).map(String::as_str).unwrap_or_default();
                Value::list(vec![Value::str(words), Value::Vector([1.0; 3]), Value::Float(1.0)])
            }
            9 => Value::list(vec![Value::Integer(0)]),
            other => panic!("the parameter {other} is not played"),
        }
    }

    fn set(&mut self, link: i32, rules: &[Value]) {
        let mut link = Self::link(link);
        let mut at = 0;
        while at < rules.len() {
            let (rule, rest) = (int(&rules[at]), &rules[at + 1..]);
            let used = match rule {
                34 => {
                    link = Self::link(int(&rest[0]));
                    assert!((1..=self.prims.len()).contains(&usize::try_from(link).unwrap()), "link {link}");
                    1
                }
                26 => {
                    let words = text(&rest[0]);
                    assert!(words.len() <= 254, "hover text of {} bytes", words.len());
                    assert!(matches!((&rest[1], &rest[2]), (Value::Vector(_), Value::Float(_))));
                    self.text.insert(link, words);
                    self.draws += 1;
                    3
                }
                18 => {
                    assert!(matches!((&rest[1], &rest[2]), (Value::Vector(_), Value::Float(_))));
                    3
                }
                20 => {
                    int(&rest[1]);
                    2
                }
                25 => {
                    assert!(matches!(rest[1], Value::Float(_)));
                    2
                }
                23 => {
                    use Value::{Float, Integer, Vector};
                    assert!(matches!(&rest[..5], [Integer(_), Vector(_), Float(_), Float(_), Float(_)]));
                    5
                }
                32 => {
                    assert!(matches!(&rest[..3], [Value::Vector(_), Value::Float(_), Value::Float(_)]));
                    3
                }
                9 => {
                    use Value::{Float, Integer, Vector};
                    assert!(matches!(
                        &rest[..7],
                        [Integer(0), Integer(0), Vector(_), Float(_), Vector(_), Vector(_), Vector(_)]
                    ));
                    7
                }
                other => panic!("the rule {other} is not played"),
            };
            at += 1 + used;
        }
    }
}

/// The script on its stage.
pub(super) struct Stage {
    pub(super) profile: Profile,
    pub(super) script: Script,
    pub(super) world: World,
    pub(super) nonce: Nonce,
    slept: f64,
}

impl Stage {
    /// The script with its notecard, before it ran at all.
    pub(super) fn new(source: &str, profile: Profile, notecard: &str, prims: &[&str]) -> Self {
        let program = primrack_lsl::check(source, profile).unwrap();
        let world = World {
            now: NOW,
            notecard: notecard.to_owned(),
            prims: prims.iter().map(|&p| p.to_owned()).collect(),
            ..World::default()
        };
        let nonce = Nonce { boot: 3, random: 0x00c0_ffee_00c0_ffee };
        Self { profile, script: Script::new(program, ScriptId(1)), world, nonce, slept: 0.0 }
    }

    /// Runs until nothing is left to do, notecard lines included.
    pub(super) fn run(&mut self) {
        loop {
            match self.script.run_slice(&mut self.world, 50_000_000) {
                Outcome::Idle => {}
                Outcome::Preempted => panic!("a handler does not come to its end"),
                Outcome::Sleeping(seconds) => {
                    self.slept += seconds;
                    continue;
                }
                Outcome::Stopped(error) => panic!("{}: {error}", self.profile),
            }
            let Some((key, line)) = self.world.notecard_requests.pop() else { break };
            let data = self.world.notecard.lines().nth(line).unwrap_or("\n\n\n").to_owned();
            self.post("dataserver", vec![Value::key(key.as_str()), Value::str(data.as_str())]);
        }
        for words in &self.world.owner {
            assert!(!words.contains(SECRET) && !words.contains(&SECRET[..16]), "the key is told: {words}");
        }
    }

    fn post(&mut self, name: &str, args: Vec<Value>) {
        self.script.post(Event::new(name, args).unwrap());
    }

    pub(super) fn event(&mut self, name: &str, args: Vec<Value>) {
        self.post(name, args);
        self.run();
    }

    /// A second passes, `n` times; whether the timer would fire then or not, it does.
    pub(super) fn tick(&mut self, n: u32) {
        for _ in 0..n {
            self.world.now += 1;
            assert!(self.world.timer > 0.0, "the timer stands");
            self.event("timer", Vec::new());
        }
    }

    /// Seconds pass until the script calls the bridge.
    pub(super) fn wait_for_call(&mut self, most: u32) {
        for _ in 0..most {
            if !self.world.calls.is_empty() {
                return;
            }
            self.tick(1);
        }
        assert!(!self.world.calls.is_empty(), "no call within {most} s");
    }

    /// The grid grants the URL that was asked for.
    pub(super) fn grant(&mut self, url: &str) {
        assert_eq!(self.world.url_requests.len(), 1, "one URL is asked for at a time");
        let request = self.world.url_requests.remove(0);
        self.event(
            "http_request",
            vec![Value::key(request.as_str()), Value::str("URL_REQUEST_GRANTED"), Value::str(url)],
        );
    }

    pub(super) fn touch(&mut self, who: &str, name: &str, link: i32) {
        let detected = Detected { key: who.into(), name: name.into(), link, ..Detected::default() };
        self.script.post(Event::with_detected("touch_start", vec![detected]).unwrap());
        self.run();
    }

    pub(super) fn hear(&mut self, channel: i32, who: &str, words: &str) {
        self.event(
            "listen",
            vec![Value::Integer(channel), Value::str("Ada Lovelace"), Value::key(who), Value::str(words)],
        );
    }

    pub(super) fn form(&self) -> Form {
        match self.profile {
            Profile::SecondLife => Form::from_token("b64"),
            Profile::OpenSimMaster => Form::from_token("hex"),
            Profile::OpenSim092 | Profile::OpenSim093 => Form::from_token("nest"),
        }
        .unwrap()
    }

    pub(super) fn sealed(&self, dir: Dir, seq: u32, time: i64, body: &str) -> String {
        let secret = Secret::new(SECRET).unwrap();
        let what = Sealing {
            dir,
            object: "rack-1",
            key_id: "a",
            secret: &secret,
            form: self.form(),
            nonce: NonceField::Boot(self.nonce),
            seq: Seq(seq),
            time,
        };
        String::from_utf8(seal(&what, body)).unwrap()
    }

    /// The one call that is out: its request, nonce and number, and its body as the bridge reads it.
    pub(super) fn call(&mut self) -> (String, NonceField, u32, UpBody) {
        assert_eq!(self.world.calls.len(), 1, "one call is out at a time");
        let (request, message) = self.world.calls.remove(0);
        let secret = Secret::new(SECRET).unwrap();
        let up = Unverified::parse(message.as_bytes()).unwrap().verify(&secret).unwrap();
        let (nonce, seq) = (up.header().nonce, up.header().seq);
        assert_eq!(up.header().form, self.form());
        let body = UpBody::parse(up.answers(Dir::Up, seq).unwrap()).unwrap();
        (request, nonce, seq.0, body)
    }

    pub(super) fn answer(&mut self, request: &str, seq: u32, body: &str) {
        let message = self.sealed(Dir::Answer, seq, self.world.now, body);
        self.raw_answer(request, 200, &message);
    }

    pub(super) fn raw_answer(&mut self, request: &str, status: i32, message: &str) {
        self.event(
            "http_response",
            vec![Value::key(request), Value::Integer(status), Value::list(Vec::new()), Value::str(message)],
        );
    }

    /// Posts to the script's URL and gives what it answers.
    pub(super) fn post_to_url(&mut self, message: &str) -> (i32, String) {
        let request = self.world.key();
        self.event(
            "http_request",
            vec![Value::key(request.as_str()), Value::str("POST"), Value::str(message)],
        );
        self.world.responses.remove(&request).expect("an answer")
    }

    /// A push, and the body of its ack.
    pub(super) fn push(&mut self, seq: u32, body: &str) -> String {
        let message = self.sealed(Dir::Push, seq, self.world.now, body);
        let (status, answered) = self.post_to_url(&message);
        assert_eq!(status, 200, "{answered}");
        let secret = Secret::new(SECRET).unwrap();
        let ack = Unverified::parse(answered.as_bytes()).unwrap().verify(&secret).unwrap();
        String::from_utf8(ack.answers(Dir::Ack, Seq(seq)).unwrap().to_vec()).unwrap()
    }

    /// From the start to being registered, by way of the nonce.
    pub(super) fn register(&mut self) {
        self.run();
        self.tick(4);
        self.grant(URL);
        let (request, nonce, seq, _) = self.call();
        assert_eq!(nonce, NonceField::None);
        self.answer(&request, seq, r#"{"refused":"nonce","say":"","last":0}"#);
        let (request, nonce, seq, body) = self.call();
        assert_eq!((nonce, seq), (NonceField::Boot(self.nonce), 1));
        assert!(matches!(body, UpBody::Register(_)));
        self.answer(&request, seq, r#"{"ok":"registered","renew":600}"#);
        assert!(self.world.calls.is_empty());
    }
}

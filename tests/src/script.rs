//! The bare protocol from a script's side, with every part of a message in the test's hands.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::Method;
use primrack_app::rack::{Avatar, uuid_of};
use primrack_model::UnixMs;
use primrack_wire::world::{
    Answer, AnswerEntry, AnswerVerdict, Dir, Event, EventId, EventKind, Events, Fault, Form, NonceField,
    Register, Sealing, Secret, Seq, Unverified, UpBody, seal,
};
use smol_str::SmolStr;
use tokio::net::TcpStream;

use crate::{SECRET, http};

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The bytes.
    pub body: Bytes,
}

impl Reply {
    /// The bytes as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Somebody who speaks as an object. The fields are what the next message says.
#[derive(Debug, Clone)]
pub struct Script {
    /// The bridge.
    pub bridge: SocketAddr,
    /// As which object.
    pub object: String,
    /// With a key of this id.
    pub key_id: String,
    /// And this secret.
    pub secret: Secret,
    /// In this form.
    pub form: Form,
    /// As which prim; the same as a rack's of that object.
    pub holder: SmolStr,
    /// Of which owner; the same as a rack's.
    pub owner: SmolStr,
    /// Where.
    pub region: SmolStr,
    /// Where pushes shall go.
    pub url: SmolStr,
    /// The boot it knows.
    pub nonce: NonceField,
    /// The last number used.
    pub seq: u32,
    /// How wrong its clock is, in seconds.
    pub clock: i64,
}

impl Script {
    /// One with key `a`, who has not met the bridge yet.
    #[must_use]
    pub fn new(bridge: SocketAddr, object: &str) -> Self {
        Self {
            bridge,
            object: object.to_owned(),
            key_id: "a".to_owned(),
            secret: Secret::new(SECRET).unwrap(),
            form: Form::Hex,
            holder: uuid_of(&format!("holder {object}")).into(),
            owner: uuid_of("owner").into(),
            region: "terminal (simulated)".into(),
            url: "http://127.0.0.1:9/cap".into(),
            nonce: NonceField::None,
            seq: 0,
            clock: 0,
        }
    }

    /// A message with these words as its body, in every other way as the fields say.
    #[must_use]
    pub fn sealed(&self, body: &str) -> Vec<u8> {
        let sealing = Sealing {
            dir: Dir::Up,
            object: &self.object,
            key_id: &self.key_id,
            secret: &self.secret,
            form: self.form,
            nonce: self.nonce,
            seq: Seq(self.seq),
            time: UnixMs::now().seconds() + self.clock,
        };
        seal(&sealing, body)
    }
    /// The next message, numbered one above the last.
    pub fn next(&mut self, body: &UpBody) -> Vec<u8> {
        self.seq += 1;
        self.sealed(&serde_json::to_string(body).unwrap())
    }
    /// Posts any bytes.
    pub async fn post(&self, message: Vec<u8>) -> Reply {
        let (status, body) = http::post(self.bridge, message).await;
        Reply { status, body }
    }

    /// Reads a signed answer to the message numbered `seq`, and takes the bridge's nonce from it.
    ///
    /// # Panics
    /// When it is no answer that holds.
    pub fn believe(&mut self, reply: &Reply, seq: u32) -> Answer {
        let unverified =
            Unverified::parse(&reply.body).unwrap_or_else(|_| panic!("{}: {}", reply.status, reply.text()));
        let header = unverified.header;
        assert!(
            reply.status == 200 && header.object == self.object && header.key_id == self.key_id,
            "{}",
            reply.text()
        );
        assert!(reply.body.len() <= 2048, "an answer of {} bytes", reply.body.len());
        let body = unverified.verify(&self.secret).unwrap().answers(Dir::Answer, Seq(seq)).unwrap();
        self.nonce = header.nonce;
        serde_json::from_slice(body).unwrap()
    }

    /// Sends a body as a script does: takes the nonce and goes on above the last number, then sends again.
    ///
    /// # Panics
    /// When no believable answer comes.
    pub async fn up(&mut self, body: &UpBody) -> Answer {
        for _ in 0..6 {
            let message = self.next(body);
            let reply = self.post(message).await;
            match self.believe(&reply, self.seq) {
                Answer::Refused(refused)
                    if [Fault::Nonce, Fault::Replayed, Fault::Reordered]
                        .iter()
                        .any(|fault| refused.refused == fault.token()) =>
                {
                    self.seq = refused.last.unwrap_or(0);
                }
                answer => return answer,
            }
        }
        panic!("the bridge and the script never came to terms");
    }

    /// The body of a registration.
    #[must_use]
    pub fn registration(&self) -> UpBody {
        UpBody::Register(Register {
            url: self.url.clone(),
            holder: self.holder.clone(),
            owner: self.owner.clone(),
            region: self.region.clone(),
            grid: "tests (simulated)".into(),
            script: "tests".into(),
            units: primrack_wire::world::UnitRanges::default(),
        })
    }
    /// Registers.
    ///
    /// # Panics
    /// As [`Self::up`].
    pub async fn register(&mut self) -> Answer {
        let body = self.registration();
        self.up(&body).await
    }

    /// The body of one event.
    ///
    /// # Panics
    /// When the id is none.
    #[must_use]
    pub fn events(&self, list: impl IntoIterator<Item = (String, EventKind)>) -> UpBody {
        let list = list
            .into_iter()
            .map(|(id, kind)| Event { id: EventId::try_from(SmolStr::new(id)).unwrap(), kind })
            .collect();
        UpBody::Events(Events { holder: self.holder.clone(), list })
    }
    /// Tells of one event until it is answered.
    ///
    /// # Panics
    /// When the bridge refuses the whole message.
    pub async fn event(&mut self, id: &str, kind: EventKind) -> AnswerEntry {
        let body = self.events([(id.to_owned(), kind)]);
        match self.up(&body).await {
            Answer::Entries { mut list } if list.len() == 1 => list.remove(0),
            other => panic!("{other:?}"),
        }
    }
    /// Somebody touches a unit.
    ///
    /// # Panics
    /// As [`Self::event`].
    pub async fn touch(&mut self, id: &str, unit: u8, who: &Avatar) -> AnswerEntry {
        let Avatar { id: person, name } = who.clone();
        self.event(id, EventKind::Touch { unit, who: person, name }).await
    }
    /// The same, in one message that is not sent again: nothing when the bridge goes away meanwhile. It has
    /// to have met the bridge before.
    ///
    /// # Panics
    /// When the answer is none that holds, or refuses the whole message.
    pub async fn touch_once(&mut self, id: &str, unit: u8, who: &Avatar) -> Option<AnswerEntry> {
        let Avatar { id: person, name } = who.clone();
        let body = self.events([(id.to_owned(), EventKind::Touch { unit, who: person, name })]);
        let message = self.next(&body);
        let stream = TcpStream::connect(self.bridge).await.ok()?;
        let (status, body) = http::try_exchange(stream, Method::POST, "/world/1", message).await.ok()?;
        let seq = self.seq;
        match self.believe(&Reply { status, body }, seq) {
            Answer::Entries { mut list } if list.len() == 1 => Some(list.remove(0)),
            other => panic!("{other:?}"),
        }
    }
    /// Somebody chooses from a menu.
    ///
    /// # Panics
    /// As [`Self::event`].
    pub async fn choose(&mut self, id: &str, menu: &str, who: &Avatar, pick: &str) -> AnswerEntry {
        let Avatar { id: person, name } = who.clone();
        self.event(id, EventKind::Choose { menu: menu.into(), who: person, name, pick: pick.into() }).await
    }
}

/// The menu that an entry offers: its name and buttons.
///
/// # Panics
/// When it offers none.
#[must_use]
pub fn menu(entry: &AnswerEntry) -> (String, Vec<String>) {
    match &entry.verdict {
        AnswerVerdict::Menu { menu, pick, .. } => {
            (menu.to_string(), pick.iter().map(ToString::to_string).collect())
        }
        other => panic!("no menu: {other:?}"),
    }
}

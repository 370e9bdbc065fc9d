//! The door for messages from regions: one path, one method.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use primrack_model::UnixMs;
use primrack_wire::world::{
    Answer, Dir, Fault, Form, KeyId, MESSAGE_LIMIT, NonceField, Refused, Sealing, Secret, Seq, Unverified,
    UpBody, seal,
};
use smol_str::SmolStr;

use crate::world::World;

/// Where regions post their messages.
pub const WORLD_PATH: &str = "/world/1";

/// How long a message may take to come in whole. It counts as in hand only from then on, so that somebody who
/// sends slowly takes nobody's place.
const WHOLE: Duration = Duration::from_secs(10);

/// What a message is answered: a status and plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The status of HTTP.
    pub status: StatusCode,
    /// The body.
    pub body: Vec<u8>,
}

/// A message let in, or refused to somebody who proved to hold the key.
struct Admitted {
    seq: Seq,
    form: Form,
    key: KeyId,
    secret: Secret,
    outcome: Result<UpBody, (Fault, u32)>,
}

impl World {
    /// The routes of this edge: `POST /world/1`.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new().route(WORLD_PATH, post(take)).with_state(Arc::clone(self))
    }

    /// Whether more messages are in hand than can be answered in time: further ones are to be turned away
    /// with [`Self::turn_away`], before this edge sees them.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.hands.are_full()
    }

    /// What a message is told that is turned away unread. Counts it; the audit hears of it once a second at
    /// most.
    #[must_use]
    pub fn turn_away(&self) -> Told {
        self.counters.turned_away.inc();
        let now = UnixMs::now().seconds();
        if self.busy_noted.swap(now, Relaxed) != now
            && let Some(audit) = self.audit.get()
        {
            audit.note(Fault::Busy.token(), "", Fault::Busy.words());
        }
        Told { status: status(Fault::Busy), body: plain_words(Fault::Busy).into_bytes() }
    }

    /// Answers a message that has come in whole. May be dropped: what it has set going goes on.
    pub async fn message(self: &Arc<Self>, message: &[u8]) -> Told {
        let started = Instant::now();
        let _in_hand = self.hands.take(started);
        let told = self.answer(message).await;
        self.counters.answer_seconds.observe(started.elapsed().as_secs_f64());
        told
    }

    /// Everything that is decided before the body means something. Never awaits.
    fn admit(&self, message: &[u8]) -> Result<(usize, Admitted), Fault> {
        let unverified = Unverified::parse(message)?;
        let header = unverified.header;
        // One of our own, sent back: its MAC would hold, and a signed word about it could be passed on.
        if header.dir != Dir::Up {
            return Err(Fault::Malformed);
        }
        let now = UnixMs::now();
        let at = self.inventory().find_object(header.object).ok_or(Fault::UnknownObject)? as usize;
        if !self.keys().knows(header.object) {
            return Err(Fault::UnknownObject);
        }
        let keys = self.keys();
        let key = keys.find(header.object, header.key_id, now).ok_or(Fault::UnknownKey)?;
        let signed = unverified.verify(&key.secret)?;
        let settings = self.settings.load();
        let mut station = self.station(at);
        let body = signed.admit(now.seconds(), self.nonce, &mut station.window);
        let allowed = station.allow(now, settings.requests_per_s, settings.request_burst);
        let last = station.window.last();
        if body.is_ok()
            && let Some(line) = &mut station.line
        {
            line.heard = now;
        }
        drop(station);
        let body = if allowed { body } else { Err(Fault::TooMany) };
        let outcome = body.and_then(UpBody::parse).map_err(|fault| (fault, last));
        let admitted = Admitted {
            seq: header.seq,
            form: header.form,
            key: key.id.clone(),
            secret: key.secret.clone(),
            outcome,
        };
        Ok((at, admitted))
    }

    async fn answer(self: &Arc<Self>, message: &[u8]) -> Told {
        let (at, admitted) = match self.admit(message) {
            Ok(admitted) => admitted,
            Err(fault) => return self.plain(fault, message),
        };
        let Admitted { seq, form, key, secret, outcome } = admitted;
        let answer = match outcome {
            Ok(UpBody::Register(asked)) => self.register(at, asked, key.clone(), form).await,
            Ok(UpBody::Events(batch)) => match self.events(at, batch).await {
                Ok(answer) => answer,
                Err(fault) => self.signed_refusal(at, fault, None),
            },
            Err((fault, last)) => self.signed_refusal(at, fault, Some(last)),
        };
        let body = serde_json::to_string(&answer).unwrap_or_else(|_| "{}".to_owned());
        let inventory = self.inventory();
        let sealing = Sealing {
            dir: Dir::Answer,
            object: inventory.objects()[at].id.as_str(),
            key_id: key.as_str(),
            secret: &secret,
            form,
            nonce: NonceField::Boot(self.nonce),
            seq,
            time: UnixMs::now().seconds(),
        };
        Told { status: StatusCode::OK, body: seal(&sealing, &body) }
    }

    fn signed_refusal(&self, at: usize, fault: Fault, last: Option<u32>) -> Answer {
        self.count(fault, self.inventory().objects()[at].id.as_str());
        Answer::Refused(Refused {
            refused: SmolStr::new_static(fault.token()),
            say: fault.words().to_owned(),
            last,
            again: None,
        })
    }

    /// To somebody who proved nothing: the reason, and nothing else.
    fn plain(&self, fault: Fault, message: &[u8]) -> Told {
        let claimed = Unverified::parse(message).map_or("", |it| it.header.object);
        self.count(fault, claimed);
        Told { status: status(fault), body: plain_words(fault).into_bytes() }
    }

    fn count(&self, fault: Fault, subject: &str) {
        self.counters.fault(fault);
        // A first contact is no attack: every script begins with it.
        if fault != Fault::Nonce
            && let Some(audit) = self.audit.get()
        {
            audit.note(fault.token(), subject, fault.words());
        }
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.body).into_response()
    }
}

fn status(fault: Fault) -> StatusCode {
    StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST)
}

fn plain_words(fault: Fault) -> String {
    format!("primrack/1 refused {} {}", fault.token(), fault.words())
}

async fn take(State(world): State<Arc<World>>, request: Request<Body>) -> Told {
    let limited = Limited::new(request.into_body(), MESSAGE_LIMIT);
    let message = match tokio::time::timeout(WHOLE, limited.collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return world.plain(Fault::TooLong, b""),
        // The sender went away in the middle, or never came to an end: nobody hears an answer.
        Ok(Err(_)) | Err(_) => return world.plain(Fault::Malformed, b""),
    };
    world.message(&message).await
}

//! One message up and its answer: the nonce dance, the clock, the numbers.
//!
//! ```text
//! seal ─▶ post ─▶ answer holds? ─ no ─▶ as if nothing had come
//!   ▲               │ yes
//!   └─ nonce, replayed, reordered, skew: adopt and send again
//! ```

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use primrack_wire::world::{
    Answer, Dir, Fault, NonceField, Refused, Sealing, Seq, Unverified, UpBody, WIRE_LIMIT, seal,
};
use smol_str::SmolStr;

use super::core::{Core, count};
use super::settings::RackKey;

/// Refusals that are mended by adopting something, in a row: skew, nonce, replayed, and once more each.
const MENDS: usize = 6;

/// Why a rack did not get what it wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RackError {
    /// It cannot be set up.
    #[error("{0}")]
    Setup(String),
    /// No answer came.
    #[error("the bridge at {bridge} does not answer: {why}")]
    Unreachable {
        /// Where it should be.
        bridge: String,
        /// Why.
        why: String,
    },
    /// Something answered that did not prove to be the bridge.
    #[error("refused without signature, status {status}: {words}")]
    Unproved {
        /// The HTTP status.
        status: u16,
        /// What it said, cut.
        words: String,
    },
    /// The bridge said no, signed.
    #[error("refused ({reason}): {say}")]
    Refused {
        /// The reason's token.
        reason: SmolStr,
        /// In words.
        say: String,
        /// Ask again in so many seconds.
        again: Option<u32>,
    },
    /// The answer was thrown away on purpose.
    #[error("the answer got lost (simulated)")]
    Lost,
    /// The rack was taken away.
    #[error("the rack was taken away")]
    Stopped,
}

impl Core {
    /// Sends one body up until it is answered for good. One at a time: the outbox sees to that.
    pub(super) async fn up(&self, body: &UpBody) -> Result<Answer, RackError> {
        let body = serde_json::to_string(body).map_err(|error| RackError::Setup(error.to_string()))?;
        let mut last = None;
        for _ in 0..MENDS {
            let answer = self.once(&body).await?;
            match answer {
                Answer::Refused(refused) if is_mended(&refused) => last = Some(refused),
                Answer::Refused(Refused { refused, say, last: _, again })
                    if refused != Fault::NotRegistered.token() =>
                {
                    return Err(RackError::Refused { reason: refused, say, again });
                }
                answer => return Ok(answer),
            }
        }
        let (reason, say) = last.map(|refused| (refused.refused, refused.say)).unwrap_or_default();
        Err(RackError::Refused { reason, say, again: None })
    }

    async fn once(&self, body: &str) -> Result<Answer, RackError> {
        let key = Arc::clone(&self.key.lock());
        let (message, seq) = self.sealed(&key, body);
        count(&self.counts.sent);
        let (status, bytes) = match self.post(message).await {
            Ok(answered) => answered,
            Err(why) => {
                count(&self.counts.unanswered);
                return Err(RackError::Unreachable { bridge: self.settings.bridge_url.clone(), why });
            }
        };
        let lost = {
            let mut faults = self.faults.lock();
            let lost = faults.lose_answers > 0;
            faults.lose_answers = faults.lose_answers.saturating_sub(1);
            lost
        };
        if lost {
            count(&self.counts.unanswered);
            return Err(RackError::Lost);
        }
        let Some(answer) = self.believe(&key, seq, &bytes) else {
            count(&self.counts.unanswered);
            let words = String::from_utf8_lossy(&bytes);
            let words = words.trim_start_matches("primrack/1 refused ").chars().take(200).collect();
            return Err(RackError::Unproved { status: status.as_u16(), words });
        };
        count(&self.counts.answers);
        Ok(answer)
    }

    fn sealed(&self, key: &RackKey, body: &str) -> (Vec<u8>, Seq) {
        let mut session = self.session.lock();
        session.seq = session.seq.saturating_add(1).min(Seq::MAX.0);
        let seq = Seq(session.seq);
        let sealing = Sealing {
            dir: Dir::Up,
            object: &self.settings.object,
            key_id: key.id.as_str(),
            secret: &key.secret,
            form: self.settings.form,
            nonce: session.nonce,
            seq,
            time: session.now_s(),
        };
        (seal(&sealing, body), seq)
    }

    async fn post(&self, message: Vec<u8>) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::new(Full::new(Bytes::from(message)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.bridge.clone();
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| cause(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), WIRE_LIMIT).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        match tokio::time::timeout(self.settings.timeout, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("nothing within {} s", self.settings.timeout.as_secs_f32())),
        }
    }

    /// An answer counts when its MAC holds, its number is that of the message and its digest matches.
    fn believe(&self, key: &RackKey, seq: Seq, bytes: &[u8]) -> Option<Answer> {
        let unverified = Unverified::parse(bytes).ok()?;
        let header = unverified.header;
        if header.object != self.settings.object || header.key_id != key.id.as_str() {
            return None;
        }
        let body = unverified.verify(&key.secret).ok()?.answers(Dir::Answer, seq).ok()?;
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let NonceField::Boot(nonce) = header.nonce else { return None };
        let mut session = self.session.lock();
        match &answer {
            Answer::Refused(refused) => {
                if session.nonce != header.nonce {
                    // Another boot counts anew.
                    session.nonce = header.nonce;
                    session.seq = refused.last.unwrap_or(0);
                } else if let Some(last) = refused.last {
                    session.seq = session.seq.max(last);
                }
                if refused.refused == Fault::Skew.token() {
                    session.offset_s = header.time - session.own_s();
                }
            }
            Answer::Registered { .. } => {
                // A lower boot: the bridge's memory was lost, and its pushes begin anew.
                if session.last_push.is_some_and(|(boot, _)| nonce.boot < boot) {
                    session.last_push = Some((nonce.boot, Seq(0)));
                }
            }
            Answer::Entries { .. } => {}
        }
        Some(answer)
    }
}

fn is_mended(refused: &Refused) -> bool {
    [Fault::Nonce, Fault::Replayed, Fault::Reordered, Fault::Skew]
        .iter()
        .any(|fault| refused.refused == fault.token())
}

/// What lies at the bottom of an error of the HTTP client, which says only "client error" itself.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

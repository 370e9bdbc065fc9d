//! The rack's URL: pushes proved, shown, acknowledged (PROTOCOL.md, "Pushes").

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use primrack_wire::world::{
    Ack, Dir, Fault, NonceField, PushBody, Sealing, Seq, Unverified, WIRE_LIMIT, seal,
};

use super::core::{Core, count};
use super::faults::{CallbackFault, Reply};
use super::site::Doors;

/// An old push can be had and sent by others, so it leads to a registration once in so many seconds.
const PROVOKED_EVERY_S: i64 = 30;

/// Answers whatever is asked of the site.
pub(super) async fn answer(doors: &Doors, request: Request<Incoming>) -> Response<Reply> {
    let Some(core) = doors.find(request.uri().path()) else {
        return reply(StatusCode::NOT_FOUND, Bytes::new());
    };
    if request.method() != Method::POST {
        return reply(StatusCode::METHOD_NOT_ALLOWED, Bytes::from_static(b"primrack/1 refused malformed"));
    }
    let fault = core.faults.lock().callback.clone();
    match fault {
        CallbackFault::None | CallbackFault::Slow(_) => {}
        CallbackFault::Hang => std::future::pending::<()>().await,
        CallbackFault::Empty => return reply(StatusCode::OK, Bytes::new()),
        CallbackFault::NotFound => return reply(StatusCode::NOT_FOUND, Bytes::new()),
        CallbackFault::Redirect(to) => {
            let mut response = reply(StatusCode::FOUND, Bytes::new());
            if let Ok(to) = to.parse() {
                response.headers_mut().insert(LOCATION, to);
            }
            return response;
        }
        CallbackFault::Endless => return with(StatusCode::OK, Reply::Endless),
    }
    let Ok(message) = Limited::new(request.into_body(), WIRE_LIMIT).collect().await else {
        count(&core.counts.pushes_refused);
        return plain(Fault::TooLong);
    };
    let response = match core.take(&message.to_bytes()) {
        Ok(ack) => reply(StatusCode::OK, Bytes::from(ack)),
        Err(fault) => {
            count(&core.counts.pushes_refused);
            plain(fault)
        }
    };
    if let CallbackFault::Slow(late) = fault {
        tokio::time::sleep(late).await;
    }
    response
}

impl Core {
    /// Takes a push. The ack may be a refusal that is signed; what does not hold is answered plainly.
    fn take(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let unverified = Unverified::parse(message)?;
        let header = unverified.header;
        let key = std::sync::Arc::clone(&self.key.lock());
        if header.object != self.settings.object {
            return Err(Fault::UnknownObject);
        }
        if header.key_id != key.id.as_str() {
            return Err(Fault::UnknownKey);
        }
        let signed = unverified.verify(&key.secret)?;
        let boot = match header.nonce {
            NonceField::Boot(nonce) => Some(nonce.boot),
            NonceField::None => None,
        };
        let mut session = self.session.lock();
        let (now, last) = (session.now_s(), session.last_push);
        let ack = match signed.push(now, last) {
            Ok(body) => {
                let body: PushBody = serde_json::from_slice(body).map_err(|_| Fault::Garbage)?;
                session.last_push = boot.map(|boot| (boot, header.seq));
                session.nonce = header.nonce;
                drop(session);
                self.show(body);
                count(&self.counts.pushes);
                Ack::default()
            }
            Err(Fault::Replayed) => {
                count(&self.counts.pushes_refused);
                let (last_boot, Seq(last)) = last.unwrap_or((0, Seq(0)));
                let lower = boot.is_some_and(|boot| boot < last_boot);
                let soon = lower && session.provoke();
                drop(session);
                if soon {
                    self.register_soon.notify_one();
                }
                Ack { refused: Some("old".into()), boot: Some(last_boot), last: Some(last) }
            }
            Err(Fault::Skew) => {
                count(&self.counts.pushes_refused);
                let soon = session.provoke();
                drop(session);
                if soon {
                    self.register_soon.notify_one();
                }
                Ack { refused: Some("skew".into()), ..Ack::default() }
            }
            Err(fault) => return Err(fault),
        };
        let body = serde_json::to_string(&ack).unwrap_or_else(|_| "{}".to_owned());
        let sealing = Sealing {
            dir: Dir::Ack,
            object: &self.settings.object,
            key_id: key.id.as_str(),
            secret: &key.secret,
            form: header.form,
            // The push's own nonce and number, so that this fits no other push.
            nonce: header.nonce,
            seq: header.seq,
            time: now,
        };
        Ok(seal(&sealing, &body))
    }
}

impl super::core::Session {
    fn provoke(&mut self) -> bool {
        let now = self.now_s();
        let soon = now - self.provoked >= PROVOKED_EVERY_S;
        if soon {
            self.provoked = now;
        }
        soon
    }
}

fn plain(fault: Fault) -> Response<Reply> {
    reply(StatusCode::FORBIDDEN, Bytes::from(format!("primrack/1 refused {}", fault.token())))
}

fn reply(status: StatusCode, body: Bytes) -> Response<Reply> {
    with(status, Reply::Bytes(Some(body).filter(|body| !body.is_empty())))
}

fn with(status: StatusCode, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

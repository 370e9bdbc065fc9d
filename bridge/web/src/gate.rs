//! Turning regions' messages away while too many are being answered. What is turned away must cost far less
//! than what is done: nothing is looked at but what kind of request it is, and its answer is at hand.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures::future::{Either, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use primrack_world::{WORLD_PATH, World};

/// What is told besides: in so many seconds it may be sent again.
const AGAIN_S: &str = "1";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Before the path of the regions' messages. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    shut: Arc<dyn Fn() -> bool + Send + Sync>,
    told: Arc<dyn Fn() + Send + Sync>,
    status: StatusCode,
    words: Bytes,
    /// The whole answer as it goes over the wire, and the second for which its date is right.
    ready: Arc<Mutex<(u64, Bytes)>>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("shut", &self.is_shut()).finish_non_exhaustive()
    }
}

impl Gate {
    /// Before this world's path.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        let (asked, told) = (Arc::clone(world), Arc::clone(world));
        Self::shut_while(move || asked.is_busy(), move || told.turned_away())
    }
    fn shut_while(
        shut: impl Fn() -> bool + Send + Sync + 'static,
        told: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (status, words) = World::busy_words();
        Self { shut: Arc::new(shut), told: Arc::new(told), status, words, ready: Arc::default() }
    }

    /// Whether the next message is to be turned away. Who asks and is told so does it, and says so with
    /// [`Self::told`].
    pub(crate) fn is_shut(&self) -> bool {
        (self.shut)()
    }
    /// One was turned away.
    pub(crate) fn told(&self) {
        (self.told)();
    }

    fn answer(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.words.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAIN));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_S));
        response
    }

    /// The same answer in bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut ready = self.ready.lock();
        if ready.0 != second || ready.1.is_empty() {
            let Self { status, words, .. } = self;
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {PLAIN}\r\nretry-after: {AGAIN_S}\r\ncontent-length: {}\r\ndate: {}\r\n\r\n",
                words.len(),
                httpdate::fmt_http_date(now)
            );
            *ready = (second, [head.as_bytes(), words].concat().into());
        }
        ready.1.clone()
    }
}

/// The routes, with the gate before them.
#[derive(Clone)]
pub(crate) struct Gated {
    pub(crate) routes: TowerToHyperService<Router>,
    pub(crate) gate: Option<Gate>,
}

type Answer = Result<Response<Body>, Infallible>;

impl Service<Request<Incoming>> for Gated {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if let Some(gate) = &self.gate
            && request.uri().path() == WORLD_PATH
            && gate.is_shut()
        {
            gate.told();
            return Either::Left(ready(Ok(gate.answer())));
        }
        Either::Right(self.routes.call(request))
    }
}

/// Whether these bytes are one message of a region, whole, and written as plainly as nearly all are: so that
/// where it begins and ends is beyond doubt. Anything else is for a real reader of HTTP.
pub(crate) fn is_plain_message(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(b"POST ") else { return false };
    let line = rest.strip_prefix(WORLD_PATH.as_bytes()).and_then(|rest| rest.strip_prefix(b" HTTP/1.1\r\n"));
    match line {
        Some(after) => rest = after,
        None => return false,
    }
    let mut length = None;
    loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\r') else { return false };
        let (line, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix(b"\r\n") else { return false };
        rest = after;
        if line.is_empty() {
            return length == Some(rest.len());
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // No blank, no control character, nothing that only some readers take for a name.
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
            return false;
        }
        if value.iter().any(|byte| *byte < b' ') {
            return false;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("content-length") {
            let digits = (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
            let value = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            if length.is_some() || value.is_none() {
                return false;
            }
            length = value;
        } else if is("connection") {
            if !value.eq_ignore_ascii_case(b"keep-alive") {
                return false;
            }
        } else if is("transfer-encoding") || is("expect") || is("upgrade") || is("te") || is("trailer") {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::time::Duration;

    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::Limits;

    fn message(head: &str, body: &str) -> Vec<u8> {
        format!("POST /world/1 HTTP/1.1\r\n{head}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn a_plain_message_is_known_by_its_beginning_and_end() {
        assert!(is_plain_message(&message("Host: a\r\nContent-Length: 3", "abc")));
        assert!(is_plain_message(&message("X-A: 1, 2; 3\r\nconnection: Keep-Alive\r\ncontent-length:0", "")));
    }

    #[test]
    fn whatever_leaves_a_doubt_is_not_plain() {
        for (head, body) in [
            ("Host: a", "abc"),
            ("Content-Length: 4", "abc"),
            ("Content-Length: 2", "abc"),
            ("Content-Length: 3\r\nContent-Length: 3", "abc"),
            ("Content-Length: +3", "abc"),
            ("Content-Length: 3, 3", "abc"),
            ("Content-Length : 3", "abc"),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked", "abc"),
            ("Content-Length: 3\r\nExpect: 100-continue", "abc"),
            ("Content-Length: 3\r\nConnection: close", "abc"),
            ("Content-Length: 3\r\n folded: 1", "abc"),
            ("Content-Length: 3\r\nX: a\nTransfer-Encoding: chunked", "abc"),
            ("Content-Length: 3\rX: a", "abc"),
        ] {
            assert!(!is_plain_message(&message(head, body)), "{head:?}");
        }
        assert!(!is_plain_message(b"POST /world/1 HTTP/1.0\r\nContent-Length: 0\r\n\r\n"));
        assert!(!is_plain_message(b"POST /world/1?a HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
        assert!(!is_plain_message(b"POST /world/12 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
        assert!(!is_plain_message(b"GET /world/1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
        assert!(!is_plain_message(b"POST /world/1 HTTP/1.1\r\nContent-Length: 0\r\n"));
    }

    /// Reads one answer: its status, and whether it is the gate's.
    async fn answer(line: &mut DuplexStream) -> (String, bool) {
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    let gates =
                        head.contains("retry-after: 1") && body.starts_with("primrack/1 refused busy ");
                    assert!(head.contains("\r\ndate: "), "{head}");
                    return (head[9..12].to_owned(), gates);
                }
            }
            assert_ne!(line.read_buf(&mut read).await.unwrap(), 0, "closed after {text:?}");
        }
    }

    #[tokio::test]
    async fn the_gate_turns_away_on_a_connection_that_lives_on() {
        let (shut, told, seen) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (is_shut, tell, see) = (Arc::clone(&shut), Arc::clone(&told), Arc::clone(&seen));
        let gate = Gate::shut_while(move || is_shut.load(Relaxed), move || drop(tell.fetch_add(1, Relaxed)));
        let routes = Router::new().route(
            WORLD_PATH,
            post(move |body: String| async move {
                see.fetch_add(1, Relaxed);
                body
            }),
        );
        let routes = Gated { routes: TowerToHyperService::new(routes), gate: Some(gate) };
        let (mut line, theirs) = tokio::io::duplex(4096);
        let stop = CancellationToken::new();
        tokio::spawn(crate::server::converse(theirs, routes, Limits::default(), stop.clone()));

        let plain = message("Host: a\r\nContent-Length: 3", "abc");
        for (is_shut, status) in [(false, "200"), (true, "429"), (true, "429"), (false, "200")] {
            shut.store(is_shut, Relaxed);
            line.write_all(&plain).await.unwrap();
            assert_eq!(answer(&mut line).await, (status.to_owned(), is_shut));
        }
        assert_eq!((told.load(Relaxed), seen.load(Relaxed)), (2, 2));

        // In two parts, so it is hyper that reads it and the gate behind it that answers; from then on, too.
        shut.store(true, Relaxed);
        line.write_all(&plain[..20]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        line.write_all(&plain[20..]).await.unwrap();
        assert_eq!(answer(&mut line).await, ("429".to_owned(), true));
        line.write_all(&plain).await.unwrap();
        assert_eq!(answer(&mut line).await, ("429".to_owned(), true));
        shut.store(false, Relaxed);
        // Two at once are both answered, in order, by hyper.
        line.write_all(&[&plain[..], &plain[..]].concat()).await.unwrap();
        let mut both = Vec::new();
        while String::from_utf8_lossy(&both).matches("HTTP/1.1 200 OK").count() < 2 {
            assert_ne!(line.read_buf(&mut both).await.unwrap(), 0);
        }
        assert_eq!((told.load(Relaxed), seen.load(Relaxed)), (4, 4));
        stop.cancel();
    }
}

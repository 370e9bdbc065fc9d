//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper's connection future is polled together with the exchange in the worker's own task: no
//! task per connection, no wake-up across tasks. While idle it is not polled at all; a sweep and
//! the next use find out whether the peer has closed it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::connect::Stream;

/// Bytes of an answer's head and of hyper's read buffer (hyper's least).
const BUFFER: usize = 8192;
const MAX_HEADERS: usize = 64;

type Body = Full<Bytes>;

pub(super) struct Line {
    send: SendRequest<Body>,
    driver: Pin<Box<Connection<TokioIo<Stream>, Body>>>,
    closed: bool,
    /// It has carried an exchange before, so the peer may have closed it meanwhile.
    pub(super) used: bool,
}

/// An answer read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum LineError {
    /// Closed before a byte of the answer came.
    Closed,
    TooLarge,
    Broken(hyper::Error),
}

impl Line {
    pub(super) async fn open(stream: Stream) -> Result<Self, LineError> {
        let mut builder = Builder::new();
        builder.max_buf_size(BUFFER).max_headers(MAX_HEADERS);
        let (send, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(LineError::Broken)?;
        Ok(Self { send, driver: Box::pin(driver), closed: false, used: false })
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        // How the connection ended shows in the exchange; an idle one just ends.
        if !self.closed && self.driver.as_mut().poll(cx).is_ready() {
            self.closed = true;
        }
    }

    /// Whether an exchange may start now.
    pub(super) fn is_ready(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.drive(&mut cx);
        !self.closed && matches!(self.send.poll_ready(&mut cx), Poll::Ready(Ok(())))
    }

    /// Posts and reads the whole answer, at most `limit` bytes of it.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Body>,
        limit: usize,
    ) -> Result<Answer, LineError> {
        let reply = {
            let mut sending = pin!(self.send.try_send_request(request));
            poll_fn(|cx| {
                if !self.closed && self.driver.as_mut().poll(cx).is_ready() {
                    self.closed = true;
                }
                sending.as_mut().poll(cx)
            })
            .await
        };
        let response = reply.map_err(|error| classify(error.into_error()))?;
        let (head, body) = response.into_parts();
        let body = self.read(&head.headers, body, limit).await?;
        let retry_after =
            head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        Ok(Answer { status: head.status, retry_after, body })
    }

    async fn read(
        &mut self,
        headers: &HeaderMap,
        mut body: Incoming,
        limit: usize,
    ) -> Result<Bytes, LineError> {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(LineError::TooLarge);
        }
        let mut first = Bytes::new();
        let mut rest: Option<BytesMut> = None;
        while !body.is_end_stream() {
            let frame = poll_fn(|cx| {
                self.drive(cx);
                Pin::new(&mut body).poll_frame(cx)
            })
            .await;
            let data = match frame {
                None => break,
                Some(Err(error)) => return Err(LineError::Broken(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    // Trailers say nothing to us.
                    Err(_) => continue,
                },
            };
            let have = rest.as_ref().map_or(first.len(), BytesMut::len);
            if have + data.len() > limit {
                return Err(LineError::TooLarge);
            }
            match &mut rest {
                Some(rest) => rest.extend_from_slice(&data),
                None if first.is_empty() => first = data,
                None => {
                    let mut joined = BytesMut::with_capacity(first.len() + data.len());
                    joined.extend_from_slice(&first);
                    joined.extend_from_slice(&data);
                    rest = Some(joined);
                }
            }
        }
        Ok(match rest {
            Some(rest) => rest.freeze(),
            // A copy lets go of hyper's read buffer, which the registry might otherwise hold on to.
            None => Bytes::copy_from_slice(&first),
        })
    }
}

fn classify(error: hyper::Error) -> LineError {
    if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        return LineError::Closed;
    }
    if error.is_parse_too_large() {
        return LineError::TooLarge;
    }
    LineError::Broken(error)
}

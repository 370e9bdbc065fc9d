//! HTTP/1.1 to a daemon over its UNIX socket, or over TLS with verified certificates. Docker, Podman,
//! LXD and Incus are all reached this way.
//!
//! Each request has a connection of its own and an allowance of bytes: when a daemon (or what pretends
//! to be one) sends more, the connection fails. No redirect is followed, no proxy asked.

mod door;
mod metered;
mod tls;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

pub(crate) use door::{Door, Settings};
pub(crate) use metered::{Allowance, Metered};

/// How long connecting may take, with the handshake of TLS.
const CONNECTING: Duration = Duration::from_secs(5);

/// What bytes go over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A daemon's door, and how to get in.
#[derive(Debug)]
pub(crate) struct Wire {
    door: Door,
    /// What TLS needs, once its files were read. Read again after a failed handshake: they may be new.
    tls: Mutex<Option<Arc<rustls::ClientConfig>>>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// No connection.
    #[error("{0}")]
    Unreachable(String),
    /// A file or a certificate that will not do.
    #[error("{0}")]
    Credentials(String),
    /// It broke off, or sent what is no HTTP.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// More than was allowed for.
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
    /// Nothing for too long.
    #[error("no answer within {0:?}")]
    Slow(Duration),
}

impl WireError {
    /// Sorted by what is to be done about it.
    pub(crate) fn to_adapter(&self) -> AdapterError {
        let words = self.to_string();
        match self {
            Self::Credentials(_) => AdapterError::Credentials(words),
            Self::Slow(limit) => AdapterError::TimedOut(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            Self::Unreachable(_) | Self::Broken(_) | Self::TooLong(_) => AdapterError::Unreachable(words),
        }
    }
}

impl From<WireError> for AdapterError {
    fn from(why: WireError) -> Self {
        why.to_adapter()
    }
}

impl Wire {
    pub(crate) fn new(door: Door) -> Self {
        Self { door, tls: Mutex::new(None) }
    }

    /// What to write into a request's Host header.
    pub(crate) fn host(&self) -> &str {
        match &self.door {
            Door::Unix(_) => "localhost",
            Door::Tls { host, .. } => host,
        }
    }

    /// A connection, ready for the first byte.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, WireError> {
        match tokio::time::timeout(CONNECTING, self.connect_unhurried()).await {
            Ok(result) => result,
            Err(_) => {
                Err(WireError::Unreachable(format!("{}: no connection within {CONNECTING:?}", self.door)))
            }
        }
    }

    async fn connect_unhurried(&self) -> Result<Box<dyn Stream>, WireError> {
        match &self.door {
            Door::Unix(path) => {
                Ok(Box::new(UnixStream::connect(path).await.map_err(|why| no_socket(path, &why))?))
            }
            Door::Tls { host, port, trust, identity } => {
                let known = self.tls.lock().clone();
                let config = match known {
                    Some(config) => config,
                    None => {
                        let config = tls::config(trust, identity.as_ref()).await?;
                        *self.tls.lock() = Some(Arc::clone(&config));
                        config
                    }
                };
                let tcp = TcpStream::connect((host.as_str(), *port))
                    .await
                    .map_err(|why| WireError::Unreachable(format!("{}: {why}", self.door)))?;
                tls::shake_hands(config, host, tcp).await.inspect_err(|_| *self.tls.lock() = None)
            }
        }
    }

    /// Sends a request and returns the head of the answer. The body may have `allowance` bytes, its
    /// head included; it ends the connection when it is dropped.
    pub(crate) async fn send<B>(
        &self,
        request: Request<B>,
        allowance: Arc<Allowance>,
    ) -> Result<Response<Incoming>, WireError>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request = self.addressed(request)?;
        let stream = Metered::new(self.connect().await?, Arc::clone(&allowance));
        let broken = |why: hyper::Error| broken(&allowance, &why);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the answer's body, or when nobody waits for the answer any more.
        tokio::spawn(connection.map(|ended| {
            if let Err(why) = ended {
                tracing::trace!(%why, "a connection broke");
            }
        }));
        sender.send_request(request).await.map_err(broken)
    }

    /// The path alone, as a server is asked, with a Host.
    fn addressed<B>(&self, request: Request<B>) -> Result<Request<B>, WireError> {
        let (mut head, body) = request.into_parts();
        let wrong = |why: String| WireError::Broken(format!("a request that cannot be written: {why}"));
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path.parse().map_err(|why: hyper::http::uri::InvalidUri| wrong(why.to_string()))?;
        let host = self.host().parse();
        head.headers.insert(
            hyper::header::HOST,
            host.map_err(|why: hyper::header::InvalidHeaderValue| wrong(why.to_string()))?,
        );
        Ok(Request::from_parts(head, body))
    }
}

/// The whole body of an answer. Its allowance bounds it.
pub(crate) async fn body(
    response: Response<Incoming>,
    allowance: &Allowance,
    limit: Duration,
) -> Result<Vec<u8>, WireError> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(frame) = next(&mut body).await {
            let frame = frame.map_err(|why| broken(allowance, &why))?;
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(limit, reading).await {
        Ok(result) => result.map(|()| bytes),
        Err(_) => Err(WireError::Slow(limit)),
    }
}

async fn next(body: &mut Incoming) -> Option<Result<hyper::body::Frame<hyper::body::Bytes>, hyper::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}

fn broken(allowance: &Allowance, why: &hyper::Error) -> WireError {
    if allowance.is_spent() {
        return WireError::TooLong(allowance.of());
    }
    match alert(why) {
        Some(words) => WireError::Credentials(words),
        None => WireError::Broken(cause(why)),
    }
}

/// What the other side of TLS had against us. In TLS 1.3 it says so only after the handshake is over.
fn alert(why: &hyper::Error) -> Option<String> {
    let io = std::error::Error::source(why)?.downcast_ref::<io::Error>()?;
    match io.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => {
            Some(format!("TLS: the daemon does not take our certificate, or wants one: {alert:?}"))
        }
        _ => None,
    }
}

/// The innermost reason, which says more than hyper's own words.
pub(crate) fn cause(why: &dyn std::error::Error) -> String {
    let mut innermost = why;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn no_socket(path: &Path, why: &io::Error) -> WireError {
    let place = path.display();
    match why.kind() {
        io::ErrorKind::PermissionDenied => WireError::Credentials(format!(
            "{place} may not be opened: give the bridge's user the group that owns it"
        )),
        io::ErrorKind::NotFound => {
            WireError::Unreachable(format!("there is no socket {place}: does the daemon run?"))
        }
        _ => WireError::Unreachable(format!("{place}: {why}")),
    }
}

//! Connections: every address is checked before it is connected to and once it is.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::callback::{Host, Origin, OriginKey, Scheme};
use super::guard::{Guard, GuardRefusal, destination};
use super::settings::DeliverySettings;
use super::tls::Tls;

/// Addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;
/// Look-ups at once: each holds a thread of the blocking pool while the system resolver works.
const LOOKUPS: usize = 16;
/// How long a resolved name is believed. Addresses are checked again at every connection.
const NAME_TTL: Duration = Duration::from_secs(15);
/// Names remembered before the old ones are dropped.
const NAMES: usize = 4096;

/// A boxed future, as [`Resolve`] returns it.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Turns names into addresses. The default asks the system.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `name`.
    fn resolve(&self, name: &str) -> Resolving;
}

/// Asks the system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).take(MAX_ADDRESSES).collect())
        })
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Refused(GuardRefusal),
    Resolve(io::Error),
    Tcp(io::Error),
    Tls(io::Error),
    TimedOut,
    /// The process or the machine has no descriptor left.
    Descriptors,
}

/// A connected byte stream.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Tls(inner) => {
                let $stream = Pin::new(&mut **inner);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}

/// What a name led to, and until when that is believed.
type Resolved = (Arc<[IpAddr]>, Instant);

/// Makes connections to checked addresses only.
pub(super) struct Connector {
    guard: Guard,
    resolver: Box<dyn Resolve>,
    tls: Option<TlsConnector>,
    lookups: Semaphore,
    names: Mutex<HashMap<Box<str>, Resolved>>,
    limit: Duration,
}

impl Connector {
    pub(super) fn new(settings: &DeliverySettings, guard: Guard, resolver: Box<dyn Resolve>) -> Self {
        // Without a choice of the caller's: the public roots, which cannot fail to load.
        let tls = settings.tls.clone().or_else(|| Tls::new(None).ok());
        Self {
            guard,
            resolver,
            tls: tls.map(|tls| TlsConnector::from(tls.config)),
            lookups: Semaphore::new(LOOKUPS),
            names: Mutex::new(HashMap::new()),
            limit: settings.connect_timeout,
        }
    }

    pub(super) async fn connect(&self, origin: &Origin) -> Result<Stream, ConnectError> {
        let deadline = Instant::now() + self.limit;
        timeout_at(deadline, self.reach(&origin.key, deadline)).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn reach(&self, key: &OriginKey, deadline: Instant) -> Result<Stream, ConnectError> {
        let literal;
        let resolved;
        let addresses: &[IpAddr] = match &key.host {
            Host::Ip(ip) => {
                literal = [*ip];
                &literal
            }
            Host::Name(name) => {
                resolved = self.lookup(name).await?;
                &resolved
            }
        };
        // All of them, before the first is tried: a name that leads anywhere forbidden is refused.
        for address in addresses {
            self.guard.check_address(key, *address).map_err(ConnectError::Refused)?;
        }
        let tcp = self.first_reachable(key, addresses, deadline).await?;
        // Callbacks are small and wait for their answer: nothing is gained by delaying packets.
        tcp.set_nodelay(true).map_err(tcp_error)?;
        match key.scheme {
            Scheme::Http => Ok(Stream::Plain(tcp)),
            Scheme::Https => {
                let name = match &key.host {
                    Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
                    Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|error| {
                        ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error))
                    })?,
                };
                let Some(connector) = &self.tls else {
                    return Err(ConnectError::Tls(io::Error::other("TLS is not set up")));
                };
                let tls = connector.connect(name, tcp).await.map_err(ConnectError::Tls)?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }

    async fn first_reachable(
        &self,
        key: &OriginKey,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Result<TcpStream, ConnectError> {
        let mut last =
            ConnectError::Resolve(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for (tried, address) in addresses.iter().enumerate() {
            // One dead address must not use up the time of the others.
            let left = deadline.saturating_duration_since(Instant::now());
            let others = u32::try_from(addresses.len() - tried).unwrap_or(1);
            let target = SocketAddr::new(*address, key.port);
            match timeout(left / others, TcpStream::connect(target)).await {
                Ok(Ok(stream)) => {
                    let peer = stream.peer_addr().map_err(tcp_error)?;
                    if peer.ip().to_canonical() != address.to_canonical() || peer.port() != key.port {
                        return Err(ConnectError::Refused(GuardRefusal::OtherPeer {
                            destination: destination(key),
                            address: peer.ip(),
                        }));
                    }
                    self.guard.check_address(key, peer.ip()).map_err(ConnectError::Refused)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => match tcp_error(error) {
                    ConnectError::Descriptors => return Err(ConnectError::Descriptors),
                    error => last = error,
                },
                Err(_) => last = ConnectError::TimedOut,
            }
        }
        Err(last)
    }

    async fn lookup(&self, name: &str) -> Result<Arc<[IpAddr]>, ConnectError> {
        if let Some((addresses, until)) = self.names.lock().get(name)
            && Instant::now() < *until
        {
            return Ok(Arc::clone(addresses));
        }
        let found = {
            // Never closed, so a permit always comes; the caller's time-out bounds the wait.
            let _permit = self.lookups.acquire().await.map_err(|_| ConnectError::TimedOut)?;
            self.resolver.resolve(name).await
        };
        let addresses: Arc<[IpAddr]> = match found {
            Ok(found) => found.into_iter().take(MAX_ADDRESSES).collect(),
            Err(error) if is_descriptors(&error) => return Err(ConnectError::Descriptors),
            Err(error) => return Err(ConnectError::Resolve(error)),
        };
        let now = Instant::now();
        let mut names = self.names.lock();
        if names.len() >= NAMES {
            names.retain(|_, (_, until)| now < *until);
            if names.len() >= NAMES {
                names.clear();
            }
        }
        names.insert(name.into(), (Arc::clone(&addresses), now + NAME_TTL));
        Ok(addresses)
    }
}

/// EMFILE and ENFILE: they speak about us, not about the host.
fn is_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

fn tcp_error(error: io::Error) -> ConnectError {
    if is_descriptors(&error) { ConnectError::Descriptors } else { ConnectError::Tcp(error) }
}

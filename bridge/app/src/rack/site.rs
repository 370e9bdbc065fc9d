//! Where racks stand: a listener that hands out callback URLs, and a pool of connections to bridges.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::callback::answer;
use super::core::Core;
use super::link::RackError;

/// What posts to bridges.
pub(super) type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The racks by the path of their URL.
#[derive(Debug, Default)]
pub(super) struct Doors(Mutex<HashMap<String, Weak<Core>>>);

impl Doors {
    pub(super) fn find(&self, path: &str) -> Option<Arc<Core>> {
        self.0.lock().get(path).and_then(Weak::upgrade)
    }
}

/// A place where racks stand, as a simulator of a grid is one. The listener ends with the last clone.
#[derive(Debug, Clone)]
pub struct Site {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    base: String,
    doors: Arc<Doors>,
    client: Client,
    _stop: DropGuard,
}

impl Site {
    /// Listens at `bind`. `public_url` is how bridges reach it; the listener's address if absent.
    ///
    /// # Errors
    /// When it cannot listen, or TLS cannot be set up.
    pub async fn open(bind: SocketAddr, public_url: Option<String>) -> Result<Self, RackError> {
        let setup = |what: &str, error: &dyn std::fmt::Display| RackError::Setup(format!("{what}: {error}"));
        let listener = TcpListener::bind(bind)
            .await
            .map_err(|error| setup(&format!("the callback cannot listen on {bind}"), &error))?;
        let address =
            listener.local_addr().map_err(|error| setup("the callback's address cannot be told", &error))?;
        let base = public_url.unwrap_or_else(|| format!("http://{address}"));
        let doors = Arc::new(Doors::default());
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&doors), stop.clone()));
        let client = client().map_err(|error| setup("TLS cannot be set up", &error))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { inner: Arc::new(Inner { address, base, doors, client, _stop: stop.drop_guard() }) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }
    pub(super) fn base(&self) -> &str {
        &self.inner.base
    }
    pub(super) fn client(&self) -> Client {
        self.inner.client.clone()
    }
    pub(super) fn add(&self, core: &Arc<Core>) {
        self.inner.doors.0.lock().insert(core.path.clone(), Arc::downgrade(core));
    }
    pub(super) fn remove(&self, core: &Core) {
        self.inner.doors.0.lock().remove(&core.path);
    }
}

fn client() -> Result<Client, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    Ok(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https.wrap_connector(http)))
}

async fn serve(listener: TcpListener, doors: Arc<Doors>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: asking again at once does not help.
                tracing::warn!(%error, "the callback could not take a connection");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let (doors, stop) = (Arc::clone(&doors), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let doors = Arc::clone(&doors);
                async move { Ok::<_, Infallible>(answer(&doors, request).await) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to the callback ended badly");
                },
                () = stop.cancelled() => {}
            }
        });
    }
}

//! Connections in: bounded in number, in time for a header, and in patience at the end.
//!
//! `axum::serve` has no limit for slow headers or open connections, so the accept loop is ours; HTTP is
//! hyper's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::{Gate, Gated};
use crate::plain::{self, Rest};

/// What a server allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Time for a TLS handshake, and for the header of a request.
    pub header: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, header: Duration::from_secs(10) }
    }
}

/// Serves `routes` on `listener` until `stop`; open requests are then finished. What the `gate` turns away
/// never reaches them.
pub fn serve_tcp(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Router,
    gate: Option<Gate>,
    limits: Limits,
    tasks: &TaskTracker,
    stop: CancellationToken,
) {
    let open = Arc::new(Semaphore::new(limits.connections));
    let routes = Gated { routes: TowerToHyperService::new(routes), gate };
    let connections = tasks.clone();
    tasks.spawn(async move {
        loop {
            let place = tokio::select! {
                place = Arc::clone(&open).acquire_owned() => place,
                () = stop.cancelled() => return,
            };
            let Ok(place) = place else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    pause(&error, &stop).await;
                    continue;
                }
            };
            // Answers are small and wanted at once.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            let (routes, tls, stop) = (routes.clone(), tls.clone(), stop.clone());
            connections.spawn(async move {
                match tls {
                    None => converse(stream, routes, limits, stop).await,
                    Some(tls) => match tokio::time::timeout(limits.header, tls.accept(stream)).await {
                        Ok(Ok(stream)) => converse(stream, routes, limits, stop).await,
                        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                        Err(_) => tracing::debug!("TLS handshake took too long"),
                    },
                }
                drop(place);
            });
        }
    });
}

/// Serves `routes` on a UNIX socket at `path`, which only its owner may open. A socket left by a bridge
/// that was killed is replaced.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve_unix(
    path: &Path,
    routes: Router,
    limits: Limits,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let open = Arc::new(Semaphore::new(limits.connections.min(64)));
    let routes = Gated { routes: TowerToHyperService::new(routes), gate: None };
    let connections = tasks.clone();
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match (accepted, Arc::clone(&open).try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    let (routes, stop) = (routes.clone(), stop.clone());
                    connections.spawn(async move {
                        converse(stream, routes, limits, stop).await;
                        drop(place);
                    });
                }
                (Ok(_), Err(_)) => tracing::warn!("too many programs on the control socket"),
                (Err(error), _) => pause(&error, &stop).await,
            }
        }
    });
    Ok(())
}

/// Out of descriptors, most likely: waiting is what helps, not asking again at once.
async fn pause(error: &io::Error, stop: &CancellationToken) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
        () = stop.cancelled() => {}
    }
}

/// Regions' messages first, as long as they are plain; then whatever else comes.
pub(crate) async fn converse<S>(stream: S, routes: Gated, limits: Limits, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let rest = match &routes.gate {
        Some(gate) => plain::converse(stream, gate, limits.header, &stop).await,
        None => Ok(Some(Rest::all_of(stream))),
    };
    match rest {
        // Not in the frame of those that never come here.
        Ok(Some(rest)) => Box::pin(converse_further(rest, routes, limits, stop)).await,
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "a connection ended badly"),
    }
}

async fn converse_further<S>(rest: Rest<S>, routes: Gated, limits: Limits, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(rest), routes);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

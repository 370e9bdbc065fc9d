//! The listener for script URLs. It hands requests to the region and writes what it says.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once; more wait.
const CONNECTIONS: usize = 1024;
/// Bytes of a request body that are read at all.
const BODY: usize = 1 << 20;

/// A request to a script's URL.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) from: IpAddr,
    pub(crate) host: String,
    pub(crate) answer: oneshot::Sender<Outgoing>,
}

/// What becomes of it. Dropping the sender ends the connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Serves until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    requests: mpsc::Sender<Incoming>,
    refuse_chunked: bool,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let (requests, stop) = (requests.clone(), stop.clone());
                tasks.spawn(async move {
                    let _place = place;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = connection(stream, from, requests, refuse_chunked) => {}
                    }
                });
            }
            Err(e) => {
                // Out of descriptors, as a rule: accepting again at once would spin.
                tracing::warn!(error = %e, "a connection to the simulated region was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    requests: mpsc::Sender<Incoming>,
    refuse_chunked: bool,
) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "no TCP_NODELAY");
    }
    let service = service_fn(|request| handle(request, from, &requests, refuse_chunked));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(e) = served {
        tracing::debug!(error = %e, "a connection to the simulated region ended");
    }
}

/// The region does not answer: the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("no response")]
struct Silence;

async fn handle(
    request: Request<Body>,
    from: SocketAddr,
    requests: &mpsc::Sender<Incoming>,
    refuse_chunked: bool,
) -> Result<Response<Full<Bytes>>, Silence> {
    let (head, body) = request.into_parts();
    if refuse_chunked && head.headers.contains_key(http::header::TRANSFER_ENCODING) {
        return Ok(response(400, "text/plain", "Bad Request".to_owned()));
    }
    let Ok(Ok(body)) =
        tokio::time::timeout(Duration::from_secs(30), Limited::new(body, BODY).collect()).await
    else {
        return Ok(response(413, "text/plain", "Request Entity Too Large".to_owned()));
    };
    let text = |v: &HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    let (answer, answered) = oneshot::channel();
    let incoming = Incoming {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        host: head.headers.get(http::header::HOST).map(text).unwrap_or_default(),
        headers: head.headers.iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect(),
        body: body.to_bytes(),
        from: from.ip(),
        answer,
    };
    requests.send(incoming).await.map_err(|_| Silence)?;
    let Outgoing { status, content_type, body } = answered.await.map_err(|_| Silence)?;
    Ok(response(status, content_type, body))
}

fn response(status: u16, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(http::header::SERVER, HeaderValue::from_static("primrack-region (simulated)"));
    response
}

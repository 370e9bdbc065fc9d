//! Bare HTTP/1.1, one request a connection, without anything a well-behaved client would see to.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Sends one request over `stream` and reads the whole answer: its status and body.
///
/// # Panics
/// When the conversation breaks.
pub async fn exchange<S>(stream: S, method: Method, path: &str, body: Vec<u8>) -> (u16, Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    try_exchange(stream, method, path, body).await.unwrap()
}

/// The same with somebody who may be killed meanwhile.
///
/// # Errors
/// When the conversation breaks.
pub async fn try_exchange<S>(
    stream: S,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(u16, Bytes), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "bridge")
        .header("content-type", "application/json")
        .header("connection", "close")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, body))
}

/// Posts a message to a bridge's door for regions.
///
/// # Panics
/// When there is no bridge.
pub async fn post(bridge: SocketAddr, message: Vec<u8>) -> (u16, Bytes) {
    let stream = TcpStream::connect(bridge).await.unwrap();
    exchange(stream, Method::POST, "/world/1", message).await
}

/// Gets a page such as `/metrics`.
///
/// # Panics
/// When there is no bridge.
pub async fn get(bridge: SocketAddr, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(bridge).await.unwrap();
    let (status, body) = exchange(stream, Method::GET, path, Vec::new()).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The value of one line of `/metrics`, named with its labels; 0 where it does not show.
///
/// # Panics
/// When there is no bridge, or the value is no number.
pub async fn metric(bridge: SocketAddr, name: &str) -> f64 {
    let (status, page) = get(bridge, "/metrics").await;
    assert_eq!(status, 200, "{page}");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// How many messages from regions were refused for this reason.
///
/// # Panics
/// As [`metric`].
pub async fn refused(bridge: SocketAddr, reason: &str) -> f64 {
    metric(bridge, &format!("primrack_world_refused_total{{reason=\"{reason}\"}}")).await
}

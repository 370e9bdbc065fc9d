//! Whether a member serves: one look each, bounded in time and bytes. Where to look is written in the
//! configuration, by whoever runs the bridge.

use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use primrack_model::Ready;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One look takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks once.
///
/// # Errors
/// Why it is not ready, in a few words.
pub(crate) async fn look(ready: &Ready) -> Result<(), String> {
    let looked = match ready {
        Ready::On => return Ok(()),
        Ready::Tcp(at) => timeout(PATIENCE, tcp(at)).await.map(|taken| taken.map(drop)),
        Ready::Http(at) => timeout(PATIENCE, http(at)).await,
    };
    match looked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(format!("{ready}: {why}")),
        Err(_) => Err(format!("{ready}: no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn tcp(at: &str) -> Result<TcpStream, String> {
    TcpStream::connect(at).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        _ => error.to_string(),
    })
}

/// The head of the answer is enough; its body is not read.
async fn http(at: &str) -> Result<(), String> {
    let uri: Uri = at.parse().map_err(|error| format!("is no address: {error}"))?;
    let host = uri.host().ok_or("names no host")?;
    let stream = tcp(&format!("{host}:{}", uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    // The connection is driven here, so that it ends with the look.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    let status = answer.map_err(|error| error.to_string())?.status();
    if status.is_success() || status.is_redirection() {
        Ok(())
    } else {
        Err(format!("answers with {}", status.as_u16()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                if stream.read(&mut asked).await.unwrap_or(0) > 0 {
                    assert!(asked.starts_with(b"GET /health?full HTTP/1.1\r\n"));
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (at, serving)
    }

    #[tokio::test]
    async fn an_answer_counts_and_a_fault_or_silence_does_not() {
        let (at, serving) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(look(&Ready::Tcp(at.as_str().into())).await, Ok(()));
        assert_eq!(look(&Ready::Http(format!("http://{at}/health?full").into())).await, Ok(()));
        serving.abort();
        let (at, _) = server("HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n").await;
        let no = look(&Ready::Http(format!("http://{at}/health?full").into())).await.unwrap_err();
        assert!(no.ends_with("answers with 503"), "{no}");
        let (at, _) = server("it is no web server\r\n").await;
        assert!(look(&Ready::Http(format!("http://{at}/health?full").into())).await.is_err());
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let no = look(&Ready::Tcp(free.to_string().into())).await.unwrap_err();
        assert_eq!(no, format!("TCP {free}: nobody listens"));
    }
}

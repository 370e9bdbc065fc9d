//! The client: nothing is followed, no proxy asked, every wait and every answer has an end.

use std::error::Error as _;
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::Trust;
use crate::ConfigError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How many idle connections are kept.
const KEPT: usize = 8;

/// One HTTP server. The client is made at its first use, since that reads files.
#[derive(Debug)]
pub(crate) struct Web {
    trust: Trust,
    answer: Duration,
    client: OnceCell<Client>,
}

impl Web {
    /// `answer` is how long a whole answer may take where the request says nothing else.
    pub(crate) fn new(trust: Trust, answer: Duration) -> Self {
        Self { trust, answer, client: OnceCell::new() }
    }

    /// The client, to make requests with.
    ///
    /// # Errors
    /// When the authorities cannot be read; the next call tries again.
    pub(crate) async fn client(&self) -> Result<&Client, AdapterError> {
        self.client
            .get_or_try_init(|| async {
                let trust = self.trust.clone();
                let tls = tokio::task::spawn_blocking(move || trust.client_config())
                    .await
                    .map_err(|_| AdapterError::Unreachable("TLS could not be set up".to_owned()))??;
                Client::builder()
                    .tls_backend_preconfigured(tls)
                    .redirect(Policy::none())
                    .no_proxy()
                    .connect_timeout(CONNECT)
                    .timeout(self.answer)
                    .pool_idle_timeout(IDLE)
                    .pool_max_idle_per_host(KEPT)
                    .user_agent(concat!("primrack/", env!("CARGO_PKG_VERSION")))
                    .build()
                    .map_err(|error| AdapterError::Unreachable(format!("no HTTP client: {error}")))
            })
            .await
    }
}

/// Checks the address of a server: https, or http where it does not leave this machine, and no
/// secrets in it. `place` is the setting it stands in.
pub(crate) fn check_url(place: &str, url: &str) -> Result<Url, ConfigError> {
    let wrong = |words: &str| ConfigError::new(place, words);
    let parsed = Url::parse(url).map_err(|error| wrong(&format!("{error}: write https://HOST:PORT")))?;
    let loopback = match parsed.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => return Err(wrong("it names no host: write https://HOST:PORT")),
    };
    match parsed.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(wrong("write https: without TLS everybody on the way reads the credentials")),
        _ => return Err(wrong("write https://HOST:PORT")),
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("no user and password in an address: they have settings and a file of their own"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("only scheme, host, port and path"));
    }
    Ok(parsed)
}

/// Why no answer came, without the address: secrets travel in headers, but people put them into addresses.
pub(crate) fn unreachable(error: reqwest::Error) -> AdapterError {
    if error.is_timeout() && !error.is_connect() {
        return AdapterError::Unreachable("no answer in time".to_owned());
    }
    let error = error.without_url();
    // The chain's outer words say little ("error sending request"); its inner ones say what happened.
    let mut inner = error.source();
    let mut words = error.to_string();
    while let Some(error) = inner {
        words = error.to_string();
        let tls = tls_error(error);
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            let why = match why {
                rustls::CertificateError::Other(other) => other.to_string(),
                other => other.to_string(),
            };
            return AdapterError::Unreachable(format!(
                "its certificate is not believed: {why} (name its authority in tls.ca_file or its fingerprint in \
                 tls.sha256)"
            ));
        }
        inner = error.source();
    }
    AdapterError::Unreachable(words)
}

/// TLS's own error, which travels in I/O errors that do not name it as their source.
fn tls_error<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    while let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        error = inner;
    }
    error.downcast_ref()
}

/// The whole body, if it has at most `limit` bytes.
///
/// # Errors
/// [`AdapterError::Unreachable`] when it is longer, cut, or late.
pub(crate) async fn whole(mut response: Response, limit: usize) -> Result<Vec<u8>, AdapterError> {
    let long = || AdapterError::Unreachable(format!("its answer is longer than {limit} bytes"));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(long());
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| {
        let AdapterError::Unreachable(words) = unreachable(error) else {
            return AdapterError::Unreachable("half an answer".to_owned());
        };
        AdapterError::Unreachable(format!("half an answer: {words}"))
    })? {
        if body.len() + part.len() > limit {
            return Err(long());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// The whole body as JSON.
///
/// # Errors
/// As [`whole`], and when it is something else.
pub(crate) async fn json<T: DeserializeOwned>(response: Response, limit: usize) -> Result<T, AdapterError> {
    let body = whole(response, limit).await?;
    serde_json::from_slice(&body)
        .map_err(|error| AdapterError::Unreachable(format!("its answer is not what was expected: {error}")))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_has_tls_and_no_secrets() {
        for fine in
            ["https://vc.example.org", "https://10.0.0.1:8006/api", "http://127.0.0.1:80", "http://[::1]"]
        {
            check_url("url", fine).unwrap();
        }
        for wrong in [
            "http://vc.example.org",
            "ftp://127.0.0.1",
            "https://root:secret@vc.example.org",
            "https://vc.example.org/?token=1",
            "vc.example.org",
            "",
        ] {
            let words = check_url("url", wrong).unwrap_err().to_string();
            assert!(words.starts_with("url: ") && !words.contains("secret"), "{words}");
        }
    }

    /// Answers one request with these bytes and closes.
    async fn once(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        format!("http://{address}/")
    }

    #[tokio::test]
    async fn half_an_answer_a_long_one_and_another_kind_are_told() {
        for (answer, words) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"a\":", "half an answer"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n", "longer than 100 bytes"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmeow", "not what was expected"),
        ] {
            let web =
                Web::new(Trust { ca_file: None, sha256: Some("00".repeat(32)) }, Duration::from_secs(5));
            let response = web.client().await.unwrap().get(once(answer).await).send().await.unwrap();
            let why = json::<serde_json::Value>(response, 100).await.unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
    }
}

//! One BMC over HTTP: one request at a time, since most are slow and some fall over; no link is followed
//! that leads elsewhere; a refused password is not tried again at once, since BMCs lock accounts.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use primrack_adapter_api::AdapterError;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ConfigError;
use crate::web::{Web, check_url, json, read_secret, unreachable, whole};

use super::config::{Auth, RedfishConfig};
use super::map::{link, refusal};

/// How long a whole answer may take: less than the driver's patience with a look.
const ANSWER: Duration = Duration::from_secs(8);
/// How many bytes an answer may have: a page with thousands of systems, inlined.
const LONGEST: usize = 8 << 20;
/// How long after a refused password none is shown again.
const LOCKED: Duration = Duration::from_secs(60);
/// Where the service begins (DSP0266, "Service root").
pub(super) const ROOT: &str = "/redfish/v1/";
/// Where sessions are made when the root does not say.
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// One BMC.
#[derive(Debug)]
pub(super) struct Bmc {
    web: Web,
    origin: Url,
    user: String,
    password_file: PathBuf,
    auth: Auth,
    /// One request at a time.
    turn: Semaphore,
    /// What is shown with requests; changed only by whoever has the turn.
    key: Mutex<Option<Key>>,
    /// Until when nothing is shown to it, and why.
    refused: Mutex<Option<(Instant, String)>>,
    /// When it last answered anything.
    answered: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
enum Key {
    Basic(SecretString),
    Session { token: SecretString, place: Option<String> },
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Null where there is no JSON.
    pub(super) body: Value,
}

impl Bmc {
    pub(super) fn new(config: &RedfishConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            web: Web::new(config.tls.clone(), ANSWER),
            origin: check_url("url", &config.url)?,
            user: config.user.clone(),
            password_file: config.password_file.clone(),
            auth: config.auth,
            turn: Semaphore::new(1),
            key: Mutex::default(),
            refused: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// [`AdapterError::NotFound`] with the path when nothing is there.
    pub(super) async fn get(&self, path: &str) -> Result<Value, AdapterError> {
        let answer = self.call(Method::GET, path, None).await?;
        match answer.status {
            status if status.is_success() && !answer.body.is_null() => Ok(answer.body),
            status if status.is_success() => {
                Err(AdapterError::Unreachable(format!("its answer at {path} is no JSON")))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(AdapterError::NotFound(path.to_owned())),
            _ => Err(AdapterError::Unreachable(words("it did not tell", &answer))),
        }
    }

    /// What is at `path`, or nothing where the BMC has no such thing or does not want to tell.
    pub(super) async fn look(&self, path: &str) -> Result<Option<Value>, AdapterError> {
        let answer = self.call(Method::GET, path, None).await?;
        Ok((answer.status.is_success() && !answer.body.is_null()).then_some(answer.body))
    }

    /// Hands it an order. `Ok` means taken (200, 202 or 204), not done.
    pub(super) async fn order(&self, method: Method, path: &str, body: &Value) -> Result<(), AdapterError> {
        let answer = self.call(method, path, Some(body)).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(AdapterError::NotSupported(words("this BMC cannot do that", &answer)))
            }
            _ => Err(AdapterError::Refused(words("the BMC refused", &answer))),
        }
    }

    /// Opens its event stream; only the opening counts as a request.
    pub(super) async fn stream(&self, path: &str) -> Result<Response, AdapterError> {
        let _turn = self.turn().await?;
        let url = self.place(path)?;
        let response = self
            .sent(|client| {
                let request = client.get(url.clone()).header(ACCEPT, "text/event-stream");
                // No end but the stream's own; keeping watch is the listener's.
                request.timeout(Duration::from_secs(365 * 24 * 3600))
            })
            .await?;
        if !response.status().is_success() {
            let status = response.status();
            return Err(AdapterError::Unreachable(format!("its event stream answered {status}")));
        }
        Ok(response)
    }

    /// How long ago it last answered anything.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.answered.lock().map(|at| at.elapsed())
    }

    /// The request that ends its session, if it has one; nobody waits for the answer for long.
    pub(super) async fn farewell(&self) {
        let key = self.key.lock().take();
        let Some(Key::Session { token, place: Some(place) }) = key else { return };
        let Ok(url) = self.place(&place) else { return };
        let Ok(client) = self.web.client().await else { return };
        let request = client.delete(url).header("X-Auth-Token", token.expose_secret());
        if let Err(why) = request.timeout(Duration::from_secs(3)).send().await {
            tracing::debug!(why = %why.without_url(), "a session was left to its own time-out");
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, AdapterError> {
        let _turn = self.turn().await?;
        let url = self.place(path)?;
        let response = self
            .sent(|client| {
                let request = client.request(method.clone(), url.clone()).header(ACCEPT, "application/json");
                match body {
                    Some(body) => request.json(body),
                    None => request,
                }
            })
            .await?;
        let status = response.status();
        let body = whole(response, LONGEST).await?;
        let body = if body.is_empty() { Value::Null } else { Self::parsed(&body, status)? };
        *self.answered.lock() = Some(Instant::now());
        Ok(Answer { status, body })
    }

    /// Errors come as HTML too, answers do not.
    fn parsed(body: &[u8], status: StatusCode) -> Result<Value, AdapterError> {
        match serde_json::from_slice(body) {
            Ok(body) => Ok(body),
            Err(_) if !status.is_success() => Ok(Value::Null),
            Err(why) => Err(AdapterError::Unreachable(format!("its answer is no JSON: {why}"))),
        }
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, AdapterError> {
        self.turn.acquire().await.map_err(|_| AdapterError::Unreachable("it is being closed".to_owned()))
    }

    /// Sends a request with a key; where a session has ended, with a new one.
    async fn sent(
        &self,
        request: impl Fn(&reqwest::Client) -> RequestBuilder + Send,
    ) -> Result<Response, AdapterError> {
        let client = self.web.client().await?;
        loop {
            let (key, fresh) = self.key().await?;
            let with_key = match &key {
                Key::Basic(password) => {
                    request(client).basic_auth(&self.user, Some(password.expose_secret()))
                }
                Key::Session { token, .. } => {
                    let mut value = reqwest::header::HeaderValue::from_str(token.expose_secret())
                        .map_err(|_| AdapterError::Unreachable("its session token is none".to_owned()))?;
                    value.set_sensitive(true);
                    request(client).header("X-Auth-Token", value)
                }
            };
            let response = with_key.send().await.map_err(unreachable)?;
            match response.status() {
                StatusCode::UNAUTHORIZED => {
                    *self.key.lock() = None;
                    // A session may have ended, which says nothing about the password.
                    if fresh || matches!(key, Key::Basic(_)) {
                        return Err(self.refuse("the BMC does not know this user and password"));
                    }
                }
                StatusCode::FORBIDDEN => {
                    return Err(AdapterError::Credentials(format!(
                        "the account {} may not do that: give it the role Operator on the BMC",
                        self.user
                    )));
                }
                _ => return Ok(response),
            }
        }
    }

    /// The key, and whether it was made just now.
    async fn key(&self) -> Result<(Key, bool), AdapterError> {
        if let Some(key) = self.key.lock().clone() {
            return Ok((key, false));
        }
        if let Some((until, why)) = &*self.refused.lock()
            && Instant::now() < *until
        {
            return Err(AdapterError::Credentials(why.clone()));
        }
        let password = read_secret(&self.password_file).await?;
        let sessions = match self.auth {
            Auth::Basic => None,
            Auth::Session => Some(self.sessions().await?.unwrap_or_else(|| SESSIONS.to_owned())),
            Auth::Auto => self.sessions().await?,
        };
        let key = match sessions {
            None => Key::Basic(password),
            Some(place) => self.login(&place, password).await?,
        };
        *self.key.lock() = Some(key.clone());
        Ok((key, true))
    }

    /// Where sessions are made, if the root (which needs no key) tells.
    async fn sessions(&self) -> Result<Option<String>, AdapterError> {
        let client = self.web.client().await?;
        let response = client.get(self.place(ROOT)?).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let root: Value = json(response, LONGEST).await?;
        let told = link(&root, "/Links/Sessions").map(str::to_owned);
        Ok(told.or_else(|| link(&root, "/SessionService").map(|_| SESSIONS.to_owned())))
    }

    async fn login(&self, place: &str, password: SecretString) -> Result<Key, AdapterError> {
        let client = self.web.client().await?;
        let body = serde_json::json!({"UserName": self.user, "Password": password.expose_secret()});
        let response = client.post(self.place(place)?).json(&body).send().await.map_err(unreachable)?;
        let status = response.status();
        let headers = response.headers();
        let token = headers.get("X-Auth-Token").and_then(|token| token.to_str().ok());
        match (status, token) {
            (status, Some(token)) if status.is_success() => {
                let place = headers.get(LOCATION).and_then(|place| place.to_str().ok());
                Ok(Key::Session { token: SecretString::from(token), place: place.map(str::to_owned) })
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST, _) => {
                Err(self.refuse("the BMC does not know this user and password"))
            }
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED, _)
                if self.auth == Auth::Auto =>
            {
                Ok(Key::Basic(password))
            }
            _ => Err(AdapterError::Unreachable(format!(
                "it made no session ({status}): it may have too many, or set `auth` to \"basic\""
            ))),
        }
    }

    fn refuse(&self, words: &str) -> AdapterError {
        let words = format!(
            "{words}: check user and {}; it is not tried again for {} s, since BMCs lock accounts",
            self.password_file.display(),
            LOCKED.as_secs()
        );
        *self.refused.lock() = Some((Instant::now() + LOCKED, words.clone()));
        AdapterError::Credentials(words)
    }

    /// A place on this BMC and nowhere else: the key goes with each request.
    fn place(&self, path: &str) -> Result<Url, AdapterError> {
        let elsewhere = || AdapterError::Unreachable("one of its links leads to somewhere else".to_owned());
        let url = self.origin.join(path).map_err(|_| elsewhere())?;
        if url.origin() == self.origin.origin() { Ok(url) } else { Err(elsewhere()) }
    }
}

fn words(what: &str, answer: &Answer) -> String {
    match refusal(&answer.body) {
        Some(said) => format!("{what} ({}): {said}", answer.status.as_u16()),
        None => format!("{what}: {}", answer.status),
    }
}

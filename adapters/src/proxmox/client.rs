//! Requests and answers: `{"data": …}`, or a status with words.

use std::path::PathBuf;
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::web::{Web, json, read_secret, unreachable};

/// The longest answer: a cluster of ten thousand guests tells about half a kilobyte of each.
const LONGEST: usize = 16 << 20;

/// One cluster.
#[derive(Debug)]
pub(super) struct Client {
    web: Web,
    url: Url,
    token_file: PathBuf,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

/// What an answer that is a no has in it. Older versions have the words in the status line only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct No {
    message: Option<String>,
    errors: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Client {
    pub(super) fn new(web: Web, url: Url, token_file: PathBuf) -> Self {
        Self { web, url, token_file }
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &str,
    ) -> Result<T, AdapterError> {
        self.call(Method::GET, path, Some(query), &[]).await
    }
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: &[(&str, String)],
    ) -> Result<T, AdapterError> {
        self.call(Method::POST, path, None, form).await
    }
    pub(super) async fn delete<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &str,
    ) -> Result<T, AdapterError> {
        self.call(Method::DELETE, path, Some(query), &[]).await
    }

    /// `path` is the parts below `/api2/json`; each is escaped.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: Option<&str>,
        form: &[(&str, String)],
    ) -> Result<T, AdapterError> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| AdapterError::Unreachable("its address has no path".to_owned()))?
            .clear()
            .extend(["api2", "json"])
            .extend(path);
        url.set_query(query.filter(|query| !query.is_empty()));
        let mut request =
            self.web.client().await?.request(method.clone(), url).header(AUTHORIZATION, self.token().await?);
        if method == Method::POST {
            // Everything is text to it, numbers and switches alike.
            let form: serde_json::Map<_, _> =
                form.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
            request = request.json(&form);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(json::<Answer<T>>(response, LONGEST).await?.data);
        }
        let reason = response.status().canonical_reason().unwrap_or_default();
        let no: No = json(response, 64 << 10).await.unwrap_or_default();
        let mut words = no.message.unwrap_or_default().trim().to_owned();
        for (field, why) in no.errors.unwrap_or_default() {
            words += &format!(" {field}: {}", why.as_str().unwrap_or_default().trim());
        }
        let words: String = if words.is_empty() { format!("HTTP status {status} {reason}") } else { words };
        let words: String = words.trim().chars().take(300).collect();
        Err(match status {
            401 => {
                AdapterError::Credentials(format!("its token is not accepted ({words}): check token_file"))
            }
            403 => AdapterError::Refused(format!("its token may not do that: {words}")),
            // 595 to 599: the proxy on this node does not reach another.
            502..=504 | 595..=599 => AdapterError::Unreachable(words),
            429 => AdapterError::Unreachable(words),
            _ => AdapterError::Refused(words),
        })
    }

    /// The token, read anew each time: it may have been replaced.
    async fn token(&self) -> Result<HeaderValue, AdapterError> {
        let token = read_secret(&self.token_file).await?;
        let text = token.expose_secret();
        let whole = text
            .split_once('=')
            .is_some_and(|(name, secret)| name.contains('@') && name.contains('!') && !secret.is_empty());
        let header = HeaderValue::from_str(&format!("PVEAPIToken={text}"));
        let Some(mut header) = header.ok().filter(|_| whole) else {
            return Err(AdapterError::Credentials(format!(
                "{}: write the token as USER@REALM!NAME=SECRET on one line",
                self.token_file.display()
            )));
        };
        header.set_sensitive(true);
        Ok(header)
    }
}

/// How long a client waits for any answer.
pub(super) fn patience(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

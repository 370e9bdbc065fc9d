//! The connection: one session at a time, logged in when needed, and calls with an end to each wait.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use primrack_adapter_api::AdapterError;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderValue, SET_COOKIE};
use roxmltree::Node;
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::soap::{Problem, Ref, answer, child, envelope, text};
use crate::web::{Web, read_secret, unreachable, whole};

/// The longest answer. vCenter sends pages of [`super::inventory::PAGE`] machines, well below a
/// megabyte; simulators send everything at once.
const LONGEST: usize = 48 << 20;
/// How long goodbyes may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// The cookie that holds the session.
const SESSION_COOKIE: &str = "vmware_soap_session";

/// One vCenter or host.
#[derive(Debug)]
pub(super) struct Client {
    web: Web,
    url: Url,
    user: String,
    password_file: PathBuf,
    inside: Option<String>,
    pub(super) answer_within: Duration,
    session: Mutex<Option<Arc<Session>>>,
}

/// A login. Dropping it logs out.
pub(super) struct Session {
    http: reqwest::Client,
    url: Url,
    answer_within: Duration,
    cookie: HeaderValue,
    content: Content,
    /// All machines, hosts and folders, as one object to ask.
    pub(super) view: Ref,
}

/// The managed objects that the service names.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// Whether it says to be a vCenter (and not a single host), with name and version.
    pub(super) about: String,
    root_folder: Ref,
    pub(super) property_collector: Ref,
    view_manager: Ref,
    session_manager: Ref,
    search_index: Option<Ref>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("about", &self.content.about).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(
        web: Web,
        mut url: Url,
        (user, password_file): (String, PathBuf),
        inside: Option<String>,
        answer_within: Duration,
    ) -> Self {
        url.set_path("/sdk");
        Self { web, url, user, password_file, inside, answer_within, session: Mutex::new(None) }
    }

    /// Does `work` within a session, and once more in a new one when the first had expired. A call that
    /// found its session expired was not carried out.
    pub(super) async fn within<'a, T>(
        &'a self,
        work: impl Fn(Arc<Session>) -> BoxFuture<'a, Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let session = self.session().await?;
        match work(Arc::clone(&session)).await {
            Err(Problem::Expired) => {
                self.forget(&session).await;
                drop(session);
                work(self.session().await?).await
            }
            other => other,
        }
    }

    /// The session, logged in if there is none.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Problem> {
        let mut slot = self.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.log_in().await?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// This session is gone, unless another has taken its place already.
    pub(super) async fn forget(&self, gone: &Arc<Session>) {
        let mut slot = self.session.lock().await;
        if slot.as_ref().is_some_and(|session| Arc::ptr_eq(session, gone)) {
            *slot = None;
        }
    }

    async fn log_in(&self) -> Result<Session, Problem> {
        let password = read_secret(&self.password_file).await?;
        let http = self.web.client().await?.clone();
        let instance = Ref::new("ServiceInstance", "ServiceInstance");
        let message = envelope("RetrieveServiceContent", &instance, "");
        let (body, _) = post(&http, &self.url, None, message, self.answer_within).await?;
        let content =
            answer(&body, |node| content(node).ok_or_else(|| Problem::strange("no service content")))?;
        let login = text("userName", &self.user) + &text("password", password.expose_secret());
        let message = envelope("Login", &content.session_manager, &login);
        let (body, cookie) = post(&http, &self.url, None, message, self.answer_within).await?;
        answer(&body, |_| Ok(()))?;
        let mut session = Session {
            http,
            url: self.url.clone(),
            answer_within: self.answer_within,
            cookie: cookie.ok_or_else(|| Problem::strange("a login without a session"))?,
            view: content.root_folder.clone(),
            content,
        };
        let start = match &self.inside {
            Some(path) => session.find(path).await?,
            None => session.content.root_folder.clone(),
        };
        let kinds = ["VirtualMachine", "HostSystem", "Folder"].map(|kind| text("type", kind)).concat();
        let arguments = start.element("container") + &kinds + &text("recursive", "true");
        let manager = session.content.view_manager.clone();
        session.view = session.call("CreateContainerView", &manager, &arguments, returned).await?;
        tracing::debug!(about = session.content.about, "logged in");
        Ok(session)
    }
}

impl Session {
    /// What the service says of itself.
    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Calls `method` of `this`; `read` is given the `…Response` element.
    pub(super) async fn call<T>(
        &self,
        method: &str,
        this: &Ref,
        arguments: &str,
        read: impl FnOnce(Node<'_, '_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.call_within(self.answer_within, method, this, arguments, read).await
    }

    /// [`Self::call`] with another patience.
    pub(super) async fn call_within<T>(
        &self,
        patience: Duration,
        method: &str,
        this: &Ref,
        arguments: &str,
        read: impl FnOnce(Node<'_, '_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let message = envelope(method, this, arguments);
        let (body, _) = post(&self.http, &self.url, Some(&self.cookie), message, patience).await?;
        answer(&body, read)
    }

    /// A goodbye that nobody waits for and that nothing depends on.
    pub(super) fn say(&self, method: &str, this: &Ref) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (http, url, cookie) = (self.http.clone(), self.url.clone(), self.cookie.clone());
        let message = envelope(method, this, "");
        runtime.spawn(async move { drop(post(&http, &url, Some(&cookie), message, GOODBYE).await) });
    }

    async fn find(&self, path: &str) -> Result<Ref, Problem> {
        let index = self.content.search_index.clone().ok_or_else(|| Problem::strange("no search index"))?;
        let found = self
            .call("FindByInventoryPath", &index, &text("inventoryPath", path), |node| {
                Ok(child(node, "returnval").and_then(Ref::read))
            })
            .await?;
        found.ok_or_else(|| {
            Problem::Other(AdapterError::Unreachable(format!(
                "its inventory has nothing at {path:?}, or this user may not see it: check inside"
            )))
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.say("Logout", &self.content.session_manager);
    }
}

/// A `returnval` that is a reference.
pub(super) fn returned(node: Node<'_, '_>) -> Result<Ref, Problem> {
    child(node, "returnval").and_then(Ref::read).ok_or_else(|| Problem::strange("no reference in it"))
}

fn content(node: Node<'_, '_>) -> Option<Content> {
    let content = child(node, "returnval")?;
    let reference = |name: &str| child(content, name).and_then(Ref::read);
    let about = child(content, "about")?;
    Some(Content {
        about: child(about, "fullName").and_then(|name| name.text()).unwrap_or_default().to_owned(),
        root_folder: reference("rootFolder")?,
        property_collector: reference("propertyCollector")?,
        view_manager: reference("viewManager")?,
        session_manager: reference("sessionManager")?,
        search_index: reference("searchIndex"),
    })
}

/// Sends a message; the answer's body and, after a login, the session.
async fn post(
    http: &reqwest::Client,
    url: &Url,
    cookie: Option<&HeaderValue>,
    message: String,
    patience: Duration,
) -> Result<(Vec<u8>, Option<HeaderValue>), AdapterError> {
    let mut request = http
        .post(url.clone())
        .timeout(patience)
        .header(CONTENT_TYPE, "text/xml; charset=utf-8")
        .header("SOAPAction", "\"urn:vim25/6.0\"")
        .body(message);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie.clone());
    }
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    // A fault comes with status 500.
    if !matches!(status, 200 | 500) {
        return Err(AdapterError::Unreachable(format!("it answered with HTTP status {status}")));
    }
    let cookie = response.headers().get_all(SET_COOKIE).iter().find_map(|cookie| {
        let pair = cookie.to_str().ok()?.split(';').next()?.trim();
        let (name, _) = pair.split_once('=')?;
        let mut cookie = (name == SESSION_COOKIE).then(|| HeaderValue::from_str(pair))?.ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    });
    Ok((whole(response, LONGEST).await?, cookie))
}

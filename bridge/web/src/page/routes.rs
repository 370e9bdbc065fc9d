//! The page's routes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Viewer, Welcome};
use super::scene::{Deed, Scene};
use super::{assets, guard};

/// Largest deed, in bytes.
const DEED: usize = 4096;

/// What the page needs.
#[derive(Debug)]
pub struct PageParts {
    /// What it shows.
    pub scene: Arc<dyn Scene>,
    /// Whether visitors may act. There is no login: only where everybody who can open the page may, as in a
    /// demonstration.
    pub acting: bool,
    /// The address that others reach the page at, such as `http://192.0.2.7:7400`: goes into the QR code.
    /// Without it, the address in the visitor's own browser does.
    pub address: Option<String>,
    /// Host names that deeds are taken under, beside `localhost` and plain addresses.
    pub hosts: Vec<String>,
    /// Most streams open at once; a further visitor is told to come back.
    pub viewers: usize,
    /// Ends the streams.
    pub stop: CancellationToken,
}

impl PageParts {
    /// A page that only shows, for up to 2,000 viewers.
    #[must_use]
    pub fn new(scene: Arc<dyn Scene>, stop: CancellationToken) -> Self {
        Self { scene, acting: false, address: None, hosts: Vec::new(), viewers: 2000, stop }
    }
}

struct Page {
    hub: Arc<Hub>,
    address: Option<String>,
    hosts: Vec<String>,
    places: Arc<Semaphore>,
}

/// `/`, `/audience`, `/plain`, `/assets/*`, `/qr.svg` and `/page/*`. Must be called on a runtime: it starts the
/// stream.
pub fn page_routes(parts: PageParts) -> Router {
    let PageParts { scene, acting, address, hosts, viewers, stop } = parts;
    let page = Arc::new(Page {
        hub: Hub::start(scene, acting, stop),
        address,
        hosts,
        places: Arc::new(Semaphore::new(viewers)),
    });
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { assets::page(&headers) }))
        .route("/audience", get(|headers: HeaderMap| async move { assets::page(&headers) }))
        .route("/plain", get(|headers: HeaderMap| async move { assets::plain(&headers) }))
        .route(
            "/assets/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move { assets::asset(&path, &headers) }),
        )
        .route("/qr.svg", get(qr))
        .route("/page/snapshot", get(snapshot))
        .route("/page/stream", get(stream))
        .route("/page/act", post(act).layer(DefaultBodyLimit::max(DEED)))
        .layer(from_fn(guarded))
        .with_state(page)
}

/// What every answer carries: nothing from elsewhere runs in it, and it runs in nobody's frame.
async fn guarded(request: Request, next: Next) -> Response {
    const HEADERS: [(&str, &str); 6] = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "xr-spatial-tracking=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        ),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

async fn snapshot(State(page): State<Arc<Page>>) -> Response {
    let welcome: Welcome = page.hub.welcome();
    ([(header::CACHE_CONTROL, "no-store")], Json(welcome)).into_response()
}

#[derive(Debug, Deserialize)]
struct As {
    /// Whose whispers to hear.
    #[serde(default, rename = "as")]
    avatar: Option<String>,
}

async fn stream(State(page): State<Arc<Page>>, Query(As { avatar }): Query<As>) -> Response {
    let Ok(place) = Arc::clone(&page.places).try_acquire_owned() else {
        let words = "as many people watch as this page has places for: try again in a minute";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], words).into_response();
    };
    // Where nobody may act, nobody is an avatar and hears its whispers.
    let avatar = avatar.filter(|_| page.hub.acting());
    let viewer = Viewer::join(Arc::clone(&page.hub), avatar, place);
    let frames = futures::stream::unfold(viewer, |mut viewer| async move {
        let bytes = viewer.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewer))
    });
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // A proxy in between must not collect what is meant to arrive now.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (head, Body::from_stream(frames)).into_response()
}

async fn act(State(page): State<Arc<Page>>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    let no = |status: StatusCode, words: &str| (status, Json(json!({ "error": words }))).into_response();
    if let Err(foreign) = guard::check(&headers, &page.hosts) {
        return no(StatusCode::FORBIDDEN, &foreign.to_string());
    }
    if !page.hub.acting() {
        return no(StatusCode::FORBIDDEN, "this page only shows: touch it in the world");
    }
    let deed: Deed = match serde_json::from_slice(&body) {
        Ok(deed) => deed,
        Err(error) => return no(StatusCode::BAD_REQUEST, &format!("this is no deed: {error}")),
    };
    match page.hub.scene().act(deed) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => no(StatusCode::CONFLICT, &why),
    }
}

async fn qr(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    let address = page.address.clone().or_else(|| {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        guard::known(host, &page.hosts).then(|| format!("http://{host}"))
    });
    let Some(address) = address else {
        return (StatusCode::NOT_FOUND, "the page does not know its own address").into_response();
    };
    let address = format!("{}/audience", address.trim_end_matches('/'));
    match QrCode::new(&address) {
        Ok(code) => {
            let picture = code
                .render::<svg::Color<'_>>()
                .min_dimensions(240, 240)
                .quiet_zone(true)
                .dark_color(svg::Color("#0b0f14"))
                .light_color(svg::Color("#ffffff"))
                .build();
            let address = HeaderValue::from_str(&address).unwrap_or(HeaderValue::from_static(""));
            let head = [
                (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                // The page shows it in letters too.
                (HeaderName::from_static("x-primrack-address"), address),
            ];
            (head, picture).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures::StreamExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::scene::{AvatarView, Deed, PrimView, Scene, SceneEvent, SceneView};
use super::{PageParts, page_routes};

/// A scene of one box that notes what is done to it.
struct Box1 {
    events: broadcast::Sender<Arc<SceneEvent>>,
    deeds: Mutex<Vec<Deed>>,
}

impl Box1 {
    fn new() -> Arc<Self> {
        Arc::new(Self { events: broadcast::channel(4096).0, deeds: Mutex::default() })
    }
    fn say(&self, to: Option<&str>, text: &str) {
        let event = SceneEvent::Say { to: to.map(str::to_owned), from: "box".into(), text: text.into() };
        self.events.send(Arc::new(event)).unwrap();
    }
}

impl Scene for Box1 {
    fn snapshot(&self) -> SceneView {
        let avatar = AvatarView { id: "ada".into(), name: "Ada".into(), note: String::new() };
        SceneView {
            avatars: vec![avatar],
            prims: vec![PrimView::cuboid(7, "box", [0.0; 3], [1.0; 3], [1.0; 3])],
            touchable: true,
            ..SceneView::default()
        }
    }
    fn subscribe(&self) -> broadcast::Receiver<Arc<SceneEvent>> {
        self.events.subscribe()
    }
    fn act(&self, deed: Deed) -> Result<(), String> {
        if deed.avatar() == "eve" {
            return Err("Eve may not".into());
        }
        self.deeds.lock().push(deed);
        Ok(())
    }
}

struct Bench {
    scene: Arc<Box1>,
    routes: TowerToHyperService<Router>,
    stop: CancellationToken,
}

impl Bench {
    fn new(change: impl FnOnce(&mut PageParts)) -> Self {
        let (scene, stop) = (Box1::new(), CancellationToken::new());
        let mut parts = PageParts::new(Arc::clone(&scene) as Arc<dyn Scene>, stop.clone());
        parts.acting = true;
        change(&mut parts);
        Self { scene, routes: TowerToHyperService::new(page_routes(parts)), stop }
    }
    async fn get(&self, path: &str) -> Response {
        let request = Request::get(path).header("host", "127.0.0.1:7400").body(Body::empty()).unwrap();
        self.routes.call(request).await.unwrap()
    }
    async fn act(&self, body: &str, origin: &str) -> (StatusCode, String) {
        let request = Request::post("/page/act")
            .header("host", "127.0.0.1:7400")
            .header("origin", origin)
            .header("content-type", "application/json")
            .header("x-primrack-page", "1")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.routes.call(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 65536).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
    async fn watch(&self, path: &str) -> Watch {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK);
        Watch { stream: response.into_body().into_data_stream(), text: String::new() }
    }
}

struct Watch {
    stream: BodyDataStream,
    text: String,
}

impl Watch {
    /// The next event and its data; beats are passed over. `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| {
                    frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
                };
                let (event, data) = (line("event: "), line("data: "));
                assert!(line("id: ").contains('-'), "no id in {frame}");
                self.text = rest.to_owned();
                let data: Value = serde_json::from_str(&data).unwrap();
                if data["kind"] != "beat" {
                    return Some((event, data));
                }
            }
            let more = tokio::time::timeout(Duration::from_secs(10), self.stream.next());
            let more = more.await.expect("the stream is silent")?;
            self.text.push_str(std::str::from_utf8(&more.unwrap()).unwrap());
        }
    }
}

const PAGE: &str = "http://127.0.0.1:7400";

#[tokio::test]
async fn a_viewer_gets_everything_first_and_then_what_changes() {
    let bench = Bench::new(|_| ());
    let mut watch = bench.watch("/page/stream").await;
    let (event, data) = watch.next().await.unwrap();
    assert_eq!((event.as_str(), &data["prims"][0]["id"]), ("snapshot", &7.into()));
    bench.scene.say(None, "hello");
    let (event, data) = watch.next().await.unwrap();
    assert_eq!((event.as_str(), &data["text"]), ("change", &"hello".into()));
}

#[tokio::test]
async fn a_whisper_reaches_its_avatar_only() {
    let bench = Bench::new(|_| ());
    let mut ada = bench.watch("/page/stream?as=ada").await;
    let mut anybody = bench.watch("/page/stream").await;
    ada.next().await.unwrap();
    anybody.next().await.unwrap();
    bench.scene.say(Some("ada"), "for you");
    bench.scene.say(None, "for all");
    assert_eq!(ada.next().await.unwrap().1["text"], "for you");
    assert_eq!(ada.next().await.unwrap().1["text"], "for all");
    assert_eq!(anybody.next().await.unwrap().1["text"], "for all");
}

#[tokio::test]
async fn where_nobody_may_act_nobody_hears_whispers_either() {
    let bench = Bench::new(|parts| parts.acting = false);
    let mut ada = bench.watch("/page/stream?as=ada").await;
    assert_eq!(ada.next().await.unwrap().1["acting"], false);
    bench.scene.say(Some("ada"), "for you");
    bench.scene.say(None, "for all");
    assert_eq!(ada.next().await.unwrap().1["text"], "for all");
    let (status, words) = bench.act(r#"{"deed":"touch","avatar":"ada","prim":7}"#, PAGE).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(words.contains("touch it in the world"), "{words}");
    assert!(bench.scene.deeds.lock().is_empty());
}

#[tokio::test]
async fn a_viewer_that_fell_behind_gets_a_snapshot_and_then_goes_on() {
    let bench = Bench::new(|_| ());
    let mut slow = bench.watch("/page/stream").await;
    let mut quick = bench.watch("/page/stream").await;
    slow.next().await.unwrap();
    quick.next().await.unwrap();
    // Three times what the ring holds, in steps that the quick one reads as they come.
    for round in 0..30 {
        for n in 0..100 {
            bench.scene.say(None, &format!("{round}.{n}"));
        }
        for n in 0..100 {
            assert_eq!(quick.next().await.unwrap().1["text"], format!("{round}.{n}"));
        }
    }
    assert_eq!(slow.next().await.unwrap().0, "snapshot");
    bench.scene.say(None, "after");
    assert_eq!(slow.next().await.unwrap().1["text"], "after");
}

#[tokio::test]
async fn a_reset_of_the_scene_reaches_everybody_as_a_snapshot() {
    let bench = Bench::new(|_| ());
    let mut watch = bench.watch("/page/stream").await;
    watch.next().await.unwrap();
    bench.scene.events.send(Arc::new(SceneEvent::Renewed)).unwrap();
    assert_eq!(watch.next().await.unwrap().0, "snapshot");
}

#[tokio::test]
async fn a_deed_of_the_page_is_done_and_one_of_another_site_is_not() {
    let bench = Bench::new(|_| ());
    let touch = r#"{"deed":"touch","avatar":"ada","prim":7}"#;
    assert_eq!(bench.act(touch, PAGE).await.0, StatusCode::NO_CONTENT);
    assert_eq!(bench.act(touch, "https://evil.example").await.0, StatusCode::FORBIDDEN);
    assert_eq!(*bench.scene.deeds.lock(), [Deed::Touch { avatar: "ada".into(), prim: 7 }]);
    let (status, words) = bench.act(r#"{"deed":"touch","avatar":"eve","prim":7}"#, PAGE).await;
    assert_eq!((status, words.as_str()), (StatusCode::CONFLICT, r#"{"error":"Eve may not"}"#));
    assert_eq!(bench.act("{}", PAGE).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(bench.act(&" ".repeat(5000), PAGE).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn streams_are_counted_and_a_place_comes_free_again() {
    let bench = Bench::new(|parts| parts.viewers = 1);
    let first = bench.watch("/page/stream").await;
    let full = bench.get("/page/stream").await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.headers().contains_key("retry-after"));
    drop(first);
    bench.watch("/page/stream").await.next().await.unwrap();
}

#[tokio::test]
async fn streams_end_when_the_program_stops() {
    let bench = Bench::new(|_| ());
    let mut watch = bench.watch("/page/stream").await;
    watch.next().await.unwrap();
    bench.stop.cancel();
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn the_page_the_board_and_the_plain_table_come_with_headers_that_keep_others_out() {
    let bench = Bench::new(|_| ());
    for path in ["/", "/audience", "/plain", "/assets/plain.js", "/page/snapshot"] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    assert_eq!(bench.get("/assets/../Cargo.toml").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_code_holds_the_address_that_was_configured() {
    let bench = Bench::new(|parts| parts.address = Some("http://192.0.2.7:7400/".into()));
    let code = bench.get("/qr.svg").await;
    assert_eq!(code.headers()["x-primrack-address"], "http://192.0.2.7:7400/audience");
    assert_eq!(code.headers()["content-type"], "image/svg+xml");
    let picture = to_bytes(code.into_body(), 1 << 20).await.unwrap();
    assert!(picture.windows(4).any(|part| part == b"<svg"));
    let asked = Bench::new(|_| ()).get("/qr.svg").await;
    assert_eq!(asked.headers()["x-primrack-address"], "http://127.0.0.1:7400/audience");
}

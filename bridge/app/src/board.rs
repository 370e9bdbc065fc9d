//! Boards from configuration to the running bridge, and what the control socket tells of them.

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use primrack_board::{Badges, BoardConfig, Boards, EMERGENCY_STOP};
use primrack_engine::Engine;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::config::{Loaded, Mistake};

/// The name of the key, in the state folder, under which the numbers of unknown badges are hashed.
const HASH_KEY: &str = "badge-hash.key";

/// What is wrong with a board's configuration, all of it.
pub(crate) fn check(loaded: &Loaded, name: &str, board: &BoardConfig) -> Vec<Mistake> {
    let at = |path: &[String], what: String| {
        let keys: Vec<&str> =
            ["backends", name, "board"].into_iter().chain(path.iter().map(String::as_str)).collect();
        loaded.at(&keys, what)
    };
    if let Err(error) = board.check() {
        let what = format!("board {name}: {}", error.what);
        return vec![at(&error.path, what).with_hint(error.hint)];
    }
    let mut wrong = Vec::new();
    for (path, target) in board.targets_named() {
        if loaded.config.targets.contains_key(&target) {
            continue;
        }
        let near =
            loaded.config.targets.keys().min_by_key(|known| strsim::damerau_levenshtein(known, &target));
        let mistake = at(&path, format!("{target:?} is no target"));
        wrong.push(match near {
            Some(near) => mistake.with_hint(format!("did you mean {near:?}?")),
            None => mistake.with_hint(format!("add [targets.{target}]")),
        });
    }
    if loaded.config.targets.contains_key(EMERGENCY_STOP) {
        let what = format!(
            "a target cannot be called {EMERGENCY_STOP}: outputs that follow it follow the emergency stop"
        );
        wrong.push(loaded.at(&["targets", EMERGENCY_STOP], what).with_hint("give it another id"));
    }
    if let Err(mistake) = badges(loaded, board, [0; 32]) {
        wrong.push(mistake);
    }
    wrong
}

/// Whose badge is whose.
pub(crate) fn badges(loaded: &Loaded, board: &BoardConfig, key: [u8; 32]) -> Result<Badges, Mistake> {
    match &board.badges_file {
        None => Ok(Badges::none(key)),
        Some(file) => {
            Badges::read(&loaded.resolve(file), key).map_err(|error| Mistake::plain(error.to_string()))
        }
    }
}

/// The key that keeps hashes of unknown badges apart from those of other bridges; made once.
pub(crate) fn hash_key(state_dir: &Path) -> anyhow::Result<[u8; 32]> {
    let path = state_dir.join(HASH_KEY);
    let shown = path.display();
    if !path.exists() {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{shown} cannot be made"))?;
        file.write_all(hex::encode(key).as_bytes()).and_then(|()| file.sync_all())?;
        return Ok(key);
    }
    let mut file = File::open(&path).with_context(|| format!("{shown} cannot be read"))?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        bail!("{shown} may be read by others: chmod 600 {shown}");
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let key = hex::decode(text.trim()).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
    key.with_context(|| format!("{shown} is damaged: remove it, and unknown badges get new names"))
}

/// An output to be set by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetOutput {
    /// Which output of the board, from 0.
    pub output: u8,
    /// To what.
    pub value: u32,
    /// For how many milliseconds; 0 until something else is asked of it.
    #[serde(default)]
    pub lease_ms: u32,
}

type Shared = (Arc<Boards>, Arc<Engine>);

/// `GET /boards`, `GET /boards/NAME/watch` (one JSON object a line) and `POST /boards/NAME/set`.
pub(crate) fn routes(boards: Arc<Boards>, engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/boards", get(|State((boards, _)): State<Shared>| async move { Json(boards.status()) }))
        .route("/boards/{name}/watch", get(watch))
        .route("/boards/{name}/set", post(set))
        .with_state((boards, engine))
}

async fn set(
    State((boards, _)): State<Shared>,
    UrlPath(name): UrlPath<String>,
    Json(SetOutput { output, value, lease_ms }): Json<SetOutput>,
) -> Response {
    match boards.set(&name, output, value, lease_ms).await {
        Ok(value) => Json(json!({ "value": value })).into_response(),
        Err(why) => (StatusCode::CONFLICT, Json(json!({ "error": why }))).into_response(),
    }
}

async fn watch(State((boards, engine)): State<Shared>, UrlPath(name): UrlPath<String>) -> Response {
    let Some(mut seen) = boards.watch(&name) else {
        let why = format!("there is no board called {name:?}");
        return (StatusCode::NOT_FOUND, Json(json!({ "error": why }))).into_response();
    };
    let (lines, rest) = tokio::sync::mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = seen.recv() => next,
                () = lines.closed() => return,
                () = engine.stopped() => return,
            };
            let mut line = match next {
                Ok(seen) => serde_json::to_vec(&seen).unwrap_or_default(),
                // The next line tells more than what was missed.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            line.push(b'\n');
            if lines.send(Bytes::from(line)).await.is_err() {
                return;
            }
        }
    });
    let frames = futures::stream::unfold(rest, |mut rest| async {
        rest.recv().await.map(|line| (Ok::<_, Infallible>(Frame::data(line)), rest))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(StreamBody::new(frames))).into_response()
}

#[cfg(test)]
mod tests {
    use crate::compose::Mistakes;
    use crate::config::read;

    const GATE: &str = "
bridge.state_dir = 'state'
targets.front-door = { backend = 'gate' }
[backends.gate.board]
port = 'soft'
[backends.gate.board.readers.0]
target = 'front-door'
[backends.gate.board.doors.front-door]
";

    /// What is said of a configuration: each mistake with its hint.
    fn told(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("primrack.toml");
        std::fs::write(&file, text).unwrap();
        let said = |mistake: &dyn miette::Diagnostic| {
            format!("{mistake} ({})", mistake.help().map(|help| help.to_string()).unwrap_or_default())
        };
        match read(&file, std::iter::empty()) {
            Err(mistake) => vec![said(&mistake)],
            Ok(loaded) => match crate::compose::check(loaded) {
                Ok(_) => Vec::new(),
                Err(Mistakes(mistakes)) => mistakes.iter().map(|mistake| said(&**mistake)).collect(),
            },
        }
    }

    #[test]
    fn a_board_is_checked_with_its_targets_and_badges() {
        assert_eq!(told(GATE), Vec::<String>::new());
        let is = |text: &str, words: &[&str]| {
            let told = told(text).join("\n");
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        };
        is(
            &GATE.replace("target = 'front-door'", "target = 'front-dor'"),
            &["no target", "did you mean \"front-door\""],
        );
        is(
            &GATE.replace("doors.front-door]", "doors.back-door]"),
            &["has nothing of that name", "it has: back-door"],
        );
        is(&GATE.replace("port = 'soft'", "prot = 'soft'"), &["no setting `prot`", "did you mean `port`"]);
        is(&GATE.replace("'soft'", "'ttyUSB0'"), &["names no port", "board list"]);
        is(
            &GATE.replace("port = 'soft'", "port = 'soft'\nbadges_file = 'none'"),
            &["badges file", "mode 600"],
        );
        is(&format!("{GATE}open_s = 5\nlock = 9\nkind = 'buzzer'"), &["does not hold a door"]);
        is(
            &GATE.replace(
                "[backends.gate.board]",
                "[backends.gate.process]\nstate_dir = 'x'\n[backends.gate.board]",
            ),
            &["two technologies"],
        );
    }

    #[test]
    fn the_key_of_the_hashes_is_made_once_and_kept_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = super::hash_key(folder.path()).unwrap();
        assert_ne!(first, [0; 32]);
        assert_eq!(super::hash_key(folder.path()).unwrap(), first);
        let path = folder.path().join(super::HASH_KEY);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(super::hash_key(folder.path()).unwrap_err().to_string().contains("chmod 600"));
    }
}

//! Who said what when: what a rack saw, in the order it came, as a transcript to read.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use primrack_app::rack::{News, Rack};
use primrack_wire::world::UnitState;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::soon;

#[derive(Debug)]
struct Line {
    at: Duration,
    who: &'static str,
    what: String,
    unit: Option<UnitState>,
}

/// A diary of one rack. Its clock begins with it.
#[derive(Debug)]
pub struct Diary {
    begun: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
    grown: watch::Receiver<usize>,
    tell: watch::Sender<usize>,
}

impl Diary {
    /// Begins one.
    #[must_use]
    pub fn of(rack: &Rack) -> Self {
        let (tell, grown) = watch::channel(0);
        let diary = Self { begun: Instant::now(), lines: Arc::default(), grown, tell };
        let (begun, lines, tell) = (diary.begun, Arc::clone(&diary.lines), diary.tell.clone());
        let mut news = rack.changes();
        tokio::spawn(async move {
            loop {
                let (what, unit) = match news.recv().await {
                    Ok(News::Unit(unit)) => {
                        let old = if unit.o { " (old)" } else { "" };
                        let note = if unit.n.is_empty() { String::new() } else { format!(": {}", unit.n) };
                        (
                            format!("push, signed: unit {} {} is {}{old}{note}", unit.u, unit.l, unit.w),
                            Some(unit),
                        )
                    }
                    Ok(News::Tell(tell)) => (format!("push, signed: to the toucher: {}", tell.say), None),
                    Ok(News::Registered { renew }) => (format!("registered, renews in {renew} s"), None),
                    Ok(News::Trouble { words }) => (format!("trouble: {words}"), None),
                    Err(RecvError::Lagged(missed)) => (format!("{missed} pieces of news were missed"), None),
                    Err(RecvError::Closed) => return,
                };
                let mut lines = lines.lock();
                lines.push(Line { at: begun.elapsed(), who: "rack", what, unit });
                tell.send_replace(lines.len());
            }
        });
        diary
    }

    /// Notes something oneself.
    pub fn say(&self, who: &'static str, what: impl Into<String>) {
        let mut lines = self.lines.lock();
        lines.push(Line { at: self.begun.elapsed(), who, what: what.into(), unit: None });
        self.tell.send_replace(lines.len());
    }
    /// Where it is now, for [`Self::unit_after`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.lines.lock().len()
    }

    /// Waits until a push after `mark` shows `unit` as `token`; tells what it showed, and where.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn unit_after(&self, mark: usize, unit: u8, token: &str) -> (UnitState, usize) {
        self.find_after(mark, &format!("unit {unit} shows {token}"), |line| {
            line.unit.clone().filter(|state| state.u == unit && state.s == token)
        })
        .await
    }
    /// Waits until something with these words is noted after `mark`.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn words_after(&self, mark: usize, words: &str) -> usize {
        self.find_after(mark, words, |line| line.what.contains(words).then_some(())).await.1
    }

    async fn find_after<T>(&self, mark: usize, what: &str, find: impl Fn(&Line) -> Option<T>) -> (T, usize) {
        let mut grown = self.grown.clone();
        let looking = async {
            loop {
                let found = {
                    let lines = self.lines.lock();
                    lines.iter().enumerate().skip(mark).find_map(|(at, line)| Some((find(line)?, at)))
                };
                if let Some(found) = found {
                    return found;
                }
                grown.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(90), looking).await {
            Ok(found) => found,
            Err(_) => panic!("never came: {what}. This came:\n{}", self.text()),
        }
    }

    /// The whole of it: milliseconds, who, what.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Line { at, who, what, unit: _ } in &*self.lines.lock() {
            writeln!(text, "{:>8.1} ms  {who:<8} {what}", at.as_secs_f64() * 1000.0).unwrap();
        }
        text
    }

    /// Writes it into `target/transcripts` of the workspace and tells where.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn keep(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/transcripts");
        let path = folder.join(name);
        let text = self.text();
        let written = async {
            tokio::fs::create_dir_all(&folder).await.unwrap();
            tokio::fs::write(&path, text).await.unwrap();
        };
        soon("the transcript is written", written).await;
        path
    }
}

//! Lines from a pipe, bounded in length and in rate. What comes faster waits in the pipe.

use std::io;

use tokio::net::unix::pipe::Receiver;
use tokio::time::{Duration, Instant};

/// How much may come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The longest line, without its end.
    pub(super) length: usize,
    /// Lines at once, and a second on average.
    pub(super) lines: (f64, f64),
    /// Bytes at once, and a second on average.
    pub(super) bytes: (f64, f64),
}

/// What a plug-in may write to its standard output.
pub(super) const ANSWERS: Bounds =
    Bounds { length: 1 << 20, lines: (10_000.0, 1_000.0), bytes: (33_554_432.0, 4_194_304.0) };

/// An amount that is used up and comes back with time.
#[derive(Debug)]
pub(super) struct Budget {
    most: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new((most, per_second): (f64, f64)) -> Self {
        Self { most, per_second, left: most, at: Instant::now() }
    }
    /// Takes some; what is left may become a debt.
    fn take(&mut self, amount: f64) {
        self.refill();
        self.left -= amount;
    }
    /// Takes some if it is there.
    pub(super) fn try_take(&mut self, amount: f64) -> bool {
        self.refill();
        let enough = self.left >= amount;
        if enough {
            self.left -= amount;
        }
        enough
    }
    fn refill(&mut self) {
        let now = Instant::now();
        self.left = (self.left + (now - self.at).as_secs_f64() * self.per_second).min(self.most);
        self.at = now;
    }
    /// When the debt is paid.
    fn clear_at(&self) -> Instant {
        self.at + Duration::from_secs_f64((-self.left).max(0.0) / self.per_second)
    }
}

/// Reads lines. [`Self::next`] may be dropped at any await without losing anything.
#[derive(Debug)]
pub(super) struct Lines {
    pipe: Receiver,
    buffer: Vec<u8>,
    /// How much of the buffer has been searched for an end.
    searched: usize,
    length: usize,
    lines: Budget,
    bytes: Budget,
}

impl Lines {
    pub(super) fn new(pipe: Receiver, bounds: Bounds) -> Self {
        Self {
            pipe,
            buffer: Vec::new(),
            searched: 0,
            length: bounds.length,
            lines: Budget::new(bounds.lines),
            bytes: Budget::new(bounds.bytes),
        }
    }

    /// The next line without its end; `None` at the end of the stream, where a line without an end is
    /// dropped. A line that is too long is an error, and nothing is read after it.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let end = self.searched + end;
                let clear = self.lines.clear_at().max(self.bytes.clear_at());
                if clear > Instant::now() {
                    tokio::time::sleep_until(clear).await;
                }
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                self.searched = 0;
                self.lines.take(1.0);
                #[expect(clippy::cast_precision_loss, reason = "a line's length is far below 2^52")]
                self.bytes.take(line.len() as f64);
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.length {
                return Err(io::Error::other(format!("a line longer than {} bytes", self.length)));
            }
            self.pipe.readable().await?;
            let mut chunk = [0; 16 * 1024];
            match self.pipe.try_read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// What of a line has come that is too long, to go on after its end.
    pub(super) fn skip(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::*;

    fn lines(text: &[u8], bounds: Bounds) -> Lines {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let text = text.to_vec();
        std::thread::spawn(move || writer.write_all(&text).ok());
        Lines::new(Receiver::from_owned_fd(OwnedFd::from(reader)).unwrap(), bounds)
    }

    #[tokio::test]
    async fn lines_come_whole_and_a_long_one_is_refused() {
        let mut read = lines(b"one\n\ntwo\nrest", ANSWERS);
        for wanted in ["one", "", "two"] {
            assert_eq!(read.next().await.unwrap().unwrap(), wanted.as_bytes());
        }
        assert!(read.next().await.unwrap().is_none(), "half a line is no line");
        let mut read = lines(&[b'x'; 40_000], Bounds { length: 1_000, ..ANSWERS });
        assert!(read.next().await.unwrap_err().to_string().contains("longer than 1000"));
    }

    #[tokio::test]
    async fn a_flood_waits_in_the_pipe() {
        let mut read = lines(&b"x\n".repeat(200), Bounds { lines: (100.0, 1_000.0), ..ANSWERS });
        let began = Instant::now();
        for _ in 0..200 {
            read.next().await.unwrap().unwrap();
        }
        assert!(began.elapsed() >= Duration::from_millis(80), "{:?}", began.elapsed());
    }
}

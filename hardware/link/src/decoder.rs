//! A stream of bytes taken apart into frames, refused frames and plain text.
//!
//! ```text
//!          ~                 \n: frame or bad          any other byte
//! text ─────────▶ frame ──────────────────────▶ text ◀──────────────────┐
//!  ▲                │ byte that cannot be: bad                          │
//!  └── \n ── refused ◀┘      ~ begins a frame in every state            │
//!                                                                    (collected until \n or ~)
//! ```
//!
//! `~` always begins afresh, so after any noise the next frame is read. Memory is one line, whatever comes.

use crate::frame::{BadFrame, Frame, MAX_FRAME};

/// A text is cut after so many bytes; what follows up to the line's end is dropped.
pub const MAX_TEXT: usize = 64;

/// What the stream held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Something that began like a frame. Never answered: nobody can know whose number it carried.
    Bad(BadFrame),
    /// A line, or what stood before a `~`: not empty, without its line end, at most [`MAX_TEXT`] bytes.
    Text(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    Frame,
    /// Behind a refused frame, until `\n` or `~`.
    Refused,
}

/// Takes a stream apart. One for each direction of a line.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    line: [u8; MAX_TEXT],
    len: usize,
    /// A `\r` was seen in a frame: only `\n` may follow. In a text: it belongs to it unless `\n` follows.
    carriage: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Text, line: [0; MAX_TEXT], len: 0, carriage: false }
    }
}

/// The longest frame without its line end.
const MAX_LINE: usize = MAX_FRAME - 1;

impl Decoder {
    /// Forgets what was begun, as after an unplug.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes `bytes` and tells each item in the order in which it ended.
    pub fn feed(&mut self, bytes: &[u8], mut tell: impl FnMut(Item<'_>)) {
        for byte in bytes {
            match self.state {
                State::Text => self.text(*byte, &mut tell),
                State::Frame => self.frame(*byte, &mut tell),
                State::Refused => match byte {
                    b'~' => self.begin_frame(),
                    b'\n' => self.begin_text(),
                    _ => {}
                },
            }
        }
    }

    fn text(&mut self, byte: u8, tell: &mut impl FnMut(Item<'_>)) {
        if self.carriage && byte != b'\n' {
            self.push(b'\r');
        }
        self.carriage = false;
        match byte {
            b'\n' | b'~' => {
                if self.len > 0 {
                    tell(Item::Text(&self.line[..self.len]));
                }
                if byte == b'~' {
                    self.begin_frame();
                } else {
                    self.begin_text();
                }
            }
            b'\r' => self.carriage = true,
            _ => self.push(byte),
        }
    }

    fn frame(&mut self, byte: u8, tell: &mut impl FnMut(Item<'_>)) {
        if byte == b'\n' {
            match Frame::parse(&self.line[..self.len]) {
                Ok(frame) => tell(Item::Frame(frame)),
                Err(reason) => tell(Item::Bad(reason)),
            }
            return self.begin_text();
        }
        // A `\r` was held back in the hope of `\n`: it is the byte that cannot be, or one too many.
        if self.carriage || byte != b'\r' {
            let offender = if self.carriage { b'\r' } else { byte };
            if self.len == MAX_LINE {
                tell(Item::Bad(BadFrame::Length));
            } else if !matches!(offender, 0x20..=0x7d) {
                tell(Item::Bad(BadFrame::Char));
            } else {
                return self.push(byte);
            }
            self.state = State::Refused;
            if byte == b'~' {
                self.begin_frame();
            }
            return;
        }
        self.carriage = true;
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.line.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn begin_frame(&mut self) {
        *self = Self { state: State::Frame, line: self.line, len: 1, carriage: false };
        self.line[0] = b'~';
    }

    fn begin_text(&mut self) {
        *self = Self { state: State::Text, line: self.line, len: 0, carriage: false };
    }
}

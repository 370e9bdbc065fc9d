//! Positions in a source text.

/// A stretch of the source, in bytes: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// From the beginning of `self` to the end of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Finds line and column of a byte offset.
#[derive(Debug, Clone)]
pub struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    /// Indexes a source.
    #[must_use]
    pub fn new(source: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(source.bytes().enumerate().filter(|&(_, b)| b == b'\n').map(|(i, _)| offset(i + 1)));
        Self { starts }
    }

    /// The 1-based line of a byte offset.
    #[must_use]
    pub fn line(&self, at: u32) -> u32 {
        offset(self.starts.partition_point(|&s| s <= at))
    }

    /// The 1-based line and the 1-based column, counted in characters.
    #[must_use]
    pub fn position(&self, source: &str, at: u32) -> (u32, u32) {
        let line = self.line(at);
        let start = self.starts[line as usize - 1] as usize;
        let mut end = (at as usize).clamp(start, source.len());
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        (line, offset(source[start..end].chars().count()) + 1)
    }
}

/// A byte offset; sources beyond 4 GiB do not get this far.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

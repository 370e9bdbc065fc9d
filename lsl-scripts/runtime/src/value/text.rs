//! Text that clones cheaply and grows in place.

use smol_str::SmolStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Text of a script: up to 23 bytes inline, longer text shared and, while only one value holds it, appended to in place
/// (`s += "x"` in a loop is then linear, not quadratic).
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Short(SmolStr),
    Long(Arc<String>),
}

const INLINE: usize = 23;

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Short(s) => s,
            Repr::Long(s) => s,
        }
    }

    /// Adds `more` at the end; in place where this value is the only holder.
    pub fn push_str(&mut self, more: &str) {
        if more.is_empty() {
            return;
        }
        match &mut self.0 {
            Repr::Long(s) => Arc::make_mut(s).push_str(more),
            Repr::Short(s) => {
                let len = s.len() + more.len();
                if len <= INLINE {
                    let mut b = smol_str::SmolStrBuilder::new();
                    b.push_str(s);
                    b.push_str(more);
                    *s = b.finish();
                } else {
                    let mut t = String::with_capacity(len.max(64));
                    t.push_str(s);
                    t.push_str(more);
                    self.0 = Repr::Long(Arc::new(t));
                }
            }
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Repr::Short(SmolStr::default()))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(s: &str) -> Self {
        if s.len() <= INLINE {
            Self(Repr::Short(SmolStr::new(s)))
        } else {
            Self(Repr::Long(Arc::new(s.to_owned())))
        }
    }
}

impl From<String> for Text {
    fn from(s: String) -> Self {
        if s.len() <= INLINE { Self(Repr::Short(SmolStr::new(&s))) } else { Self(Repr::Long(Arc::new(s))) }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_text_leaves_other_holders_alone() {
        let mut a = Text::from("short");
        let b = a.clone();
        a.push_str(" and then rather long, past the inline size");
        let c = a.clone();
        a.push_str("!");
        assert_eq!(b, "short");
        assert_eq!(c, "short and then rather long, past the inline size");
        assert_eq!(a, "short and then rather long, past the inline size!");
    }
}

//! Reading arguments and bounding results.

use super::LibCtx;
use crate::error::{ErrorKind, RuntimeError};
use crate::profile::Profile;
use crate::value::Value;

/// The arguments of one call. The checker has verified count and types; a wrong one is an error, never a panic.
#[derive(Clone, Copy)]
pub(super) struct Args<'a>(pub(super) &'a [Value]);

impl<'a> Args<'a> {
    fn wrong(self, i: usize, wanted: &str) -> RuntimeError {
        let found = self.0.get(i).map_or("nothing", |v| v.ty().name());
        RuntimeError::new(ErrorKind::Argument, format!("argument {} must be {wanted}, not {found}", i + 1))
    }

    pub(super) fn count(self) -> usize {
        self.0.len()
    }

    pub(super) fn value(self, i: usize) -> Result<&'a Value, RuntimeError> {
        self.0.get(i).ok_or_else(|| self.wrong(i, "a value"))
    }

    pub(super) fn int(self, i: usize) -> Result<i32, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Integer(n)) => Ok(*n),
            _ => Err(self.wrong(i, "an integer")),
        }
    }

    pub(super) fn float(self, i: usize) -> Result<f64, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Float(x)) => Ok(*x),
            Some(Value::Integer(n)) => Ok(f64::from(*n)),
            _ => Err(self.wrong(i, "a float")),
        }
    }

    pub(super) fn text(self, i: usize) -> Result<&'a str, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Str(s) | Value::Key(s)) => Ok(s),
            _ => Err(self.wrong(i, "a string")),
        }
    }

    pub(super) fn vector(self, i: usize) -> Result<[f64; 3], RuntimeError> {
        match self.0.get(i) {
            Some(Value::Vector(v)) => Ok(*v),
            _ => Err(self.wrong(i, "a vector")),
        }
    }

    pub(super) fn rotation(self, i: usize) -> Result<[f64; 4], RuntimeError> {
        match self.0.get(i) {
            Some(Value::Rotation(r)) => Ok(*r),
            _ => Err(self.wrong(i, "a rotation")),
        }
    }

    pub(super) fn list(self, i: usize) -> Result<&'a [Value], RuntimeError> {
        match self.0.get(i) {
            Some(Value::List(items)) => Ok(items),
            _ => Err(self.wrong(i, "a list")),
        }
    }
}

/// The most bytes of text one call may give, by the memory a script of that grid has.
pub(super) const fn max_text(profile: Profile) -> usize {
    if profile.is_opensim() { 1 << 20 } else { 1 << 16 }
}

/// The most elements a list may have: an element takes at least four bytes of the script's memory.
pub(super) const fn max_items(profile: Profile) -> usize {
    max_text(profile) / 4
}

pub(super) fn collision() -> RuntimeError {
    RuntimeError::new(
        ErrorKind::StackHeapCollision,
        "Stack-Heap Collision: the result is larger than the script's memory",
    )
}

/// Text that refuses to grow past what a script can hold.
pub(super) struct Output {
    text: String,
    limit: usize,
}

impl Output {
    pub(super) fn new(profile: Profile) -> Self {
        Self { text: String::new(), limit: max_text(profile) }
    }

    pub(super) fn push(&mut self, more: &str) -> Result<(), RuntimeError> {
        if self.text.len() + more.len() > self.limit {
            return Err(collision());
        }
        self.text.push_str(more);
        Ok(())
    }

    pub(super) fn push_char(&mut self, c: char) -> Result<(), RuntimeError> {
        self.push(c.encode_utf8(&mut [0; 4]))
    }

    pub(super) fn finish(self) -> Result<Value, RuntimeError> {
        Ok(Value::str(self.text))
    }
}

impl LibCtx<'_> {
    /// A float result: rounded to 32 bits where the engine does.
    pub(super) fn float(&self, x: f64) -> Result<Value, RuntimeError> {
        Ok(Value::Float(self.profile.float(x)))
    }

    pub(super) fn vector(&self, v: [f64; 3]) -> Result<Value, RuntimeError> {
        Ok(Value::Vector(v.map(|x| self.profile.float(x))))
    }

    pub(super) fn rotation(&self, r: [f64; 4]) -> Result<Value, RuntimeError> {
        Ok(Value::Rotation(r.map(|x| self.profile.float(x))))
    }

    /// A string result within the script's memory.
    pub(super) fn text(&self, text: impl Into<String>) -> Result<Value, RuntimeError> {
        let text = text.into();
        if text.len() > max_text(self.profile) { Err(collision()) } else { Ok(Value::str(text)) }
    }

    /// A list result within the script's memory.
    pub(super) fn list(&self, items: Vec<Value>) -> Result<Value, RuntimeError> {
        if items.len() > max_items(self.profile) { Err(collision()) } else { Ok(Value::list(items)) }
    }

    /// True for Linden's engine.
    pub(super) fn linden(&self) -> bool {
        !self.profile.is_opensim()
    }
}

pub(super) fn int(n: i32) -> Result<Value, RuntimeError> {
    Ok(Value::Integer(n))
}

/// A length or an index as the integer a script sees.
pub(super) fn size(n: usize) -> Result<Value, RuntimeError> {
    Ok(Value::Integer(i32::try_from(n).unwrap_or(i32::MAX)))
}

/// The index of something found, or -1.
pub(super) fn index(n: Option<usize>) -> Result<Value, RuntimeError> {
    Ok(Value::Integer(n.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1)))
}

/// An exception in the simulator's own code: YEngine stops the script.
pub(super) fn exception(function: &str, what: &str) -> RuntimeError {
    RuntimeError::new(ErrorKind::Argument, format!("{function} throws in this OpenSimulator version: {what}"))
}

//! Reading arguments. The checker has verified count and types; a wrong one is an error all the same, never a panic.

use crate::geometry::{Rotation, Vector};
use primrack_lsl::{ErrorKind, Profile, RuntimeError, Value};
use uuid::Uuid;

#[derive(Clone, Copy)]
pub(super) struct Args<'a>(pub(super) &'a [Value]);

fn wrong(i: usize, wanted: &str) -> RuntimeError {
    RuntimeError::new(ErrorKind::Argument, format!("argument {} has to be {wanted}", i + 1))
}

impl<'a> Args<'a> {
    pub(super) fn int(self, i: usize) -> Result<i32, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Integer(n)) => Ok(*n),
            _ => Err(wrong(i, "an integer")),
        }
    }

    pub(super) fn float(self, i: usize) -> Result<f64, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Float(x)) => Ok(*x),
            Some(Value::Integer(n)) => Ok(f64::from(*n)),
            _ => Err(wrong(i, "a float")),
        }
    }

    pub(super) fn text(self, i: usize) -> Result<&'a str, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Str(s) | Value::Key(s)) => Ok(s),
            _ => Err(wrong(i, "a string")),
        }
    }

    /// A UUID; anything else is the null key.
    pub(super) fn key(self, i: usize) -> Result<Uuid, RuntimeError> {
        Ok(Uuid::parse_str(self.text(i)?).unwrap_or_default())
    }

    pub(super) fn vector(self, i: usize) -> Result<Vector, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Vector(v)) => Ok(*v),
            _ => Err(wrong(i, "a vector")),
        }
    }

    pub(super) fn rotation(self, i: usize) -> Result<Rotation, RuntimeError> {
        match self.0.get(i) {
            Some(Value::Rotation(r)) => Ok(*r),
            _ => Err(wrong(i, "a rotation")),
        }
    }

    pub(super) fn list(self, i: usize) -> Result<&'a [Value], RuntimeError> {
        match self.0.get(i) {
            Some(Value::List(items)) => Ok(items),
            _ => Err(wrong(i, "a list")),
        }
    }
}

/// Rules of a list, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    items: &'a [Value],
    at: usize,
    profile: Profile,
}

impl<'a> Rules<'a> {
    pub(super) const fn new(items: &'a [Value], profile: Profile) -> Self {
        Self { items, at: 0, profile }
    }

    pub(super) fn take(&mut self) -> Option<&'a Value> {
        let v = self.items.get(self.at)?;
        self.at += 1;
        Some(v)
    }

    fn wrong(&self, wanted: &str) -> RuntimeError {
        let found = self.items.get(self.at.wrapping_sub(1)).map_or("the end of the list", |v| v.ty().name());
        RuntimeError::new(
            ErrorKind::Argument,
            format!("element {} of the list has to be {wanted}, it is {found}", self.at),
        )
    }

    fn need(&mut self, wanted: &str) -> Result<&'a Value, RuntimeError> {
        match self.take() {
            Some(v) => Ok(v),
            None => {
                self.at += 1;
                Err(self.wrong(wanted))
            }
        }
    }

    pub(super) fn int(&mut self) -> Result<i32, RuntimeError> {
        match self.need("an integer")? {
            Value::Integer(n) => Ok(*n),
            _ => Err(self.wrong("an integer")),
        }
    }

    pub(super) fn float(&mut self) -> Result<f64, RuntimeError> {
        match self.need("a float")? {
            Value::Float(x) if x.is_finite() => Ok(*x),
            Value::Integer(n) => Ok(f64::from(*n)),
            _ => Err(self.wrong("a float")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, RuntimeError> {
        let v = self.need("a string")?;
        match v {
            Value::Str(s) | Value::Key(s) => Ok(s.to_string()),
            // YEngine takes what can be written as text.
            Value::Integer(_) | Value::Float(_) if self.profile.is_opensim() => {
                Ok(v.text(self.profile).to_string())
            }
            _ => Err(self.wrong("a string")),
        }
    }

    pub(super) fn vector(&mut self) -> Result<Vector, RuntimeError> {
        match self.need("a vector")? {
            Value::Vector(v) if v.iter().all(|x| x.is_finite()) => Ok(*v),
            _ => Err(self.wrong("a vector")),
        }
    }

    pub(super) fn rotation(&mut self) -> Result<Rotation, RuntimeError> {
        match self.need("a rotation")? {
            Value::Rotation(r) => Ok(crate::geometry::unit(*r)),
            _ => Err(self.wrong("a rotation")),
        }
    }
}

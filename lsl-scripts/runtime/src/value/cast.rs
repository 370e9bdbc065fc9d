//! Casts, truth, equality and size of values.

use super::{Text, Type, Value, format, number};
use crate::error::{ErrorKind, RuntimeError};
use crate::profile::Profile;
use std::sync::Arc;

/// The key that names nothing.
pub const NULL_KEY: &str = "00000000-0000-0000-0000-000000000000";

impl Profile {
    /// `x` as a float variable of this engine holds it: rounded to 32 bits on Second Life, unchanged in YEngine.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the rounding is the purpose")]
    pub const fn float(self, x: f64) -> f64 {
        if self.single_precision() { x as f32 as f64 } else { x }
    }
}

/// A float cut to an integer: towards zero; out of range and NaN give the smallest integer, as the processors that run
/// the grids do it.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
pub const fn float_to_integer(x: f64) -> i32 {
    if x > -2_147_483_649.0 && x < 2_147_483_648.0 { x as i32 } else { i32::MIN }
}

/// True for the 36 characters of a UUID in its usual form.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

impl Value {
    /// The value as another type, by the engine's rules for casts (implicit ones included).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cast`] where the engine throws at this text, and for casts that no checker lets through
    /// (an integer to a vector).
    pub fn cast(&self, to: Type, profile: Profile) -> Result<Self, RuntimeError> {
        Ok(match (self, to) {
            (Self::Integer(i), Type::Integer) => Self::Integer(*i),
            (Self::Integer(i), Type::Float) => Self::Float(profile.float(f64::from(*i))),
            (Self::Float(x), Type::Float) => Self::Float(*x),
            // Linden's cast takes 32 bits even where the expression before it was computed in 64.
            (Self::Float(x), Type::Integer) => Self::Integer(float_to_integer(profile.float(*x))),
            (Self::Str(s), Type::Integer) => Self::Integer(number::integer(s, profile)?),
            (Self::Str(s), Type::Float) => Self::Float(number::float(s, profile)?),
            // In YEngine a key is a string in everything but a condition.
            (Self::Key(s), Type::Integer) if profile.is_opensim() => {
                Self::Integer(number::integer(s, profile)?)
            }
            (Self::Key(s), Type::Float) if profile.is_opensim() => Self::Float(number::float(s, profile)?),
            (Self::Str(s), Type::Vector) => Self::Vector(number::tuple(s, profile).unwrap_or_default()),
            (Self::Str(s), Type::Rotation) => {
                Self::Rotation(number::tuple(s, profile).unwrap_or([0.0, 0.0, 0.0, 1.0]))
            }
            (Self::Key(s), Type::Vector) if profile.is_opensim() => {
                Self::Vector(number::tuple(s, profile).unwrap_or_default())
            }
            (Self::Key(s), Type::Rotation) if profile.is_opensim() => {
                Self::Rotation(number::tuple(s, profile).unwrap_or([0.0, 0.0, 0.0, 1.0]))
            }
            (Self::Str(s) | Self::Key(s), Type::String) => Self::Str(s.clone()),
            (Self::Str(s) | Self::Key(s), Type::Key) => Self::Key(s.clone()),
            (Self::Vector(v), Type::Vector) => Self::Vector(*v),
            (Self::Rotation(r), Type::Rotation) => Self::Rotation(*r),
            (Self::List(items), Type::List) => Self::List(Arc::clone(items)),
            (_, Type::String) => Self::Str(self.text(profile)),
            (_, Type::List) => Self::list(vec![self.clone()]),
            (_, Type::Void) => Self::Integer(0),
            (from, to) => {
                let message = format!("illegal cast from {} to {}", from.ty().name(), to.name());
                return Err(RuntimeError::new(ErrorKind::Cast, message));
            }
        })
    }

    /// `(string)value`: a vector has five decimals on Second Life, six in YEngine.
    #[must_use]
    pub fn text(&self, profile: Profile) -> Text {
        let decimals = if profile.is_opensim() { 6 } else { 5 };
        match self {
            Self::Vector(v) => format::tuple(v, decimals, profile).into(),
            Self::Rotation(r) => format::tuple(r, decimals, profile).into(),
            _ => self.list_text(profile),
        }
    }

    /// The value as an element of a list is written: vectors with six decimals everywhere.
    #[must_use]
    pub fn list_text(&self, profile: Profile) -> Text {
        match self {
            Self::Integer(i) => i.to_string().into(),
            Self::Float(x) => format::float(*x, profile).into(),
            Self::Str(s) | Self::Key(s) => s.clone(),
            Self::Vector(v) => format::tuple(v, 6, profile).into(),
            Self::Rotation(r) => format::tuple(r, 6, profile).into(),
            Self::List(items) => {
                let mut out = String::new();
                for item in items.iter() {
                    out.push_str(&item.list_text(profile));
                }
                out.into()
            }
        }
    }

    /// What a condition makes of the value. A key is true on Second Life only if it is a UUID and not the null key; YEngine
    /// takes any text but the empty one and the null key.
    #[must_use]
    pub fn is_true(&self, profile: Profile) -> bool {
        match self {
            Self::Integer(i) => *i != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::Key(s) if profile.is_opensim() => !s.is_empty() && *s != NULL_KEY,
            Self::Key(s) => is_uuid(s) && *s != NULL_KEY,
            Self::Vector(v) => *v != [0.0; 3],
            Self::Rotation(r) => *r != [0.0, 0.0, 0.0, 1.0],
            Self::List(items) => !items.is_empty(),
        }
    }

    /// `==` of the language: numbers by value, text by content whether string or key, lists by length only.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "list lengths are far below 2^52")]
    pub fn equals(&self, other: &Self, profile: Profile) -> bool {
        let number = |v: &Self| match v {
            Self::Integer(i) => Some(profile.float(f64::from(*i))),
            Self::Float(x) => Some(*x),
            Self::List(items) => Some(items.len() as f64),
            Self::Str(_) | Self::Key(_) | Self::Vector(_) | Self::Rotation(_) => None,
        };
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Str(a) | Self::Key(a), Self::Str(b) | Self::Key(b)) => a == b,
            (Self::Vector(a), Self::Vector(b)) => a == b,
            (Self::Rotation(a), Self::Rotation(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.len() == b.len(),
            (Self::Integer(_) | Self::Float(_), Self::Integer(_) | Self::Float(_)) => {
                number(self) == number(other)
            }
            _ => false,
        }
    }

    /// `!=` of the language: 0 or 1, for two lists the difference of their lengths.
    #[must_use]
    pub fn differs(&self, other: &Self, profile: Profile) -> i32 {
        match (self, other) {
            (Self::List(a), Self::List(b)) => {
                let length = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
                length(a.len()).wrapping_sub(length(b.len()))
            }
            _ => i32::from(!self.equals(other, profile)),
        }
    }

    /// Bytes the value takes in the script's memory.
    ///
    /// Second Life: the figures for Mono from the wiki's page on script memory (a string costs 18 bytes and 2 per UTF-16
    /// unit, a key 102, a list entry 16 to 28). YEngine: what its list and string trackers count.
    #[must_use]
    pub fn memory_size(&self, profile: Profile) -> usize {
        if profile.is_opensim() {
            match self {
                Self::Integer(_) => 4,
                Self::Float(_) => 8,
                Self::Str(s) | Self::Key(s) => 2 * utf16_len(s),
                Self::Vector(_) => 24,
                Self::Rotation(_) => 32,
                Self::List(items) => items.iter().map(|v| 8 + v.memory_size(profile)).sum(),
            }
        } else {
            match self {
                Self::Integer(_) | Self::Float(_) => 4,
                Self::Str(s) => 18 + 2 * utf16_len(s),
                Self::Key(s) => 30 + 2 * utf16_len(s),
                Self::Vector(_) => 12,
                Self::Rotation(_) => 16,
                Self::List(items) => {
                    items
                        .iter()
                        .map(|v| {
                            let boxed = if matches!(v, Self::Str(_) | Self::Key(_)) { 0 } else { 12 };
                            boxed + v.memory_size(profile)
                        })
                        .sum::<usize>()
                        + 72
                }
            }
        }
    }
}

/// UTF-16 units of the text.
#[must_use]
pub fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Profile::{OpenSim092 as Os, SecondLife as Sl};

    fn cast(v: &Value, to: Type, p: Profile) -> Value {
        v.cast(to, p).unwrap()
    }

    #[test]
    fn vectors_have_five_decimals_in_lindens_casts_and_six_in_lists_and_yengine() {
        let v = Value::Vector([1.0, 0.1, 1e-7]);
        assert_eq!(v.text(Sl), "<1.00000, 0.10000, 0.00000>");
        assert_eq!(v.list_text(Sl), "<1.000000, 0.100000, 0.000000>");
        assert_eq!(v.text(Os), "<1.000000, 0.100000, 0.000000>");
        let l = Value::list(vec![Value::Integer(1), Value::str("a"), v]);
        assert_eq!(cast(&l, Type::String, Sl), Value::str("1a<1.000000, 0.100000, 0.000000>"));
        assert_eq!(Value::Rotation([0.0, 0.0, 0.0, 1.0]).text(Sl), "<0.00000, 0.00000, 0.00000, 1.00000>");
    }

    #[test]
    fn floats_are_cut_towards_zero_and_overflow_to_the_smallest_integer() {
        assert_eq!(float_to_integer(-2.7), -2);
        assert_eq!(float_to_integer(3.99e9), i32::MIN);
        assert_eq!(float_to_integer(-3.99e9), i32::MIN);
        assert_eq!(float_to_integer(f64::NAN), i32::MIN);
        assert_eq!(float_to_integer(2_147_483_647.5), i32::MAX);
        assert_eq!(float_to_integer(-2_147_483_648.5), i32::MIN);
    }

    #[test]
    fn integers_lose_precision_as_floats_on_linden_only() {
        assert_eq!(cast(&Value::Integer(16_777_217), Type::Float, Sl), Value::Float(16_777_216.0));
        assert_eq!(cast(&Value::Integer(16_777_217), Type::Float, Os), Value::Float(16_777_217.0));
    }

    #[test]
    fn keys_are_true_by_each_engines_own_idea() {
        let real = Value::key("00000000-0000-0000-0000-000000000001");
        assert!(real.is_true(Sl) && real.is_true(Os));
        assert!(!Value::key("abc").is_true(Sl));
        assert!(Value::key("abc").is_true(Os));
        assert!(!Value::key(NULL_KEY).is_true(Sl) && !Value::key(NULL_KEY).is_true(Os));
        assert!(!Value::key("").is_true(Os));
        assert!(Value::str(NULL_KEY).is_true(Sl));
        assert!(!Value::Rotation([0.0, 0.0, 0.0, 1.0]).is_true(Sl));
        assert!(!Value::list(vec![]).is_true(Os));
    }

    #[test]
    fn lists_compare_by_length() {
        let (one, other) = (Value::list(vec![Value::Integer(1)]), Value::list(vec![Value::Integer(2)]));
        assert!(one.equals(&other, Sl));
        let two = Value::list(vec![Value::Integer(1), Value::Integer(2)]);
        assert_eq!(two.differs(&Value::list(vec![]), Sl), 2);
        assert_eq!(Value::list(vec![]).differs(&two, Os), -2);
    }

    #[test]
    fn strings_equal_keys_and_integers_equal_floats() {
        assert!(Value::key("x").equals(&Value::str("x"), Sl));
        assert!(Value::Integer(1).equals(&Value::Float(1.0), Os));
        assert!(Value::Integer(16_777_217).equals(&Value::Float(16_777_216.0), Sl));
        assert!(!Value::Integer(16_777_217).equals(&Value::Float(16_777_216.0), Os));
        assert!(!Value::Float(f64::NAN).equals(&Value::Float(f64::NAN), Sl));
    }

    #[test]
    fn impossible_casts_are_errors_not_panics() {
        assert_eq!(Value::Integer(1).cast(Type::Vector, Sl).unwrap_err().kind, ErrorKind::Cast);
    }

    #[test]
    fn memory_counts_utf16_units() {
        assert_eq!(Value::str("abc").memory_size(Sl), 24);
        assert_eq!(Value::str("😀").memory_size(Os), 4);
        assert_eq!(Value::key(NULL_KEY).memory_size(Sl), 102);
        assert!(Value::list(vec![Value::Integer(1); 10]).memory_size(Sl) > 160);
    }
}

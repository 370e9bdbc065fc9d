//! Values as the engines hold them: types, casts, formatting, equality, size in the script's memory.

pub mod cast;
pub mod format;
pub mod number;
mod text;

pub use cast::NULL_KEY;
pub use text::Text;

use serde::Serialize;
use std::sync::Arc;

/// A type of the language. `quaternion` is another name for `rotation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// No value: what a function without a return type gives.
    Void,
    /// 32-bit signed, wraps.
    Integer,
    /// 32 bits on Second Life, 64 bits in YEngine.
    Float,
    /// Text.
    String,
    /// Text that is meant to be a UUID; never checked by the language.
    Key,
    /// Three floats.
    Vector,
    /// Four floats x, y, z, s.
    Rotation,
    /// Any number of values that are not lists.
    List,
}

impl Type {
    /// The keyword.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::String => "string",
            Self::Key => "key",
            Self::Vector => "vector",
            Self::Rotation => "rotation",
            Self::List => "list",
        }
    }

    /// What a variable of this type holds before anything is assigned.
    #[must_use]
    pub fn default_value(self) -> Value {
        match self {
            Self::Void | Self::Integer => Value::Integer(0),
            Self::Float => Value::Float(0.0),
            Self::String => Value::Str(Text::default()),
            Self::Key => Value::Key(Text::default()),
            Self::Vector => Value::Vector([0.0; 3]),
            Self::Rotation => Value::Rotation([0.0, 0.0, 0.0, 1.0]),
            Self::List => Value::List(Arc::default()),
        }
    }
}

/// A value. Floats are stored in 64 bits; where the profile says single precision, every operation rounds its result to
/// 32 bits. Clones are cheap: long text and lists are shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `integer`
    Integer(i32),
    /// `float`
    Float(f64),
    /// `string`
    Str(Text),
    /// `key`
    Key(Text),
    /// `vector` x, y, z
    Vector([f64; 3]),
    /// `rotation` x, y, z, s
    Rotation([f64; 4]),
    /// `list`
    List(Arc<Vec<Self>>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Integer(0)
    }
}

impl Value {
    /// The type of this value.
    #[must_use]
    pub const fn ty(&self) -> Type {
        match self {
            Self::Integer(_) => Type::Integer,
            Self::Float(_) => Type::Float,
            Self::Str(_) => Type::String,
            Self::Key(_) => Type::Key,
            Self::Vector(_) => Type::Vector,
            Self::Rotation(_) => Type::Rotation,
            Self::List(_) => Type::List,
        }
    }

    /// A string value.
    #[must_use]
    pub fn str(text: impl Into<Text>) -> Self {
        Self::Str(text.into())
    }

    /// A key value.
    #[must_use]
    pub fn key(text: impl Into<Text>) -> Self {
        Self::Key(text.into())
    }

    /// A list value.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }
}

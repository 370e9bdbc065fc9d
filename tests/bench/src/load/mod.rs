//! Load and callback sink: what objects in a region do, many at once, as cheaply as can be.

mod closed;
mod http;
mod open;
mod scripts;
mod sink;

pub(crate) use closed::{Client, Window, closed, connect};
pub(crate) use http::{Line, post};
pub(crate) use open::open;
pub(crate) use scripts::{Answer, BridgeTouch, LimitTouch, Rejected, Script, greet, register, rejected};
pub(crate) use sink::Sink;

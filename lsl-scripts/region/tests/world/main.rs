//! The region as scripts and callers meet it: real sockets, a clock that is moved by hand where time matters.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contained;
mod http_in;
mod http_out;
mod objects;
mod people;
mod rack;
mod support;

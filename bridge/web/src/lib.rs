//! The operator's side: the server that all HTTP edges share, health and metrics, and the local control
//! socket that the command line talks to.

pub mod api;
mod control;
mod gate;
mod health;
pub mod page;
mod plain;
mod seldom;
mod server;
mod tls;

pub use control::{Change, Choices, ControlState, Stop, Stopped, Touch, Where, control_routes};
pub use gate::Gate;
pub use health::{Edges, health_routes};
pub use server::{Limits, serve_tcp, serve_unix};
pub use tls::{TlsError, TlsFiles, acceptor};

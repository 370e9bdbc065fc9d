//! The API for programs: REST below `/api/v1`, described by an OpenAPI document that is made from the handlers.
//!
//! ```text
//! request ─▶ token ─▶ pace ─▶ scope ─▶ handler ─▶ views of the engine
//!                                        └─ command ─▶ Intent of web:TOKEN ─▶ policy, journal ─▶ receipt
//! ```
//! A token is an actor like an MQTT account: its scopes say which doors it may open, the policy what it may do
//! behind them. Whatever is not answered well is answered with a problem (RFC 9457) that says what to do.

mod admit;
mod command;
mod config;
mod counters;
mod document;
mod input;
mod journal;
mod list;
mod output;
mod problem;
mod reference;
mod routes;
mod schema;
mod stop;
mod view;

pub use admit::{Tokens, TokensChanged};
pub use config::{ApiConfig, ApiConfigError, ApiPlan, Scope, TokenConfig};
pub use routes::{Api, ApiHost, ApiParts, api_routes, document};

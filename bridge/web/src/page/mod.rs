//! The page: a region in the browser, over one stream.
//!
//! `GET /` is the page, `GET /audience` the same read-only for a projector, `GET /plain` a table without any
//! build step, `GET /page/stream` what happens (server-sent events), `POST /page/act` what a visitor does.
//! Nothing is loaded from elsewhere.

mod assets;
mod guard;
mod hub;
mod inventory_scene;
mod routes;
pub mod scene;
#[cfg(test)]
mod tests;

pub use inventory_scene::InventoryScene;
pub use routes::{PageParts, page_routes};

//! A demonstration that needs no configuration: a bridge, a few real servers, a board played in software, and a region
//! with a rack, a door, a lamp … to touch.
//!
//! Its parts: [`House`] makes the folder with an ordinary configuration in it, the servers are real
//! processes of this very program ([`DemoServer`]), and the command puts a bridge and a rack together.

mod house;
mod machines;
pub(crate) mod panel;
pub(crate) mod room;
pub(crate) mod scene;
mod scripts;
mod server;
mod servers;
mod things;

pub use house::House;
pub(crate) use house::{BADGES, BOARD, RACK};
pub use server::DemoServer;
pub use servers::{all_seen, stop_everything};

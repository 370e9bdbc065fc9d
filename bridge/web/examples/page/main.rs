//! The page with a made-up world behind it, for looking at and for tests of the page alone.
//!
//! `cargo run -p primrack-web --example page -- [--port 7407] [--units 28] [--read-only] [--still]`
#![expect(clippy::print_stdout, reason = "an example tells its address")]

mod room;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use primrack_web::page::{PageParts, page_routes};
use primrack_web::{Limits, serve_tcp};
use room::Room;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u16| -> Result<u16, std::num::ParseIntError> {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(Ok(default), |text| text.parse())
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);

    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let room = Room::new(number("--units", 28)?);
    if !has("--still") {
        tasks.spawn(Arc::clone(&room).live(stop.clone()));
    }
    let listener =
        TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, number("--port", 7407)?))).await?;
    println!("http://{}", listener.local_addr()?);
    let mut parts = PageParts::new(room, stop.clone());
    parts.acting = !has("--read-only");
    serve_tcp(listener, None, page_routes(parts), None, Limits::default(), &tasks, stop.clone());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

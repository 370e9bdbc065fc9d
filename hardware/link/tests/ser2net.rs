//! A board behind Debian's `ser2net`: bare bytes over `tcp://`, as the door demonstration of 2008 had it, and RFC 2217.
//! It needs Debian's package `ser2net` (4.3).

#[path = "../../../tests/src/figure.rs"]
mod figure;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use figure::in_time;
use primrack_link::message::{Happening, Uid};
use primrack_link::port::{Port, PortAddress, PortEvent};
use primrack_link::session::Phase;
use primrack_link::soft::{SoftBoard, SoftConfig};
use primrack_link::{Link, LinkConfig};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(15);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "ser2net of the test could not be ended: {ended:?}"
        );
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// `ser2net` with `device` on `port`; `accepter` is `tcp` or `telnet(rfc2217),tcp`.
fn ser2net(folder: &Path, accepter: &str, port: u16, device: &Path) -> Server {
    let config = folder.join("ser2net.yaml");
    let text = format!(
        "connection: &gate\n  accepter: {accepter},127.0.0.1,{port}\n  connector: serialdev,{},115200n81,local\n  options:\n    kickolduser: false\n",
        device.display()
    );
    std::fs::write(&config, text).expect("a configuration");
    let child = Command::new("ser2net")
        .args(["-n", "-u", "-c"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("ser2net of Debian");
    Server(child)
}

async fn through(scheme: &str, accepter: &str) {
    let folder = tempfile::tempdir().expect("in time and well");
    let device = folder.path().join("ttySOFT0");
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let board = SoftBoard::start_on_pty(SoftConfig::default(), device.clone(), stop.clone())
        .expect("in time and well");
    let port = free_port();
    let server = ser2net(folder.path(), accepter, port, &device);
    let address: PortAddress = format!("{scheme}://127.0.0.1:{port}").parse().expect("in time and well");
    let mut running = Link::start(address.dial(115_200), &LinkConfig::default(), stop.child_token());
    running.link.adopted(LONG).await.expect("in time and well");
    for turn in 1..=50_u32 {
        assert_eq!(running.link.set(0, turn % 2, None).await, Ok(turn % 2));
    }
    assert_eq!(board.outputs().borrow()[0].edges, 50);
    let uid = Uid::from_hex("DEADBEEF").expect("in time and well");
    board.badge(0, uid);
    let badge = loop {
        let input =
            timeout(LONG, running.inputs.recv()).await.expect("in time and well").expect("in time and well");
        if matches!(input.happening, Happening::Tag { .. }) {
            break input;
        }
    };
    assert_eq!(badge.happening, Happening::Tag { reader: 0, uid });
    // The server goes and comes back: seen at once, and the outputs are asserted again.
    running.link.set(1, 5, None).await.expect("in time and well");
    let adoptions = running.link.status().borrow().adoptions;
    drop(server);
    let mut status = running.link.status();
    let before = Instant::now();
    timeout(LONG, status.wait_for(|status| status.phase == Phase::Closed))
        .await
        .expect("in time and well")
        .expect("in time and well");
    in_time("the server's end to seen", before.elapsed(), Duration::from_secs(1));
    let _server = ser2net(folder.path(), accepter, port, &device);
    timeout(LONG, status.wait_for(|status| status.adoptions > adoptions && status.outputs[1] == Some(5)))
        .await
        .expect("in time and well")
        .expect("in time and well");
}

#[tokio::test]
async fn a_board_behind_ser2net_is_a_board_over_tcp() {
    through("tcp", "tcp").await;
}

#[tokio::test]
async fn a_board_behind_ser2net_is_a_board_over_rfc_2217() {
    through("rfc2217", "telnet(rfc2217),tcp").await;
}

#[tokio::test]
async fn bare_bytes_where_rfc_2217_was_expected_are_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("ttySOFT0");
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let _board = SoftBoard::start_on_pty(SoftConfig::default(), device.clone(), stop).unwrap();
    let port = free_port();
    let _server = ser2net(folder.path(), "telnet,tcp", port, &device);
    let address: PortAddress = format!("rfc2217://127.0.0.1:{port}").parse().unwrap();
    let mut client = Port::new(address.dial(115_200));
    let words = loop {
        let event = timeout(LONG, client.next()).await.unwrap();
        match event {
            // Not listening yet.
            PortEvent::Failed(error) if error.to_string().contains("reached") => {}
            PortEvent::Failed(error) => break error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(words.contains("does not offer RFC 2217"), "{words}");
}

//! Links over real ports: memory, ptys with a stable name, TCP. The boards are software boards.

#[path = "../../../tests/src/figure.rs"]
mod figure;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use figure::in_time;
use primrack_link::message::{Happening, ResetCause, Uid};
use primrack_link::plain::PlainFormat;
use primrack_link::port::{BoxFuture, Dial, Port, PortAddress, PortError, PortEvent, Wire};
use primrack_link::session::{Phase, RequestError, STALE_AFTER};
use primrack_link::soft::{SoftBoard, SoftConfig};
use primrack_link::{Link, LinkConfig, RunningLink};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

const LONG: Duration = Duration::from_secs(10);

/// A board on a pty in a folder of its own, and what ends both.
struct OnPty {
    board: SoftBoard,
    path: PathBuf,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

fn on_pty() -> OnPty {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("usb-soft-board-if00");
    let stop = CancellationToken::new();
    let board = SoftBoard::start_on_pty(SoftConfig::default(), path.clone(), stop.clone()).expect("a pty");
    OnPty { board, path, _folder: folder, _stop: stop.drop_guard() }
}

fn start(path: &Path, config: &LinkConfig) -> (RunningLink, DropGuard) {
    let stop = CancellationToken::new();
    let link = Link::start(PortAddress::Serial(path.to_path_buf()).dial(115_200), config, stop.clone());
    (link, stop.drop_guard())
}

async fn until(link: &Link, holds: impl Fn(&primrack_link::session::Status) -> bool) -> Instant {
    let mut status = link.status();
    let reached = timeout(LONG, status.wait_for(|status| holds(status))).await;
    let words = link.status().borrow().words.clone();
    reached.unwrap_or_else(|_| panic!("it never came to that: {words}")).expect("the driver lives");
    Instant::now()
}

async fn next_tag(running: &mut RunningLink) -> primrack_link::session::Input {
    loop {
        let input = timeout(LONG, running.inputs.recv()).await.expect("in time").expect("the driver lives");
        if matches!(input.happening, Happening::Tag { .. }) {
            return input;
        }
    }
}

fn uid() -> Uid {
    Uid::from_hex("04A1B2C3D4E5F6").expect("a UID")
}

#[tokio::test]
async fn a_board_in_memory_takes_commands_and_tells_badges() {
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let board = SoftBoard::start(SoftConfig::default(), stop.clone());
    let mut running = Link::start(board.dial(), &LinkConfig::default(), stop.child_token());
    let status = running.link.adopted(LONG).await.unwrap();
    assert!(status.words.contains("soft-door") && status.words.contains("simulated"), "{}", status.words);
    assert_eq!(running.link.set(0, 1, None).await, Ok(1));
    assert_eq!(board.outputs().borrow()[0].value, 1);
    running.link.text(3, 1, "Come in").await.unwrap();
    assert_eq!(board.outputs().borrow()[3].rows[1], "Come in");
    assert_eq!(running.link.part(0).await.unwrap().kind, "rc522");
    assert_eq!(running.link.stats().await.unwrap().brown_outs, 0);
    board.badge(0, uid());
    let badge = next_tag(&mut running).await;
    assert_eq!(badge.happening, Happening::Tag { reader: 0, uid: uid() });
    assert_eq!(badge.fresh(Instant::now(), STALE_AFTER), Ok(()));
}

#[tokio::test]
async fn a_link_that_stops_says_farewell_and_the_outputs_are_safe_at_once() {
    let on = on_pty();
    let stop = CancellationToken::new();
    let running =
        Link::start(PortAddress::Serial(on.path.clone()).dial(115_200), &LinkConfig::default(), stop.clone());
    running.link.adopted(LONG).await.unwrap();
    running.link.set(0, 1, None).await.unwrap();
    let before = Instant::now();
    stop.cancel();
    running.task.await.unwrap();
    let mut outputs = on.board.outputs();
    timeout(LONG, outputs.wait_for(|outputs| outputs[0].value == 0)).await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}: its lease alone takes 3 s", before.elapsed());
    assert!(matches!(running.link.set(0, 1, None).await, Err(RequestError::Down(_))));
}

#[tokio::test]
async fn an_unplug_is_seen_within_50_ms_and_a_replug_adopted_within_250_ms() {
    let on = on_pty();
    let (running, _guard) = start(&on.path, &LinkConfig::default());
    running.link.adopted(LONG).await.unwrap();
    running.link.set(0, 1, None).await.unwrap();
    let (mut seen, mut adopted) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..10 {
        let adoptions = running.link.status().borrow().adoptions;
        let pulled = Instant::now();
        on.board.unplug();
        seen = seen.max(until(&running.link, |status| status.phase == Phase::Closed).await - pulled);
        let words = running.link.status().borrow().words.clone();
        assert!(words.contains("unplugged") || words.contains("no such device"), "{words}");
        assert!(matches!(running.link.set(0, 0, None).await, Err(RequestError::Down(_))));
        // Longer absences too: the rests between attempts have grown by then.
        tokio::time::sleep(Duration::from_millis(turn * 60)).await;
        let put = Instant::now();
        on.board.plug();
        adopted = adopted.max(until(&running.link, |status| status.adoptions > adoptions).await - put);
        until(&running.link, |status| status.outputs[0] == Some(1)).await;
    }
    in_time("unplug to seen, the longest of 10", seen, Duration::from_millis(50));
    in_time("replug to adopted, the longest of 10", adopted, Duration::from_millis(250));
}

#[tokio::test]
async fn a_board_whose_very_folder_appears_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let by_id = folder.path().join("serial/by-id");
    let path = by_id.join("usb-soft-board-if00");
    let (running, _guard) = start(&path, &LinkConfig::default());
    until(&running.link, |status| status.words.contains("no such device")).await;
    std::fs::create_dir_all(&by_id).unwrap();
    let stop = CancellationToken::new();
    let _board_guard = stop.clone().drop_guard();
    let _board = SoftBoard::start_on_pty(SoftConfig::default(), path, stop).unwrap();
    running.link.adopted(LONG).await.unwrap();
}

#[tokio::test]
async fn a_second_bridge_on_the_same_port_is_refused_with_words() {
    let on = on_pty();
    let (running, _guard) = start(&on.path, &LinkConfig::default());
    running.link.adopted(LONG).await.unwrap();
    let mut second = Port::new(PortAddress::Serial(on.path.clone()).dial(115_200));
    let event = timeout(LONG, second.next()).await.unwrap();
    let PortEvent::Failed(error @ PortError::Busy { .. }) = event else { panic!("{event:?}") };
    let words = error.to_string();
    assert!(words.contains("another program") && words.contains("fuser"), "{words}");
    // The first is not disturbed, and when it goes the port is free.
    assert_eq!(running.link.set(0, 1, None).await, Ok(1));
    drop(_guard);
    running.task.await.unwrap();
    let event = timeout(LONG, second.next()).await.unwrap();
    assert!(matches!(event, PortEvent::Connected), "{event:?}");
}

#[tokio::test]
async fn what_cannot_be_a_port_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no port").unwrap();
    for (path, expected) in
        [(file, "cannot be used as a serial port"), (folder.path().join("gone"), "no such device")]
    {
        let mut port = Port::new(PortAddress::Serial(path).dial(115_200));
        let event = timeout(LONG, port.next()).await.unwrap();
        let PortEvent::Failed(error) = event else { panic!("{event:?}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_reset_is_noticed_and_the_outputs_are_as_they_should_be_within_100_ms() {
    let on = on_pty();
    let (running, _guard) = start(&on.path, &LinkConfig::default());
    running.link.adopted(LONG).await.unwrap();
    running.link.set(0, 1, None).await.unwrap();
    running.link.show(1, 5).await.unwrap();
    let mut outputs = on.board.outputs();
    timeout(LONG, outputs.wait_for(|outputs| outputs[1].value == 5)).await.unwrap().unwrap();
    let before = Instant::now();
    on.board.reset(ResetCause::BrownOut);
    let edges = outputs.borrow()[0].edges;
    timeout(
        LONG,
        outputs
            .wait_for(|outputs| outputs[0].edges > edges && outputs[0].value == 1 && outputs[1].value == 5),
    )
    .await
    .unwrap()
    .unwrap();
    in_time("brown-out to the outputs as they should be", before.elapsed(), Duration::from_millis(100));
}

#[tokio::test]
async fn a_noisy_line_loses_and_doubles_nothing() {
    let on = on_pty();
    let (mut running, _guard) = start(&on.path, &LinkConfig::default());
    running.link.adopted(LONG).await.unwrap();
    on.board.turn(|knobs| (knobs.errors_to_board, knobs.errors_to_host) = (10_000, 10_000));
    let before = on.board.outputs().borrow()[0].edges;
    for turn in 1..=100_u32 {
        assert_eq!(running.link.set(0, turn % 2, None).await, Ok(turn % 2));
    }
    assert_eq!(on.board.outputs().borrow()[0].edges - before, 100);
    for number in 0..20_u32 {
        on.board.badge(0, Uid::new(&number.to_be_bytes()).unwrap());
        let badge = next_tag(&mut running).await;
        assert_eq!(
            badge.happening,
            Happening::Tag { reader: 0, uid: Uid::new(&number.to_be_bytes()).unwrap() }
        );
    }
}

#[tokio::test]
async fn inputs_that_nobody_fetches_hold_nothing_up() {
    let on = on_pty();
    let (running, _guard) = start(&on.path, &LinkConfig::default());
    running.link.adopted(LONG).await.unwrap();
    for number in 0..400_u32 {
        on.board.badge(0, Uid::new(&number.to_be_bytes()).unwrap());
        if number % 8 == 7 {
            // Whatever is dropped for want of room is dropped by the board; commands pass.
            assert_eq!(running.link.set(0, number / 8 % 2, None).await, Ok(number / 8 % 2));
        }
    }
}

#[tokio::test]
async fn a_monitor_sees_both_directions() {
    let on = on_pty();
    let (running, _guard) = start(&on.path, &LinkConfig::default());
    let mut monitor = running.link.monitor();
    running.link.adopted(LONG).await.unwrap();
    running.link.set(0, 1, None).await.unwrap();
    let (mut up, mut down) = (String::new(), String::new());
    while !(up.contains(" hello 1 soft-1.0 ") && down.contains(" set 0 1 0*")) {
        let traffic = timeout(LONG, monitor.recv()).await.unwrap().unwrap();
        let side = if traffic.from_board { &mut up } else { &mut down };
        side.push_str(&String::from_utf8_lossy(&traffic.bytes));
    }
}

#[tokio::test]
async fn a_plain_reader_over_tcp_is_read_across_reconnections() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let address: PortAddress = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    let config = LinkConfig { plain: Some(PlainFormat::Em4100), ..LinkConfig::default() };
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let mut running = Link::start(address.dial(9600), &config, stop);
    for _ in 0..3 {
        let (mut reader, _) = timeout(LONG, server.accept()).await.unwrap().unwrap();
        reader.write_all(b"\x02001234567808\x03").await.unwrap();
        let badge = next_tag(&mut running).await;
        assert_eq!(badge.happening, Happening::Tag { reader: 0, uid: Uid::from_hex("0012345678").unwrap() });
        assert_eq!(running.link.status().borrow().phase, Phase::Plain);
        // Nothing is ever said to a plain reader.
        let mut said = [0; 1];
        assert!(timeout(Duration::from_millis(50), reader.read(&mut said)).await.is_err());
        drop(reader);
        until(&running.link, |status| status.phase == Phase::Closed).await;
    }
}

#[tokio::test]
async fn the_text_of_a_board_is_no_badge() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let address: PortAddress = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    let config = LinkConfig { plain: Some(PlainFormat::Hex), ..LinkConfig::default() };
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let mut running = Link::start(address.dial(9600), &config, stop);
    let (mut board, _) = timeout(LONG, server.accept()).await.unwrap().unwrap();
    board.write_all(b"DEADBEEF\n").await.unwrap();
    next_tag(&mut running).await;
    board.write_all(b"~0 hello 1 gw-1.0.0 board 1 por 127 r3b2a1o6*F3C6\nDEADBEEF\n").await.unwrap();
    until(&running.link, |status| status.phase == Phase::Refused).await;
    assert!(running.link.status().borrow().words.contains("configure it as a board"));
    // Not after a reconnection either.
    drop(board);
    let (mut board, _) = timeout(LONG, server.accept()).await.unwrap().unwrap();
    board.write_all(b"DEADBEEF\n").await.unwrap();
    assert!(timeout(Duration::from_millis(200), running.inputs.recv()).await.is_err());
}

/// Time on processors that this thread has used.
fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("nanoseconds"))
}

/// A line that is open, and takes no byte and gives none.
struct Stuck;

impl AsyncRead for Stuck {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Stuck {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct StuckDial;

impl Dial for StuckDial {
    fn dial(&mut self) -> BoxFuture<Result<Box<dyn Wire>, PortError>> {
        Box::pin(async { Ok(Box::new(Stuck) as Box<dyn Wire>) })
    }

    fn describe(&self) -> String {
        "stuck".to_owned()
    }
}

#[tokio::test]
async fn a_line_that_takes_nothing_and_a_board_that_is_deaf_cost_no_processor() {
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let stuck = Link::start(Box::new(StuckDial), &LinkConfig::default(), stop.child_token());
    let board = SoftBoard::start(SoftConfig::default(), stop.child_token());
    let running = Link::start(board.dial(), &LinkConfig::default(), stop.child_token());
    running.link.adopted(LONG).await.unwrap();
    board.turn(|knobs| knobs.deaf = true);
    board.badge(0, uid());
    // And a board that has ended for good.
    let ended = CancellationToken::new();
    let gone = SoftBoard::start(SoftConfig::default(), ended.clone());
    ended.cancel();
    let _gone = Link::start(gone.dial(), &LinkConfig::default(), stop.child_token());
    // All of them run on this one thread.
    let before = used();
    until(&running.link, |status| status.phase == Phase::Silent).await;
    until(&stuck.link, |status| status.phase == Phase::Silent).await;
    let cost = used() - before;
    assert!(cost < Duration::from_millis(500), "{cost:?} of three seconds");
}

//! A TLS connection of its own for each touch, as grids make them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Scale;
use super::touch::{bridge, limit_touches, scratch};
use crate::child::Server;
use crate::load::{Answer, BridgeTouch, Line, Script, Sink};
use crate::report::{Good, Row, median};
use crate::words::{BridgeSpec, LimitSpec, Spec};

const OBJECTS: usize = 8_192;
/// At once: enough to keep one core busy, few enough that handshakes do not queue.
const AT_ONCE: usize = 16;

/// A certificate for this run: its PEM files, and the bytes that clients trust.
fn certificate(folder: &Path) -> anyhow::Result<((PathBuf, PathBuf), CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (chain, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&chain, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    Ok(((chain, key), made.cert.der().clone()))
}

fn connector(trusted: CertificateDer<'static>) -> anyhow::Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Every connection is a stranger's.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn one(
    port: u16,
    tls: &TlsConnector,
    request: &[u8],
    script: &mut dyn Script,
) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
    let mut line = Line::over(stream);
    let (status, body) = line.ask(request).await?;
    Ok(script.judge(status, body))
}

/// Touches for a window; microseconds of CPU for each, and touches a second.
async fn window(
    server: &Server,
    sink: Option<&Sink>,
    tls: &TlsConnector,
    scripts: &mut [Box<dyn Script>],
    time: Duration,
) -> anyhow::Result<(f64, f64)> {
    let before = server.usage()?.cpu;
    let begun = Instant::now();
    let port = server.port;
    let mut work: FuturesUnordered<_> = scripts
        .iter_mut()
        .map(|script| async move {
            let (mut accepted, mut request) = (0u64, Vec::new());
            while begun.elapsed() < time {
                script.next(&mut request);
                let answer = one(port, tls, &request, script.as_mut()).await?;
                anyhow::ensure!(answer == Answer::Accepted, "a touch over TLS was not accepted: {answer:?}");
                accepted += 1;
            }
            anyhow::Ok(accepted)
        })
        .collect();
    let mut accepted = 0;
    while let Some(one) = work.next().await {
        accepted += one?;
    }
    let took = begun.elapsed().as_secs_f64();
    if let Some(sink) = sink {
        sink.settle(Duration::from_millis(300)).await;
    }
    let cpu = server.usage()?.cpu.saturating_sub(before).as_secs_f64();
    Ok((cpu * 1e6 / accepted as f64, accepted as f64 / took))
}

pub(super) async fn fresh(scale: Scale) -> anyhow::Result<Vec<Row>> {
    let (ours_in, theirs_in) = (scratch()?, scratch()?);
    let (files, trusted) = certificate(theirs_in.path())?;
    let tls = connector(trusted)?;
    let sink = Sink::start(OBJECTS).await?;
    let spec = LimitSpec { objects: OBJECTS, durable: None, sink: None, tls: Some(files.clone()) };
    let theirs = Server::start(&Spec::Limit(spec)).await?;
    let spec = BridgeSpec { tls: Some(files), ..bridge(&ours_in, OBJECTS, sink.port) };
    let ours = Server::start(&Spec::Bridge(spec)).await?;
    sink.want("off");
    anyhow::ensure!(sink.until_showing(OBJECTS, Duration::from_secs(60)).await, "objects were not told");
    let nonce = greet_tls(ours.port, &tls).await?;
    let count = OBJECTS / AT_ONCE;
    let mut our_scripts: Vec<Box<dyn Script>> = (0..AT_ONCE)
        .map(|n| Box::new(BridgeTouch::new(n * count, count, 1, nonce, 1, 1)) as Box<dyn Script>)
        .collect();
    let mut their_scripts = limit_touches(OBJECTS, AT_ONCE);
    let (mut us, mut them, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds() {
        let theirs = window(&theirs, None, &tls, &mut their_scripts, scale.window()).await?;
        let ours = window(&ours, Some(&sink), &tls, &mut our_scripts, scale.window()).await?;
        ratios.push(ours.0 / theirs.0);
        us.push(ours);
        them.push(theirs);
    }
    let middle = |all: &[(f64, f64)]| {
        let cpu = median(&all.iter().map(|it| it.0).collect::<Vec<_>>());
        let rate = median(&all.iter().map(|it| it.1).collect::<Vec<_>>());
        format!("{cpu:.0} us, {rate:.0}/s")
    };
    let row = Row::new("touch-tls-fresh", median(&ratios), Good::Low, 1.5, 1.2)
        .of(middle(&us), format!("{} limit", middle(&them)))
        .with("CPU of one touch; ours with journal and callback, the reference without either");
    ours.stop().await?;
    theirs.stop().await?;
    Ok(vec![row])
}

/// Learns the nonce over TLS.
async fn greet_tls(port: u16, tls: &TlsConnector) -> anyhow::Result<primrack_wire::world::Nonce> {
    use primrack_wire::world::{Dir, NonceField, Unverified};
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let stream = tls.connect(ServerName::try_from("localhost")?, stream).await.context("no TLS")?;
    let mut request = Vec::new();
    crate::load::post(
        &mut request,
        "/world/1",
        "",
        &crate::words::signed(Dir::Up, 0, NonceField::None, 1, "{}"),
    );
    let mut line = Line::over(stream);
    let (_, body) = line.ask(&request).await?;
    match Unverified::parse(body)?.verify(&crate::words::secret(0))?.header().nonce {
        NonceField::Boot(nonce) => Ok(nonce),
        NonceField::None => anyhow::bail!("an answer without the bridge's nonce"),
    }
}

//! A small real server: what the demonstration starts, stops and lets die.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A server of the demonstration: HTTP on a free port of 127.0.0.1.
#[derive(Debug, Args)]
pub struct DemoServer {
    /// What it calls itself
    name: String,
    /// How long it takes until it is ready
    #[arg(long, default_value_t = 300)]
    boot_ms: u64,
    /// Ignores the request to end
    #[arg(long)]
    stubborn: bool,
    /// Fails by itself after so long
    #[arg(long)]
    dies_after_ms: Option<u64>,
}

impl DemoServer {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<ExitCode> {
        let Self { name, boot_ms, stubborn, dies_after_ms } = self;
        // Taken before anything else, so that nothing can end it by surprise.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let started = Instant::now();
        let end = async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if !stubborn {
                    return;
                }
                let _unheard = crate::out::line("asked to end, and does not");
            }
        };
        let fate = async {
            match dies_after_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        let serve = async {
            // A server that loads: this is what "starting" looks like.
            tokio::time::sleep(Duration::from_millis(boot_ms)).await;
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            crate::out::line(&format!("{name} is ready at http://{}/", listener.local_addr()?))?;
            accept(&listener, &name, started).await
        };
        tokio::select! {
            () = end => Ok(ExitCode::SUCCESS),
            () = fate => {
                crate::out::complain("it fails, as it was told to");
                Ok(ExitCode::from(7))
            }
            served = serve => served.map(|()| ExitCode::SUCCESS),
        }
    }
}

async fn accept(listener: &TcpListener, name: &str, started: Instant) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let text = format!("{name} runs since {} s\n", started.elapsed().as_secs());
        let answer = service_fn(move |_| {
            let text = text.clone();
            async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text)))) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer);
        // One after the other and not for long: a demonstration.
        if tokio::time::timeout(Duration::from_secs(2), connection).await.is_err() {
            tracing::debug!("a visitor took too long");
        }
    }
}

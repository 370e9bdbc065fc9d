//! Bare bytes over TCP, as `ser2net` in its raw mode gives them.

use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{BoxFuture, Dial, PortError, Wire};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

pub(super) struct TcpDial {
    host: String,
    port: u16,
}

impl TcpDial {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self { host, port }
    }
}

impl Dial for TcpDial {
    fn dial(&mut self) -> BoxFuture<Result<Box<dyn Wire>, PortError>> {
        let (name, host, port) = (self.describe(), self.host.clone(), self.port);
        Box::pin(async move { Ok(Box::new(connect(name, host, port).await?) as Box<dyn Wire>) })
    }

    fn redial_when_silent(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("tcp://{}:{}", self.host, self.port)
    }
}

pub(super) async fn connect(name: String, host: String, port: u16) -> Result<TcpStream, PortError> {
    let attempt = timeout(CONNECT, TcpStream::connect((host.as_str(), port))).await;
    let stream = match attempt {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(PortError::Unreachable { port: name, why: error.to_string() }),
        Err(_) => return Err(PortError::Unreachable { port: name, why: "no answer within 5 s".to_owned() }),
    };
    tune(&stream).map_err(|error| PortError::Unreachable { port: name, why: error.to_string() })?;
    Ok(stream)
}

/// Small frames go at once, and a server that vanished without a word is noticed within half a minute.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    // Keep-alives rest while bytes are unacknowledged; then this counts, in milliseconds.
    sockopt::set_tcp_user_timeout(stream, 15_000)?;
    Ok(())
}

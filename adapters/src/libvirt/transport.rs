//! How the bytes get to a daemon.

use std::io;
use std::path::{Path, PathBuf};

use primrack_adapter_api::AdapterError;
use tokio::net::{TcpStream, UnixStream};

use super::config::{At, LibvirtConfig};
use super::rpc::Wire;
use super::tls;

/// Connects as the configuration says.
pub(super) async fn connect(config: &LibvirtConfig) -> Result<Box<dyn Wire>, AdapterError> {
    match config.at() {
        At::Unix(paths) => Ok(Box::new(unix(&paths).await?)),
        At::Tcp(address) => Ok(Box::new(tcp(address).await?)),
        At::Tls(settings) => tls::connect(settings, tcp(&settings.address).await?).await,
    }
}

/// The first of these sockets that is there.
async fn unix(paths: &[PathBuf]) -> Result<UnixStream, AdapterError> {
    let mut last = AdapterError::Unreachable("no socket is named".to_owned());
    for path in paths {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            Err(why) => last = closed(path, &why),
        }
    }
    Err(last)
}

fn closed(path: &Path, why: &io::Error) -> AdapterError {
    let place = path.display();
    match why.kind() {
        io::ErrorKind::PermissionDenied => AdapterError::Credentials(format!(
            "{place} may not be opened by the bridge's user: add the user to the group libvirt"
        )),
        io::ErrorKind::NotFound => AdapterError::Unreachable(format!(
            "there is no socket {place}: is libvirtd (or the driver's own daemon) running, and is `socket` right?"
        )),
        _ => AdapterError::Unreachable(format!("{place}: {why}")),
    }
}

async fn tcp(address: &str) -> Result<TcpStream, AdapterError> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|why| AdapterError::Unreachable(format!("{address} cannot be reached: {why}")))?;
    // Questions are short and one waits for each.
    stream.set_nodelay(true).map_err(|why| AdapterError::Unreachable(format!("{address}: {why}")))?;
    Ok(stream)
}

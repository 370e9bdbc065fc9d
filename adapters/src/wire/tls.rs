//! TLS with our own certificate, where the server wants one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::AdapterError;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Trust;
use crate::web::read_secret;

use super::{Stream, WireError};

/// Reads the files.
pub(super) async fn config(
    trust: &Trust,
    identity: Option<&(PathBuf, PathBuf)>,
) -> Result<Arc<ClientConfig>, WireError> {
    let trust = trust.clone();
    let read = tokio::task::spawn_blocking(move || trust.client_config()).await;
    let unusable = |why: AdapterError| WireError::Credentials(why.to_string());
    let mut config = read.map_err(|why| WireError::Unreachable(why.to_string()))?.map_err(unusable)?;
    if let Some((certificate, key)) = identity {
        let chain = certificates(certificate).await?;
        let secret = read_secret(key).await.map_err(unusable)?;
        // The parser's words are not passed on: they may quote what it read.
        let private = PrivateKeyDer::from_pem_slice(secret.expose_secret().as_bytes())
            .map_err(|_| wrong(key, "there is no private key in it (PEM is expected)"))?;
        let pair = CertifiedKey::from_der(chain, private, config.crypto_provider())
            .map_err(|why| wrong(certificate, &why.to_string()))?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
    }
    Ok(Arc::new(config))
}

fn wrong(path: &Path, words: &str) -> WireError {
    WireError::Credentials(format!("{}: {words}", path.display()))
}

/// At least one.
async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WireError> {
    let bytes = tokio::fs::read(path).await.map_err(|why| wrong(path, &why.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(path, "there is no certificate in it (PEM is expected)")),
        Err(why) => Err(wrong(path, &why.to_string())),
    }
}

pub(super) async fn shake_hands(
    config: Arc<ClientConfig>,
    host: &str,
    tcp: TcpStream,
) -> Result<Box<dyn Stream>, WireError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| WireError::Credentials(format!("{host:?} can be no server's name")))?;
    match TlsConnector::from(config).connect(name, tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(why) => Err(match why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(why) => WireError::Credentials(format!("TLS with {host}: {why}")),
            None => WireError::Unreachable(format!("TLS with {host}: {why}")),
        }),
    }
}

//! TLS as libvirt does it: the daemon shows a certificate for its name, and wants one of ours; when it
//! has looked at ours, it says so with one byte (virNetTLSSession, `virNetClientSetTLSSession`).

use std::path::Path;
use std::sync::Arc;

use primrack_adapter_api::AdapterError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::config::TlsSettings;
use super::rpc::Wire;
use super::secret;

/// The byte by which a daemon says that our certificate will do.
const WELCOME: u8 = 1;

/// Shakes hands over `stream`.
pub(super) async fn connect(
    settings: &TlsSettings,
    stream: TcpStream,
) -> Result<Box<dyn Wire>, AdapterError> {
    let config = client(settings).await?;
    let name = settings.server_name();
    let server = ServerName::try_from(name.clone()).map_err(|_| {
        AdapterError::Credentials(format!(
            "{name:?} is no name that a certificate can be for: set `tls.name`"
        ))
    })?;
    let address = &settings.address;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await.map_err(|why| {
        match why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(what)) => AdapterError::Credentials(format!(
                "{address} shows a certificate that is not good for {name} under {}: {what}",
                settings.ca.display()
            )),
            Some(other) => AdapterError::Credentials(format!("{address}: no TLS: {other}")),
            None => AdapterError::Unreachable(format!("{address}: {why}")),
        }
    })?;
    match stream.read_u8().await {
        Ok(WELCOME) => Ok(Box::new(stream)),
        // With TLS 1.3 a daemon that does not like our certificate says so only now, or hangs up.
        Ok(_) | Err(_) => Err(AdapterError::Credentials(format!(
            "{address} does not accept the certificate {}: it has to come from the CA that the daemon trusts, \
             and be in its tls_allowed_dn_list where it has one",
            settings.certificate.display()
        ))),
    }
}

async fn client(settings: &TlsSettings) -> Result<ClientConfig, AdapterError> {
    let unusable = |path: &Path, why: &dyn std::fmt::Display| {
        AdapterError::Credentials(format!("{} cannot be used: {why}", path.display()))
    };
    let text = async |path: &Path| tokio::fs::read(path).await.map_err(|why| unusable(path, &why));
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&text(&settings.ca).await?) {
        let root = root.map_err(|why| unusable(&settings.ca, &why))?;
        roots.add(root).map_err(|why| unusable(&settings.ca, &why))?;
    }
    if roots.is_empty() {
        return Err(unusable(&settings.ca, &"there is no certificate in it"));
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text(&settings.certificate).await?)
        .collect::<Result<_, _>>()
        .map_err(|why| unusable(&settings.certificate, &why))?;
    let key = secret::read(&settings.key).await?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_| unusable(&settings.key, &"there is no private key in it"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| AdapterError::Credentials(why.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|why| unusable(&settings.certificate, &why))
}

//! Whose certificates are believed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with extra certificates cannot be read.
    #[error("cannot read the certificate file {path}: {source}; it must hold certificates in PEM")]
    ExtraCa {
        /// The file named in the settings.
        path: PathBuf,
        /// What the reader said.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("the certificate file {0} holds no certificate; it must hold at least one in PEM")]
    Empty(PathBuf),
    /// TLS refused a certificate or its own set-up.
    #[error("cannot set up TLS for callbacks: {0}")]
    Setup(#[from] rustls::Error),
}

/// How https callbacks are verified: the public roots, and a grid's own authority where given.
#[derive(Clone)]
pub struct Tls {
    pub(super) config: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// The public roots, plus the certificates of one PEM file.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, or holds something that is no certificate.
    pub fn new(extra_ca: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = extra_ca {
            let bad = |source| TlsError::ExtraCa { path: path.to_owned(), source };
            let before = roots.len();
            for certificate in CertificateDer::pem_file_iter(path).map_err(bad)? {
                roots.add(certificate.map_err(bad)?)?;
            }
            if roots.len() == before {
                return Err(TlsError::Empty(path.to_owned()));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

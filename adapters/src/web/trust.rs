//! Whose certificates are believed: the system's authorities, one authority of the site, or one very certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primrack_adapter_api::AdapterError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ConfigError;

/// `tls = { … }`: without it the system's authorities are believed. Nothing turns verification off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// A PEM file with the authorities to believe instead of the system's; certificates must name the host.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the one certificate to accept, whatever it names: 64 hexadecimal
    /// digits, colons between them or not.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl Trust {
    /// Turns a relative path into one below `base`.
    pub(crate) fn resolve(&mut self, base: &Path) {
        if let Some(path) = &mut self.ca_file {
            *path = base.join(&*path);
        }
    }

    /// Checks it without touching anything. `place` is the table it stands in, such as `tls`.
    pub(crate) fn check(&self, place: &str) -> Result<(), ConfigError> {
        if self.ca_file.is_some() && self.sha256.is_some() {
            return Err(ConfigError::new(
                place,
                "name either the authorities (ca_file) or the one certificate (sha256), not both",
            ));
        }
        if let Some(text) = &self.sha256
            && fingerprint(text).is_none()
        {
            return Err(ConfigError::new(
                format!("{place}.sha256"),
                "a SHA-256 fingerprint is 64 hexadecimal digits: \
                 openssl s_client -connect HOST:443 </dev/null | openssl x509 -noout -fingerprint -sha256",
            ));
        }
        Ok(())
    }

    /// What TLS needs. Reads the file; not on a runtime thread where that matters.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, AdapterError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let wrong =
            |error: rustls::Error| AdapterError::Unreachable(format!("TLS cannot be set up: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(wrong)?;
        let mut config = match (&self.sha256, &self.ca_file) {
            (Some(text), _) => {
                let wanted = fingerprint(text)
                    .ok_or_else(|| AdapterError::Unreachable("tls.sha256 is no fingerprint".to_owned()))?;
                let pinned = Arc::new(Pinned { wanted, provider });
                builder.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth()
            }
            (None, Some(path)) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
            (None, None) => {
                let system = rustls_platform_verifier::Verifier::new(provider).map_err(|error| {
                    AdapterError::Unreachable(format!(
                        "the system's authorities cannot be read ({error}): install ca-certificates, or name \
                         tls.ca_file or tls.sha256"
                    ))
                })?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(system)).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn roots(path: &Path) -> Result<RootCertStore, AdapterError> {
    let wrong = |words: String| AdapterError::Unreachable(format!("tls.ca_file {}: {words}", path.display()));
    let mut roots = RootCertStore::empty();
    let unreadable =
        |error: rustls::pki_types::pem::Error| wrong(format!("no certificates in PEM can be read: {error}"));
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|error| wrong(format!("a certificate in it cannot be used: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// 32 bytes from hexadecimal digits with or without colons.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::try_from(pair.iter().fold(0, |sum, d| sum * 16 + d)).ok())
        .collect::<Option<_>>()?;
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

fn written(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// Accepts one certificate and no other. What names and dates it bears does not matter: whoever pins
/// it has looked at it. That the peer holds its key is verified as always.
#[derive(Debug)]
struct Pinned {
    wanted: [u8; 32],
    provider: Arc<CryptoProvider>,
}

/// Another certificate than the pinned one.
#[derive(Debug)]
struct Another(String);

impl fmt::Display for Another {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its SHA-256 fingerprint is {}, and tls.sha256 names another", self.0)
    }
}

impl std::error::Error for Another {}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = Sha256::digest(end_entity);
        if digest[..] == self.wanted {
            return Ok(ServerCertVerified::assertion());
        }
        let another = OtherError(Arc::new(Another(written(&digest))));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(another)))
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons() {
        let plain = "00ff".repeat(16);
        let bytes = fingerprint(&plain).unwrap();
        assert_eq!((bytes[0], bytes[1]), (0, 255));
        assert_eq!(fingerprint(&written(&bytes)), Some(bytes));
        for wrong in ["", "00ff", &"zz".repeat(32), &"0".repeat(63), &"0".repeat(65)] {
            assert_eq!(fingerprint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_way_of_trust_at_a_time() {
        let both = Trust { ca_file: Some("/x".into()), sha256: Some("00".repeat(32)) };
        assert!(both.check("tls").unwrap_err().to_string().contains("not both"));
        let short = Trust { ca_file: None, sha256: Some("00".into()) };
        assert!(short.check("tls").unwrap_err().to_string().starts_with("tls.sha256: "));
        assert!(Trust::default().check("tls").is_ok());
        let absent = Trust { ca_file: Some("/no/such/file".into()), sha256: None };
        assert!(absent.client_config().unwrap_err().to_string().contains("/no/such/file"));
    }
}

//! Certificates for daemons behind TLS, and the way to a port in a den.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

use super::{Daemon, Den};

/// An authority, and what it signed: `ca.pem`, `server.pem`, `client.pem` with their keys. A stranger's
/// `strange-ca.pem` and `strange-client.pem` have the same names in them.
pub struct Papers(PathBuf);

impl Papers {
    /// Writes them into a folder. The server is called `localhost`.
    pub fn new(folder: &Path) -> Self {
        let papers = Self(folder.to_owned());
        for (authority, client) in [("ca", "client"), ("strange-ca", "strange-client")] {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            papers.write(authority, &issuer.pem(), &issuer.key().serialize_pem());
            let both = [
                ("server", ExtendedKeyUsagePurpose::ServerAuth),
                (client, ExtendedKeyUsagePurpose::ClientAuth),
            ];
            for (name, usage) in both.into_iter().skip(usize::from(authority != "ca")) {
                let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
                params.extended_key_usages.push(usage);
                let key = KeyPair::generate().unwrap();
                papers.write(name, &params.signed_by(&key, &issuer).unwrap().pem(), &key.serialize_pem());
            }
        }
        papers
    }

    fn write(&self, name: &str, certificate: &str, key: &str) {
        fs::write(self.certificate(name), certificate).unwrap();
        fs::write(self.key(name), key).unwrap();
        fs::set_permissions(self.key(name), Permissions::from_mode(0o600)).unwrap();
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }
}

/// A port of ours that leads to one in a den, byte by byte.
pub struct Lane {
    pub port: u16,
    _there: Daemon,
    here: JoinHandle<()>,
}

impl Lane {
    pub async fn new(den: &Den, port: u16) -> Self {
        let socket = den.path().join("lane.sock");
        let mut command = den.command("socat");
        command.arg(format!("UNIX-LISTEN:{},fork", socket.display())).arg(format!("TCP:127.0.0.1:{port}"));
        let mut there = den.daemon("socat", &mut command);
        there.until("socat", || socket.exists());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let here = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = UnixStream::connect(&socket).await else { continue };
                // It ends as its ends do.
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await.ok() });
            }
        });
        Self { port, _there: there, here }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.here.abort();
    }
}

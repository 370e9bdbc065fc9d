//! The packet, and the check.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::{TcpStream, UdpSocket};

/// A network card's address.
pub(super) type Mac = [u8; 6];

/// Reads `00:11:22:aa:bb:cc`, also with dashes.
pub(super) fn mac(text: &str) -> Option<Mac> {
    let mut parts = text.split([':', '-']);
    let mut mac = [0; 6];
    for byte in &mut mac {
        let part =
            parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    (parts.next().is_none() && mac != [0; 6] && mac[0] & 1 == 0).then_some(mac)
}

/// The magic packet: six bytes of ones, the address sixteen times, the password if there is one (AMD's white
/// paper 20213, "Magic Packet Technology").
pub(super) fn packet(mac: Mac, password: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend(mac.repeat(16));
    bytes.extend_from_slice(password.unwrap_or_default());
    bytes
}

/// Reads a SecureOn password, six bytes written like an address, from a file that only its owner may read. Touches the disk.
pub(super) fn password(path: &Path) -> Result<Vec<u8>, String> {
    let told = |why: io::Error| format!("the password {} cannot be read: {why}", path.display());
    let about = std::fs::metadata(path).map_err(told)?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(format!("others may read the password {}: chmod 600 it", path.display()));
    }
    let text = SecretString::from(std::fs::read_to_string(path).map_err(told)?);
    let parts: Option<Vec<u8>> =
        text.expose_secret().trim().split([':', '-']).map(|part| u8::from_str_radix(part, 16).ok()).collect();
    parts.filter(|bytes| bytes.len() == 6).ok_or_else(|| {
        format!("{} holds no password of six bytes, such as 01:23:45:67:89:ab", path.display())
    })
}

/// Sends the packet. Whether anyone heard it nobody can tell.
pub(super) async fn send(to: SocketAddr, packet: &[u8]) -> io::Result<()> {
    let own: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(own).await?;
    socket.set_broadcast(to.is_ipv4())?;
    let sent = socket.send_to(packet, to).await?;
    if sent == packet.len() { Ok(()) } else { Err(io::Error::other("only part of the packet was sent")) }
}

/// Tries to connect.
pub(super) async fn reach(to: SocketAddr, patience: Duration) -> Result<(), io::ErrorKind> {
    match tokio::time::timeout(patience, TcpStream::connect(to)).await {
        Ok(tried) => tried.map(drop).map_err(|why| why.kind()),
        Err(_) => Err(io::ErrorKind::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_102_bytes_and_108_with_a_password() {
        let mac = mac("00:11:22:AA-bb-cc").unwrap();
        let plain = packet(mac, None);
        assert_eq!(
            (plain.len(), &plain[..6], &plain[96..]),
            (102, &[255; 6][..], &[0, 17, 34, 170, 187, 204][..])
        );
        assert_eq!(packet(mac, Some(&[1; 6])).len(), 108);
    }

    #[test]
    fn an_address_is_six_bytes_of_one_card() {
        for bad in [
            "",
            "00:11:22:33:44",
            "00:11:22:33:44:55:66",
            "0:11:22:33:44:55",
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "+1:11:22:33:44:55",
        ] {
            assert!(mac(bad).is_none(), "{bad}");
        }
    }
}

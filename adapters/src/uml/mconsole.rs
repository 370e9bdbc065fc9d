//! A word to a machine's kernel: the "management console" over UNIX datagrams
//! (Linux, arch/um/drivers/mconsole.h; Documentation/virt/uml/user_mode_linux_howto_v2.rst, "The MConsole").

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as Plain};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use tokio::net::UnixDatagram;

const MAGIC: u32 = 0xcafe_babe;
const VERSION: u32 = 2;
/// The data field of both structures.
const DATA: usize = 512;
/// Three numbers before the data.
const HEAD: usize = 12;
/// How long a kernel may take to answer: a booting one answers once it has its console.
const ANSWER: Duration = Duration::from_secs(8);
/// How many parts an answer may have.
const PARTS: usize = 64;

/// Tells apart the questions of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Asks, and returns the answer.
pub(super) async fn ask(socket: &Path, command: &str) -> Result<String, AdapterError> {
    match tokio::time::timeout(ANSWER, exchange(socket, command)).await {
        Ok(Ok((true, text))) => Ok(text),
        Ok(Ok((false, text))) => {
            Err(AdapterError::Refused(format!("its kernel refused {command:?}: {text}")))
        }
        Ok(Err(why)) => Err(AdapterError::Unreachable(format!("its kernel does not hear: {why}"))),
        Err(_) => Err(AdapterError::TimedOut(u64::try_from(ANSWER.as_millis()).unwrap_or(u64::MAX))),
    }
}

async fn exchange(socket: &Path, command: &str) -> io::Result<(bool, String)> {
    // An address in no folder: there is nothing to remove afterwards, and the kernel answers to it.
    let name = format!("primrack-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let plain = Plain::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    plain.set_nonblocking(true)?;
    let own = UnixDatagram::from_std(plain)?;
    own.connect(socket)?;
    own.send(&request(command)?).await?;
    let mut text = Vec::new();
    for _ in 0..PARTS {
        let mut buffer = [0; HEAD + DATA + 1];
        let length = own.recv(&mut buffer).await?;
        let part =
            Part::read(&buffer[..length]).ok_or_else(|| io::Error::other("its answer has another form"))?;
        text.extend_from_slice(part.data);
        if !part.more {
            let text = String::from_utf8_lossy(&text).trim_end_matches(['\0', '\n']).to_owned();
            return Ok((part.fine, text));
        }
    }
    Err(io::Error::other("its answer has no end"))
}

/// `struct mconsole_request`: magic, version, length, data; numbers as this machine has them.
fn request(command: &str) -> io::Result<Vec<u8>> {
    let length = u32::try_from(command.len()).map_err(io::Error::other)?;
    if command.len() >= DATA {
        return Err(io::Error::other("too long a word"));
    }
    let mut bytes = Vec::with_capacity(HEAD + DATA);
    for number in [MAGIC, VERSION, length] {
        bytes.extend_from_slice(&number.to_ne_bytes());
    }
    bytes.extend_from_slice(command.as_bytes());
    bytes.resize(HEAD + DATA, 0);
    Ok(bytes)
}

/// `struct mconsole_reply`: error, more, length, data.
struct Part<'a> {
    fine: bool,
    more: bool,
    data: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (error, more, length) = (number(0)?, number(4)?, number(8)?);
        let data = bytes.get(HEAD..HEAD + usize::try_from(length).ok()?.min(bytes.len() - HEAD))?;
        Some(Self { fine: error == 0, more: more != 0, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_kernel_reads() {
        let bytes = request("cad").unwrap();
        assert_eq!(bytes.len(), 524);
        assert_eq!(bytes[..4], MAGIC.to_ne_bytes());
        assert_eq!((&bytes[8..12], &bytes[12..16]), (&3_u32.to_ne_bytes()[..], &b"cad\0"[..]));
        assert!(request(&"x".repeat(600)).is_err());
    }

    #[test]
    fn half_an_answer_is_none() {
        assert!(Part::read(&[0; 11]).is_none());
        // A length beyond the datagram is cut to it.
        let mut bytes = vec![0; 16];
        bytes[8..12].copy_from_slice(&500_u32.to_ne_bytes());
        assert_eq!(Part::read(&bytes).unwrap().data.len(), 4);
    }
}

//! HTTP/1.1 over one connection, written and read by hand: the generator shares its core with the sink,
//! and must not be what limits a figure.

use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a request may run over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Wire for T {}

/// One connection.
pub(crate) struct Line {
    stream: Pin<Box<dyn Wire>>,
    buffer: Vec<u8>,
}

/// Puts a POST together.
pub(crate) fn post(out: &mut Vec<u8>, path: &str, headers: &str, body: &[u8]) {
    use std::io::Write as _;
    out.clear();
    let head =
        write!(out, "POST {path} HTTP/1.1\r\nhost: bench\r\n{headers}content-length: {}\r\n\r\n", body.len());
    // A Vec takes everything.
    drop(head);
    out.extend_from_slice(body);
}

/// Where the head ends and the body's length, once the head is complete.
pub(super) fn head(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| odd("a head that is no text"))?;
    let mut length = None;
    for line in text.split("\r\n").skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    Ok(Some((end + 4, length.ok_or_else(|| odd("no content-length"))?)))
}

pub(super) fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Line {
    /// Connects.
    pub(crate) async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
    /// Over a stream that stands.
    pub(crate) fn over(stream: impl Wire + 'static) -> Self {
        Self { stream: Box::pin(stream), buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and reads its whole answer: status and body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((start, length)) = head(&self.buffer)? {
                while self.buffer.len() < start + length {
                    if self.stream.read_buf(&mut self.buffer).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                let status = self.buffer.get(9..12).and_then(|code| std::str::from_utf8(code).ok());
                let status = status.and_then(|code| code.parse().ok()).ok_or_else(|| odd("no status"))?;
                return Ok((status, &self.buffer[start..start + length]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        assert!(head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n").unwrap().is_none());
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").unwrap(), Some((38, 3)));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}

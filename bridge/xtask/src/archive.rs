//! The first file systems of guests.

use std::io::Write;

use anyhow::{Context as _, Result};

/// A cpio archive in the "newc" form that the kernel unpacks (Documentation/driver-api/early-userspace,
/// "buffer-format"). Not compressed: a guest under TCG unpacks slower than it reads.
pub(crate) struct Archive<W: Write> {
    out: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }
    pub(crate) fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, 0o040_755, (0, 0), b"")
    }
    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entry(name, 0o100_000 | mode, (0, 0), content)
    }
    pub(crate) fn link(&mut self, name: &str, to: &str) -> Result<()> {
        self.entry(name, 0o120_777, (0, 0), to.as_bytes())
    }
    pub(crate) fn character_device(&mut self, name: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(name, 0o020_600, (major, minor), b"")
    }
    pub(crate) fn finish(mut self) -> Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), b"")?;
        Ok(self.out.flush()?)
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).context("a file too big for the archive")?;
        let name_size = u32::try_from(name.len() + 1)?;
        // inode, mode, uid, gid, links, time, size, device of the archive (2), device it is (2), name, checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        let mut head = String::from("070701");
        for field in fields {
            head.push_str(&format!("{field:08X}"));
        }
        self.out.write_all(head.as_bytes())?;
        self.padded(name.as_bytes(), 1, head.len() + name.len() + 1)?;
        self.padded(content, 0, content.len())
    }

    /// Writes `bytes`, then `ends` zero bytes, then as many as round `length` up to four.
    fn padded(&mut self, bytes: &[u8], ends: usize, length: usize) -> Result<()> {
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; 4][..ends + (4 - length % 4) % 4])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_cpio_and_the_kernel_read() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.folder("etc").unwrap();
        archive.file("etc/motd", 0o644, b"hello").unwrap();
        archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701"));
        // Head of 110 bytes, the name with its zero, rounded up: the second entry begins at 116.
        assert_eq!(&bytes[116..122], b"070701");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("etc/motd\0") && text.contains("hello\0\0\0") && text.contains("TRAILER!!!\0"));
    }
}

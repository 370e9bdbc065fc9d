//! Frames of RDM6300 and ID-12LA readers, 9600 8N1: STX, ten hex digits, the XOR of those five bytes, ETX.
//! ID-12LA puts CR LF before its ETX.

use crate::frame::hex_digit;
use crate::message::Uid;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;

#[derive(Debug, Clone, Default)]
pub(super) struct Em4100 {
    digits: [u8; 12],
    /// How many digits were read; `None` outside a frame.
    len: Option<usize>,
}

impl Em4100 {
    /// The badge that `byte` completes.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Uid> {
        match (byte, self.len) {
            // As `~` does for boards: a frame begins here, whatever came before.
            (STX, _) => self.len = Some(0),
            (ETX, Some(12)) => {
                self.len = None;
                return self.badge();
            }
            (b'\r' | b'\n', Some(12)) => {}
            (_, Some(len)) if len < 12 => match hex_digit(byte) {
                Some(digit) => {
                    self.digits[len] = digit;
                    self.len = Some(len + 1);
                }
                None => self.len = None,
            },
            _ => self.len = None,
        }
        None
    }

    fn badge(&self) -> Option<Uid> {
        let mut bytes = [0_u8; 6];
        for (byte, pair) in bytes.iter_mut().zip(self.digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        let (uid, sum) = bytes.split_at(5);
        (uid.iter().fold(0, |xor, byte| xor ^ byte) == sum[0]).then(|| Uid::new(uid)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        let mut decoder = Em4100::default();
        bytes.iter().filter_map(|byte| decoder.feed(*byte)).map(|uid| uid.to_hex()).collect()
    }

    #[test]
    fn both_readers_frames_are_read() {
        assert_eq!(read(b"\x02001234567808\x03"), ["0012345678"]);
        assert_eq!(read(b"\x02001234567808\r\n\x03"), ["0012345678"]);
    }

    #[test]
    fn damage_is_no_badge_and_the_next_frame_is_read() {
        assert!(read(b"\x02001234567809\x03").is_empty(), "checksum");
        assert!(read(b"\x0200123456780\x03").is_empty(), "short");
        assert!(read(b"\x020012345678080\x03").is_empty(), "long");
        assert!(read(b"001234567808\x03").is_empty(), "no beginning");
        assert!(read(b"\x0200123456780g\x03").is_empty(), "no digit");
        assert_eq!(read(b"\x0200123\x02001234567808\x03"), ["0012345678"]);
    }
}

//! Secure Unique NFC: badges (NTAG 424 DNA) that prove themselves with each tap, after NXP's AN12196.
//!
//! The tag mirrors an encrypted block with its UID and a tap counter, and a MAC over both. Whoever has the tag's keys can tell it from a copy;
//! a recorded tap is told by its counter, which must rise: keep the last one of each tag, see [`Tap::follows`].

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use cmac::{Cmac, Mac as _};
use subtle::ConstantTimeEq as _;

use crate::frame::hex_digit;
use crate::message::{SunMessage, Uid};

/// What the block begins with: UID and counter are mirrored, and the UID has seven bytes.
const PICC_DATA_TAG: u8 = 0xC7;
/// Begins the vector from which the session's MAC key is made.
const SESSION_MAC: [u8; 6] = [0x3C, 0xC3, 0x00, 0x01, 0x00, 0x80];

/// The two keys of a tag. They never show in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct SunKeys {
    meta_read: [u8; 16],
    file_read: [u8; 16],
}

impl std::fmt::Debug for SunKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SunKeys(..)")
    }
}

/// Why a tap proves nothing. None of these says how near it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SunError {
    /// A key is not 32 hex digits.
    #[error("a key of a SUN badge is 32 hex digits")]
    Key,
    /// Made with other keys, or damaged, or invented.
    #[error("the badge does not prove itself with these keys")]
    Unproven,
}

/// A tap that was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Whose.
    pub uid: Uid,
    /// Which tap of this tag, from 1; 24 bits.
    pub counter: u32,
}

impl Tap {
    /// Whether it is a later tap than the last one that was taken. A recording is not.
    #[must_use]
    pub fn follows(&self, last: Option<u32>) -> bool {
        last.is_none_or(|last| self.counter > last)
    }
}

impl SunKeys {
    /// Keys in hex of either case: the one that encrypts the UID and counter (SDMMetaRead), and the one that makes the MAC (SDMFileRead).
    ///
    /// # Errors
    /// [`SunError::Key`].
    pub fn from_hex(meta_read: &str, file_read: &str) -> Result<Self, SunError> {
        Ok(Self { meta_read: key(meta_read)?, file_read: key(file_read)? })
    }

    /// Proves a tap.
    ///
    /// # Errors
    /// [`SunError::Unproven`], in about the same time whatever is wrong.
    pub fn verify(&self, message: &SunMessage) -> Result<Tap, SunError> {
        // One block in CBC mode with a zero vector is the block cipher itself.
        let mut block = message.picc.into();
        Aes128::new(&self.meta_read.into()).decrypt_block(&mut block);
        let plain: [u8; 16] = block.into();
        let uid_and_counter = &plain[1..11];
        let session = mac(&self.file_read, &[&SESSION_MAC, uid_and_counter]);
        let full = mac(&session, &[]);
        // The tag sends every second byte.
        let mut expected = [0_u8; 8];
        for (byte, pair) in expected.iter_mut().zip(full.chunks_exact(2)) {
            *byte = pair[1];
        }
        let proved = expected.ct_eq(&message.mac) & plain[0].ct_eq(&PICC_DATA_TAG);
        if !bool::from(proved) {
            return Err(SunError::Unproven);
        }
        let uid = Uid::new(&plain[1..8]).ok_or(SunError::Unproven)?;
        Ok(Tap { uid, counter: u32::from_le_bytes([plain[8], plain[9], plain[10], 0]) })
    }
}

fn mac(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Cmac::<Aes128>::new(&(*key).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn key(text: &str) -> Result<[u8; 16], SunError> {
    let mut key = [0_u8; 16];
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return Err(SunError::Key);
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| hex_digit(pair[at].to_ascii_uppercase()).ok_or(SunError::Key);
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "00000000000000000000000000000000";

    /// NXP AN12196, section 3.4.4: factory keys.
    const TAP: SunMessage = SunMessage {
        picc: [
            0xEF, 0x96, 0x3F, 0xF7, 0x82, 0x86, 0x58, 0xA5, 0x99, 0xF3, 0x04, 0x15, 0x10, 0x67, 0x1E, 0x88,
        ],
        mac: [0x94, 0xEE, 0xD9, 0xEE, 0x65, 0x33, 0x70, 0x86],
    };

    #[test]
    fn the_tap_of_the_application_note_is_proved() {
        let tap = SunKeys::from_hex(ZERO, ZERO).unwrap().verify(&TAP).unwrap();
        assert_eq!((tap.uid.to_hex().as_str(), tap.counter), ("04DE5F1EACC040", 61));
        assert_eq!(SunMessage::from_base64(&TAP.to_base64()), Some(TAP));
    }

    #[test]
    fn every_changed_bit_and_every_other_key_proves_nothing() {
        let keys = SunKeys::from_hex(ZERO, ZERO).unwrap();
        for bit in 0..192 {
            let mut bad = TAP;
            match bit / 8 {
                at @ 0..16 => bad.picc[at] ^= 1 << (bit % 8),
                at => bad.mac[at - 16] ^= 1 << (bit % 8),
            }
            assert_eq!(keys.verify(&bad), Err(SunError::Unproven), "bit {bit}");
        }
        let other = "00000000000000000000000000000001";
        for (meta, file) in [(other, ZERO), (ZERO, other), (other, other)] {
            assert_eq!(SunKeys::from_hex(meta, file).unwrap().verify(&TAP), Err(SunError::Unproven));
        }
    }

    #[test]
    fn a_recorded_tap_does_not_follow_itself() {
        let tap = SunKeys::from_hex(ZERO, ZERO).unwrap().verify(&TAP).unwrap();
        assert!(tap.follows(None) && tap.follows(Some(60)));
        assert!(!tap.follows(Some(61)) && !tap.follows(Some(62)));
    }

    #[test]
    fn keys_are_32_hex_digits_and_show_nowhere() {
        for bad in ["", "00", "0000000000000000000000000000000g", "000000000000000000000000000000000"] {
            assert_eq!(SunKeys::from_hex(bad, ZERO).unwrap_err(), SunError::Key, "{bad}");
        }
        let keys = SunKeys::from_hex("ABCDEFabcdef00112233445566778899", ZERO).unwrap();
        assert_eq!(format!("{keys:?}"), "SunKeys(..)");
    }
}

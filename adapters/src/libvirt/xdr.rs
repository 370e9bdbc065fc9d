//! XDR (RFC 4506) as far as libvirt's protocol uses it. Reading never trusts a length: nothing is set
//! aside for what has not arrived.

/// Bytes that are not what the protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not what libvirt's protocol says")]
pub(super) struct Malformed;

/// The longest string (VIR_NET_MESSAGE_STRING_MAX of virnetprotocol.x).
const STRING: usize = 4 << 20;

/// What is put into a message.
#[derive(Debug, Default, Clone)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }
    pub(super) fn i32(self, value: i32) -> Self {
        self.u32(u32::from_be_bytes(value.to_be_bytes()))
    }
    /// Exactly these bytes; their number is a multiple of four.
    pub(super) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub(super) fn string(mut self, text: &str) -> Self {
        let length = text.len().min(STRING);
        self = self.u32(u32::try_from(length).unwrap_or(0));
        self.0.extend_from_slice(&text.as_bytes()[..length]);
        self.0.extend_from_slice(&[0; 3][..padding(length)]);
        self
    }
    /// An optional string, present.
    pub(super) fn some_string(self, text: &str) -> Self {
        self.u32(1).string(text)
    }
    pub(super) fn put<T: Put>(self, value: &T) -> Self {
        value.put(self)
    }
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What goes to the daemon.
pub(super) trait Put {
    fn put(&self, to: Writer) -> Writer;
}

/// What comes from the daemon.
pub(super) trait Take: Sized {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// What is left of a message.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
    pub(super) fn fixed(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.fixed(4)?;
        Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| Malformed)?))
    }
    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.u32().map(|value| i32::from_be_bytes(value.to_be_bytes()))
    }
    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.fixed(8)?;
        Ok(u64::from_be_bytes(bytes.try_into().map_err(|_| Malformed)?))
    }
    /// A string. What is not UTF-8 is replaced: names and messages are for people.
    pub(super) fn string(&mut self) -> Result<String, Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        if length > STRING {
            return Err(Malformed);
        }
        let bytes = self.fixed(length)?;
        self.fixed(padding(length))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.u32()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }
    /// At most `limit` values, one after the other.
    pub(super) fn list<T>(
        &mut self,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        // Everything takes four bytes at least.
        if length > limit || length > self.0.len() / 4 {
            return Err(Malformed);
        }
        (0..length).map(|_| read(self)).collect()
    }
    pub(super) fn take<T: Take>(&mut self) -> Result<T, Malformed> {
        T::take(self)
    }
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Bytes to the next multiple of four.
fn padding(length: usize) -> usize {
    (4 - length % 4) % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let bytes = Writer::default().u32(7).string("hello").some_string("").i32(-1).into_bytes();
        assert_eq!(bytes.len() % 4, 0);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u32(), Ok(7));
        assert_eq!(reader.string().as_deref(), Ok("hello"));
        assert_eq!(reader.option(Reader::string), Ok(Some(String::new())));
        assert_eq!(reader.i32(), Ok(-1));
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn a_length_that_lies_sets_nothing_aside() {
        let bytes = Writer::default().u32(u32::MAX).u32(1).into_bytes();
        assert_eq!(Reader::new(&bytes).string(), Err(Malformed));
        assert_eq!(Reader::new(&bytes).list(usize::MAX, Reader::u32), Err(Malformed));
        let bytes = Writer::default().u32(3).fixed(b"ab").into_bytes();
        assert_eq!(Reader::new(&bytes).string(), Err(Malformed));
    }
}

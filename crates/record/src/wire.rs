//! Bytes in and out: minimal varints, length-prefixed fields, and a reader that never passes its end.
//!
//! Every encoding here has exactly one form; the reader refuses any other, so that equal values have equal
//! bytes and hashes over them are stable.

/// Stored bytes that are not what this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end before the value does.
    #[error("the bytes end too early")]
    Short,
    /// Bytes follow the value.
    #[error("bytes follow the value")]
    Trailing,
    /// The version byte is of a later program.
    #[error("format version {0} is not known to this program")]
    Version(u8),
    /// A field holds a value that this program never writes; carries the field's name.
    #[error("the field `{0}` holds a value that is never written")]
    Field(&'static str),
    /// A count or length passes its limit; carries the field's name.
    #[error("the field `{0}` is longer than its limit")]
    TooLong(&'static str),
}

/// Bytes that a varint takes at most.
const VARINT_MAX: u32 = 10;

/// Appends an unsigned integer in 7-bit groups, least significant first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends a signed integer, small magnitudes short.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    let sign = if value < 0 { u64::MAX } else { 0 };
    put_varint(out, (value.cast_unsigned() << 1) ^ sign);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// Reads values from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (front, rest) = self.rest.split_at_checked(count).ok_or(FormatError::Short)?;
        self.rest = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (front, rest) = self.rest.split_first_chunk::<N>().ok_or(FormatError::Short)?;
        self.rest = rest;
        Ok(*front)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0_u64;
        for group in 0..VARINT_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = group.saturating_mul(7);
            let placed = bits << shift;
            if placed >> shift != bits {
                return Err(FormatError::Field("varint"));
            }
            value |= placed;
            if byte & 0x80 == 0 {
                // A last group of zero after others is a longer form of the same number.
                return if byte == 0 && group > 0 { Err(FormatError::Field("varint")) } else { Ok(value) };
            }
        }
        Err(FormatError::Field("varint"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, FormatError> {
        let value = self.varint()?;
        let sign = if value & 1 == 1 { u64::MAX } else { 0 };
        Ok(((value >> 1) ^ sign).cast_signed())
    }

    pub(crate) fn unsigned32(&mut self, field: &'static str) -> Result<u32, FormatError> {
        u32::try_from(self.varint()?).map_err(|_| FormatError::Field(field))
    }

    pub(crate) fn count(&mut self, field: &'static str, max: usize) -> Result<usize, FormatError> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(FormatError::TooLong(field)),
        }
    }

    pub(crate) fn bytes(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], FormatError> {
        let count = self.count(field, max)?;
        self.take(count)
    }

    pub(crate) fn text(&mut self, field: &'static str, max: usize) -> Result<&'a str, FormatError> {
        std::str::from_utf8(self.bytes(field, max)?).map_err(|_| FormatError::Field(field))
    }

    pub(crate) const fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FormatError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_one_form_only() {
        for longer in [&[0x80_u8, 0x00][..], &[0xff, 0x80, 0x00], &[0xff; 11], &[0x80; 9]] {
            assert!(Reader::new(longer).varint().is_err(), "{longer:?}");
        }
        let mut tenth = vec![0xff; 9];
        tenth.push(2);
        assert!(Reader::new(&tenth).varint().is_err(), "bits past the 64th");
    }

    proptest::proptest! {
        #[test]
        fn integers_round_trip(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned);
            put_signed(&mut out, signed);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.varint(), Ok(unsigned));
            assert_eq!(reader.signed(), Ok(signed));
            assert_eq!(reader.finish(), Ok(()));
        }
    }
}

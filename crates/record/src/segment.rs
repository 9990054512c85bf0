//! A journal segment: the entries of one group commit, each as a length (u32, little-endian) and its bytes.
//!
//! The store writes segments and the sequencer folds them into blocks; both sides of the format are here.

use crate::entry::{self, Entry, FormatError};
use crate::wire::Reader;

/// Most bytes of one entry.
const ENTRY_MAX: usize = 1 << 20;

/// The encoded entries of a segment's body, in order; ends after the first error.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

/// Walks the entries of a segment's body without decoding them.
pub const fn entries(body: &[u8]) -> Entries<'_> {
    Entries { rest: body }
}

impl<'a> Entries<'a> {
    fn step(&mut self) -> Result<&'a [u8], FormatError> {
        let mut reader = Reader::new(self.rest);
        let length = u32::from_le_bytes(reader.array()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > ENTRY_MAX {
            return Err(FormatError::TooLong("entry"));
        }
        let bytes = reader.take(length)?;
        self.rest = reader.rest();
        Ok(bytes)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}

/// Decodes every entry of a segment's body.
///
/// # Errors
/// [`FormatError`] when the framing or an entry cannot be read.
pub fn decode(body: &[u8]) -> Result<Vec<Entry>, FormatError> {
    entries(body).map(|bytes| bytes.and_then(entry::decode)).collect()
}

/// Appends one encoded entry to a segment's body.
pub fn append(body: &mut Vec<u8>, entry: &[u8]) {
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_was_appended_is_walked_in_order(given: Vec<Vec<u8>>) {
            let mut body = Vec::new();
            for bytes in &given {
                append(&mut body, bytes);
            }
            let walked: Result<Vec<&[u8]>, _> = entries(&body).collect();
            assert_eq!(walked.unwrap(), given);
        }

        #[test]
        fn any_bytes_end_the_walk_without_a_panic(body: Vec<u8>) {
            let last = entries(&body).last();
            let total: usize = entries(&body).flatten().map(|bytes| bytes.len().saturating_add(4)).sum();
            assert_eq!(last.is_none_or(|step| step.is_ok()), total == body.len());
        }
    }

    #[test]
    fn a_length_past_the_end_is_an_error() {
        assert_eq!(decode(&[5, 0, 0, 0, 1]), Err(FormatError::Short));
        assert_eq!(decode(&[255, 255, 255, 255, 1]), Err(FormatError::TooLong("entry")));
    }
}

//! The cursor of a list: where the next page begins, readable only by the list that wrote it.
//!
//! The position is not secret but bound by a tag to the tenant and the list, so a cursor of one is no input to another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::mac::HmacKey;
use kernel::mutant;
use kernel::tenant::TenantId;
use store::keyring::Purpose;

use crate::directory::Auth;

/// Longest cursor that is read, in characters.
pub const MAX_CURSOR_LENGTH: usize = 2_048;

/// Bytes of the tag: 128 bits of HMAC-SHA-256.
const TAG_BYTES: usize = 16;

/// A text that is not a cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this list gave out; leave it out to begin at the first page")]
pub struct CursorError;

/// The cursor for a position in a list of a tenant.
pub fn encode(key: &HmacKey, route: &str, tenant: TenantId, position: &[u8]) -> String {
    let mut bytes = position.to_vec();
    bytes.extend_from_slice(&tag(key, route, tenant, position));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor that [`encode`] made with the same key, route and tenant.
///
/// # Errors
/// [`CursorError`] for every other text.
pub fn decode(key: &HmacKey, route: &str, tenant: TenantId, cursor: &str) -> Result<Vec<u8>, CursorError> {
    if cursor.len() > MAX_CURSOR_LENGTH {
        return Err(CursorError);
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| CursorError)?;
    let end = bytes.len().checked_sub(TAG_BYTES).ok_or(CursorError)?;
    let given = bytes.split_off(end);
    let good = jose::constant_time_eq(&given, &tag(key, route, tenant, &bytes)) || mutant::is("I03-forged");
    if good { Ok(bytes) } else { Err(CursorError) }
}

impl Auth {
    /// The cursor for a position in a list of a tenant. The list's name says which list it is, with filter and order.
    pub fn seal_cursor(&self, tenant: TenantId, list: &str, position: &[u8]) -> String {
        encode(&self.cursor_key(tenant), list, tenant, position)
    }

    /// The position of a cursor that [`Auth::seal_cursor`] made for the same list.
    ///
    /// # Errors
    /// [`CursorError`] for every other text.
    pub fn open_cursor(&self, tenant: TenantId, list: &str, cursor: &str) -> Result<Vec<u8>, CursorError> {
        decode(&self.cursor_key(tenant), list, tenant, cursor)
    }

    fn cursor_key(&self, tenant: TenantId) -> HmacKey {
        HmacKey::new(self.keyring.derive(Purpose::Cursor, tenant, b"lists").reveal())
    }
}

fn tag(key: &HmacKey, route: &str, tenant: TenantId, position: &[u8]) -> [u8; TAG_BYTES] {
    let mut message = b"cursor\0".to_vec();
    // The route is the one part before others that has no fixed length.
    message.extend_from_slice(&u64::try_from(route.len()).unwrap_or(u64::MAX).to_be_bytes());
    message.extend_from_slice(route.as_bytes());
    message.extend_from_slice(tenant.as_bytes());
    message.extend_from_slice(position);
    let full = key.tag(&message);
    full.first_chunk::<TAG_BYTES>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kernel::id::Id;
    use kernel::tenant::DEFAULT;

    use super::*;

    const ROUTE: &str = "/api/clients";

    fn key(byte: u8) -> HmacKey {
        HmacKey::new(&[byte; 32])
    }

    #[test]
    fn a_cursor_is_good_only_for_its_key_route_and_tenant() {
        let cursor = encode(&key(1), ROUTE, DEFAULT, b"after me");
        assert_eq!(decode(&key(1), ROUTE, DEFAULT, &cursor), Ok(b"after me".to_vec()));
        assert_eq!(decode(&key(2), ROUTE, DEFAULT, &cursor), Err(CursorError));
        assert_eq!(decode(&key(1), "/api/apis", DEFAULT, &cursor), Err(CursorError));
        assert_eq!(decode(&key(1), ROUTE, Id::from_bytes([9; 16]), &cursor), Err(CursorError));
    }

    #[test]
    fn bytes_cannot_move_from_the_route_into_the_tenant_or_the_position() {
        let cursor = encode(&key(1), "/a", Id::from_bytes(*b"0123456789abcdef"), b"xyz");
        assert_eq!(decode(&key(1), "/a0", Id::from_bytes(*b"123456789abcdefx"), &cursor), Err(CursorError));
    }

    #[test]
    fn texts_that_are_no_cursor_are_refused() {
        let padded = format!("{}==", encode(&key(1), ROUTE, DEFAULT, b"x"));
        let long = encode(&key(1), ROUTE, DEFAULT, &[0; 1_600]);
        for text in ["", "A", "not base64!", "AAAA", padded.as_str(), long.as_str()] {
            assert_eq!(decode(&key(1), ROUTE, DEFAULT, text), Err(CursorError), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_position_comes_back_and_one_changed_character_is_refused(
            position in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            at: proptest::sample::Index,
        ) {
            let cursor = encode(&key(1), ROUTE, DEFAULT, &position);
            proptest::prop_assert_eq!(decode(&key(1), ROUTE, DEFAULT, &cursor), Ok(position));
            let mut other = cursor.clone().into_bytes();
            let slot = at.get_mut(&mut other);
            *slot = if *slot == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            proptest::prop_assert_eq!(decode(&key(1), ROUTE, DEFAULT, &other), Err(CursorError));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String, route: String) {
            proptest::prop_assert_eq!(decode(&key(1), &route, DEFAULT, &text), Err(CursorError));
        }
    }
}

//! What a caller presents in the `Authorization` header: Basic credentials, a Bearer token, or another scheme.
//!
//! It reads and decides nothing; whether the credentials are right is for `auth::credential`. RFC 9110 §11.4, RFC 7617,
//! RFC 6749 §2.3.1 and RFC 6750 §2.1.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, HeaderMap};
use kernel::secret::Secret;

use crate::form;

/// Longest `Authorization` header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 16_384;

/// RFC 7617 asks for padding; clients that leave it out mean the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why an `Authorization` header cannot be read; at the OAuth endpoints every variant answers 401 `invalid_client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The header comes more than once.
    #[error("the Authorization header comes more than once")]
    Repeated,
    /// The header is longer than [`MAX_HEADER_BYTES`].
    #[error("the Authorization header is too long")]
    TooLong,
    /// There is no scheme, or nothing after `Basic` or `Bearer`.
    #[error("the Authorization header is not a scheme and its credentials")]
    Malformed,
    /// The Basic credentials are not base64.
    #[error("the Basic credentials are not base64")]
    NotBase64,
    /// The Basic credentials are not UTF-8 without control characters (RFC 7617 §2).
    #[error("the Basic credentials are not UTF-8 text without control characters")]
    NotText,
    /// The Basic credentials have no colon.
    #[error("the Basic credentials have no colon between id and secret")]
    NoColon,
    /// The Bearer token is outside the grammar of RFC 6750 §2.1.
    #[error("the Bearer token has a character that no token has")]
    NotAToken,
}

/// The two halves of Basic credentials, form-decoded as RFC 6749 §2.3.1 asks, and as they stood.
pub struct BasicCredentials {
    /// The decoded client id.
    pub id: String,
    /// The decoded secret.
    pub secret: Secret<String>,
    /// The client id as it stood, when decoding changed it.
    pub raw_id: Option<String>,
    /// The secret as it stood, when decoding changed it: many clients do not encode.
    pub raw_secret: Option<Secret<String>>,
}

/// What the header presents.
pub enum Authorization {
    /// A client id and secret.
    Basic(BasicCredentials),
    /// A token inside the grammar of RFC 6750 §2.1.
    Bearer(String),
    /// A scheme that is neither.
    Other,
}

impl fmt::Debug for Authorization {
    /// The scheme alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic",
            Self::Bearer(_) => "Bearer",
            Self::Other => "Other",
        })
    }
}

impl Authorization {
    /// Reads the header of a request; `None` when there is none.
    ///
    /// # Errors
    /// Every variant of [`AuthorizationError`].
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, AuthorizationError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(AuthorizationError::Repeated);
        }
        read(value.as_bytes()).map(Some)
    }
}

/// Reads the value of the header.
///
/// # Errors
/// Every variant of [`AuthorizationError`] but `Repeated`.
pub fn parse(header: &str) -> Result<Authorization, AuthorizationError> {
    read(header.as_bytes())
}

fn read(value: &[u8]) -> Result<Authorization, AuthorizationError> {
    if value.len() > MAX_HEADER_BYTES {
        return Err(AuthorizationError::TooLong);
    }
    let value = value.trim_ascii();
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).ok_or(AuthorizationError::Malformed)?;
    let rest = rest.trim_ascii();
    if scheme.is_empty() || !scheme.iter().all(u8::is_ascii_graphic) {
        return Err(AuthorizationError::Malformed);
    }
    let is_basic = scheme.eq_ignore_ascii_case(b"basic");
    if !is_basic && !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(Authorization::Other);
    }
    if rest.is_empty() {
        return Err(AuthorizationError::Malformed);
    }
    if is_basic {
        basic(rest).map(Authorization::Basic)
    } else {
        bearer(rest).map(|token| Authorization::Bearer(token.to_owned()))
    }
}

fn basic(encoded: &[u8]) -> Result<BasicCredentials, AuthorizationError> {
    let bytes = Secret::new(BASE64.decode(encoded).map_err(|_| AuthorizationError::NotBase64)?);
    let text = std::str::from_utf8(bytes.reveal()).map_err(|_| AuthorizationError::NotText)?;
    if text.chars().any(char::is_control) {
        return Err(AuthorizationError::NotText);
    }
    let (raw_id, raw_secret) = text.split_once(':').ok_or(AuthorizationError::NoColon)?;
    let (id, secret) = (form_decoded(raw_id), form_decoded(raw_secret));
    Ok(BasicCredentials {
        raw_id: (id != raw_id).then(|| raw_id.to_owned()),
        raw_secret: (secret != raw_secret).then(|| Secret::new(raw_secret.to_owned())),
        id,
        secret: Secret::new(secret),
    })
}

/// The decoded half; a half that is no form encoding was never encoded and stands for itself.
fn form_decoded(half: &str) -> String {
    form::decode(half).map_or_else(|_| half.to_owned(), std::borrow::Cow::into_owned)
}

/// `b64token` of RFC 6750 §2.1.
fn bearer(rest: &[u8]) -> Result<&str, AuthorizationError> {
    let text = std::str::from_utf8(rest).map_err(|_| AuthorizationError::NotAToken)?;
    let body = text.trim_end_matches('=');
    let good = |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    if body.is_empty() || !body.bytes().all(good) {
        return Err(AuthorizationError::NotAToken);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    fn credentials(header: &str) -> BasicCredentials {
        match parse(header).unwrap() {
            Authorization::Basic(found) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_scheme_has_any_letter_case_and_padding_may_be_left_out() {
        for scheme in ["Basic", "basic", "BASIC"] {
            for text in [encoded("ops:pw"), encoded("ops:pw").trim_end_matches('=').to_owned()] {
                let found = credentials(&format!("{scheme} {text}"));
                assert_eq!((found.id.as_str(), found.secret.reveal().as_str()), ("ops", "pw"));
                assert!(found.raw_id.is_none() && found.raw_secret.is_none());
            }
        }
        assert!(matches!(parse("BEARER abc.def-_~+/=="), Ok(Authorization::Bearer(t)) if t == "abc.def-_~+/=="));
        assert!(matches!(parse("DPoP abc"), Ok(Authorization::Other)));
    }

    #[test]
    fn both_halves_are_form_decoded_and_kept_as_they_stood_when_that_changes_them() {
        let found = credentials(&format!("Basic {}", encoded("a%3Ab:p+q%25%26:r")));
        assert_eq!(found.id, "a:b");
        assert_eq!(found.raw_id.as_deref(), Some("a%3Ab"));
        assert_eq!(found.secret.reveal(), "p q%&:r");
        assert_eq!(found.raw_secret.unwrap().reveal(), "p+q%25%26:r");
    }

    #[test]
    fn a_secret_that_is_no_form_encoding_stands_for_itself() {
        let found = credentials(&format!("Basic {}", encoded("ops:100%+sure")));
        assert_eq!(found.secret.reveal(), "100%+sure");
        assert!(found.raw_secret.is_none());
    }

    #[test]
    fn each_defect_of_the_header_has_its_error() {
        for (header, error) in [
            (String::new(), AuthorizationError::Malformed),
            ("Basic".to_owned(), AuthorizationError::Malformed),
            ("Bearer ".to_owned(), AuthorizationError::Malformed),
            ("Basic ?".to_owned(), AuthorizationError::NotBase64),
            (format!("Basic {}", encoded("nocolon")), AuthorizationError::NoColon),
            (format!("Basic {}", encoded("a\0:b")), AuthorizationError::NotText),
            ("Basic /w==".to_owned(), AuthorizationError::NotText),
            ("Bearer a b".to_owned(), AuthorizationError::NotAToken),
            ("Bearer =".to_owned(), AuthorizationError::NotAToken),
            ("x".repeat(MAX_HEADER_BYTES + 1), AuthorizationError::TooLong),
        ] {
            assert_eq!(parse(&header).map(|_| ()).unwrap_err(), error, "{header:.40}");
        }
    }

    #[test]
    fn two_authorization_headers_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(Authorization::from_headers(&headers).unwrap().is_none());
        headers.append(AUTHORIZATION, "Bearer a".parse().unwrap());
        assert!(matches!(Authorization::from_headers(&headers), Ok(Some(Authorization::Bearer(t))) if t == "a"));
        headers.append(AUTHORIZATION, "Bearer a".parse().unwrap());
        assert_eq!(Authorization::from_headers(&headers).unwrap_err(), AuthorizationError::Repeated);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(bytes: Vec<u8>, inner: Vec<u8>) {
            let _ = read(&bytes);
            let header = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(inner));
            let _ = parse(&header);
        }

        #[test]
        fn an_encoded_pair_comes_back_as_it_was(id in "[ -~]{0,40}", secret in "[ -~é]{0,40}") {
            let escape = |text: &str| text.bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).map(char::from).collect::<String>();
            let found = credentials(&format!("Basic {}", encoded(&format!("{}:{}", escape(&id), escape(&secret)))));
            proptest::prop_assert_eq!(found.id, id);
            proptest::prop_assert_eq!(found.secret.reveal(), &secret);
        }
    }
}

//! The body of a form-encoded OAuth request, read strictly and within bounds.
//!
//! It knows syntax alone: which parameter means what is decided by the endpoints. RFC 6749 Appendix B (encoding) and
//! §3.1, §3.2 (repeated and empty parameters).

use std::borrow::Cow;
use std::fmt;

/// Parameters a body may hold.
pub const MAX_PARAMETERS: usize = 64;

/// Parameters that may come more than once: RFC 8707 §2 and RFC 8693 §2.1.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Why a body is not a form; every variant answers 400 `invalid_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The content type is absent or another one.
    #[error("the Content-Type must be application/x-www-form-urlencoded")]
    ContentType,
    /// The content type names a charset that is not UTF-8.
    #[error("the charset of the form must be UTF-8")]
    Charset,
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("a percent sign in the form is not followed by two hexadecimal digits")]
    Escape,
    /// A name or value is not UTF-8 after decoding.
    #[error("a parameter is not valid UTF-8")]
    NotUtf8,
    /// There are more parameters than [`MAX_PARAMETERS`].
    #[error("the form has more than 64 parameters")]
    TooMany,
    /// A parameter other than `resource` and `audience` comes twice (RFC 6749 §3.2).
    #[error("a parameter comes more than once")]
    Repeated,
}

/// The parameters of a body, decoded, in order.
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl fmt::Debug for Form {
    /// Names alone: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads a body of a size that the caller bounds.
    ///
    /// # Errors
    /// Every variant of [`FormError`].
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, FormError> {
        check_content_type(content_type)?;
        Self::parse_pairs(body)
    }

    /// Reads the same syntax where no content type exists: the query of a URL.
    ///
    /// # Errors
    /// As [`Form::parse`], without those of the content type.
    pub fn parse_pairs(body: &[u8]) -> Result<Self, FormError> {
        // What is not UTF-8 as it stands does not become so by decoding: escapes are ASCII.
        let body = std::str::from_utf8(body).map_err(|_| FormError::NotUtf8)?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in body.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() >= MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !REPEATABLE.contains(&&*name) && pairs.iter().any(|(other, _)| **other == *name) {
                return Err(FormError::Repeated);
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter; `None` when it is absent or empty (RFC 6749 §3.2).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that is not empty, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let given = self.pairs.iter().filter(|(other, value)| other == name && !value.is_empty());
        given.map(|(_, value)| value.as_str()).collect()
    }

    /// The names of all parameters, empty ones included, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }
}

/// Decodes one name or value: `+` is a space, `%XX` a byte, and the whole is UTF-8.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, FormError> {
    if !text.contains('+') && !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(hex).ok_or(FormError::Escape)?;
                let low = bytes.next().and_then(hex).ok_or(FormError::Escape)?;
                (high << 4) | low
            }
            other => other,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| FormError::NotUtf8)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn check_content_type(content_type: Option<&str>) -> Result<(), FormError> {
    let mut parts = content_type.ok_or(FormError::ContentType)?.split(';').map(str::trim);
    if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return Err(FormError::ContentType);
    }
    for part in parts {
        let Some((name, value)) = part.split_once('=') else { continue };
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        if name.trim().eq_ignore_ascii_case("charset") && !bare.eq_ignore_ascii_case("utf-8") {
            return Err(FormError::Charset);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

    #[test]
    fn the_content_type_is_a_form_in_any_letter_case_and_in_no_charset_but_utf_8() {
        for good in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-URLEncoded",
            "application/x-www-form-urlencoded;charset=UTF-8",
            "application/x-www-form-urlencoded ; Charset=\"utf-8\"",
            "application/x-www-form-urlencoded;",
        ] {
            assert!(Form::parse(Some(good), b"a=b").is_ok(), "{good}");
        }
        for (bad, error) in [
            (None, FormError::ContentType),
            (Some(""), FormError::ContentType),
            (Some("application/json"), FormError::ContentType),
            (Some("multipart/form-data; boundary=x"), FormError::ContentType),
            (Some("application/x-www-form-urlencoded; charset=iso-8859-1"), FormError::Charset),
            (Some("application/x-www-form-urlencoded; charset=\"utf-8"), FormError::Charset),
        ] {
            assert_eq!(Form::parse(bad, b"a=b").unwrap_err(), error, "{bad:?}");
        }
    }

    #[test]
    fn names_and_values_are_decoded() {
        let form = Form::parse(FORM, b"grant_type=client_credentials&sc%6Fpe=a+b%20%C3%A9&flag&x=1=2&&").unwrap();
        assert_eq!(form.get("grant_type"), Some("client_credentials"));
        assert_eq!(form.get("scope"), Some("a b é"));
        assert_eq!(form.get("x"), Some("1=2"));
        assert_eq!(form.get("flag"), None);
        assert_eq!(form.names().collect::<Vec<_>>(), ["grant_type", "scope", "flag", "x"]);
    }

    #[test]
    fn an_empty_value_is_an_absent_parameter() {
        let form = Form::parse(FORM, b"scope=&resource=&resource=https://a").unwrap();
        assert_eq!(form.get("scope"), None);
        assert_eq!(form.all("resource"), ["https://a"]);
    }

    #[test]
    fn a_repeated_name_is_refused_after_decoding_except_resource_and_audience() {
        for bad in ["a=1&a=1", "scope=a&sc%6fpe=b", "a=&a=", "a&a=1"] {
            assert_eq!(Form::parse(FORM, bad.as_bytes()).unwrap_err(), FormError::Repeated, "{bad}");
        }
        let form = Form::parse(FORM, b"resource=a&audience=x&resource=b&audience=x").unwrap();
        assert_eq!(form.all("resource"), ["a", "b"]);
        assert_eq!(form.all("audience").len(), 2);
    }

    #[test]
    fn broken_escapes_and_bytes_that_are_not_utf_8_are_refused() {
        for (bad, error) in [
            (b"a=%".as_slice(), FormError::Escape),
            (b"a=%4", FormError::Escape),
            (b"a=%zz", FormError::Escape),
            (b"a=%+1", FormError::Escape),
            (b"a=%ff", FormError::NotUtf8),
            (b"a=\xff", FormError::NotUtf8),
            (b"%c3=1", FormError::NotUtf8),
        ] {
            assert_eq!(Form::parse(FORM, bad).unwrap_err(), error);
        }
        assert_eq!(Form::parse(FORM, b"a=%00%0a").unwrap().get("a"), Some("\0\n"));
    }

    #[test]
    fn a_form_holds_at_most_64_parameters() {
        let body = |n: usize| (0..n).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(FORM, body(64).as_bytes()).is_ok());
        assert_eq!(Form::parse(FORM, body(65).as_bytes()).unwrap_err(), FormError::TooMany);
    }

    #[test]
    fn no_refusal_holds_a_character_outside_those_of_an_error_description() {
        for error in [
            FormError::ContentType,
            FormError::Charset,
            FormError::Escape,
            FormError::NotUtf8,
            FormError::TooMany,
            FormError::Repeated,
        ] {
            let text = error.to_string();
            assert!(text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_value() {
        let form = Form::parse(FORM, b"client_secret=hunter2hunter2").unwrap();
        assert_eq!(format!("{form:?}"), r#"["client_secret"]"#);
    }

    fn encode(text: &str) -> String {
        text.bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).map(char::from).collect()
    }

    proptest::proptest! {
        #[test]
        fn any_body_and_content_type_is_read_without_a_panic(body: Vec<u8>, content_type: Option<String>) {
            let _ = Form::parse(content_type.as_deref(), &body);
            let _ = Form::parse(FORM, &body);
        }

        #[test]
        fn an_encoded_value_comes_back_as_it_was(name: String, value: String) {
            let body = format!("{}={}", encode(&name), encode(&value));
            let form = Form::parse(FORM, body.as_bytes()).unwrap();
            proptest::prop_assert_eq!(form.get(&name), Some(&*value).filter(|v| !v.is_empty()));
        }
    }
}

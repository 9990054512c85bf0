//! The form of an issuer identifier (RFC 8414 §2).

/// The form, for error sentences.
pub(super) const FORM: &str = "an absolute http or https URL without user name, trailing slash, query or fragment, for example `https://auth.example.com`";

/// Whether the text is an issuer identifier that every link and every `iss` can be built from.
pub(super) fn is_valid(text: &str) -> bool {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>'));
    if !is_plain || text.ends_with('/') {
        return false;
    }
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn only_bare_base_urls_are_issuers() {
        for good in ["https://auth.example.com", "http://127.0.0.1:8080", "https://[::1]:1", "https://example.com/auth"]
        {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "auth.example.com",
            "https://",
            "https://a/",
            "https://a?x",
            "https://a#x",
            "https://u@a",
            "ftp://a",
            "/a",
            "https://a b",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}

//! The id of a request: always one of our own, and the caller's text where it gave a good one.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use kernel::clock::Timestamp;
use kernel::id::{Entropy, Id, Request};

/// The header in which a caller may name its request, and in which the answer repeats the name.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header with which a caller names the trace that its request is a part of, and in which the answer repeats it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest text that is taken over from a caller.
pub const MAX_TEXT_LENGTH: usize = 128;

/// What names a request in answers, log lines and audit records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    /// Unique, made here: a caller may send the same text twice.
    pub id: Id<Request>,
    /// The caller's text, or the id's.
    pub text: Arc<str>,
    /// The caller's `traceparent` (W3C Trace Context), when it is one.
    pub trace: Option<HeaderValue>,
}

/// Names a request. An inbound text outside `[A-Za-z0-9._-]{1,128}` is not taken over, for it reaches logs and headers.
pub fn assign(headers: &HeaderMap, now: Timestamp, entropy: &mut dyn Entropy) -> RequestId {
    let id = Id::generate(now, entropy);
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    let text = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok().filter(|text| is_good(text)).map(Arc::from),
        // Of two texts neither is the caller's for certain.
        _ => None,
    };
    let trace = headers.get(TRACEPARENT).filter(|value| is_trace(value.as_bytes())).cloned();
    RequestId { id, text: text.unwrap_or_else(|| Arc::from(id.to_string())), trace }
}

/// Version, trace, parent and flags in lowercase hexadecimal; a later version may have more behind them.
fn is_trace(bytes: &[u8]) -> bool {
    let is_shaped = |(at, byte): (usize, &u8)| match at {
        2 | 35 | 52 | 55 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    let is_of_length =
        bytes.len() == 55 || (bytes.len() > 56 && bytes.len() <= MAX_TEXT_LENGTH && !bytes.starts_with(b"00"));
    is_of_length && bytes.iter().take(56).enumerate().all(is_shaped) && !bytes.starts_with(b"ff")
}

fn is_good(text: &str) -> bool {
    (1..=MAX_TEXT_LENGTH).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Entropy for Fixed {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    fn assigned(values: &[&[u8]]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        }
        assign(&headers, Timestamp::from_seconds(1_700_000_000), &mut Fixed)
    }

    #[test]
    fn a_good_inbound_text_is_kept_beside_an_id_of_our_own() {
        let request = assigned(&[b"Trace-1.a_b"]);
        assert_eq!(&*request.text, "Trace-1.a_b");
        assert!(request.id.to_string().starts_with("req_"));
        let longest = "x".repeat(128);
        assert_eq!(*assigned(&[longest.as_bytes()]).text, longest);
    }

    #[test]
    fn without_a_good_inbound_text_the_id_is_the_text() {
        let long = [b'x'; 129];
        for values in [&[][..], &[b"".as_slice()], &[b"a b"], &[b"a\"b"], &[b"\xff"], &[&long], &[b"a", b"a"]] {
            let request = assigned(values);
            assert_eq!(*request.text, request.id.to_string(), "{values:?}");
        }
    }

    #[test]
    fn a_trace_comes_back_when_it_has_the_form_of_one() {
        let traced = |text: &str| {
            let headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_str(text).unwrap())]);
            assign(&headers, Timestamp::from_seconds(0), &mut Fixed).trace.is_some()
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(traced(good) && traced(&format!("{}-more", good.replacen("00", "01", 1))));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &good.replace('-', "_"),
            &good.replacen("00", "ff", 1),
            &format!("{good}-more"),
            &format!("{}x", good.replacen("00", "01", 1)),
        ] {
            assert!(!traced(bad), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_text_is_always_safe_for_logs_and_headers(bytes: Vec<u8>) {
            if HeaderValue::from_bytes(&bytes).is_ok() {
                proptest::prop_assert!(is_good(&assigned(&[&bytes]).text));
            }
        }
    }
}

//! Queries and counts in addresses and sentences.

use std::fmt::Write as _;

use crate::moment::Grouped;

/// Pairs of a query that are looked at. A form has no such bound: what it leaves out is taken away from a client.
const MOST_PAIRS: usize = 512;

/// A value of a query, percent-encoded.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Pairs of a query, each with `&` behind it.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    pairs.into_iter().fold(String::new(), |mut out, (name, value)| {
        let _ = write!(out, "{name}={}&", encoded(value));
        out
    })
}

/// The pairs of a query. What is not well encoded stays as it is; what is ours is.
pub(crate) fn decoded_query(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).take(MOST_PAIRS).map(|(name, value)| (name.into(), value.into())).collect()
}

/// The pairs of a form, whose length is bounded where its body is read.
pub(crate) fn decoded_form(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect()
}

/// `1 client`, `42 clients`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let number = Grouped(u64::try_from(count).unwrap_or(u64::MAX));
    if count == 1 { format!("{number} {noun}") } else { format!("{number} {noun}s") }
}

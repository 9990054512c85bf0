//! Answers of the book: entity tags and revalidation.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::protect::{Transport, mark};

const PAGE_CACHE: &str = "public, max-age=300";
/// A page.
pub(crate) fn html(headers: &HeaderMap, status: StatusCode, body: String) -> Response {
    let cache = if status == StatusCode::OK { PAGE_CACHE } else { "no-store" };
    tagged(headers, status, "text/html; charset=utf-8", cache, body)
}

/// The source of a page.
pub(crate) fn markdown(headers: &HeaderMap, body: String) -> Response {
    tagged(headers, StatusCode::OK, "text/markdown; charset=utf-8", PAGE_CACHE, body)
}

/// Plain text.
pub(crate) fn text(headers: &HeaderMap, body: String) -> Response {
    tagged(headers, StatusCode::OK, "text/plain; charset=utf-8", PAGE_CACHE, body)
}

/// Whether the caller names Markdown and not HTML.
pub(crate) fn prefers_markdown(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("text/markdown") && !accepted.contains("text/html")
}

fn tagged(headers: &HeaderMap, status: StatusCode, kind: &'static str, cache: &'static str, body: String) -> Response {
    let tag = format!("\"{:016x}\"", fingerprint(body.as_bytes()));
    let is_known = status == StatusCode::OK
        && headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|given| given.trim().trim_start_matches("W/"))
            .any(|given| given == tag || given == "*");
    let mut response = if is_known { Response::new(Body::empty()) } else { Response::new(Body::from(body)) };
    *response.status_mut() = if is_known { StatusCode::NOT_MODIFIED } else { status };
    let out = response.headers_mut();
    if !is_known {
        out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(ETAG, tag);
    }
    mark(out, None, Transport::Plain);
    response
}

/// FNV-1a of 64 bits: tells versions of our own pages apart; nobody gains by a collision.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

//! Style, scripts and icons under `/console/assets/{hash}.{ext}`: named by their content, so they never change.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A file that the build step made.
pub(crate) struct Asset {
    file: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// Whose work is served, and under which license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// Name of the work.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SPDX identifier.
    pub license: &'static str,
    /// Where it was taken from.
    pub origin: &'static str,
    /// The license.
    pub text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Every work of others that the console serves.
pub fn notices() -> &'static [Notice] {
    NOTICES
}

/// The file of a name, in the smallest form that the caller takes; `None` for a name that does not exist.
pub(crate) fn answer(file: &str, headers: &HeaderMap) -> Option<Response> {
    let asset = ASSETS.iter().find(|asset| asset.file == file)?;
    let accepts = |coding: &str| {
        headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|given| is_wanted(given, coding))
    };
    let (bytes, coding) = if accepts("br") {
        (asset.brotli, Some("br"))
    } else if accepts("gzip") {
        (asset.gzip, Some("gzip"))
    } else {
        (asset.plain, None)
    };
    // The name carries the hash of the content: whoever asks again with any tag has the same bytes.
    let is_known = headers.contains_key(IF_NONE_MATCH);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(bytes) });
    let out = response.headers_mut();
    if let (false, Some(coding)) = (is_known, coding) {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    out.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    out.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}{}\"", asset.file, coding.unwrap_or_default())) {
        out.insert(ETAG, tag);
    }
    for (name, value) in [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")] {
        out.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    Some(response)
}

/// Whether one element of `Accept-Encoding` names a coding and does not switch it off (RFC 9110 §12.5.3).
fn is_wanted(element: &str, coding: &str) -> bool {
    let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
    let is_off = parameters.trim().strip_prefix("q=").is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty());
    name.trim().eq_ignore_ascii_case(coding) && !is_off
}

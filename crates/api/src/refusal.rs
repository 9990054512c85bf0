//! What the listener refuses before a request reaches the router, said as the surface that was asked says it.
//!
//! Under `/oauth2` that is RFC 6749 JSON, everywhere else a problem document (RFC 9457). A head that could not be read
//! names no surface and gets a problem document.

use axum::response::{IntoResponse as _, Response};
use http::header::{DATE, HeaderMap, HeaderValue};
use http::{HeaderName, StatusCode};

use crate::App;
use crate::oauth_error::{self, ErrorPages};
use crate::peer::Transport;
use crate::problem::Problem;
use crate::request_id::{self, RequestId};

/// Why a request does not reach the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code of the problem document; its page is `/errors/{code}`.
    pub code: &'static str,
    /// What is wrong and what is accepted, without quotation marks and backslashes (RFC 6749 §5.2).
    pub detail: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// 400: the head breaks the rules of HTTP, or could be read in two ways.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }

    /// 408: the head did not end in time.
    pub fn head_too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "head_too_slow", "the request head did not arrive in time")
    }

    /// 414: the URI is longer than this many bytes.
    pub fn uri_too_long(limit: u32) -> Self {
        let detail = format!("the request target takes at most {limit} bytes");
        Self::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail)
    }

    /// 431: the head is larger than this many bytes, or has more than 100 fields.
    pub fn head_too_large(limit: u32) -> Self {
        let detail = format!("a request head takes at most {limit} bytes and 100 fields");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", detail)
    }

    /// 501: the body is coded in a way that this server does not decode (RFC 9112 §6.1).
    pub fn unknown_transfer_coding() -> Self {
        let detail = "of the transfer codings, only chunked is understood; send the body as it is";
        Self::new(StatusCode::NOT_IMPLEMENTED, "unknown_transfer_coding", detail)
    }

    /// The answer at a path; an empty path stands for one that could not be read.
    pub fn answer(self, path: &str, pages: &ErrorPages) -> Response {
        if is_oauth(path) {
            oauth_error::transport(self.status, &self.detail, pages)
        } else {
            Problem::new(self.status, self.code, self.detail).into_response()
        }
    }
}

/// Whether errors at a path are those of RFC 6749.
pub(crate) fn is_oauth(path: &str) -> bool {
    let rest = within_tenant(path);
    rest == "/oauth2" || rest.starts_with("/oauth2/")
}

/// The path without `/t/{tenant}` in front.
pub(crate) fn within_tenant(path: &str) -> &str {
    path.strip_prefix("/t/").and_then(|rest| rest.find('/').and_then(|at| rest.get(at..))).unwrap_or(path)
}

/// What every answer carries, whoever made it.
pub(crate) fn mark(headers: &mut HeaderMap, request: &RequestId, transport: Transport) {
    if let Ok(value) = HeaderValue::from_str(&request.text) {
        headers.insert(request_id::X_REQUEST_ID, value);
    }
    if let Some(trace) = &request.trace {
        headers.insert(request_id::TRACEPARENT, trace.clone());
    }
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if transport == Transport::Tls {
        let value = HeaderValue::from_static("max-age=63072000");
        headers.insert(HeaderName::from_static("strict-transport-security"), value);
    }
}

impl App {
    /// The whole answer to a refused request, of which path and fields are given as far as they could be read.
    pub fn refuse(&self, refusal: Refusal, path: &str, headers: &HeaderMap, transport: Transport) -> Response {
        let now = self.auth.clock.now();
        let request = self.auth.with_entropy(|entropy| request_id::assign(headers, now, entropy));
        tracing::debug!(request_id = %request.text, status = refusal.status.as_u16(), detail = %refusal.detail, "refused");
        let mut answer = refusal.answer(path, &self.error_pages);
        Problem::complete(&mut answer, &self.error_pages, path, &request);
        mark(answer.headers_mut(), &request, transport);
        if let Ok(value) = HeaderValue::from_str(&now.to_http_date()) {
            answer.headers_mut().insert(DATE, value);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_paths_are_those_below_oauth2_in_any_tenant() {
        for path in ["/oauth2", "/oauth2/token", "/t/acme/oauth2/revoke"] {
            assert!(is_oauth(path), "{path}");
        }
        for path in ["", "/", "/oauth2x", "/api/clients", "/t/oauth2/token", "/t/acme/api/oauth2/", "/docs/oauth2/"] {
            assert!(!is_oauth(path), "{path}");
        }
    }
}

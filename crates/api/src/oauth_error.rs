//! The one place where a refusal becomes an OAuth error answer (RFC 6749 §5.2).

use std::sync::Arc;

use auth::error::OauthError;
use auth::limit::LimitState;
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use crate::readiness::RowCorrupt;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The challenge of every failed client authentication.
pub const CHALLENGE: &str = "Basic realm=\"bastionary\"";

/// Where error pages live.
#[derive(Clone)]
pub struct ErrorPages(pub Arc<str>);

/// The answer to a refusal.
pub fn response(error: &OauthError, pages: &ErrorPages, request: &str) -> Response {
    let (status, code, retry) = match error {
        OauthError::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request", None),
        OauthError::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client", None),
        OauthError::InvalidGrant(_) => (StatusCode::BAD_REQUEST, "invalid_grant", None),
        OauthError::UnauthorizedClient(_) => (StatusCode::BAD_REQUEST, "unauthorized_client", None),
        OauthError::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type", None),
        OauthError::InvalidScope(_) => (StatusCode::BAD_REQUEST, "invalid_scope", None),
        OauthError::InvalidTarget(_) => (StatusCode::BAD_REQUEST, "invalid_target", None),
        OauthError::SlowDown { retry_after_seconds, .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "slow_down", Some(*retry_after_seconds))
        }
        OauthError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", Some(1)),
        OauthError::Internal(source) => {
            tracing::error!(code = "server_error", request_id = request, error = ?source, "a request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None)
        }
    };
    let description = match error {
        OauthError::Internal(_) => format!("request_id {request}"),
        other => printable(&other.to_string()),
    };
    let mut answer = body(status, code, &description, pages);
    if let Some(seconds) = retry
        && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
    {
        answer.headers_mut().insert(RETRY_AFTER, value);
    }
    if matches!(error, OauthError::Internal(Some(source)) if is_row_corrupt(&**source)) {
        answer.extensions_mut().insert(RowCorrupt);
    }
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    }
    answer
}

fn is_row_corrupt(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(store::Error::RowCorrupt)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// A transport error at an OAuth endpoint, in the same shape.
pub fn transport(status: StatusCode, description: &str, pages: &ErrorPages) -> Response {
    body(status, "invalid_request", description, pages)
}

/// An error answer with any code of the closed set.
pub fn body(status: StatusCode, code: &str, description: &str, pages: &ErrorPages) -> Response {
    let uri = format!("{}/errors/{code}", pages.0);
    json_answer(status, json!({"error": code, "error_description": description, "error_uri": uri}).to_string())
}

/// A JSON answer that must not be stored (RFC 6749 §5.1).
pub fn json_answer(status: StatusCode, text: String) -> Response {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    no_store(headers);
    answer
}

/// Marks an answer as not to be kept by anyone.
pub fn no_store(headers: &mut http::HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

/// Adds the limit headers of an identified client.
pub fn limit_headers(answer: &mut Response, limits: &LimitState) {
    for (name, text) in [(RATELIMIT_POLICY, &limits.policy), (RATELIMIT, &limits.state)] {
        if !text.is_empty()
            && let Ok(value) = HeaderValue::from_str(text)
        {
            answer.headers_mut().insert(name, value);
        }
    }
}

/// Keeps the characters that RFC 6749 §5.2 allows in a description.
fn printable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' ' | '!' | '#'..='[' | ']'..='~')).collect()
}

//! Refusals of the admin API as `application/problem+json` (RFC 9457).

use auth::error::{AdminError, FieldProblem};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::json::JsonError;
use crate::oauth_error::ErrorPages;
use crate::readiness::RowCorrupt;
use crate::request_id::RequestId;

/// Seconds after which a full queue is likely to have room again.
const RETRY_WHEN_FULL: u32 = 1;
/// Seconds after which a store that is away is worth another try.
const RETRY_WHEN_AWAY: u32 = 5;
/// Seconds after which an operator may have made space.
const RETRY_WHEN_NO_SPACE: u32 = 60;

/// Characters of a parameter's name that an answer repeats.
const MAX_NAME: usize = 100;

/// The code of a stored row that does not decode.
const ROW_CORRUPT: &str = "row_corrupt";

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// The stable name of what went wrong; its page is `/errors/{code}`.
    pub code: &'static str,
    /// What went wrong this time and what to do about it.
    pub detail: String,
    /// The refused fields, all of them.
    pub errors: Vec<FieldProblem>,
    /// The refused parameter of the query, or header in its place.
    pub parameter: Option<Box<str>>,
    /// Members of its own, which programs read.
    pub facts: Option<Box<Value>>,
    /// Seconds after which a retry can succeed.
    pub retry_after: Option<u32>,
    /// The value of `WWW-Authenticate`.
    pub challenge: Option<Box<str>>,
}

impl Problem {
    /// A refusal with nothing but a status, a code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            parameter: None,
            facts: None,
            retry_after: None,
            challenge: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }

    /// 400: a parameter of the query that the operation does not have, or with a value that it does not take.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let parameter = Some(name.chars().take(MAX_NAME).collect());
        Self { parameter, ..Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail) }
    }

    /// 401 with its challenge.
    pub fn unauthorized(challenge: impl Into<String>) -> Self {
        let detail = "this needs a valid access token for this API";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).with_challenge(challenge)
    }

    /// 403: the token lacks this scope (RFC 6750 §3.1).
    pub fn insufficient_scope(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", format!("this needs the scope {scope}"))
            .with_challenge(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405; the `Allow` header is the router's.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 412: the object is no longer the one that was read.
    pub fn precondition_failed() -> Self {
        let detail = "the object has changed since it was read; read it again and repeat the change";
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 413: the body has more than this many bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body takes at most {limit} bytes"))
    }

    /// 415.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let detail = format!("the Content-Type must be {accepted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422 with the refused fields.
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.as_slice() {
            [one] if !one.pointer.is_empty() => format!("{}: {}", one.pointer, one.detail),
            [one] => one.detail.clone(),
            many => format!("{} fields are refused; errors names each", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail) }
    }

    /// 429 with the seconds after which a retry can succeed.
    pub fn too_many_requests(policy: &str, retry_after: u32) -> Self {
        let detail = format!("the {policy} limit is used up; try again in {retry_after} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).with_retry_after(retry_after)
    }

    /// 500; what happened is in the log, not in the answer.
    pub fn internal() -> Self {
        let detail = "the server failed to do this; its log has the reason under the id of this request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// 503 with the seconds after which a retry can succeed.
    pub fn unavailable(retry_after: u32) -> Self {
        let detail = "the store does not take this now; try again shortly";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).with_retry_after(retry_after)
    }

    /// 503 for a change that may have been made, with the seconds after which a retry can succeed.
    pub fn unknown(retry_after: u32) -> Self {
        let detail = "it is not known whether the change was saved; the same request with the same Idempotency-Key \
                      gives the answer";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).with_retry_after(retry_after)
    }

    /// The same with `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same with `WWW-Authenticate`.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into().into_boxed_str());
        self
    }

    /// The members of the body, as far as they are the same for every request.
    pub fn to_json(&self) -> Value {
        Value::Object(self.members(""))
    }

    /// Writes the body again for one request: with where the page of the code is, the path that was asked, and the name
    /// under which the log knows the request.
    pub(crate) fn complete(answer: &mut Response, pages: &ErrorPages, path: &str, request: &RequestId) {
        let Some(problem) = answer.extensions_mut().remove::<Self>() else { return };
        let mut members = problem.members(&pages.0);
        if !path.is_empty() {
            members.insert("instance".to_owned(), Value::from(path));
        }
        members.insert("request_id".to_owned(), Value::from(&*request.text));
        answer.headers_mut().remove(CONTENT_LENGTH);
        *answer.body_mut() = Body::from(Value::Object(members).to_string());
    }

    fn members(&self, pages: &str) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("type".to_owned(), Value::from(format!("{pages}/errors/{}", self.code)));
        members.insert("title".to_owned(), Value::from(self.title()));
        members.insert("status".to_owned(), Value::from(self.status.as_u16()));
        members.insert("code".to_owned(), Value::from(self.code));
        members.insert("detail".to_owned(), Value::from(self.detail.as_str()));
        if !self.errors.is_empty() {
            let errors = self.errors.iter();
            let errors = errors.map(|e| json!({"pointer": e.pointer, "code": e.code, "detail": e.detail}));
            members.insert("errors".to_owned(), errors.collect());
        }
        if let Some(name) = &self.parameter {
            let error = json!({"parameter": name, "code": self.code, "detail": self.detail});
            members.insert("errors".to_owned(), json!([error]));
        }
        if let Some(Value::Object(facts)) = self.facts.as_deref() {
            members.extend(facts.clone());
        }
        members
    }

    /// The code in words: a title stays the same for all problems of a type (RFC 9457 §3.1.3).
    fn title(&self) -> String {
        let mut words = self.code.replace('_', " ");
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        words
    }
}

/// The answer for a refused administrative use-case.
pub fn from_admin(error: &AdminError) -> Problem {
    match error {
        AdminError::NotFound(_) => Problem::not_found(error.to_string()),
        AdminError::Forbidden(scope) => Problem::insufficient_scope(scope),
        AdminError::Invalid(errors) => Problem::invalid(errors.clone()),
        AdminError::Taken(code, detail) | AdminError::TooMany(code, detail) => Problem::conflict(code, detail.as_str()),
        AdminError::Illegal { detail, from, event, allowed } => {
            let facts = json!({"from": from, "event": event, "allowed": allowed});
            Problem { facts: Some(Box::new(facts)), ..Problem::conflict("illegal_transition", detail.as_str()) }
        }
        AdminError::State(detail) => Problem::conflict("conflict", detail.as_str()),
        AdminError::Stale => Problem::precondition_failed(),
        AdminError::Store(store::Error::Conflict(_)) => {
            Problem::conflict("conflict", "another change to the same object came first; read it again and repeat")
        }
        AdminError::Store(store::Error::Full) => Problem::unavailable(RETRY_WHEN_FULL),
        AdminError::Store(store::Error::Unavailable(_)) => Problem::unavailable(RETRY_WHEN_AWAY),
        AdminError::Store(store::Error::Unknown(_)) => Problem::unknown(RETRY_WHEN_AWAY),
        AdminError::Store(store::Error::NoSpace) => Problem::unavailable(RETRY_WHEN_NO_SPACE),
        AdminError::Store(store::Error::RowCorrupt) => {
            let detail = "a stored row cannot be read; an operator must look at the store";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, ROW_CORRUPT, detail)
        }
        AdminError::Store(store::Error::Defect(..) | store::Error::Refused(_)) | AdminError::Jose(_) => {
            Problem::internal()
        }
    }
}

impl From<&AdminError> for Problem {
    fn from(error: &AdminError) -> Self {
        from_admin(error)
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        from_admin(&error)
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed { .. } => Self::malformed(error.to_string()),
            JsonError::Nul => {
                let problem = FieldProblem { pointer: String::new(), code: "nul_character", detail: error.to_string() };
                Self::invalid(vec![problem])
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        let headers: &mut HeaderMap = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.code == ROW_CORRUPT {
            response.extensions_mut().insert(RowCorrupt);
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_and_code(error: AdminError) -> (u16, &'static str) {
        let problem = Problem::from(error);
        (problem.status.as_u16(), problem.code)
    }

    #[test]
    fn every_administrative_refusal_has_its_status_and_code() {
        let fields = vec![FieldProblem::new("name", "bad_value", "no")];
        for (error, expected) in [
            (AdminError::NotFound("client"), (404, "not_found")),
            (AdminError::Forbidden("clients:write"), (403, "insufficient_scope")),
            (AdminError::Invalid(fields), (422, "validation_failed")),
            (AdminError::Taken("client_id_taken", "taken".to_owned()), (409, "client_id_taken")),
            (AdminError::TooMany("too_many_secrets", "full".to_owned()), (409, "too_many_secrets")),
            (AdminError::State("built in".to_owned()), (409, "conflict")),
            (
                AdminError::Illegal { detail: "no".to_owned(), from: "canceled", event: "pause", allowed: Vec::new() },
                (409, "illegal_transition"),
            ),
            (AdminError::Stale, (412, "precondition_failed")),
            (AdminError::Store(store::Error::Conflict("client.update")), (409, "conflict")),
            (AdminError::Store(store::Error::Full), (503, "store_unavailable")),
            (AdminError::Store(store::Error::Unavailable("away".into())), (503, "store_unavailable")),
            (AdminError::Store(store::Error::Unknown("away".into())), (503, "store_unavailable")),
            (AdminError::Store(store::Error::NoSpace), (503, "store_unavailable")),
            (AdminError::Store(store::Error::RowCorrupt), (500, "row_corrupt")),
            (AdminError::Store(store::Error::Defect("client.update", None)), (500, "internal_error")),
            (AdminError::Store(store::Error::Refused("no".to_owned())), (500, "internal_error")),
        ] {
            assert_eq!(status_and_code(error), expected);
        }
    }

    #[test]
    fn a_busy_store_says_when_to_come_back_and_other_refusals_do_not() {
        for busy in [store::Error::Full, store::Error::NoSpace, store::Error::Unavailable("away".into())] {
            let response = Problem::from(AdminError::Store(busy)).into_response();
            assert!(response.headers()[RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap() > 0);
        }
        assert!(!Problem::from(AdminError::Stale).into_response().headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn internal_causes_stay_out_of_the_answer() {
        let cause = Some("secret path /var/lib".into());
        for error in [store::Error::Defect("client.update", cause), store::Error::Refused("secret path".to_owned())] {
            let text = Problem::from(AdminError::Store(error)).to_json().to_string();
            assert!(!text.contains("secret") && !text.contains("client.update"), "{text}");
        }
    }

    #[test]
    fn the_answer_is_an_uncached_problem_document_with_every_field() {
        let fields = vec![
            FieldProblem::new("name", "wrong_type", "this takes a string, not a number"),
            FieldProblem::new("scopes/1", "unknown_scope", "no such scope"),
        ];
        let problem = Problem::invalid(fields);
        assert_eq!(
            problem.to_json(),
            json!({
                "type": "/errors/validation_failed", "title": "Validation failed", "status": 422,
                "code": "validation_failed", "detail": "2 fields are refused; errors names each",
                "errors": [
                    {"pointer": "/name", "code": "wrong_type", "detail": "this takes a string, not a number"},
                    {"pointer": "/scopes/1", "code": "unknown_scope", "detail": "no such scope"},
                ],
            })
        );
        let response = problem.into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(Problem::not_found("no").to_json().get("errors").is_none());
    }

    #[test]
    fn too_little_scope_names_the_scope_in_the_challenge() {
        let response = Problem::from(AdminError::Forbidden("clients:write")).into_response();
        let challenge = &response.headers()[WWW_AUTHENTICATE];
        assert_eq!(challenge, "Bearer error=\"insufficient_scope\", scope=\"clients:write\"");
    }

    #[test]
    fn malformed_json_is_400_and_nul_is_422() {
        let refused = |body: &[u8]| Problem::from(crate::json::parse(body).unwrap_err());
        let malformed = refused(b"{");
        assert_eq!((malformed.status.as_u16(), malformed.code), (400, "malformed_request"));
        let nul = refused(br#""\u0000""#);
        assert_eq!((nul.status.as_u16(), nul.errors.len()), (422, 1));
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_an_answer_without_a_panic(detail: String, challenge: String, status in 100_u16..=999) {
            let status = StatusCode::from_u16(status).unwrap();
            let problem = Problem::new(status, "code", detail.clone()).with_challenge(challenge);
            proptest::prop_assert_eq!(&problem.to_json()["detail"], &detail);
            proptest::prop_assert_eq!(problem.into_response().status(), status);
        }
    }
}

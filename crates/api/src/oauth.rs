//! The OAuth endpoints: token, revocation, introspection, and the authorization endpoint that offers nothing yet.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use auth::credential::{Place, Presented};
use auth::error::OauthError;
use auth::grant::TokenRequest;
use auth::introspect::Caller;
use auth::limit::{LimitState, source_key};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use kernel::mutant;
use record::tenant::Tenant;

use crate::App;
use crate::basic::{self, Authorization};
use crate::edge::BodyRead;
use crate::form::Form;
use crate::oauth_error::{self, json_answer, limit_headers, no_store};
use crate::peer::{ClientAddress, is_body_too_slow};
use crate::request_id::RequestId;

/// Largest body of an OAuth endpoint.
pub const BODY_LIMIT_BYTES: usize = 65_536;

/// A request at an OAuth endpoint after checks 1 to 4: method, query, size, form.
struct Parsed {
    headers: HeaderMap,
    form: Form,
    source: Option<IpAddr>,
    request: RequestId,
    tenant: Arc<Tenant>,
}

async fn parse(app: &App, request: Request) -> Result<Parsed, Response> {
    let pages = &app.error_pages;
    let (parts, body) = request.into_parts();
    let Some(id) = parts.extensions.get::<RequestId>().cloned() else {
        return Err(oauth_error::response(&OauthError::Internal(None), pages, ""));
    };
    let source = parts.extensions.get::<ClientAddress>().map(|a| a.0);
    let tenant = match app.tenant(&parts).await {
        Ok(Some(tenant)) => tenant,
        Ok(None) => {
            return Err(oauth_error::transport(StatusCode::NOT_FOUND, "there is no such tenant", pages));
        }
        Err(error) => return Err(oauth_error::response(&error.into(), pages, &id.text)),
    };
    if let Some(source) = source {
        let verdict =
            app.auth.source_rates.count(&source_key(source), app.auth.settings.source_rate, app.auth.clock.now());
        if !verdict.allowed {
            app.auth.counters.limited.fetch_add(1, Ordering::Relaxed);
            let error = OauthError::SlowDown { policy: "source address", retry_after_seconds: verdict.reset_seconds };
            return Err(oauth_error::response(&error, pages, &id.text));
        }
    }
    if parts.method != Method::POST {
        let mut answer = oauth_error::transport(StatusCode::METHOD_NOT_ALLOWED, "this endpoint takes POST", pages);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Err(answer);
    }
    if parts.uri.query().is_some_and(|q| !q.is_empty()) && !mutant::is("S03-query") {
        let text = "parameters belong in the body, never in the URL, where logs keep them";
        return Err(oauth_error::transport(StatusCode::BAD_REQUEST, text, pages));
    }
    let too_large = || {
        let text = "the body is larger than 64 KiB";
        oauth_error::transport(StatusCode::PAYLOAD_TOO_LARGE, text, pages)
    };
    // A length that is declared too large is refused before anything is read.
    if http_body::Body::size_hint(&body).lower() > BODY_LIMIT_BYTES as u64 {
        return Err(too_large());
    }
    let body = match http_body_util::Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Err(error) if is_body_too_slow(&*error) => {
            return Err(oauth_error::transport(StatusCode::REQUEST_TIMEOUT, "the body came too slowly", pages));
        }
        Err(_) => return Err(oauth_error::transport(StatusCode::BAD_REQUEST, "the body broke off", pages)),
    };
    BodyRead::tell(&parts.extensions);
    let content_type = parts.headers.get(CONTENT_TYPE).map(|v| v.to_str().unwrap_or("invalid"));
    let form = Form::parse(content_type, &body)
        .map_err(|error| oauth_error::transport(StatusCode::BAD_REQUEST, &error.to_string(), pages))?;
    Ok(Parsed { headers: parts.headers, form, source, request: id, tenant })
}

/// The credentials of a request: from the header or from the body, never from both.
fn presented(parsed: &Parsed) -> Result<Presented, OauthError> {
    let mut values = parsed.headers.get_all(AUTHORIZATION).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(OauthError::InvalidRequest("more than one Authorization header".into()));
    }
    let in_body = parsed.form.get("client_secret");
    let assertion = parsed.form.get("client_assertion").is_some() || parsed.form.get("client_assertion_type").is_some();
    let Some(header) = header else {
        let client_id = parsed.form.get("client_id").ok_or(OauthError::InvalidClient)?;
        // Assertions are not offered here, so they prove nothing.
        if assertion {
            return Err(OauthError::InvalidClient);
        }
        return Ok(Presented {
            client_id: client_id.to_owned(),
            secret: in_body.map(|s| kernel::secret::Secret::new(s.to_owned())),
            raw_secret: None,
            place: Place::Body,
        });
    };
    let text = header.to_str().map_err(|_| OauthError::InvalidClient)?;
    let Ok(Authorization::Basic(basic)) = basic::parse(text) else { return Err(OauthError::InvalidClient) };
    if in_body.is_some() || assertion {
        return Err(OauthError::InvalidRequest(
            "credentials are in the Authorization header and in the body; use one (RFC 6749 section 2.3)".into(),
        ));
    }
    if parsed.form.get("client_id").is_some_and(|id| id != basic.id) {
        return Err(OauthError::InvalidRequest(
            "client_id in the body differs from the one in the Authorization header".into(),
        ));
    }
    Ok(Presented { client_id: basic.id, secret: Some(basic.secret), raw_secret: basic.raw_secret, place: Place::Basic })
}

/// `POST /oauth2/token` (RFC 6749 §3.2).
pub async fn token(State(app): State<App>, request: Request) -> Response {
    let parsed = match parse(&app, request).await {
        Ok(parsed) => parsed,
        Err(answer) => return answer,
    };
    let fail = |error: &OauthError, limits: &LimitState| {
        let mut answer = oauth_error::response(error, &app.error_pages, &parsed.request.text);
        limit_headers(&mut answer, limits);
        answer
    };
    let presented = match presented(&parsed) {
        Ok(presented) => presented,
        Err(error) => return fail(&error, &LimitState::default()),
    };
    if mutant::is("S01-log") {
        tracing::info!(secret = presented.secret.as_ref().map(|s| s.reveal().as_str()), "a client asks for a token");
    }
    let identified = app.auth.identify(&parsed.tenant, &presented, parsed.source).await;
    let who = match identified.result {
        Ok(who) => who,
        Err(error) => return fail(&error, &identified.limits),
    };
    let ask = TokenRequest {
        grant_type: parsed.form.get("grant_type"),
        scope: parsed.form.get("scope"),
        resources: parsed.form.all("resource"),
        refresh_token: parsed.form.get("refresh_token"),
        source: parsed.source,
        request: parsed.request.id,
    };
    let outcome = app.access.token(&parsed.tenant, &who, &ask, identified.limits).await;
    match outcome.result {
        Ok(answer) => {
            let mut text = String::with_capacity(1_024);
            text.push_str("{\"access_token\":\"");
            // Tokens are base64url, base62 and dots: nothing needs an escape.
            text.push_str(answer.access_token.reveal());
            text.push_str("\",\"token_type\":\"Bearer\",\"expires_in\":");
            text.push_str(&answer.expires_in.to_string());
            if !answer.scope.is_empty() {
                // Neither does a scope, whose grammar has no quote and no backslash.
                text.push_str(",\"scope\":\"");
                text.push_str(&answer.scope);
                text.push('"');
            }
            if let Some(refresh) = &answer.refresh_token {
                text.push_str(",\"refresh_token\":\"");
                text.push_str(refresh.reveal());
                text.push('"');
            }
            text.push('}');
            let mut response = json_answer(StatusCode::OK, text);
            limit_headers(&mut response, &outcome.limits);
            response
        }
        Err(error) => fail(&error, &outcome.limits),
    }
}

/// `POST /oauth2/revoke` (RFC 7009).
pub async fn revoke(State(app): State<App>, request: Request) -> Response {
    let parsed = match parse(&app, request).await {
        Ok(parsed) => parsed,
        Err(answer) => return answer,
    };
    let fail = |error: &OauthError| oauth_error::response(error, &app.error_pages, &parsed.request.text);
    let presented = match presented(&parsed) {
        Ok(presented) => presented,
        Err(error) => return fail(&error),
    };
    let identified = app.auth.identify(&parsed.tenant, &presented, parsed.source).await;
    let who = match identified.result {
        Ok(who) => who,
        Err(error) => return fail(&error),
    };
    let Some(token) = parsed.form.get("token") else {
        return fail(&OauthError::InvalidRequest("token is missing".into()));
    };
    let principal = app.auth.as_principal(&parsed.tenant, &who, parsed.source, parsed.request.id);
    match app.auth.revoke(&principal, &parsed.tenant, &who.client, token).await {
        Ok(()) => {
            let mut answer = Response::new(Body::empty());
            no_store(answer.headers_mut());
            limit_headers(&mut answer, &identified.limits);
            answer
        }
        Err(error) => fail(&error),
    }
}

/// The media type of a signed introspection answer (RFC 9701 §4).
const SIGNED_ANSWER: &str = "application/token-introspection+jwt";

/// An introspection answer in the form its caller accepts.
async fn introspected(
    app: &App,
    parsed: &Parsed,
    caller: &Caller<'_>,
    token: Option<&str>,
) -> Result<Response, OauthError> {
    let token = token.ok_or(OauthError::InvalidRequest("token is missing".into()))?;
    let members = app.access.introspect(&parsed.tenant, caller, token).await?;
    let wants_signature = parsed.headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).any(|list| {
        list.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(SIGNED_ANSWER));
            // RFC 9110 §12.4.2: a weight of 0 means "not acceptable"
            let is_refused = |part: &str| {
                let weight = part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
                weight.is_some_and(|(_, weight)| weight.trim().bytes().all(|byte| matches!(byte, b'0' | b'.')))
            };
            is_named && !parts.any(is_refused)
        })
    });
    if !wants_signature {
        return Ok(json_answer(StatusCode::OK, members));
    }
    let text = Box::pin(app.auth.sign_introspection(&parsed.tenant, caller, &members)).await?;
    let mut answer = json_answer(StatusCode::OK, text);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(SIGNED_ANSWER));
    Ok(answer)
}

/// `POST /oauth2/introspect` (RFC 7662): for clients, or for bearers of `tokens:introspect`.
pub async fn introspect(State(app): State<App>, request: Request) -> Response {
    let parsed = match parse(&app, request).await {
        Ok(parsed) => parsed,
        Err(answer) => return answer,
    };
    let fail = |error: &OauthError| oauth_error::response(error, &app.error_pages, &parsed.request.text);
    let bearer = parsed
        .headers
        .get(AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|text| basic::parse(text).ok())
        .and_then(|a| if let Authorization::Bearer(token) = a { Some(token) } else { None });
    let mut limits = LimitState::default();
    let answer = if let Some(bearer) = bearer {
        let found = app.access.principal(&parsed.tenant, &bearer, parsed.source, parsed.request.id).await;
        match found {
            Ok(Some((principal, _))) if principal.holds("tokens:introspect") => {
                introspected(&app, &parsed, &Caller::Bearer(&principal), parsed.form.get("token")).await
            }
            Ok(_) => {
                let mut answer = fail(&OauthError::InvalidClient);
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                answer.headers_mut().append(WWW_AUTHENTICATE, challenge);
                return answer;
            }
            Err(error) => Err(error.into()),
        }
    } else {
        let presented = match presented(&parsed) {
            Ok(presented) => presented,
            Err(error) => return fail(&error),
        };
        let identified = app.auth.identify(&parsed.tenant, &presented, parsed.source).await;
        limits = identified.limits;
        match identified.result {
            // A public client proves nothing, so it may not ask.
            Ok(who) if who.credential.is_none() && !mutant::is("C07-public") => Err(OauthError::InvalidClient),
            Ok(who) => introspected(&app, &parsed, &Caller::Client(&who.client), parsed.form.get("token")).await,
            Err(error) => Err(error),
        }
    };
    match answer {
        Ok(mut response) => {
            limit_headers(&mut response, &limits);
            response
        }
        Err(error) => fail(&error),
    }
}

/// `GET /oauth2/authorize`: no human sign-in yet, so no response type is offered; never a redirect.
pub async fn authorize() -> Response {
    let page = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>unsupported_response_type</title>\
        <h1>unsupported_response_type</h1><p>This server issues tokens to machines only: it has no sign-in for \
        people yet, so the authorization endpoint offers no response type. Machines ask for tokens at \
        <code>/oauth2/token</code>.</p></html>";
    let mut answer = Response::new(Body::from(page));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        http::header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    );
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    no_store(headers);
    answer
}

//! What clients and resource servers read first: RFC 8414, JWKS, RFC 9728.

use auth::catalog::{Builtin, MANAGEMENT_SCOPES};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use kernel::mutant;
use serde_json::{Value, json};

use crate::problem::{Problem, from_admin};
use crate::{App, etag};

const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The tenant of a well-known path: before or behind the well-known part.
fn slug(uri: &Uri) -> &str {
    uri.path().split_once("/t/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or(kernel::tenant::DEFAULT_SLUG)
}

async fn tenant(app: &App, uri: &Uri) -> Result<std::sync::Arc<record::tenant::Tenant>, Response> {
    match app.auth.tenant(slug(uri)).await {
        Ok(Some(tenant)) if tenant.disabled_at.is_none() => Ok(tenant),
        Ok(_) => Err(Problem::not_found("there is no such tenant").into_response()),
        Err(error) => Err(from_admin(&error.into()).into_response()),
    }
}

fn document(value: &str, content_type: &'static str) -> Response {
    let mut answer = Response::new(Body::from(value.to_owned()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, CACHED);
    answer
}

/// Authorization server metadata (RFC 8414 §2), the same bytes at every path.
pub async fn server(State(app): State<App>, request: Request) -> Response {
    let tenant = match tenant(&app, request.uri()).await {
        Ok(tenant) => tenant,
        Err(answer) => return answer,
    };
    let catalog = match app.auth.catalog(&tenant).await {
        Ok(catalog) => catalog,
        Err(error) => return from_admin(&error.into()).into_response(),
    };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let poisoned = host.filter(|_| mutant::is("H01-host")).map(|host| format!("https://{host}"));
    let issuer = poisoned.as_deref().unwrap_or(&tenant.issuer);
    let mut scopes: Vec<&str> = catalog.scopes.keys().map(|s| &**s).collect();
    scopes.sort_unstable();
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    let mut resources: Vec<&str> = catalog.apis.iter().map(|api| &*api.identifier).collect();
    resources.sort_unstable();
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_signing_alg_values_supported": [auth::introspect::INTROSPECTION_ALG.name()],
        "code_challenge_methods_supported": ["S256"],
        "protected_resources": resources,
        "service_documentation": format!("{}/docs", app.auth.settings.issuer),
    });
    document(&metadata.to_string(), "application/json")
}

/// The public keys (RFC 7517 §5).
pub async fn jwks(State(app): State<App>, headers: HeaderMap, request: Request) -> Response {
    let tenant = match tenant(&app, request.uri()).await {
        Ok(tenant) => tenant,
        Err(answer) => return answer,
    };
    let keys = match app.auth.keys(&tenant).await {
        Ok(keys) => keys,
        Err(error) => return from_admin(&error.into()).into_response(),
    };
    let mut answer = document(&keys.jwks, "application/jwk-set+json");
    if etag::if_none_match(&headers, &keys.etag) {
        answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer.headers_mut().insert(CACHE_CONTROL, CACHED);
    }
    if let Ok(value) = HeaderValue::from_str(&keys.etag) {
        answer.headers_mut().insert(ETAG, value);
    }
    answer
}

/// Seconds for which a copy of `security.txt` is good; a year is the most that RFC 9116 §2.5.5 recommends.
const SECURITY_SECONDS: i64 = 90 * 86_400;

/// Where to report a weakness (RFC 9116).
pub async fn security(State(app): State<App>) -> Response {
    if app.contacts.is_empty() {
        let detail = "whoever runs this server has set no security.contact; ask them where to report a weakness";
        return Problem::not_found(detail).into_response();
    }
    let contacts: String = app.contacts.iter().flat_map(|contact| ["Contact: ", contact, "\n"]).collect();
    let expires = app.auth.clock.now().plus_seconds(SECURITY_SECONDS);
    let issuer = &app.auth.settings.issuer;
    let text = format!("{contacts}Expires: {expires}\nCanonical: {issuer}/.well-known/security.txt\n");
    document(&text, "text/plain; charset=utf-8")
}

/// The metadata document of an API (RFC 9728 §2).
pub fn resource_document(issuer: &str, resource: &str, scopes: &[&str]) -> Value {
    json!({
        "resource": resource,
        "authorization_servers": [issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
    })
}

/// The metadata of our own API.
pub async fn protected_resource(State(app): State<App>, request: Request) -> Response {
    let tenant = match tenant(&app, request.uri()).await {
        Ok(tenant) => tenant,
        Err(answer) => return answer,
    };
    let scopes: Vec<&str> = MANAGEMENT_SCOPES.iter().map(|(name, _)| *name).collect();
    let resource = format!("{}{}", tenant.issuer, Builtin::Management.path());
    document(&resource_document(&tenant.issuer, &resource, &scopes).to_string(), "application/json")
}

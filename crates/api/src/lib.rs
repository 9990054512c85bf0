//! HTTP surfaces: OAuth endpoints, metadata and the admin API.
//!
//! A handler parses, calls one use-case and maps its outcome; it decides nothing.

pub mod admin;
pub mod basic;
mod edge;
pub mod etag;
pub mod form;
pub mod health;
pub mod json;
pub mod metadata;
pub mod metrics;
pub mod oauth;
pub mod oauth_error;
pub mod openapi;
pub mod peer;
pub mod problem;
pub mod readiness;
pub mod refusal;
pub mod request_id;
pub mod route;

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use access::Access;
use auth::Auth;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get};
use billing::Billing;
use http::request::Parts;
use http::{StatusCode, Uri};
use kernel::mutant;
use record::tenant::Tenant;

use oauth_error::ErrorPages;
use peer::ClientAddress;
use problem::Problem;
use request_id::RequestId;

/// What every handler can reach.
#[derive(Clone)]
pub struct App(Arc<Reach>);

/// See [`App`], which is cloned for every request.
pub struct Reach {
    /// Machines and their tokens.
    pub auth: Arc<Auth>,
    /// Who pays, and what for.
    pub billing: Arc<Billing>,
    /// What needs both.
    pub access: Arc<Access>,
    /// Where error pages live.
    pub error_pages: ErrorPages,
    /// What `/readyz` says.
    pub readiness: readiness::Readiness,
    requests: Arc<edge::Places>,
    /// What background work tells `/metrics`.
    pub gauges: metrics::Gauges,
    traffic: metrics::Traffic,
    /// Where to report a weakness (RFC 9116).
    contacts: Vec<String>,
    in_flight: Mutex<HashSet<[u8; 32]>>,
    /// Seats of event streams.
    streams: Arc<admin::stream::Seats>,
}

impl Deref for App {
    type Target = Reach;

    fn deref(&self) -> &Reach {
        &self.0
    }
}

impl App {
    /// The surfaces over a product.
    pub fn new(auth: Arc<Auth>) -> Self {
        Self::configured(auth, edge::IN_FLIGHT, Vec::new())
    }

    /// The same with a bound on the requests that are carried out at the same time, and with the URIs at which a
    /// weakness is to be reported (RFC 9116 §2.5.3).
    pub fn configured(auth: Arc<Auth>, bound: u32, contacts: Vec<String>) -> Self {
        let access = Access::open(auth);
        let auth = &access.auth;
        Self(Arc::new(Reach {
            error_pages: ErrorPages(Arc::from(auth.settings.issuer.as_str())),
            readiness: readiness::Readiness::default(),
            requests: edge::Places::new(usize::try_from(bound).unwrap_or(usize::MAX)),
            gauges: metrics::Gauges::default(),
            streams: Arc::default(),
            traffic: metrics::Traffic::default(),
            contacts,
            in_flight: Mutex::default(),
            billing: Arc::clone(&access.billing),
            auth: Arc::clone(auth),
            access: Arc::clone(&access),
        }))
    }

    /// The tenant that a request's path names, `None` when there is no such tenant or it is switched off.
    ///
    /// # Errors
    /// The store's.
    pub async fn tenant(&self, parts: &Parts) -> Result<Option<Arc<Tenant>>, store::Error> {
        Ok(self
            .auth
            .tenant(slug_of(&parts.uri))
            .await?
            .filter(|tenant| tenant.disabled_at.is_none() || mutant::is("C04-tenant")))
    }
}

/// The tenant slug in a path: `/t/{slug}/…`, else `default`.
fn slug_of(uri: &Uri) -> &str {
    uri.path().strip_prefix("/t/").and_then(|rest| rest.split('/').next()).unwrap_or(kernel::tenant::DEFAULT_SLUG)
}

/// Every public surface.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for prefix in ["", "/t/{tenant}"] {
        let at = |path: &str| format!("{prefix}{path}");
        router = router
            .route(&at("/oauth2/token"), any(oauth::token))
            .route(&at("/oauth2/revoke"), any(oauth::revoke))
            .route(&at("/oauth2/introspect"), any(oauth::introspect))
            .route(&at("/oauth2/authorize"), get(oauth::authorize).post(oauth::authorize))
            .route(&at("/.well-known/oauth-authorization-server"), get(metadata::server))
            .route(&at("/.well-known/openid-configuration"), get(metadata::server))
            .route(&at("/.well-known/jwks.json"), get(metadata::jwks))
            .route(&at("/.well-known/oauth-protected-resource/api"), get(metadata::protected_resource));
        router = admin::mount(router, prefix);
    }
    router
        // RFC 8414 §3.1 and RFC 9728 §3.1 put the well-known part before the issuer's path.
        .route("/.well-known/oauth-authorization-server/t/{tenant}", get(metadata::server))
        .route("/.well-known/openid-configuration/t/{tenant}", get(metadata::server))
        .route("/.well-known/oauth-protected-resource/t/{tenant}/api", get(metadata::protected_resource))
        .route("/.well-known/security.txt", get(metadata::security))
        .route("/", get(|| async { Redirect::temporary("/docs") }))
        .merge(console::router(protection(&app)))
        .merge(console::desk(Arc::clone(&app.access), protection(&app)).layer(middleware::from_fn(introduce)))
        .merge(health::public())
        .fallback(missing)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), edge::wrap))
        .with_state(app)
}

/// Tells the console who sends a request.
async fn introduce(mut request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| id.id);
    if let Some(request_id) = id {
        let source = request.extensions().get::<ClientAddress>().map(|address| address.0);
        let is_encrypted = matches!(request.extensions().get(), Some(peer::Transport::Tls));
        request.extensions_mut().insert(console::Caller { source, request: request_id, is_encrypted });
    }
    next.run(request).await
}

/// Nonces of the product's randomness; the issuer says how people reach the server.
fn protection(app: &App) -> console::Protection {
    let is_tls = app.auth.settings.issuer.starts_with("https:");
    let auth = Arc::clone(&app.auth);
    console::Protection::new(if is_tls { console::Transport::Tls } else { console::Transport::Plain }, move || {
        let mut bytes = [0; 16];
        auth.with_entropy(|entropy| entropy.fill(&mut bytes));
        bytes
    })
}

/// What the management listener serves.
pub fn management_router(app: App, outside: metrics::Outside) -> Router {
    health::management()
        .layer(axum::Extension(outside))
        .fallback(missing)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), edge::wrap))
        .with_state(app)
}

async fn missing(State(app): State<App>, uri: Uri) -> Response {
    if refusal::is_oauth(uri.path()) {
        let text = "there is no such endpoint";
        return oauth_error::transport(StatusCode::NOT_FOUND, text, &app.error_pages);
    }
    let rest = refusal::within_tenant(uri.path());
    if rest == "/api" || rest.starts_with("/api/") {
        return Problem::not_found("there is nothing at this path; /docs lists what there is").into_response();
    }
    console::not_found()
}

async fn wrong_method(State(app): State<App>, uri: Uri) -> Response {
    if refusal::is_oauth(uri.path()) {
        let text = "this endpoint does not take this method";
        return oauth_error::transport(StatusCode::METHOD_NOT_ALLOWED, text, &app.error_pages);
    }
    Problem::method_not_allowed().into_response()
}

//! What a browser is told not to do: one layer of headers for the console and the book alike.
//!
//! Every HTML answer gets a policy with a nonce of its own; a handler reads the nonce from the request's extensions
//! and puts it on the scripts and htmx elements that it renders.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Everything off that a page could be tricked into, but passkeys and the copy buttons.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), \
    encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), \
    usb=(), xr-spatial-tracking=(), publickey-credentials-get=(self), publickey-credentials-create=(self), \
    clipboard-write=(self)";

/// 128 random bits that mark the scripts of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(Arc<str>);

impl Nonce {
    /// The text form of random bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Arc::from(STANDARD_NO_PAD.encode(bytes)))
    }

    /// What stands in the attribute `nonce`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether people reach the server over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Loopback or a private network.
    Plain,
    /// HTTPS: what a page names with `http:` is asked for with `https:`.
    Tls,
}

/// What the layer needs: where nonces come from, and how pages travel.
#[derive(Clone)]
pub struct Protection {
    random: Arc<dyn Fn() -> [u8; 16] + Send + Sync>,
    transport: Transport,
}

impl Protection {
    /// `random` gives 16 unpredictable bytes at each call.
    pub fn new(transport: Transport, random: impl Fn() -> [u8; 16] + Send + Sync + 'static) -> Self {
        Self { random: Arc::new(random), transport }
    }
}

/// The layer: gives the request its nonce and the answer its headers.
pub async fn protect(State(protection): State<Protection>, mut request: Request, next: Next) -> Response {
    let nonce = Nonce::new((protection.random)());
    request.extensions_mut().insert(nonce.clone());
    let mut response = next.run(request).await;
    let is_page = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_none_or(|kind| kind.starts_with("text/html"));
    if is_page {
        mark(response.headers_mut(), Some(&nonce), protection.transport);
    }
    response
}

/// The headers of a page; without a nonce no inline script runs, which is right for pages that have none.
pub(crate) fn mark(headers: &mut HeaderMap, nonce: Option<&Nonce>, transport: Transport) {
    if let Ok(policy) = HeaderValue::from_str(&policy(nonce, transport)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", PERMISSIONS),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn policy(nonce: Option<&Nonce>, transport: Transport) -> String {
    let nonce = nonce.map(|nonce| format!(" 'nonce-{}'", nonce.as_str())).unwrap_or_default();
    let upgrade = if transport == Transport::Tls { "; upgrade-insecure-requests" } else { "" };
    format!(
        "default-src 'none'; script-src 'self'{nonce}; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types htmx{upgrade}"
    )
}

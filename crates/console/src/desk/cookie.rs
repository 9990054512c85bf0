//! The cookies of the console: what browsers must do with them, and what came back.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};

/// The signed-in session.
pub(crate) const SESSION: &str = "bst";
/// "Somebody signed in from this browser before"; see [`auth::operator::browser`].
pub(crate) const DEVICE: &str = "bst_device";
/// How far a sign-in has come.
pub(crate) const STEP: &str = "bst_step";
/// Ties the forms of pages before sign-in to this browser.
pub(crate) const DOOR: &str = "bst_door";
/// Chosen colors.
pub(crate) const THEME: &str = "bst_theme";

/// Chosen language of code.
pub(crate) const LANGUAGE: &str = "bst_language";
/// Chosen columns of the list of clients.
pub(crate) const COLUMNS: &str = "bst_columns";

/// Seconds that a browser keeps the step of a sign-in.
const STEP_SECONDS: i64 = 600;
/// Seconds that a browser keeps a preference: a year.
const PREFERENCE_SECONDS: i64 = 31_536_000;

/// Names and attributes of one tenant's cookies.
#[derive(Debug, Clone)]
pub(crate) struct Jar {
    slug: String,
    /// Whether people reach the server over TLS; only then can a cookie be `Secure` and carry the prefix `__Host-`.
    is_tls: bool,
}

impl Jar {
    pub(crate) fn new(slug: &str, is_tls: bool) -> Self {
        Self { slug: slug.to_owned(), is_tls }
    }

    fn name(&self, kind: &str) -> String {
        let prefix = if self.is_tls { "__Host-" } else { "" };
        format!("{prefix}{kind}_{}", self.slug)
    }

    /// The value that a browser sent; none when it sent several, of which one would be somebody else's.
    pub(crate) fn read(&self, headers: &HeaderMap, kind: &str) -> Option<String> {
        let name = self.name(kind);
        let mut found = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(given, _)| *given == name)
            .map(|(_, value)| value.to_owned());
        let first = found.next();
        first.filter(|value| !value.is_empty() && found.next().is_none())
    }

    /// Adds a cookie to an answer.
    pub(crate) fn set(&self, headers: &mut HeaderMap, kind: &str, value: &str) {
        let seconds = match kind {
            DEVICE => Some(auth::operator::browser::DEVICE_SECONDS),
            STEP => Some(STEP_SECONDS),
            THEME | LANGUAGE | COLUMNS => Some(PREFERENCE_SECONDS),
            _ => None,
        };
        self.put(headers, kind, value, seconds);
    }

    /// Lets the browser forget a cookie.
    pub(crate) fn clear(&self, headers: &mut HeaderMap, kind: &str) {
        self.put(headers, kind, "", Some(0));
    }

    fn put(&self, headers: &mut HeaderMap, kind: &str, value: &str, seconds: Option<i64>) {
        let secure = if self.is_tls { "; Secure" } else { "" };
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name(kind));
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(SET_COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
        headers
    }

    #[test]
    fn a_cookie_is_of_its_tenant_and_of_its_transport() {
        let (plain, tls) = (Jar::new("default", false), Jar::new("default", true));
        assert_eq!(plain.read(&headers("bst_default=a; bst_acme=b"), SESSION).as_deref(), Some("a"));
        assert_eq!(tls.read(&headers("bst_default=a"), SESSION), None, "a cookie that any neighbor could set");
        assert_eq!(tls.read(&headers("__Host-bst_default=a"), SESSION).as_deref(), Some("a"));
        assert_eq!(Jar::new("acme", false).read(&headers("bst_default=a"), SESSION), None);
    }

    #[test]
    fn of_two_cookies_with_one_name_neither_counts() {
        assert_eq!(Jar::new("default", false).read(&headers("bst_default=a; bst_default=b"), SESSION), None);
    }

    #[test]
    fn a_cookie_over_tls_is_secure_and_bound_to_the_host() {
        let mut out = HeaderMap::new();
        Jar::new("default", true).set(&mut out, SESSION, "v");
        assert_eq!(out[SET_COOKIE], "__Host-bst_default=v; Path=/; HttpOnly; SameSite=Lax; Secure");
    }
}

//! APIs (audiences) and their scopes.

use askama::Template;

use crate::badge::{self, Badge};
use crate::moment::duration;
use crate::shell::{Document, Frame, Visit};

/// One API with its scopes.
#[derive(Debug, Clone)]
pub struct Api {
    /// Internal id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The audience.
    pub identifier: String,
    /// Whether it came with the tenant.
    pub is_built_in: bool,
    /// Life of its tokens, when it decides.
    pub token_ttl_seconds: Option<i64>,
    /// Algorithm of its tokens, when it decides.
    pub signing_alg: Option<String>,
    /// Its scopes, by name.
    pub scopes: Vec<String>,
}

struct Shown<'a> {
    api: &'a Api,
    ttl: String,
    badge: Option<Badge>,
}

#[derive(Template)]
#[template(path = "apis.html")]
struct Page<'a> {
    frame: Frame<'a>,
    apis: Vec<Shown<'a>>,
    refused: Option<String>,
}

/// The page.
pub fn list(visit: &Visit<'_>, apis: &[Api]) -> Document {
    let shown = |api| Shown { ttl: api_ttl(api), badge: api.is_built_in.then(|| badge::of("built_in")), api };
    Document::of(&Page {
        frame: Frame::new(visit, "identity/apis", "APIs & scopes"),
        apis: apis.iter().map(shown).collect(),
        refused: visit.viewer.refused("apis:write"),
    })
}

fn api_ttl(api: &Api) -> String {
    api.token_ttl_seconds.map_or_else(|| "As the client".to_owned(), duration)
}

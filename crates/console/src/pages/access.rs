//! What a client may ask for, as a table of APIs and scopes, and what a token would say.

use crate::form::Entered;

/// One API with what the client has of it.
#[derive(Debug, Clone)]
pub struct Api {
    /// Name for people.
    pub name: String,
    /// Its audience.
    pub audience: String,
    /// Whether it is this server's own.
    pub is_management: bool,
    /// Whether the client's list of audiences has it.
    pub is_listed: bool,
    /// Its scopes, by name.
    pub scopes: Vec<Scope>,
}

/// One scope of an API.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub text: String,
    /// Whether the client may request it.
    pub is_allowed: bool,
    /// Whether a request without `scope` gets it.
    pub is_default: bool,
}

/// What a request for a token comes to.
#[derive(Debug, Clone)]
pub enum Says {
    /// A token.
    Token {
        /// Its claims, as JSON.
        claims: String,
        /// What signs it; `None` for an opaque one.
        alg: Option<&'static str>,
        /// Seconds it lives.
        lifetime: i64,
    },
    /// A refusal.
    Refusal {
        /// The error of RFC 6749.
        code: &'static str,
        /// Why.
        sentence: String,
    },
}

/// The table, with the ticks of a form that came back in place of those that are stored.
pub(crate) fn ticked(apis: &[Api], entered: &Entered) -> Vec<Api> {
    let mut apis = apis.to_vec();
    if entered.is_back() {
        for api in &mut apis {
            api.is_listed = entered.has("audience", &api.audience);
            for scope in &mut api.scopes {
                scope.is_allowed = entered.has("scope", &scope.name);
                scope.is_default = entered.has("default_scope", &scope.name);
            }
        }
    }
    apis
}

impl Api {
    /// How many of its scopes the client may request.
    pub(crate) fn held(&self) -> usize {
        self.scopes.iter().filter(|scope| scope.is_allowed).count()
    }
}

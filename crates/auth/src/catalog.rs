//! APIs (RFC 8707 audiences) and their scopes, and which of them a request gets.

use std::collections::HashMap;
use std::sync::Arc;

use jose::Alg;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::mutant;
use store::Row;

use crate::client::Client;
use crate::error::OauthError;
use crate::standing::Gate;

/// Management scopes of the built-in API `<issuer>/api`.
pub const MANAGEMENT_SCOPES: [(&str, &str); 25] = [
    ("admin", "Everything"),
    ("clients:read", "Read clients and their secrets' dates"),
    ("clients:write", "Create, change and delete clients and secrets"),
    ("apis:read", "Read APIs and scopes"),
    ("apis:write", "Create, change and delete APIs and scopes"),
    ("keys:read", "Read signing keys"),
    ("keys:write", "Rotate and revoke signing keys"),
    ("tenants:read", "Read tenants"),
    ("tenants:write", "Create and change tenants"),
    ("operators:read", "Read operators, their sessions and invitations"),
    ("operators:write", "Invite, change, disable and remove operators"),
    ("audit:read", "Read the audit log and the issuance journal"),
    ("events:read", "Read events"),
    ("customers:read", "Read customers and their standing"),
    ("customers:write", "Create, change, suspend and delete customers"),
    ("billing:read", "Read meters, features, plans and subscriptions"),
    ("billing:write", "Change meters, features, plans and subscriptions, and say what is paid"),
    ("usage:write", "Report, correct and reserve usage"),
    ("entitlements:check", "Ask whether a customer, client or token may use a feature"),
    ("webhooks:read", "Read webhook endpoints and their deliveries"),
    ("webhooks:write", "Create, change and delete webhook endpoints, and send again"),
    ("limits:read", "Read limits"),
    ("limits:write", "Change limits"),
    ("tokens:introspect", "Introspect every token"),
    ("tokens:revoke", "Revoke every token"),
];

/// Longest text of a `scope` parameter, in bytes.
pub const MAX_SCOPE_BYTES: usize = 4096;
/// Most scopes in one request.
pub const MAX_SCOPES: usize = 100;

/// The two APIs every tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// `<issuer>/apis/default`: scopes that name no other API.
    Default,
    /// `<issuer>/api`: management.
    Management,
}

impl Builtin {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Management => "management",
        }
    }

    /// The path below the issuer; what is stored, so that a changed issuer orphans nothing.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Default => "/apis/default",
            Self::Management => "/api",
        }
    }
}

/// One API.
#[derive(Debug, Clone)]
pub struct Api {
    /// Its id.
    pub id: Id<id::Api>,
    /// The audience, absolute.
    pub identifier: Arc<str>,
    /// Name for people.
    pub name: String,
    /// Whether it came with the tenant.
    pub builtin: Option<Builtin>,
    /// Life of its tokens, when it decides.
    pub token_ttl_seconds: Option<u32>,
    /// Signing algorithm of its tokens, when it decides.
    pub signing_alg: Option<Alg>,
    /// Guard for concurrent changes.
    pub version: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// One scope.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The API that owns it.
    pub api: Id<id::Api>,
    /// For people.
    pub description: String,
    /// The feature that a customer needs for its clients to get it.
    pub requires: Option<Arc<str>>,
    /// Creation.
    pub created_at: Timestamp,
}

/// The APIs and scopes of a tenant, as caches hold them.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By id.
    pub apis: Vec<Api>,
    /// By name.
    pub scopes: HashMap<Arc<str>, Scope>,
}

/// What a request asks for.
#[derive(Debug, Default)]
pub struct Ask<'a> {
    /// The `scope` parameter.
    pub scope: Option<&'a str>,
    /// The `resource` parameters.
    pub resources: Vec<&'a str>,
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Scopes, space-separated in request order without repeats; may be empty.
    pub scope: Arc<str>,
    /// One audience, or several separated by spaces when the client may name several.
    pub audience: Vec<Arc<str>>,
    /// Life the audience decides, the shortest of several.
    pub token_ttl_seconds: Option<u32>,
    /// Algorithm the first audience decides.
    pub signing_alg: Option<Alg>,
}

/// Whether a text is one scope token (RFC 6749 §3.3).
pub fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Scopes of a `scope` parameter: single spaces between tokens, repeats collapsed.
///
/// # Errors
/// [`OauthError::InvalidScope`] outside the grammar or past the bounds.
pub fn parse_scope(text: &str) -> Result<Vec<&str>, OauthError> {
    if text.len() > MAX_SCOPE_BYTES {
        return Err(OauthError::InvalidScope(format!("scope is longer than {MAX_SCOPE_BYTES} bytes")));
    }
    if text.split(' ').filter(|t| !t.is_empty()).count() > MAX_SCOPES && !mutant::is("C05-many") {
        return Err(OauthError::InvalidScope(format!("scope names more than {MAX_SCOPES} scopes")));
    }
    let mut scopes: Vec<&str> = Vec::new();
    for token in text.split(' ').filter(|t| !t.is_empty()) {
        if !is_scope_token(token) {
            return Err(OauthError::InvalidScope(
                "scope holds a character outside the grammar of RFC 6749 section 3.3".to_owned(),
            ));
        }
        if !scopes.contains(&token) {
            scopes.push(token);
        }
    }
    Ok(scopes)
}

impl Catalog {
    /// Reads the rows of [`crate::sql::APIS`] and [`crate::sql::SCOPES`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when a row is neither.
    pub fn from_rows(apis: &[Row], scopes: &[Row], issuer: &str) -> Result<Self, store::Error> {
        let apis = apis.iter().map(|row| api_from_row(row, issuer)).collect::<Result<Vec<_>, _>>()?;
        let mut by_name = HashMap::with_capacity(scopes.len());
        for row in scopes {
            let scope = Scope {
                api: row.id(1)?,
                description: row.text(2)?.to_owned(),
                requires: row.text_opt(4)?.map(Arc::from),
                created_at: row.time(3)?,
            };
            by_name.insert(Arc::from(row.text(0)?), scope);
        }
        Ok(Self { apis, scopes: by_name })
    }

    /// The catalog of a tenant that is about to be created, as far as its first admin client needs it.
    pub(crate) fn management() -> Self {
        let api = Id::from_bytes([0; 16]);
        let created_at = Timestamp::default();
        let scope =
            |name: &str| (Arc::from(name), Scope { api, description: String::new(), requires: None, created_at });
        Self { apis: Vec::new(), scopes: MANAGEMENT_SCOPES.iter().map(|(name, _)| scope(name)).collect() }
    }

    /// An API by id.
    pub fn api(&self, id: Id<id::Api>) -> Option<&Api> {
        self.apis.iter().find(|api| api.id == id)
    }

    /// A built-in API.
    pub fn builtin(&self, builtin: Builtin) -> Option<&Api> {
        self.apis.iter().find(|api| api.builtin == Some(builtin))
    }

    /// The API that owns a scope.
    pub fn owner(&self, scope: &str) -> Option<&Api> {
        self.scopes.get(scope).and_then(|s| self.api(s.api))
    }

    /// The feature that a scope requires.
    pub fn requires(&self, scope: &str) -> Option<&str> {
        self.scopes.get(scope)?.requires.as_deref()
    }

    /// The API that a `resource` parameter names: scheme and host in any letter case, the rest byte by byte.
    pub fn by_resource(&self, resource: &str) -> Option<&Api> {
        let wanted = normalize(resource)?;
        self.apis.iter().find(|api| normalize(&api.identifier).as_deref() == Some(wanted.as_str()))
    }

    /// Decides scopes and audience of a request (RFC 6749 §3.3, RFC 8707 §2). What the gate withholds is left out of the
    /// defaults, and refused when it is asked for.
    ///
    /// # Errors
    /// [`OauthError::InvalidScope`] and [`OauthError::InvalidTarget`], naming what is refused.
    pub fn grant(
        &self,
        client: &Client,
        narrowed: Option<&[Arc<str>]>,
        gate: Gate<'_>,
        ask: &Ask<'_>,
    ) -> Result<Granted, OauthError> {
        let targets = self.targets(client, &ask.resources)?;
        // Resources are judged before scopes, their number included.
        check_number(client, &targets)?;
        let asked = ask.scope.map(parse_scope).transpose()?.filter(|scopes| !scopes.is_empty());
        let explicit = asked.is_some();
        let allowed = |scope: &str| {
            let held = client.holds(scope) || mutant::is("S-12-unlisted");
            held && narrowed.is_none_or(|set| set.iter().any(|s| &**s == scope))
        };
        let scopes: Vec<&str> = match asked {
            Some(scopes) => scopes,
            None => client
                .settings
                .default_scopes
                .iter()
                .map(|s| &**s)
                .filter(|s| allowed(s))
                .filter(|s| targets.is_empty() || self.owner(s).is_some_and(|o| targets.iter().any(|t| t.id == o.id)))
                .filter(|s| gate.leaves(s, || self.requires(s)))
                .collect(),
        };
        if !explicit && scopes.is_empty() && !client.settings.scopes.is_empty() {
            return Err(OauthError::InvalidScope(
                "this client has no default scopes here, or its customer has access to none of them; \
                 name the scopes in the scope parameter"
                    .to_owned(),
            ));
        }
        let mut owners: Vec<&Api> = Vec::new();
        for (scope, number) in scopes.iter().zip(1_u32..) {
            // An unknown text is not repeated: it may be a secret in the wrong parameter.
            let owner = self.owner(scope).ok_or_else(|| {
                OauthError::InvalidScope(format!("there is no scope with the name that comes as number {number}"))
            })?;
            if !allowed(scope) {
                return Err(OauthError::InvalidScope(format!("this client may not request the scope {scope}")));
            }
            if !targets.is_empty() && !targets.iter().any(|t| t.id == owner.id) {
                return Err(OauthError::InvalidScope(format!("the named resource does not own the scope {scope}")));
            }
            if !owners.iter().any(|o| o.id == owner.id) {
                owners.push(owner);
            }
        }
        let audience = if !targets.is_empty() {
            targets
        } else if owners.is_empty() {
            vec![self.fallback(client)?]
        } else {
            for owner in &owners {
                self.check_target(client, owner)?;
            }
            owners
        };
        check_number(client, &audience)?;
        for scope in &scopes {
            if let Some(withheld) = gate.withholds(scope, || self.requires(scope)) {
                return Err(gate.refused(scope, withheld));
            }
        }
        Ok(Granted {
            scope: Arc::from(scopes.join(" ")),
            token_ttl_seconds: audience.iter().filter_map(|a| a.token_ttl_seconds).min(),
            signing_alg: audience.first().and_then(|a| a.signing_alg),
            audience: audience.iter().map(|a| Arc::clone(&a.identifier)).collect(),
        })
    }

    /// What one token of a client can have: its default scopes, else as many of its scopes, in their order, as belong
    /// together. `None` when a request without scopes is refused too.
    pub fn grantable(&self, client: &Client, gate: Gate<'_>) -> Option<Granted> {
        let settings = &client.settings;
        let listed = if settings.default_scopes.is_empty() { &settings.scopes } else { &settings.default_scopes };
        let mut best = None;
        let mut taken = String::new();
        for scope in listed {
            let asked = if taken.is_empty() { scope.to_string() } else { format!("{taken} {scope}") };
            let ask = Ask { scope: Some(asked.as_str()), resources: Vec::new() };
            if let Ok(granted) = self.grant(client, None, gate, &ask) {
                best = Some(granted);
                taken = asked;
            }
        }
        best.or_else(|| self.grant(client, None, gate, &Ask::default()).ok())
    }

    fn targets(&self, client: &Client, resources: &[&str]) -> Result<Vec<&Api>, OauthError> {
        let mut targets: Vec<&Api> = Vec::new();
        for resource in resources {
            let api = self.by_resource(resource).ok_or_else(|| {
                OauthError::InvalidTarget("resource is not an absolute URI without fragment of an API here".to_owned())
            })?;
            self.check_target(client, api)?;
            if !targets.iter().any(|t| t.id == api.id) {
                targets.push(api);
            }
        }
        Ok(targets)
    }

    /// Whether the client may have this audience: a listed one, or without a list one that owns one of its
    /// scopes, or the default API.
    fn check_target(&self, client: &Client, api: &Api) -> Result<(), OauthError> {
        let listed = &client.settings.audiences;
        let allowed = if listed.is_empty() {
            api.builtin == Some(Builtin::Default)
                || client.settings.scopes.iter().any(|s| self.scopes.get(s).is_some_and(|scope| scope.api == api.id))
        } else {
            listed.iter().any(|a| **a == *api.identifier)
        };
        if allowed {
            Ok(())
        } else {
            Err(OauthError::InvalidTarget("this client may not ask for this resource".to_owned()))
        }
    }

    fn fallback(&self, client: &Client) -> Result<&Api, OauthError> {
        client
            .settings
            .audiences
            .first()
            .and_then(|a| self.apis.iter().find(|api| api.identifier == *a))
            .or_else(|| self.builtin(Builtin::Default))
            .ok_or(OauthError::Internal(None))
    }
}

/// Whether the client may name that many APIs in one token.
fn check_number(client: &Client, apis: &[&Api]) -> Result<(), OauthError> {
    if apis.len() > 1 && !client.settings.multi_audience {
        return Err(OauthError::InvalidTarget(
            "the scopes or resources belong to more than one API; ask for one API at a time".to_owned(),
        ));
    }
    Ok(())
}

fn api_from_row(row: &Row, issuer: &str) -> Result<Api, store::Error> {
    let builtin = match row.text_opt(3)? {
        None => None,
        Some("default") => Some(Builtin::Default),
        Some("management") => Some(Builtin::Management),
        Some(_) => return Err(store::Error::RowCorrupt),
    };
    let stored = row.text(1)?;
    let identifier = if builtin.is_some() { format!("{issuer}{stored}") } else { stored.to_owned() };
    let alg = row.text_opt(5)?.map(|a| Alg::parse(a).ok_or(store::Error::RowCorrupt)).transpose()?;
    let ttl = row.int_opt(4)?.map(|t| u32::try_from(t).map_err(|_| store::Error::RowCorrupt)).transpose()?;
    Ok(Api {
        id: row.id(0)?,
        identifier: Arc::from(identifier),
        name: row.text(2)?.to_owned(),
        builtin,
        token_ttl_seconds: ttl,
        signing_alg: alg,
        version: row.int(6)?,
        created_at: row.time(7)?,
        updated_at: row.time(8)?,
    })
}

/// An absolute URI without fragment, with scheme and host in lower case; `None` for anything else.
pub fn normalize(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let mut letters = scheme.bytes();
    let scheme_ok = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let clean = !rest.is_empty() && uri.len() <= 2048 && uri.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'#');
    if !scheme_ok || !clean {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    match rest.strip_prefix("//") {
        None => Some(format!("{scheme}:{rest}")),
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, path) = rest.split_at(end);
            if host.is_empty() { None } else { Some(format!("{scheme}://{}{path}", host.to_ascii_lowercase())) }
        }
    }
}

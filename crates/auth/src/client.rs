//! Clients: who may ask for tokens, with which credentials, and for what.

use std::sync::Arc;

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use serde::{Deserialize, Serialize};
use store::Row;

use crate::catalog::MANAGEMENT_SCOPES;
use crate::credential::Credential;

/// `client_credentials`, the default grant.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `refresh_token`, which makes a token answer carry a refresh token.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// Shortest and longest life of an access token, in seconds.
pub const ACCESS_TTL_SECONDS: std::ops::RangeInclusive<i64> = 60..=86_400;
/// Life of an access token that nothing else decides, in seconds.
pub const ACCESS_TTL_DEFAULT_SECONDS: u32 = 900;
/// Shortest and longest life of a refresh family, in seconds.
pub const REFRESH_TTL_SECONDS: std::ops::RangeInclusive<i64> = 60..=2_592_000;
/// Absolute life of a refresh family by default, in seconds.
pub const REFRESH_TTL_DEFAULT_SECONDS: u32 = 86_400;
/// Idle life of a refresh family by default, in seconds.
pub const REFRESH_IDLE_DEFAULT_SECONDS: u32 = 3_600;
/// How long a rotated refresh token still answers with its successor, by default, in seconds.
pub const REUSE_WINDOW_DEFAULT_SECONDS: u32 = 10;
/// Live secrets a client may hold.
pub const MAX_LIVE_SECRETS: usize = 10;

/// How a client authenticates (RFC 7591 §2 names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// HTTP Basic; the body form is accepted too.
    #[default]
    ClientSecretBasic,
    /// Credentials in the body only.
    ClientSecretPost,
    /// A public client: identified, never authenticated.
    None,
}

impl AuthMethod {
    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }

    /// Reads the registered name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None].into_iter().find(|m| m.name() == text)
    }
}

/// Form of the access tokens of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum TokenFormat {
    /// RFC 9068.
    #[default]
    Jwt,
    /// A random string with a row, visible through introspection only.
    Opaque,
}

/// What a client's tokens say about its customer when the client asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The key of the plan.
    Plan,
    /// The features with their values.
    Ent,
    /// The version of the standing.
    EntVer,
    /// The status of the subscription.
    SubStatus,
}

impl Claim {
    /// Every claim.
    pub const ALL: [Self; 4] = [Self::Plan, Self::Ent, Self::EntVer, Self::SubStatus];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Ent => "ent",
            Self::EntVer => "ent_ver",
            Self::SubStatus => "sub_status",
        }
    }

    /// Reads [`Claim::name`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|claim| claim.name() == text)
    }
}

/// Whether a limit refuses or only counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Requests per window; 0 switches the limit off.
    pub limit: u32,
    /// Window in seconds.
    pub window_s: u32,
    /// Requests that may come at once.
    pub burst: u32,
    /// `false`: count, tell, refuse nothing.
    pub enforce: bool,
}

/// How many tokens a client may get in aligned UTC windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenQuota {
    /// Tokens per hour.
    pub per_hour: Option<u32>,
    /// Tokens per day.
    pub per_day: Option<u32>,
    /// `false`: count, tell, refuse nothing.
    pub enforce: bool,
}

/// Everything about a client that an administrator decides, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name for people.
    pub name: String,
    /// Grants the client may use.
    pub grant_types: Vec<String>,
    /// How it authenticates.
    pub token_endpoint_auth_method: AuthMethod,
    /// Scopes it may request.
    pub scopes: Vec<Arc<str>>,
    /// What a request without `scope` gets.
    pub default_scopes: Vec<Arc<str>>,
    /// APIs it may ask tokens for; empty: those that own its scopes, else the default API.
    #[serde(default)]
    pub audiences: Vec<Arc<str>>,
    /// Whether one token may name several APIs.
    #[serde(default)]
    pub multi_audience: bool,
    /// Audiences whose tokens it may introspect.
    #[serde(default)]
    pub introspects: Vec<Arc<str>>,
    /// Claims added to each of its tokens.
    #[serde(default)]
    pub static_claims: serde_json::Map<String, serde_json::Value>,
    /// Claims about its customer in its tokens.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// Signing algorithm of its tokens.
    #[serde(default)]
    pub signing_alg: Option<String>,
    /// Life of its access tokens.
    #[serde(default)]
    pub access_token_ttl_seconds: Option<u32>,
    /// Form of its access tokens.
    #[serde(default)]
    pub access_token_format: TokenFormat,
    /// Absolute life of its refresh families.
    #[serde(default)]
    pub refresh_token_ttl_seconds: Option<u32>,
    /// Idle life of its refresh families.
    #[serde(default)]
    pub refresh_token_idle_seconds: Option<u32>,
    /// Window in which a rotated refresh token answers with its successor.
    #[serde(default)]
    pub refresh_reuse_window_seconds: Option<u32>,
    /// Request rate.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// Token quota.
    #[serde(default)]
    pub token_quota: Option<TokenQuota>,
    /// Free text pairs for the administrator.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What a client can do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It gets tokens.
    Active,
    /// Its expiry has passed.
    Expired,
    /// An administrator disabled it.
    Disabled,
}

impl Status {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
        }
    }

    /// Reads [`Status::name`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Expired, Self::Disabled].into_iter().find(|status| status.name() == text)
    }
}

/// A client with its credentials, as caches hold it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Internal id; a public id that is taken again gets a new one.
    pub id: Id<id::Client>,
    /// Public id.
    pub client_id: Arc<str>,
    /// The customer that it acts for; a client without one is internal and not billed.
    pub customer: Option<Id<id::Customer>>,
    /// What an administrator decides.
    pub settings: Settings,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
    /// Guard for concurrent changes.
    pub version: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Its credentials, ended ones included.
    pub credentials: Vec<Credential>,
}

impl Client {
    /// Reads a row of [`crate::sql::CLIENT_BY_CLIENT_ID`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a client.
    pub fn from_row(row: &Row, credentials: Vec<Credential>) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            client_id: Arc::from(row.text(1)?),
            customer: row.id_opt(8)?,
            settings: serde_json::from_str(row.text(2)?).map_err(|_| store::Error::RowCorrupt)?,
            expires_at: row.time_opt(3)?,
            disabled_at: row.time_opt(4)?,
            version: row.int(5)?,
            created_at: row.time(6)?,
            updated_at: row.time(7)?,
            credentials,
        })
    }

    /// Active, expired or disabled.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.disabled_at.is_some() {
            Status::Disabled
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Status::Expired
        } else {
            Status::Active
        }
    }

    /// Whether the client may have a scope at present: its own, or any management scope under `admin`.
    pub fn holds(&self, scope: &str) -> bool {
        let own = |wanted: &str| self.settings.scopes.iter().any(|held| &**held == wanted);
        own(scope) || (own("admin") && MANAGEMENT_SCOPES.iter().any(|(name, _)| *name == scope))
    }

    /// Whether the client may use a grant.
    pub fn may_use(&self, grant: &str) -> bool {
        self.settings.grant_types.iter().any(|g| g == grant)
    }

    /// Seconds a new access token lives: the client's life, else the API's, never past the client's own end.
    pub fn access_ttl_seconds(&self, api_ttl_seconds: Option<u32>, now: Timestamp) -> u32 {
        let ttl = self.settings.access_token_ttl_seconds.or(api_ttl_seconds).unwrap_or(ACCESS_TTL_DEFAULT_SECONDS);
        match self.expires_at {
            Some(end) => ttl.min(u32::try_from(end.seconds_since(now).max(0)).unwrap_or(u32::MAX)),
            None => ttl,
        }
    }
}

/// The form under which names and ids are compared in prefix searches.
pub fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

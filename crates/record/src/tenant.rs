//! Tenants as this product sees them: an issuer with its derived keys.

use std::sync::Arc;

use jose::Root;
use jose::mac::HmacKey;
use kernel::clock::{BusinessTime, Timestamp};
use kernel::rate::Rate;
use kernel::tenant::{DEFAULT_SLUG, TenantId};
use serde::{Deserialize, Serialize};
use store::Row;
use store::keyring::{Keyring, Purpose};

/// Live tenants bill for real; sandboxes may move their business time forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantKind {
    /// The real thing.
    Live,
    /// For tests and trials.
    Sandbox,
}

impl TenantKind {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "live" => Some(Self::Live),
            "sandbox" => Some(Self::Sandbox),
            _ => None,
        }
    }
}

/// Settings of a tenant as they are stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stored {
    /// Request rate of clients.
    pub client_rate: Option<Rate>,
}

impl Stored {
    fn parse(text: &str) -> Result<Self, store::Error> {
        serde_json::from_str(text).map_err(|_| store::Error::RowCorrupt)
    }

    /// The stored form.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when it cannot be written as JSON, which it always can.
    pub fn to_text(&self) -> Result<String, store::Error> {
        serde_json::to_string(self).map_err(|_| store::Error::RowCorrupt)
    }
}

/// A tenant, ready to serve: its issuer and the keys derived for it.
pub struct Tenant {
    /// Internal id.
    pub id: TenantId,
    /// The path segment, `default` at `/`.
    pub slug: Arc<str>,
    /// Name for people.
    pub name: String,
    /// Live or sandbox.
    pub kind: TenantKind,
    /// How far business time stands ahead of machine time, in microseconds.
    pub clock_ahead_micros: i64,
    /// Request rate of its clients that have none of their own, when the tenant decides.
    pub client_rate: Option<Rate>,
    /// Since when nothing is issued here.
    pub disabled_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change; the version of the row.
    pub updated_at: Timestamp,
    /// The issuer identifier (RFC 8414 §2), without a trailing slash.
    pub issuer: Arc<str>,
    /// The audience of the admin API.
    pub api_audience: Arc<str>,
    /// Keyed hash of generated secrets and opaque tokens.
    pub pepper: HmacKey,
    /// Masks the generations of refresh tokens.
    pub refresh_mask: HmacKey,
    /// Authenticates refresh tokens, with a key for each family.
    pub refresh_root: Root,
}

impl Tenant {
    /// Reads a row of a tenant: id, slug, name, kind, clock, settings, and its times.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a tenant.
    pub fn from_row(row: &Row, keyring: &Keyring, root_issuer: &str) -> Result<Self, store::Error> {
        let id: TenantId = row.id(0)?;
        let slug = row.text(1)?;
        let issuer = issuer_of(root_issuer, slug);
        let pepper = keyring.derive(Purpose::Pepper, id, b"client secrets");
        let refresh_root = Root::new(keyring.derive(Purpose::Refresh, id, b"families").reveal());
        Ok(Self {
            id,
            slug: Arc::from(slug),
            name: row.text(2)?.to_owned(),
            kind: TenantKind::parse(row.text(3)?).ok_or(store::Error::RowCorrupt)?,
            clock_ahead_micros: row.int(4)?,
            client_rate: Stored::parse(row.text(5)?)?.client_rate,
            disabled_at: row.time_opt(6)?,
            created_at: row.time(7)?,
            updated_at: row.time(8)?,
            api_audience: Arc::from(format!("{issuer}/api")),
            issuer: Arc::from(issuer),
            pepper: HmacKey::new(pepper.reveal()),
            refresh_mask: HmacKey::new(refresh_root.derive(&[b"generation mask"]).reveal()),
            refresh_root,
        })
    }

    /// Business time of this tenant.
    pub const fn business(&self, now: Timestamp) -> BusinessTime {
        BusinessTime::of(now, self.clock_ahead_micros)
    }
}

/// The issuer of a tenant: the root issuer for `default`, `/t/{slug}` below it for others.
pub fn issuer_of(root_issuer: &str, slug: &str) -> String {
    if slug == DEFAULT_SLUG { root_issuer.to_owned() } else { format!("{root_issuer}/t/{slug}") }
}

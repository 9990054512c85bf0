//! An endpoint as it is stored: where its messages go, which events it asks for, how they are signed, how it fares.

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use store::{Row, Store, params};

use crate::filter::Filter;
use crate::sql;

/// Most endpoints of a tenant.
pub const MAX_ENDPOINTS: i64 = 50;

/// Which signatures its messages carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// HMAC-SHA-256 with a shared secret.
    V1,
    /// Ed25519: the receiver has the public key alone.
    V1a,
    /// Both.
    Both,
}

impl Signing {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
            Self::Both => "both",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::V1, Self::V1a, Self::Both].into_iter().find(|signing| signing.name() == text)
    }

    /// Whether receivers verify with the shared secret.
    pub const fn has_secret(self) -> bool {
        !matches!(self, Self::V1a)
    }

    /// Whether receivers verify with the public key.
    pub const fn has_public_key(self) -> bool {
        !matches!(self, Self::V1)
    }
}

/// Whether messages go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They do.
    Enabled,
    /// They wait.
    Paused,
    /// They are given up, and no new ones are made.
    Disabled,
}

impl State {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Enabled, Self::Paused, Self::Disabled].into_iter().find(|state| state.name() == text)
    }
}

/// Why messages do not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Somebody paused it.
    Requested,
    /// Nothing arrived for [`crate::schedule::PAUSED_AFTER_SECONDS`].
    Failing,
    /// It answered 410: it is gone for good.
    Gone,
}

impl Reason {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Requested, Self::Failing, Self::Gone].into_iter().find(|reason| reason.name() == text)
    }
}

/// The keys before the last roll, which sign as well until their overlap ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Sealed.
    pub keys: Vec<u8>,
    /// For receivers of `v1a`.
    pub public_key: String,
    /// When they sign no more.
    pub until: Timestamp,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: Id<id::Webhook>,
    /// Where messages are posted.
    pub url: String,
    /// Which events it asks for.
    pub filter: Filter,
    /// For people.
    pub description: String,
    /// Which signatures its messages carry.
    pub signing: Signing,
    /// Most messages in a second: 1 ..= 1,000; `None` for no bound.
    pub rate_per_second: Option<u32>,
    /// The shared secret and the private key, sealed.
    pub keys: Vec<u8>,
    /// For receivers of `v1a`.
    pub public_key: String,
    /// The keys before the last roll.
    pub old: Option<Old>,
    /// Whether messages go out.
    pub state: State,
    /// Why not.
    pub reason: Option<Reason>,
    /// Since when it is in this state.
    pub state_at: Timestamp,
    /// The position of the last event for which deliveries were made.
    pub fanned_to: i64,
    /// When a message last arrived.
    pub last_success_at: Option<Timestamp>,
    /// Since when none arrived, though one was tried.
    pub failing_since: Option<Timestamp>,
    /// Since when it gets one message at a time; `None` once one arrived.
    pub slowed_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change by a person, or of its state.
    pub updated_at: Timestamp,
    /// Guard for concurrent changes; what the delivery of messages notes leaves it as it is.
    pub version: i64,
}

impl Endpoint {
    /// Reads a row of [`sql::ENDPOINT_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no endpoint.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let corrupt = store::Error::RowCorrupt;
        let old = match (row.bytes_opt(8)?, row.text_opt(9)?, row.time_opt(10)?) {
            (Some(keys), Some(public_key), Some(until)) => {
                Some(Old { keys: keys.to_vec(), public_key: public_key.to_owned(), until })
            }
            _ => None,
        };
        Ok(Self {
            id: row.id(0)?,
            url: row.text(1)?.to_owned(),
            filter: Filter::from_text(row.text(2)?),
            description: row.text(3)?.to_owned(),
            signing: Signing::parse(row.text(4)?).ok_or(store::Error::RowCorrupt)?,
            rate_per_second: row.int_opt(5)?.map(u32::try_from).transpose().map_err(|_| store::Error::RowCorrupt)?,
            keys: row.bytes(6)?.to_vec(),
            public_key: row.text(7)?.to_owned(),
            old,
            state: State::parse(row.text(11)?).ok_or(corrupt)?,
            reason: row.text_opt(12)?.and_then(Reason::parse),
            state_at: row.time(13)?,
            fanned_to: row.int(14)?,
            last_success_at: row.time_opt(15)?,
            failing_since: row.time_opt(16)?,
            slowed_at: row.time_opt(17)?,
            created_at: row.time(18)?,
            updated_at: row.time(19)?,
            version: row.int(20)?,
        })
    }

    /// The keys before the last roll, while they still sign.
    pub fn overlap(&self, now: Timestamp) -> Option<&Old> {
        self.old.as_ref().filter(|old| now < old.until)
    }
}

/// One endpoint.
///
/// # Errors
/// The store's.
pub async fn read(store: &Store, tenant: TenantId, id: Id<id::Webhook>) -> Result<Option<Endpoint>, store::Error> {
    store.read(&sql::ENDPOINT_READ, params![tenant, id]).await?.as_ref().map(Endpoint::from_row).transpose()
}

/// Endpoints in the order of their creation, from the one after an id on.
///
/// # Errors
/// The store's.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    after: Option<Id<id::Webhook>>,
    limit: i64,
) -> Result<Vec<Endpoint>, store::Error> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let rows = store.read_all(&sql::ENDPOINTS_AFTER, params![tenant, after, limit]).await?;
    rows.iter().map(Endpoint::from_row).collect()
}

//! What changed: the record that every commit must carry.

use std::net::IpAddr;

use crate::clock::{BusinessTime, Timestamp};
use crate::id::{Commit, Id, Request, Secret};
use crate::tenant::TenantId;

/// What a commit records about itself; `store.commit` does not exist without one.
#[derive(Debug, Clone)]
pub enum Record {
    /// A change of state by a decision: one row in the audit table.
    Change(Change),
    /// An issuance or a refresh rotation: one entry in the issuance journal.
    Issued(Entry),
}

impl Record {
    /// The tenant the record belongs to.
    pub const fn tenant(&self) -> TenantId {
        match self {
            Self::Change(change) => change.tenant,
            Self::Issued(entry) => entry.tenant,
        }
    }
}

/// One change of state, as the audit log shows it.
#[derive(Debug, Clone)]
pub struct Change {
    /// The commit, and the record's key.
    pub commit: Id<Commit>,
    /// Whose log it is.
    pub tenant: TenantId,
    /// Who acted, for example `client:ops`.
    pub actor: String,
    /// The credential the actor used.
    pub credential: Option<Id<Secret>>,
    /// What was done, for example `client.created` (constants in `record::action`).
    pub action: &'static str,
    /// The kind of object, for example `client`.
    pub object_kind: &'static str,
    /// The object's public id.
    pub object_id: String,
    /// JSON of the changed fields before; secrets appear as `"changed"`. `None` for a creation.
    pub before: Option<String>,
    /// JSON of the changed fields after. `None` for a deletion.
    pub after: Option<String>,
    /// Machine time.
    pub at: Timestamp,
    /// Business time of the tenant at that moment.
    pub business_at: BusinessTime,
    /// Peer address.
    pub source: Option<IpAddr>,
    /// The request.
    pub request: Option<Id<Request>>,
}

/// One encoded entry of the issuance journal (`record::entry` owns the format).
#[derive(Debug, Clone)]
pub struct Entry {
    /// Whose journal it is.
    pub tenant: TenantId,
    /// Machine time of the entry.
    pub at: Timestamp,
    /// Encoded entry.
    pub bytes: Vec<u8>,
}

//! The canonical bytes of what the audit tree's leaves stand for: audit records and folded blocks.
//!
//! Every field is length-prefixed or of fixed size and absent fields are marked, so no two different records
//! have the same bytes. The format is versioned by its first byte and never changes within a version.

use kernel::clock::{BusinessTime, Timestamp};
use kernel::id::{Commit, Id, Request, Secret};
use kernel::tenant::TenantId;
use store::Row;

use crate::tree::{Hash, leaf_hash};
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

const VERSION: u8 = 1;
const RECORD: u8 = 0;
const BLOCK: u8 = 1;

/// One audit record as the audit log shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditView {
    /// The commit, and the record's key.
    pub commit: Id<Commit>,
    /// Who acted.
    pub actor: String,
    /// The credential the actor used.
    pub credential: Option<Id<Secret>>,
    /// What was done.
    pub action: String,
    /// The kind of object.
    pub object_kind: String,
    /// The object's public id.
    pub object_id: String,
    /// JSON of the changed fields before.
    pub before: Option<String>,
    /// JSON of the changed fields after.
    pub after: Option<String>,
    /// Machine time.
    pub at: Timestamp,
    /// Business time of the tenant at that moment.
    pub business_at: BusinessTime,
    /// Peer address.
    pub source: Option<String>,
    /// The request.
    pub request: Option<Id<Request>>,
    /// The record's place in the tree; `None` until it is sequenced.
    pub leaf: Option<u64>,
}

impl AuditView {
    /// Reads a row of the columns that `sql` lists for a record.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when a column has another type.
    pub(crate) fn of_row(row: &Row) -> Result<Self, store::Error> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            commit: row.id(0)?,
            actor: row.text(1)?.to_owned(),
            credential: row.id_opt(2)?,
            action: row.text(3)?.to_owned(),
            object_kind: row.text(4)?.to_owned(),
            object_id: row.text(5)?.to_owned(),
            before: owned(row.text_opt(6)?),
            after: owned(row.text_opt(7)?),
            at: row.time(8)?,
            business_at: BusinessTime::from_micros(row.int(9)?),
            source: owned(row.text_opt(10)?),
            request: row.id_opt(11)?,
            leaf: row.int_opt(12)?.map(|leaf| u64::try_from(leaf).map_err(|_| store::Error::RowCorrupt)).transpose()?,
        })
    }

    /// The bytes that the record's leaf hash covers; its place in the tree is not among them.
    pub fn canonical(&self, tenant: TenantId) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&[VERSION, RECORD]);
        out.extend_from_slice(tenant.as_bytes());
        out.extend_from_slice(self.commit.as_bytes());
        put_bytes(&mut out, self.actor.as_bytes());
        put_optional(&mut out, self.credential.as_ref().map(|id| &id.as_bytes()[..]));
        put_bytes(&mut out, self.action.as_bytes());
        put_bytes(&mut out, self.object_kind.as_bytes());
        put_bytes(&mut out, self.object_id.as_bytes());
        put_optional(&mut out, self.before.as_ref().map(String::as_bytes));
        put_optional(&mut out, self.after.as_ref().map(String::as_bytes));
        put_signed(&mut out, self.at.as_micros());
        put_signed(&mut out, self.business_at.as_micros());
        put_optional(&mut out, self.source.as_ref().map(String::as_bytes));
        put_optional(&mut out, self.request.as_ref().map(|id| &id.as_bytes()[..]));
        out
    }

    /// The record's leaf hash in its tenant's tree.
    pub fn leaf_hash(&self, tenant: TenantId) -> Hash {
        leaf_hash(&self.canonical(tenant))
    }
}

fn put_optional(out: &mut Vec<u8>, field: Option<&[u8]>) {
    out.push(u8::from(field.is_some()));
    if let Some(bytes) = field {
        put_bytes(out, bytes);
    }
}

/// The bytes that a block's leaf hash covers: its tenant, how many entries it holds and their Merkle root.
pub fn block(tenant: TenantId, entries: u64, root: &Hash) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&[VERSION, BLOCK]);
    out.extend_from_slice(tenant.as_bytes());
    put_varint(&mut out, entries);
    out.extend_from_slice(root);
    out
}

/// How many entries a block holds and their root, from the bytes that [`block`] gives; `None` for any others.
pub fn parse_block(bytes: &[u8]) -> Option<(u64, Hash)> {
    let mut reader = Reader::new(bytes);
    let head = reader.array::<2>().ok()?;
    let tenant = TenantId::from_bytes(reader.array().ok()?);
    let (entries, root) = (reader.varint().ok()?, reader.array().ok()?);
    (head == [VERSION, BLOCK] && block(tenant, entries, &root) == bytes).then_some((entries, root))
}

/// A block's leaf hash in its tenant's tree.
pub fn block_leaf_hash(tenant: TenantId, entries: u64, root: &Hash) -> Hash {
    leaf_hash(&block(tenant, entries, root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditView {
        AuditView {
            commit: Id::from_bytes([1; 16]),
            actor: "client:ops".to_owned(),
            credential: Some(Id::from_bytes([2; 16])),
            action: "client.created".to_owned(),
            object_kind: "client".to_owned(),
            object_id: "acme".to_owned(),
            before: None,
            after: Some(r#"{"name":"Acme"}"#.to_owned()),
            at: Timestamp::from_micros(1_790_000_000_123_456),
            business_at: BusinessTime::from_micros(1_790_000_000_123_456),
            source: Some("192.0.2.7".to_owned()),
            request: None,
            leaf: Some(5),
        }
    }

    /// The file is what every earlier leaf hash was made of; other bytes would break every tree.
    #[test]
    fn the_canonical_bytes_of_version_1_stay_what_they_were() {
        let golden = include_bytes!("../tests/golden/canonical/1_record.bin");
        assert_eq!(record().canonical(Id::from_bytes([9; 16])), golden);
        assert_eq!(AuditView { leaf: None, ..record() }.canonical(Id::from_bytes([9; 16])), golden);
    }

    #[test]
    fn every_field_and_its_absence_changes_the_leaf() {
        let tenant = Id::from_bytes([9; 16]);
        let text = |text: &str| Some(text.to_owned());
        let changed = [
            AuditView { commit: Id::from_bytes([0; 16]), ..record() },
            AuditView { actor: "client:op".to_owned(), action: "sclient.created".to_owned(), ..record() },
            AuditView { credential: None, ..record() },
            AuditView { action: "client.updated".to_owned(), ..record() },
            AuditView { object_kind: "api".to_owned(), ..record() },
            AuditView { object_id: "acm".to_owned(), ..record() },
            AuditView { before: text(""), ..record() },
            AuditView { before: record().after, after: None, ..record() },
            AuditView { at: Timestamp::from_micros(0), ..record() },
            AuditView { business_at: BusinessTime::from_micros(0), ..record() },
            AuditView { source: None, ..record() },
            AuditView { request: Some(Id::from_bytes([0; 16])), ..record() },
        ];
        let mut leaves: Vec<Hash> = changed.iter().map(|record| record.leaf_hash(tenant)).collect();
        leaves.push(record().leaf_hash(tenant));
        leaves.push(record().leaf_hash(Id::from_bytes([8; 16])));
        let count = leaves.len();
        leaves.sort_unstable();
        leaves.dedup();
        assert_eq!(leaves.len(), count);
    }
}

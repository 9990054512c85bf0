//! What is no longer good although its signature and `exp` are: a denylist and not-before numbers.
//!
//! Small, in memory, and fed by the change feed. No clock is compared between nodes: an epoch is a feed number.

use std::collections::HashMap;
use std::sync::RwLock;

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::mutant;
use kernel::tenant::TenantId;
use record::entry::{Jti, Origin};
use store::{Change, ChangeKind, Store, params};

use crate::client::Client;
use crate::sql;

/// The denylist and the epochs of every tenant.
#[derive(Default)]
pub struct Denials {
    denied: RwLock<HashMap<(TenantId, [u8; 16]), i64>>,
    epochs: RwLock<HashMap<(TenantId, [u8; 16]), u64>>,
}

/// What made a token worthless before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The token itself was revoked.
    Token,
    /// What it came from was: its credential or its refresh family.
    Origin,
    /// Every token of the client was.
    Client,
    /// Its customer lost access, in part or whole.
    Customer,
    /// Every token of the tenant was.
    Tenant,
}

/// The text under which a token id is denied.
pub fn token_key(token: [u8; 16]) -> String {
    Id::<id::Token>::from_bytes(token).to_string()
}

fn key_bytes(text: &str) -> Option<[u8; 16]> {
    let (_, digits) = text.split_once('_')?;
    id::base32_decode(digits)
}

impl Denials {
    /// Reads what can still matter.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(&self, store: &Store, now: Timestamp) -> Result<(), store::Error> {
        for row in store.read_all(&sql::DENIED_ALL, params![now]).await? {
            self.deny(row.id(0)?, row.text(1)?, row.int(2)?);
        }
        for row in store.read_all(&sql::EPOCH_ALL, params![now]).await? {
            self.raise(row.id(0)?, row.text(1)?, u64::try_from(row.int(2)?).unwrap_or(0));
        }
        Ok(())
    }

    /// Applies a line of the change feed.
    pub fn apply(&self, change: &Change) {
        match change.kind {
            ChangeKind::Denied => self.deny(change.tenant, &change.key, change.until),
            ChangeKind::Epoch => self.raise(change.tenant, &change.key, change.seq),
            ChangeKind::Client
            | ChangeKind::Apis
            | ChangeKind::Keys
            | ChangeKind::Tenant
            | ChangeKind::Operator
            | ChangeKind::Customer
            | ChangeKind::Catalog => {}
        }
    }

    fn deny(&self, tenant: TenantId, key: &str, until: i64) {
        if let (Some(bytes), Ok(mut map)) = (key_bytes(key), self.denied.write()) {
            map.insert((tenant, bytes), until);
        }
    }

    fn raise(&self, tenant: TenantId, key: &str, seq: u64) {
        if let (Some(bytes), Ok(mut map)) = (key_bytes(key), self.epochs.write()) {
            let slot = map.entry((tenant, bytes)).or_default();
            *slot = seq.max(*slot);
        }
    }

    /// Whether a token is still good as far as revocations go. A poisoned table answers no.
    pub fn allows(&self, tenant: TenantId, client: &Client, jti: &Jti) -> bool {
        self.denial(tenant, client, jti).is_none()
    }

    /// What made a token worthless, the narrowest first; `None` for one that is good. A poisoned table denies all.
    pub fn denial(&self, tenant: TenantId, client: &Client, jti: &Jti) -> Option<Denial> {
        let origin = match &jti.origin {
            Origin::Credential(id) => *id.as_bytes(),
            Origin::Family(id) => *id.as_bytes(),
        };
        let (Ok(denied), Ok(epochs)) = (self.denied.read(), self.epochs.read()) else { return Some(Denial::Tenant) };
        if denied.contains_key(&(tenant, jti.token)) {
            return Some(Denial::Token);
        }
        if denied.contains_key(&(tenant, origin)) && !mutant::is("R02-family") {
            return Some(Denial::Origin);
        }
        let customer = client.customer.filter(|_| !mutant::is("S-22-epoch"));
        [
            Some((origin, Denial::Origin)),
            Some((*client.id.as_bytes(), Denial::Client)),
            customer.map(|customer| (*customer.as_bytes(), Denial::Customer)),
            Some((*tenant.as_bytes(), Denial::Tenant)),
        ]
        .into_iter()
        .flatten()
        .find(|(key, _)| epochs.get(&(tenant, *key)).is_some_and(|not_before| jti.seq < *not_before))
        .map(|(_, denial)| denial)
    }

    /// Forgets denylist entries whose token cannot be unexpired any more.
    pub fn purge(&self, now: Timestamp) {
        if let Ok(mut map) = self.denied.write() {
            map.retain(|_, until| *until >= now.as_micros());
        }
    }

    /// Entries on the denylist, for metrics.
    pub fn len(&self) -> usize {
        self.denied.read().map_or(0, |map| map.len())
    }

    /// Whether the denylist is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

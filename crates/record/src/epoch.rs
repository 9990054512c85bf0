//! Not-before numbers: the tokens of a credential, client, customer or tenant from before a commit are dead.
//!
//! A number of the change feed and never a time, because the clocks of nodes differ. `auth` reads the rows at its start and
//! follows the feed; every product may raise one in a commit of its own.

use kernel::clock::Timestamp;
use kernel::id::{Id, Kind};
use kernel::tenant::TenantId;
use store::{Batch, ChangeKind, Store, params};

use crate::sql;

/// Seconds past the longest token life for which a revocation is remembered.
pub const MEMORY_SECONDS: i64 = 86_400 + 60;

/// Adds a not-before number to a batch: tokens of this object that are stamped with a lower feed number than this commit's
/// are dead, and stay so.
pub fn raise<K: Kind>(batch: Batch, tenant: TenantId, of: Id<K>, now: Timestamp) -> Batch {
    let until = now.plus_seconds(MEMORY_SECONDS);
    let key = of.to_string();
    batch.stamp(&sql::EPOCH_RAISE, params![tenant, key.as_str(), until, Store::shard(tenant)]).change_until(
        ChangeKind::Epoch,
        key,
        until.as_micros(),
    )
}

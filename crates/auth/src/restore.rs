//! After a restore: everything that was issued before is revoked, because a copy does not know what was revoked since.

use kernel::clock::Timestamp;
use kernel::principal::Principal;
use record::action;
use serde_json::json;
use store::{Batch, Store, params};

use crate::directory::Auth;
use crate::error::AdminError;
use crate::sql;
use record::epoch::MEMORY_SECONDS;
use record::plan::{Planned, change_record};
use record::tenant::Tenant;

/// The mark that keeps a restored store from being served until a person has answered for it; its value is the moment
/// of the copy in microseconds.
pub const UNCONFIRMED: &str = "restore_unconfirmed";

/// How far feed numbers move ahead: further than a store that went on after the copy can have come.
const LEAP: i64 = 1 << 32;

impl Auth {
    /// Decides what a restored store needs before anybody is served from it: no access token, refresh family, session
    /// or link from before is good any more. The store must not be served meanwhile: its caches hear nothing of this.
    ///
    /// `taken_at` is the moment of the copy, `is_accepted` whether a person has answered for what happened since.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_restored(
        &self,
        who: &Principal,
        tenant: &Tenant,
        taken_at: Timestamp,
        is_accepted: bool,
    ) -> Result<Planned<()>, AdminError> {
        let now = self.clock.now();
        let until = now.plus_seconds(MEMORY_SECONDS);
        let mut batch = Batch::new().run(&store::sql::HEADS_RAISE, params![LEAP]);
        for tenant in self.all_tenants().await? {
            let key = tenant.id.to_string();
            batch =
                batch.run(&record::sql::EPOCH_RAISE, params![tenant.id, key.as_str(), until, Store::shard(tenant.id)]);
        }
        batch = batch
            .run(&sql::FAMILY_END_ALL, params![now, "restored"])
            .run(&sql::SESSION_FORGET_ALL, params![])
            .run(&sql::LINK_FORGET_ALL, params![]);
        if !is_accepted {
            batch = batch.run(&store::sql::MARK_SET, params![UNCONFIRMED, taken_at.as_micros()]);
        }
        let after = json!({"taken_at": taken_at.to_string(), "accepted": is_accepted});
        let record =
            change_record(self, who, tenant, action::STORE_RESTORED, ("store", "default"), (None, Some(after)));
        Ok(Planned { batch, record, value: () })
    }

    /// The moment of the copy that this store was restored from, while nobody has answered for it.
    ///
    /// # Errors
    /// The store's.
    pub async fn unconfirmed_restore(&self) -> Result<Option<Timestamp>, store::Error> {
        Ok(self.store.mark(UNCONFIRMED).await?.map(Timestamp::from_micros))
    }

    /// Decides that a restored store may be served.
    pub fn plan_accept_restore(&self, who: &Principal, tenant: &Tenant) -> Planned<()> {
        let batch = Batch::new().expect(1, &store::sql::MARK_FORGET, params![UNCONFIRMED]);
        let record = change_record(self, who, tenant, action::RESTORE_ACCEPTED, ("store", "default"), (None, None));
        Planned { batch, record, value: () }
    }
}

//! Owners of the first tenant in other tenants: each entry is a session of its own there, recorded on both sides.
//!
//! The session has the id of the one that it came from, and ends when that one is ended: signing out, disabling or
//! demoting the owner takes effect at once. The owner is no operator of the other tenant and changes no account there.

use std::sync::Arc;

use kernel::principal::Principal;
use kernel::tenant::{DEFAULT_SLUG, TenantId};
use record::action;
use serde_json::json;
use store::{Batch, params};

use super::account::Operator;
use super::browser::Browser;
use super::error::OperatorError;
use super::role::Role;
use super::session::{Live, Method, Session, SignedIn, Times};
use super::sign_in::person;
use super::sql;
use crate::directory::Auth;
use crate::error::AdminError;
use record::plan::change_record;
use record::tenant::Tenant;

/// The scope that entering takes; owners hold it.
const TENANTS_WRITE: &str = "tenants:write";

impl Auth {
    /// Opens a session in another tenant for an owner of the first one, who signed in lately.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] from anywhere but the first tenant, for that tenant itself, and for one that is unknown
    /// or switched off; [`AdminError::Forbidden`] for everyone but owners; [`OperatorError::NotFresh`]; the store's.
    pub async fn enter_tenant(
        &self,
        who: &Principal,
        home: &Tenant,
        live: &Live,
        slug: &str,
        browser: &Browser,
    ) -> Result<(Arc<Tenant>, SignedIn), OperatorError> {
        if *home.slug != *DEFAULT_SLUG {
            return Err(AdminError::NotFound("tenant").into());
        }
        if live.operator.role != Role::Owner || !who.holds(TENANTS_WRITE) {
            return Err(AdminError::Forbidden(TENANTS_WRITE).into());
        }
        let target = self.tenant(slug).await?.filter(|tenant| tenant.disabled_at.is_none() && tenant.id != home.id);
        let target = target.ok_or(AdminError::NotFound("tenant"))?;
        live.require_fresh(self.clock.now())?;
        let session = &live.session;
        let after = json!({"session": session.id.to_string(), "tenant": &*target.slug});
        // Here first: nobody is there of whom this side does not know.
        let record = change_record(
            self,
            who,
            home,
            action::TENANT_ENTERED,
            ("tenant", &target.slug),
            (None, Some(after.clone())),
        );
        self.store.commit(Batch::new(), record).await?;
        let times =
            Times { id: session.id, fresh_until: session.fresh_until, absolute_deadline: session.absolute_deadline };
        let again = Batch::new().run(&sql::SESSION_DELETE, params![target.id, live.operator.id, session.id]);
        let (batch, signed_in) =
            self.open_session_as(again, &target, (&live.operator, Method::Entered), browser, times);
        let batch = batch.change(store::ChangeKind::Operator, live.operator.id.to_string());
        let there = person(&target, &live.operator, Method::Entered, browser);
        let record =
            change_record(self, &there, &target, action::TENANT_ENTERED, ("tenant", &target.slug), (None, Some(after)));
        self.store.commit(batch, record).await?;
        Ok((target, signed_in))
    }

    /// Whether somebody who entered may still be there: an owner at home, in the session that they came from.
    pub(crate) async fn may_stay(
        &self,
        home: TenantId,
        session: &Session,
        operator: &Operator,
    ) -> Result<bool, store::Error> {
        let from = self.store.read(&sql::SESSION_BY_ID, params![home, operator.id, session.id]).await?;
        Ok((operator.role == Role::Owner && from.is_some()) || kernel::mutant::is("I01-entered"))
    }
}

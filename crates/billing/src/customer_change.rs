//! Creating, changing, suspending and deleting customers.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::standing::{Allowance, Entitlement, Standing};
use record::plan::{AdminError, Planned, change_record, difference, event};
use record::tenant::Tenant;
use record::{action, epoch};
use serde_json::{Value, json};
use store::{Batch, ChangeKind, params};

use crate::current::{Current, Kept, read};
use crate::customer::{Customer, CustomerFields};
use crate::directory::Billing;
use crate::sql;

/// The kind of object in audit records and events.
pub(crate) const OBJECT: &str = "customer";
/// What a missing one is called.
pub(crate) const MISSING: AdminError = AdminError::NotFound("customer");

impl Billing {
    /// A customer as the store has it, for a change.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], the store's.
    pub(crate) async fn present(
        &self,
        tenant: &Tenant,
        customer: Id<id::Customer>,
        if_version: Option<i64>,
    ) -> Result<Current, AdminError> {
        let current = read(&self.ground.store, tenant.id, customer).await?.ok_or(MISSING)?;
        if if_version.is_some_and(|version| version != current.customer.version) {
            return Err(AdminError::Stale);
        }
        Ok(current)
    }

    /// The customer of an id, or of the operator's own id.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_customer(&self, tenant: &Tenant, name: &str) -> Result<Option<Customer>, store::Error> {
        let store = &self.ground.store;
        let row = match Id::<id::Customer>::parse(name) {
            Ok(id) => store.read(&sql::CUSTOMER_READ, params![tenant.id, id]).await?,
            Err(_) => store.read(&sql::CUSTOMER_BY_EXTERNAL, params![tenant.id, name]).await?,
        };
        row.as_ref().map(Customer::from_row).transpose()
    }

    /// Customers before an id, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn customers(
        &self,
        tenant: &Tenant,
        before: Option<Id<id::Customer>>,
        limit: i64,
    ) -> Result<Vec<Customer>, store::Error> {
        let before = before.unwrap_or(Id::from_bytes([0xff; 16]));
        let rows = self.ground.store.read_all(&sql::CUSTOMERS_BEFORE, params![tenant.id, before, limit]).await?;
        rows.iter().map(Customer::from_row).collect()
    }

    /// Customers whose name begins with a text in any letter case, in the order of their names, after a name and id.
    ///
    /// # Errors
    /// The store's.
    pub async fn customers_named(
        &self,
        tenant: &Tenant,
        prefix: &str,
        after: Option<(&str, Id<id::Customer>)>,
        limit: i64,
    ) -> Result<Vec<Customer>, store::Error> {
        let prefix = folded(prefix);
        let end = format!("{prefix}\u{10ffff}");
        let (name, id) = after.unwrap_or(("", Id::from_bytes([0; 16])));
        let ask = params![tenant.id, prefix, end, folded(name), id, limit];
        let rows = self.ground.store.read_all(&sql::CUSTOMERS_NAMED, ask).await?;
        rows.iter().map(Customer::from_row).collect()
    }

    async fn own_id_is_free(&self, tenant: &Tenant, customer: &Customer) -> Result<(), AdminError> {
        let Some(own) = &customer.external_id else { return Ok(()) };
        let row = self.ground.store.read(&sql::CUSTOMER_BY_EXTERNAL, params![tenant.id, own.as_str()]).await?;
        match row.as_ref().map(Customer::from_row).transpose()? {
            Some(other) if other.id != customer.id => {
                Err(AdminError::Taken("external_id_taken", format!("the customer {} has this external_id", other.id)))
            }
            _ => Ok(()),
        }
    }

    /// Creates a customer. Without a subscription it may do nothing.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn create_customer(
        &self,
        who: &Principal,
        tenant: &Tenant,
        fields: CustomerFields,
    ) -> Result<Planned<Customer>, AdminError> {
        let ground = &self.ground;
        let now = ground.clock.now();
        let mut customer = Customer::new(ground.with_entropy(|entropy| Id::generate(now, entropy)), now);
        customer.apply(fields).map_err(AdminError::Invalid)?;
        self.own_id_is_free(tenant, &customer).await?;
        let id = customer.id.to_string();
        let told = event(ground, Type::CustomerCreated, (OBJECT, &id), json!({"name": customer.name}));
        let batch = Batch::new()
            .expect(
                1,
                &sql::CUSTOMER_INSERT,
                params![
                    tenant.id,
                    customer.id,
                    customer.external_id.as_deref(),
                    customer.name.as_str(),
                    folded(&customer.name),
                    details(&customer)?,
                    now,
                ],
            )
            .change(ChangeKind::Customer, id.as_str())
            .event(about(told, customer.id));
        let after = (None, Some(customer.view()));
        let record = change_record(ground, who, tenant, action::CUSTOMER_CREATED, (OBJECT, &id), after);
        Ok(Planned { batch, record, value: customer })
    }

    /// Changes a customer.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn update_customer(
        &self,
        who: &Principal,
        tenant: &Tenant,
        (id, if_version): (Id<id::Customer>, Option<i64>),
        fields: CustomerFields,
    ) -> Result<Planned<Customer>, AdminError> {
        let ground = &self.ground;
        let current = self.present(tenant, id, if_version).await?;
        let mut customer = current.customer.clone();
        customer.apply(fields).map_err(AdminError::Invalid)?;
        self.own_id_is_free(tenant, &customer).await?;
        let now = ground.clock.now();
        let (previous, changed) = difference(&current.customer.view(), &customer.view());
        let mut batch = Batch::new().expect(
            1,
            &sql::CUSTOMER_UPDATE,
            params![
                tenant.id,
                id,
                customer.external_id.as_deref(),
                customer.name.as_str(),
                folded(&customer.name),
                details(&customer)?,
                now,
                customer.version,
            ],
        );
        let text = id.to_string();
        let facts = json!({"changed": changed, "previous": previous});
        batch = batch
            .change(ChangeKind::Customer, text.as_str())
            .event(about(event(ground, Type::CustomerUpdated, (OBJECT, &text), facts), id));
        // What has held by time so far did so under what was known before.
        let mut kept = current.kept.clone();
        let mut has_lost = false;
        if customer.payer()? != current.payer {
            (batch, has_lost) = self.record_due(batch, tenant, &current, &mut kept)?;
        }
        let mut after = customer.clone();
        batch = self.restate(batch, tenant, &current, (&mut after, &kept), has_lost)?;
        let changed = (Some(previous), Some(changed));
        let record = change_record(ground, who, tenant, action::CUSTOMER_UPDATED, (OBJECT, &text), changed);
        after.version = after.version.saturating_add(1);
        after.updated_at = now;
        Ok(Planned { batch, record, value: after })
    }

    /// Suspends a customer, whatever it pays, or lifts that again.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::State`] when it is so already, the store's.
    pub async fn suspend_customer(
        &self,
        who: &Principal,
        tenant: &Tenant,
        (id, if_version): (Id<id::Customer>, Option<i64>),
        is_suspended: bool,
    ) -> Result<Planned<Customer>, AdminError> {
        let ground = &self.ground;
        let current = self.present(tenant, id, if_version).await?;
        if current.customer.suspended_at.is_some() == is_suspended {
            let is = if is_suspended { "is suspended already" } else { "is not suspended" };
            return Err(AdminError::State(format!("the customer {is}")));
        }
        let now = ground.clock.now();
        let mut customer = current.customer.clone();
        customer.suspended_at = is_suspended.then(|| tenant.business(now));
        let text = id.to_string();
        let (kind, action) = if is_suspended {
            (Type::CustomerSuspended, action::CUSTOMER_SUSPENDED)
        } else {
            (Type::CustomerReinstated, action::CUSTOMER_REINSTATED)
        };
        let at = customer.suspended_at.map(kernel::clock::BusinessTime::as_micros);
        let mut batch = Batch::new()
            .expect(1, &sql::CUSTOMER_SUSPEND, params![tenant.id, id, at, now, customer.version])
            .change(ChangeKind::Customer, text.as_str())
            .event(about(event(ground, kind, (OBJECT, &text), json!({})), id));
        batch = self.restate(batch, tenant, &current, (&mut customer, &current.kept), is_suspended)?;
        let states = (Some(json!({"suspended": !is_suspended})), Some(json!({"suspended": is_suspended})));
        let record = change_record(ground, who, tenant, action, (OBJECT, &text), states);
        customer.version = customer.version.saturating_add(1);
        customer.updated_at = now;
        Ok(Planned { batch, record, value: customer })
    }

    /// Deletes a customer whose subscriptions have all ended. That no client belongs to it is for the caller to add.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Taken`] while a subscription lasts, the store's.
    pub async fn delete_customer(
        &self,
        who: &Principal,
        tenant: &Tenant,
        (id, if_version): (Id<id::Customer>, Option<i64>),
    ) -> Result<Planned<()>, AdminError> {
        let ground = &self.ground;
        let current = self.present(tenant, id, if_version).await?;
        let now = tenant.business(ground.clock.now());
        for kept in &current.kept {
            let computed = current.computed(&kept.subscription, now)?;
            if !computed.current.status.is_final() || !kept.subscription.status.is_final() {
                let detail = format!("the subscription {} has not ended; cancel it first", kept.subscription.id);
                return Err(AdminError::Taken("in_use", detail));
            }
        }
        if ground.store.read(&sql::USAGE_OF, params![tenant.id, id]).await?.is_some() {
            let detail = "usage was reported for it, which is kept; suspend the customer instead";
            return Err(AdminError::Taken("in_use", detail.to_owned()));
        }
        let text = id.to_string();
        let mut batch = Batch::new()
            .run(&sql::SUBSCRIPTIONS_DELETE, params![tenant.id, id])
            .expect(
                1,
                &sql::CUSTOMER_DELETE,
                params![tenant.id, id, current.customer.version, current.customer.standing_version],
            )
            .change(ChangeKind::Customer, text.as_str())
            .event(about(event(ground, Type::CustomerDeleted, (OBJECT, &text), json!({})), id));
        batch = epoch::raise(batch, tenant.id, id, ground.clock.now());
        let before = (Some(current.customer.view()), None);
        let record = change_record(ground, who, tenant, action::CUSTOMER_DELETED, (OBJECT, &text), before);
        Ok(Planned { batch, record, value: () })
    }

    /// Adds to a batch that the standing is another one, when it is: its number, the tokens that ended, and what others
    /// hear. What was issued until now ends when access was lost, also when it was lost and came back in one instant.
    pub(crate) fn restate(
        &self,
        batch: Batch,
        tenant: &Tenant,
        before: &Current,
        (customer, kept): (&mut Customer, &[Kept]),
        has_lost: bool,
    ) -> Result<Batch, AdminError> {
        let ground = &self.ground;
        let now = tenant.business(ground.clock.now());
        // what was recorded, not what holds by time since: that has not been told yet
        let old = before.derive(&before.customer, &before.kept, None)?;
        let new = before.derive(customer, kept, Some(now))?;
        let is_same = (Standing { version: 0, ..old.clone() }) == (Standing { version: 0, ..new.clone() });
        if is_same && !has_lost {
            return Ok(batch);
        }
        let text = customer.id.to_string();
        let not_before = new.not_before.map(kernel::clock::BusinessTime::as_micros);
        let ask = params![tenant.id, customer.id, not_before, before.customer.standing_version];
        let mut batch = batch.expect(1, &sql::CUSTOMER_STANDING, ask).change(ChangeKind::Customer, text.as_str());
        customer.standing_version = customer.standing_version.saturating_add(1);
        customer.not_before = new.not_before;
        if has_lost || new.not_before > before.customer.not_before {
            batch = epoch::raise(batch, tenant.id, customer.id, ground.clock.now());
        }
        if rights(&old) != rights(&new) || old.access != new.access {
            let facts = json!({
                "version": customer.standing_version, "access": new.access.name(),
                "plans": new.plans, "features": new.entitlements.keys().collect::<Vec<_>>(),
            });
            batch = batch.event(about(event(ground, Type::EntitlementChanged, (OBJECT, &text), facts), customer.id));
        }
        Ok(batch)
    }
}

/// What a standing entitles to, whichever billing period is open.
fn rights(standing: &Standing) -> BTreeMap<&str, Entitlement> {
    let without = |right: &Entitlement| match right {
        Entitlement::Metered(allowance) => Entitlement::Metered(Allowance { period: None, ..*allowance }),
        other => other.clone(),
    };
    standing.entitlements.iter().map(|(feature, right)| (feature.as_str(), without(right))).collect()
}

/// An event that concerns a customer.
pub(crate) fn about(event: kernel::event::Event, customer: Id<id::Customer>) -> kernel::event::Event {
    kernel::event::Event { customer: Some(customer.to_string()), ..event }
}

/// The key by which names are sorted and searched.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn details(customer: &Customer) -> Result<String, AdminError> {
    serde_json::to_string(&customer.details).map_err(|_| AdminError::from(store::Error::RowCorrupt))
}

/// Members of the answer that follow the standing.
pub fn standing_view(standing: &Arc<Standing>) -> Value {
    let at = |at: Option<kernel::clock::BusinessTime>| at.map(|at| at.to_string());
    let entitlements: Vec<Value> = standing
        .entitlements
        .iter()
        .map(|(feature, right)| match right {
            Entitlement::Boolean => json!({"feature": feature, "kind": "boolean", "value": true}),
            Entitlement::Text(text) => json!({"feature": feature, "kind": "static", "value": text}),
            Entitlement::Number(number) => json!({"feature": feature, "kind": "static", "value": number.to_integer()}),
            Entitlement::Metered(allowance) => json!({
                "feature": feature, "kind": "metered", "limit": allowance.limit.map(|limit| limit.to_string()),
                "reset": allowance.reset.name(), "overage": allowance.overage.name(),
            }),
        })
        .collect();
    json!({
        "version": standing.version, "status": standing.status().map(kernel::standing::Status::name),
        "access": standing.access.name(), "plans": standing.plans, "suspended_at": at(standing.suspended_at),
        "entitlements": entitlements, "restricted_scopes": standing.restricted_scopes,
        "not_before": at(standing.not_before), "access_until": at(standing.access_until),
        "paid_through": at(standing.paid_through),
        "refusal": standing.refusal().map(|refusal| refusal.to_string()),
    })
}

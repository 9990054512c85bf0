//! Customers: `/api/customers`.

use std::sync::Arc;

use billing::current::Current;
use billing::customer::{Customer, CustomerFields};
use billing::customer_change::standing_view;
use kernel::id::{self, Id};
use kernel::standing::{Access, Status};
use record::plan::AdminError;
use serde_json::{Value, json};

use super::clients::merge;
use super::{Ask, Reply, bad_cursor, change};
use crate::problem::{Problem, from_admin};

pub(super) fn corrupt(error: store::Error) -> Problem {
    from_admin(&error.into())
}

pub(super) fn missing(what: &str) -> Problem {
    Problem::not_found(format!("there is no {what} with this id in this tenant"))
}

pub(super) fn add(mut body: Value, members: Value) -> Value {
    if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
        body.extend(members);
    }
    body
}

/// Items to ask the store for: one more than the page shows, to know whether there are others.
pub(super) fn one_more(limit: u32) -> i64 {
    i64::from(limit).saturating_add(1)
}

/// The items of a page, and the last of them when there are others behind it.
pub(super) fn cut<T>(found: &[T], limit: u32) -> (&[T], Option<&T>) {
    match usize::try_from(limit).ok().and_then(|limit| found.split_at_checked(limit)) {
        Some((page, rest)) if !rest.is_empty() => (page, page.last()),
        _ => (found, None),
    }
}

fn view(customer: &Customer, status: Option<Status>, access: Access) -> Value {
    let body = add(json!({"id": customer.id}), customer.view());
    add(
        body,
        json!({
            "status": status.map(Status::name), "access": access.name(),
            "suspended_at": customer.suspended_at.map(|at| at.to_string()),
            "created_at": customer.created_at.to_string(), "updated_at": customer.updated_at.to_string(),
        }),
    )
}

/// A customer with what its subscriptions, which are as they were read, let it do.
fn changed(ask: &Ask, current: &Current, customer: &Customer) -> Reply {
    let now = ask.tenant.business(ask.app.auth.clock.now());
    let (status, access) = match current.derive(customer, &current.kept, Some(now)) {
        Ok(standing) => (standing.status(), standing.access),
        Err(_) => (None, Access::None),
    };
    Reply::ok(view(customer, status, access)).version(customer.version)
}

/// The customer that the path names by its id, or by the operator's own id of it.
async fn held(ask: &Ask) -> Result<Customer, Problem> {
    let found = ask.app.billing.find_customer(&ask.tenant, ask.param("customer_id")).await.map_err(corrupt)?;
    found.ok_or_else(|| missing("customer"))
}

async fn current(ask: &Ask, id: Id<id::Customer>) -> Result<Arc<Current>, Problem> {
    ask.app.billing.current(&ask.tenant, id).await.map_err(corrupt)?.ok_or_else(|| missing("customer"))
}

async fn shown(ask: &Ask, customer: &Customer) -> Result<Value, Problem> {
    let standing = ask.app.billing.standing(&ask.tenant, customer.id).await.map_err(corrupt)?;
    let standing = standing.ok_or_else(|| missing("customer"))?;
    Ok(view(customer, standing.status(), standing.access))
}

fn read(ask: &Ask) -> Result<CustomerFields, Problem> {
    CustomerFields::read(&ask.body).map_err(Problem::invalid)
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let billing = &ask.app.billing;
    let found = match ask.query.get("q") {
        None => {
            let before = ask.position_id()?.map(Id::<id::Customer>::from_bytes);
            billing.customers(&ask.tenant, before, one_more(limit)).await
        }
        Some(prefix) => {
            let place = ask.position()?.map(|bytes| place(&bytes).ok_or_else(bad_cursor)).transpose()?;
            let after = place.as_ref().map(|(name, id)| (name.as_str(), *id));
            billing.customers_named(&ask.tenant, prefix, after, one_more(limit)).await
        }
    };
    let found = found.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let next = last.map(|last| match ask.query.get("q") {
        None => last.id.as_bytes().to_vec(),
        Some(_) => [last.id.as_bytes().as_slice(), last.name.as_bytes()].concat(),
    });
    let mut data = Vec::with_capacity(page.len());
    for customer in page {
        data.push(shown(ask, customer).await?);
    }
    Ok(ask.page(&data, next.as_deref()))
}

/// The place of a cursor in the order of names.
fn place(bytes: &[u8]) -> Option<(String, Id<id::Customer>)> {
    let (id, name) = bytes.split_first_chunk::<16>()?;
    Some((std::str::from_utf8(name).ok()?.to_owned(), Id::from_bytes(*id)))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let customer = held(ask).await?;
    // the tag is for changes alone: its status changes by time, without a new one
    Ok(Reply::ok(shown(ask, &customer).await?).version(customer.version))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    change!(ask, ask.app.billing.create_customer(&ask.who, &ask.tenant, read(ask)?), |customer: Customer| {
        let location = format!("{}/api/customers/{}", ask.tenant.issuer, customer.id);
        Reply::created(location, view(&customer, None, Access::None)).version(customer.version)
    })
}

/// The body with its objects merged into those that the customer has (RFC 7396).
fn merged(body: &Value, customer: &Customer) -> Value {
    let mut whole = body.clone();
    let mut present = customer.view();
    for name in ["address", "metadata"] {
        if let (Some(patch), Some(value)) =
            (whole.get_mut(name).filter(|patch| patch.is_object()), present.get_mut(name))
        {
            merge(value, patch);
            *patch = value.take();
        }
    }
    whole
}

pub(super) async fn update(ask: &Ask) -> Result<Reply, Problem> {
    let id = held(ask).await?.id;
    let (version, current) = (ask.if_version()?, current(ask, id).await?);
    let billing = &ask.app.billing;
    let plan = || async {
        let found = billing.find_customer(&ask.tenant, &id.to_string()).await?;
        let customer = found.ok_or(AdminError::NotFound("customer"))?;
        let fields = CustomerFields::read(&merged(&ask.body, &customer)).map_err(AdminError::Invalid)?;
        let which = (id, version.or(Some(customer.version)));
        match billing.update_customer(&ask.who, &ask.tenant, which, fields).await {
            // nobody named a version, so a change in between is a reason to merge again
            Err(AdminError::Stale) if version.is_none() => Err(store::Error::Conflict("CUSTOMER_UPDATE").into()),
            other => other,
        }
    };
    change!(ask, plan(), |customer: Customer| changed(ask, &current, &customer))
}

pub(super) async fn delete(ask: &Ask) -> Result<Reply, Problem> {
    let which = (held(ask).await?.id, ask.if_version()?);
    change!(ask, ask.app.access.delete_customer(&ask.who, &ask.tenant, which), |()| Reply::empty())
}

pub(super) async fn suspend(ask: &Ask, is_suspended: bool) -> Result<Reply, Problem> {
    let id = held(ask).await?.id;
    let (which, current) = ((id, ask.if_version()?), current(ask, id).await?);
    let billing = &ask.app.billing;
    change!(ask, billing.suspend_customer(&ask.who, &ask.tenant, which, is_suspended), |customer: Customer| {
        changed(ask, &current, &customer)
    })
}

pub(super) async fn standing(ask: &Ask) -> Result<Reply, Problem> {
    let id = held(ask).await?.id;
    let current = current(ask, id).await?;
    let standing = current.standing(ask.tenant.business(ask.app.auth.clock.now())).map_err(corrupt)?;
    let mut view = standing_view(&standing);
    let mut used = ask.app.billing.used(&ask.tenant, &current).await.map_err(corrupt)?;
    for entitlement in view.get_mut("entitlements").and_then(Value::as_array_mut).into_iter().flatten() {
        let used = entitlement.get("feature").and_then(Value::as_str).and_then(|feature| used.remove(feature));
        if let (Some(members), Some(Value::Object(mut used))) = (entitlement.as_object_mut(), used) {
            // the feature is named already
            used.remove("key");
            members.extend(used);
        }
    }
    Ok(Reply::ok(add(json!({"customer_id": id}), view)))
}

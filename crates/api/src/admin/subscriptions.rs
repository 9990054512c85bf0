//! Subscriptions: `/api/subscriptions`.

use billing::subscribe::{NewFields, Subscribed, Wish, view};
use kernel::id::{self, Id};
use serde_json::Value;

use super::customers::{corrupt, cut, missing, one_more};
use super::{Ask, Reply, change};
use crate::problem::Problem;

fn subscription_id(ask: &Ask) -> Result<Id<id::Subscription>, Problem> {
    Id::parse(ask.param("subscription_id")).map_err(|_| missing("subscription"))
}

pub(super) async fn list(ask: &Ask) -> Result<Reply, Problem> {
    let limit = ask.limit()?;
    let before = ask.position_id()?.map(Id::<id::Subscription>::from_bytes);
    let billing = &ask.app.billing;
    let customer = match ask.query.get("customer_id") {
        None => None,
        Some(name) => {
            let found = billing.find_customer(&ask.tenant, name).await.map_err(corrupt)?;
            Some(found.ok_or_else(|| missing("customer"))?.id)
        }
    };
    let found = billing.subscriptions(&ask.tenant, customer, before, one_more(limit)).await.map_err(corrupt)?;
    let (page, last) = cut(&found, limit);
    let data: Vec<Value> = page.iter().map(view).collect();
    Ok(ask.page(&data, last.map(|last| last.computed.current.id.as_bytes().as_slice())))
}

pub(super) async fn get(ask: &Ask) -> Result<Reply, Problem> {
    let found = ask.app.billing.subscription(&ask.tenant, subscription_id(ask)?).await.map_err(corrupt)?;
    let subscribed = found.ok_or_else(|| missing("subscription"))?;
    Ok(Reply::ok(view(&subscribed)).version(subscribed.version))
}

pub(super) async fn create(ask: &Ask) -> Result<Reply, Problem> {
    let read = || NewFields::read(&ask.body).map_err(Problem::invalid);
    change!(ask, ask.app.billing.subscribe(&ask.who, &ask.tenant, read()?), |subscribed: Subscribed| {
        let id = subscribed.computed.current.id;
        let location = format!("{}/api/subscriptions/{id}", ask.tenant.issuer);
        Reply::created(location, view(&subscribed)).version(subscribed.version)
    })
}

/// Does what the last part of the path says.
pub(super) async fn wish(ask: &Ask, verb: &str) -> Result<Reply, Problem> {
    let which = (subscription_id(ask)?, ask.if_version()?);
    let now = ask.tenant.business(ask.app.auth.clock.now());
    let wish = Wish::read(verb, &ask.body, now).ok_or_else(Problem::internal)?.map_err(Problem::invalid)?;
    change!(ask, ask.app.billing.change_subscription(&ask.who, &ask.tenant, which, &wish), |subscribed: Subscribed| {
        Reply::ok(view(&subscribed)).version(subscribed.version)
    })
}

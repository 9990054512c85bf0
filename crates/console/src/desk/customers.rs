//! Customers: the list, making one, one customer with all that it may do and why, and what is done with it.

use std::sync::Arc;

use auth::client::Client;
use auth::sql::CLIENTS_OF_CUSTOMER;
use auth::standing::{Gate, Withheld};
use axum::response::{IntoResponse as _, Response};
use billing::current::Current;
use billing::customer::{Customer, CustomerFields};
use billing::subscribe::NewFields;
use http::StatusCode;
use kernel::clock::{BusinessTime, Timestamp};
use kernel::id::{self, Id};
use kernel::standing::{Standing, Status};
use record::plan::AdminError;
use serde_json::{Map, Value, json};
use store::params;

use super::ask::{Seat, to};
use super::audit::limit;
use super::client_access;
use super::export::{self, Format, Part, ROWS, Reading};
use super::plans::offers;
use super::refused::{Answer, Refused, capitalized_word, problems};
use crate::form::Entered;
use crate::pages::access::Says;
use crate::pages::customer::{self as page, Acting, Held, Right, ScopeWhy, Tab, Why, instant};
use crate::pages::customers::{self, List, Row, SECTION};
use crate::pages::plan::{entitlement_words, named};

pub(super) const READ: &str = "customers:read";
const WRITE: &str = "customers:write";
/// Clients that the page of a customer explains.
const CLIENTS: usize = 20;
/// Clients that are counted.
const COUNTED: i64 = 200;

/// The present instant of the tenant's business time.
pub(super) fn now(seat: &Seat) -> BusinessTime {
    seat.ask.tenant.business(seat.ask.now)
}

/// Rows to ask the store for: one more than the page shows, to know whether there are others.
pub(super) fn one_more(limit: u32) -> i64 {
    i64::from(limit).saturating_add(1)
}

/// Cuts a list to a page; whether there were others.
pub(super) fn cut<T>(found: &mut Vec<T>, limit: u32) -> bool {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > most;
    found.truncate(most);
    has_more
}

/// The place that a cursor of a list of the console names.
pub(super) fn place(seat: &Seat, list: &str) -> Result<Option<Vec<u8>>, Refused> {
    let ask = &seat.ask;
    match ask.query("cursor") {
        "" => Ok(None),
        cursor => match ask.auth.open_cursor(ask.tenant.id, list, cursor) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => Err(record::Error::Cursor.into()),
        },
    }
}

/// A place in the order of names: an id, then a name.
fn named_place(bytes: &[u8]) -> Option<(String, Id<id::Customer>)> {
    let (id, name) = bytes.split_first_chunk::<16>()?;
    Some((std::str::from_utf8(name).ok()?.to_owned(), Id::from_bytes(*id)))
}

/// Customers after a place: all, the newest first, or those whose name begins with a text in the order of names, before
/// them the one whose id that is.
pub(super) async fn find(
    billing: &billing::Billing,
    tenant: &record::tenant::Tenant,
    q: &str,
    after: Option<&(String, Id<id::Customer>)>,
    most: i64,
) -> Result<Vec<Customer>, store::Error> {
    if q.is_empty() {
        return billing.customers(tenant, after.map(|(_, id)| *id), most).await;
    }
    let mut found = billing.customers_named(tenant, q, after.map(|(name, id)| (name.as_str(), *id)), most).await?;
    if after.is_none()
        && let Some(exact) = billing.find_customer(tenant, q).await?
        && found.iter().all(|one| one.id != exact.id)
    {
        found.insert(0, exact);
    }
    Ok(found)
}

/// Status and plans of a customer now.
async fn stand(
    billing: &billing::Billing,
    tenant: &record::tenant::Tenant,
    customer: &Customer,
) -> Result<Arc<Standing>, store::Error> {
    billing.standing(tenant, customer.id).await?.ok_or(store::Error::RowCorrupt)
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let (q, size) = (ask.query("q").trim().to_owned(), limit(ask.query("limit")));
    if let Some(format) = Format::parse(ask.query("format")) {
        return Ok(file(&seat, format, q));
    }
    let name = ["customers of the console", &q].join("\0");
    let bytes = place(&seat, &name)?;
    let after = match &bytes {
        None => None,
        Some(bytes) => Some(named_place(bytes).ok_or(record::Error::Cursor)?),
    };
    let mut found = find(billing, &ask.tenant, &q, after.as_ref(), one_more(size)).await?;
    let has_more = cut(&mut found, size);
    let seal = |last: &Customer| {
        let place = [last.id.as_bytes().as_slice(), last.name.as_bytes()].concat();
        ask.auth.seal_cursor(ask.tenant.id, &name, &place)
    };
    let next = found.last().filter(|_| has_more).map(seal);
    let mut rows = Vec::with_capacity(found.len());
    for customer in found {
        let standing = stand(billing, &ask.tenant, &customer).await?;
        rows.push(Row {
            id: customer.id.to_string(),
            name: customer.name,
            external_id: customer.external_id,
            status: standing.status().map(Status::name),
            is_suspended: customer.suspended_at.is_some(),
            plans: standing.plans.clone(),
            created_at: customer.created_at,
        });
    }
    let data = List { rows, q, limit: size, is_first: bytes.is_none(), next };
    Ok(customers::list(&seat.visit(), &data).into_response())
}

const COLUMNS: &[&str] =
    &["id", "external_id", "name", "email", "currency", "status", "access", "plans", "created_at", "updated_at"];

/// The customers of a filter as a file, from the first on.
fn file(seat: &Seat, format: Format, q: String) -> Response {
    let (billing, tenant) = (Arc::clone(&seat.ask.access.billing), Arc::clone(&seat.ask.tenant));
    let read = move |place: Option<(String, Id<id::Customer>)>| -> Reading<(String, Id<id::Customer>)> {
        let (billing, tenant, q) = (Arc::clone(&billing), Arc::clone(&tenant), q.clone());
        Box::pin(async move {
            let mut found = find(&billing, &tenant, &q, place.as_ref(), one_more(ROWS)).await?;
            let has_more = cut(&mut found, ROWS);
            let next = found.last().filter(|_| has_more).map(|last| (last.name.clone(), last.id));
            let mut rows = Vec::with_capacity(found.len());
            for one in found {
                let standing = stand(&billing, &tenant, &one).await?;
                rows.push(vec![
                    json!(one.id),
                    json!(one.external_id),
                    json!(one.name),
                    json!(one.details.email),
                    json!(one.details.currency),
                    json!(standing.status().map(Status::name)),
                    json!(standing.access.name()),
                    json!(standing.plans),
                    json!(one.created_at.to_string()),
                    json!(one.updated_at.to_string()),
                ]);
            }
            Ok(Part { rows, next })
        })
    };
    export::file(format, "customers", COLUMNS, read)
}

/// What a form says of a customer, in the form of the API; what is empty is null, which says "none" or "as usual".
fn body(seat: &Seat) -> (Value, Vec<(String, String)>) {
    let (ask, mut found) = (&seat.ask, Vec::new());
    let text = |name: &str| match ask.field(name).trim() {
        "" => Value::Null,
        text => Value::from(text),
    };
    let mut body = Map::new();
    body.insert("name".to_owned(), Value::from(ask.field("name").trim()));
    for name in ["external_id", "email", "currency", "timezone", "language", "tax_status"] {
        body.insert(name.to_owned(), text(name));
    }
    let lines = ["line1", "line2", "city", "region", "postal_code", "country"];
    let address = if lines.iter().all(|line| ask.field(line).trim().is_empty()) {
        Value::Null
    } else {
        lines.iter().map(|line| ((*line).to_owned(), Value::from(ask.field(line).trim()))).collect()
    };
    body.insert("address".to_owned(), address);
    let days = ask.field("payment_terms_days").trim();
    let days = if days.is_empty() { Value::Null } else { days.parse::<i64>().map_or(Value::from(days), Value::from) };
    body.insert("payment_terms_days".to_owned(), days);
    let numbers = ask.field("tax_ids").split(',').map(str::trim).filter(|number| !number.is_empty());
    body.insert("tax_ids".to_owned(), numbers.collect());
    let metadata = match ask.field("metadata").trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| {
            found.push(("metadata".to_owned(), format!("This is no JSON: {error}.")));
            Value::Null
        }),
    };
    body.insert("metadata".to_owned(), metadata);
    (Value::Object(body), found)
}

/// What is wrong with a form, or an error that is not of the form.
fn returned(error: AdminError) -> Result<Vec<(String, String)>, Refused> {
    let at = |name: String| if name == "address" { "country".to_owned() } else { name };
    match error {
        AdminError::Invalid(list) => Ok(problems(list).into_iter().map(|(name, text)| (at(name), text)).collect()),
        AdminError::Taken("external_id_taken", sentence) => {
            Ok(vec![("external_id".to_owned(), format!("{}.", capitalized_word(&sentence)))])
        }
        other => Err(other.into()),
    }
}

/// Reads a form, or says what is wrong with it.
fn fields(seat: &Seat) -> Result<CustomerFields, AdminError> {
    let (body, found) = body(seat);
    let of_form = found.into_iter().map(|(name, text)| auth::error::FieldProblem::new(&name, "bad_value", text));
    let problems: Vec<_> = of_form.collect();
    if problems.is_empty() {
        CustomerFields::read(&body).map_err(AdminError::Invalid)
    } else {
        Err(AdminError::Invalid(problems))
    }
}

pub(super) async fn new(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    Ok(customers::new(&seat.visit(), &Entered::default(), &seat.ask.new_form()).into_response())
}

pub(super) async fn create(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(&format!("{}/{SECTION}", ask.root)));
    }
    let made = async {
        let planned = ask.access.billing.create_customer(&seat.who, &ask.tenant, fields(&seat)?).await?;
        ask.auth.run(planned).await
    };
    match made.await {
        Ok(customer) => {
            let here = format!("{}/{SECTION}/{}", ask.root, customer.id);
            Ok(seat.done(&here, format!("{} is there", customer.name), None))
        }
        Err(error) => {
            ask.forget_form();
            let entered = Entered { problems: returned(error)?, ..ask.entered() };
            let page = customers::new(&seat.visit(), &entered, &ask.new_form());
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// The customer of the address, by its id or by the operator's own, with its subscriptions.
async fn held(seat: &Seat) -> Result<Arc<Current>, Refused> {
    let ask = &seat.ask;
    let found = ask.access.billing.find_customer(&ask.tenant, ask.param("customer")).await?;
    let customer = found.ok_or_else(Refused::not_found)?;
    ask.access.billing.current(&ask.tenant, customer.id).await?.ok_or_else(Refused::not_found)
}

/// Public ids of the clients that act for a customer, the newest first.
pub(super) async fn clients(seat: &Seat, customer: Id<id::Customer>) -> Result<Vec<String>, Refused> {
    let ask = &seat.ask;
    let rows = ask.auth.store.read_all(&CLIENTS_OF_CUSTOMER, params![ask.tenant.id, customer, COUNTED]).await?;
    Ok(rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?)
}

/// Why each scope of a client is granted or not, and what a request comes to.
async fn acting(seat: &Seat, client: &Client, standing: &Standing, rights: &[Right]) -> Result<Acting, Refused> {
    let catalog = seat.ask.auth.catalog(&seat.ask.tenant).await?;
    let gate = Gate::of(client, Some(standing));
    let scope = |name: &Arc<str>| {
        let requires = catalog.scopes.get(name).and_then(|scope| scope.requires.clone());
        let withheld = match gate {
            Err(_) => Err("Its customer has no access.".to_owned()),
            Ok(gate) => match gate.withholds(name, || requires.as_deref()) {
                None => Ok(()),
                Some(Withheld::Restricted) => Err("Not left to a customer that does not pay.".to_owned()),
                Some(Withheld::Lacks(feature)) => Err(format!("No plan of the customer grants {feature}.")),
            },
        };
        let because = || {
            let right = rights.iter().find(|right| Some(right.feature.as_str()) == requires.as_deref());
            match right.and_then(|right| right.whys.first()) {
                Some(why) => format!("Granted by {}.", why.plan),
                None => "The client may request it, and it requires no feature.".to_owned(),
            }
        };
        ScopeWhy {
            scope: name.to_string(),
            is_granted: withheld.is_ok(),
            why: withheld.err().unwrap_or_else(because),
            requires: requires.as_deref().map(str::to_owned),
        }
    };
    let scopes = client.settings.scopes.iter().map(scope).collect();
    let asked = gate.ok().and_then(|gate| catalog.grantable(client, gate));
    let asked = asked.map(|granted| granted.scope.to_string()).unwrap_or_default();
    let says: Says = client_access::says(seat, client, Some(&asked)).await?;
    Ok(Acting {
        client_id: client.client_id.to_string(),
        name: super::clients::name(client),
        status: client.status(seat.ask.now).name(),
        says,
        scope: asked,
        scopes,
    })
}

/// What comes next for a subscription, in a word.
pub(super) fn next_of(computed: &billing::subscription::Computed) -> Option<(&'static str, Timestamp)> {
    let current = &computed.current;
    let ends = current.cancel_at.into_iter().chain(current.term_end).min();
    let next = match current.status {
        Status::Canceled | Status::Ended => Some(("Ended", current.status_since)),
        Status::Paused | Status::Unpaid | Status::Incomplete => None,
        Status::PastDue => computed.access_until.map(|at| ("Unpaid", at)),
        Status::Trialing => ends.map(|at| ("Ends", at)).or(current.trial_end.map(|at| ("Trial ends", at))),
        Status::Active => ends.map(|at| ("Ends", at)).or(current.period.map(|period| ("Renews", period.end))),
    };
    next.map(|(word, at)| (word, instant(at)))
}

fn held_of(current: &Current, now: BusinessTime) -> Result<Vec<Held>, store::Error> {
    let mut list = Vec::with_capacity(current.kept.len());
    for kept in &current.kept {
        let computed = current.computed(&kept.subscription, now)?;
        let plan = current.plans.get(computed.current.item.plan.as_bytes()).ok_or(store::Error::RowCorrupt)?;
        list.push(Held {
            id: computed.current.id.to_string(),
            plan: named(plan),
            quantity: computed.current.item.quantity,
            status: computed.current.status.name(),
            next: next_of(&computed),
        });
    }
    Ok(list)
}

/// The rights of a customer, feature by feature, with the subscriptions that they come from.
async fn rights(seat: &Seat, current: &Current, standing: &Standing) -> Result<Vec<Right>, Refused> {
    let ask = &seat.ask;
    let features = ask.access.billing.features(&ask.tenant).await?;
    let mut reasons = current.reasons(now(seat))?;
    let right = |(key, entitlement): (&String, &kernel::standing::Entitlement)| {
        let (value, terms) = entitlement_words(entitlement);
        let feature = features.get(key);
        let why = |reason: billing::reason::Reason| Why {
            subscription: reason.subscription.to_string(),
            plan: named(&reason.plan),
            status: reason.status.name(),
            grants: entitlement_words(&reason.grants).0,
        };
        Right {
            feature: key.clone(),
            name: feature.map_or_else(|| key.clone(), |feature| feature.name.clone()),
            value,
            terms,
            whys: reasons.remove(key).unwrap_or_default().into_iter().map(why).collect(),
            adds_up: feature.is_some_and(|feature| feature.combine == billing::standing::Combine::Sum),
        }
    };
    Ok(standing.entitlements.iter().map(right).collect())
}

/// The customer as its pages show it.
async fn page_of(seat: &Seat, tab: Tab) -> Result<page::Customer, Refused> {
    let ask = &seat.ask;
    let (current, now) = (held(seat).await?, now(seat));
    let standing = current.standing(now)?;
    let customer = &current.customer;
    let clients = clients(seat, customer.id).await?;
    let rights = if tab == Tab::Overview { rights(seat, &current, &standing).await? } else { Vec::new() };
    let mut explained = Vec::new();
    if tab == Tab::Overview && seat.viewer.may(super::clients::READ) {
        for id in clients.iter().take(CLIENTS) {
            if let Some(client) = ask.auth.client(ask.tenant.id, id).await? {
                explained.push(acting(seat, &client, &standing, &rights).await?);
            }
        }
    }
    Ok(page::Customer {
        id: customer.id.to_string(),
        name: customer.name.clone(),
        external_id: customer.external_id.clone(),
        details: customer.details.clone(),
        rights,
        held: if seat.viewer.may(super::plans::READ) { Some(held_of(&current, now)?) } else { None },
        client_count: clients.len(),
        clients: seat.viewer.may(super::clients::READ).then_some(explained),
        offers: if tab == Tab::Subscribe { offers(seat).await? } else { Vec::new() },
        today: instant(now),
        created_at: customer.created_at,
        updated_at: customer.updated_at,
        etag: customer.version.to_string(),
        form: ask.new_form(),
        standing,
    })
}

async fn draw(seat: &Seat, tab: Tab, entered: &Entered) -> Answer {
    seat.need(READ)?;
    if tab == Tab::Subscribe {
        seat.need(super::plans::WRITE)?;
    }
    let shown = page_of(seat, tab).await?;
    let status = if entered.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, page::detail(&seat.visit(), &shown, tab, entered)).into_response())
}

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, Tab::Overview, &Entered::default()).await
}

pub(super) async fn show_part(seat: Seat) -> Answer {
    let tab = Tab::parse(seat.ask.param("part")).ok_or_else(Refused::not_found)?;
    draw(&seat, tab, &Entered::default()).await
}

/// The forms and buttons of one customer.
pub(super) async fn change(seat: Seat) -> Answer {
    let part = seat.ask.param("part");
    seat.need(if part == "subscribe" { super::plans::WRITE } else { WRITE })?;
    let current = held(&seat).await?;
    let (id, name) = (current.customer.id, current.customer.name.clone());
    let here = format!("{}/{SECTION}/{id}", seat.ask.root);
    match part {
        "settings" => save(&seat, id, &here).await,
        "suspend" => suspend(&seat, (id, name.as_str()), true, &here).await,
        "reinstate" => suspend(&seat, (id, name.as_str()), false, &here).await,
        "subscribe" => subscribe(&seat, id, &here).await,
        "delete" => delete(&seat, (id, name.as_str()), &here).await,
        _ => Err(Refused::not_found()),
    }
}

async fn save(seat: &Seat, id: Id<id::Customer>, here: &str) -> Answer {
    let ask = &seat.ask;
    let version = ask.field("etag").parse().ok();
    let saved = async {
        let planned = ask.access.billing.update_customer(&seat.who, &ask.tenant, (id, version), fields(seat)?).await?;
        ask.auth.run(planned).await
    };
    let mut entered = ask.entered();
    match saved.await {
        Ok(_) => return Ok(seat.done(&format!("{here}/settings"), "Saved".to_owned(), None)),
        Err(AdminError::Stale | AdminError::Store(store::Error::Conflict(_))) => {
            let now = page_of(seat, Tab::Settings).await?;
            entered.overtaken(page::both_versions(&now, &entered.clone()));
        }
        Err(error) => entered.problems = returned(error)?,
    }
    draw(seat, Tab::Settings, &entered).await
}

async fn suspend(seat: &Seat, (id, name): (Id<id::Customer>, &str), is_suspended: bool, here: &str) -> Answer {
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let planned = billing.suspend_customer(&seat.who, &ask.tenant, (id, None), is_suspended).await?;
    if is_suspended {
        ask.auth.run_reserved(planned).await?;
    } else {
        ask.auth.run(planned).await?;
    }
    let (sentence, undo) = if is_suspended {
        (format!("{name} is suspended"), "reinstate")
    } else {
        (format!("The suspension of {name} is lifted"), "suspend")
    };
    Ok(seat.done(here, sentence, Some((format!("{here}/{undo}"), Vec::new()))))
}

async fn subscribe(seat: &Seat, id: Id<id::Customer>, here: &str) -> Answer {
    let ask = &seat.ask;
    if !ask.is_first_of_form() {
        return Ok(to(here));
    }
    let quantity = ask.field("quantity").trim();
    let body = json!({
        "customer_id": id,
        "plan": Some(ask.field("plan")).filter(|plan| !plan.is_empty()),
        "quantity": quantity.parse::<i64>().map_or(Value::from(quantity), Value::from),
        "activation": Some(ask.field("activation")).filter(|text| !text.is_empty()),
        "term_end": Some(ask.field("term_end").trim()).filter(|text| !text.is_empty()),
    });
    let made = async {
        let fields = NewFields::read(&body).map_err(AdminError::Invalid)?;
        let planned = ask.access.billing.subscribe(&seat.who, &ask.tenant, fields).await?;
        ask.auth.run(planned).await
    };
    match made.await {
        Ok(made) => {
            let sentence = format!("{} is subscribed to", named(&made.plan));
            Ok(seat.done(here, sentence, None))
        }
        Err(AdminError::Invalid(list)) => {
            ask.forget_form();
            draw(seat, Tab::Subscribe, &Entered { problems: problems(list), ..ask.entered() }).await
        }
        Err(error) => {
            ask.forget_form();
            Err(error.into())
        }
    }
}

async fn delete(seat: &Seat, (id, name): (Id<id::Customer>, &str), here: &str) -> Answer {
    let ask = &seat.ask;
    seat.need_fresh(&format!("{here}/danger"))?;
    let problem = |sentence: String| Entered { problems: vec![(String::new(), sentence)], ..Entered::default() };
    if ask.field("confirm") != name {
        return draw(seat, Tab::Danger, &problem("Type the name of the customer to delete it.".to_owned())).await;
    }
    let planned = ask.access.delete_customer(&seat.who, &ask.tenant, (id, None)).await;
    let done = match planned {
        Ok(planned) => ask.auth.run_reserved(planned).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(seat.done(&format!("{}/{SECTION}", ask.root), format!("{name} is deleted"), None)),
        Err(AdminError::Taken(_, sentence)) => {
            draw(seat, Tab::Danger, &problem(format!("{}.", capitalized_word(&sentence)))).await
        }
        Err(error) => Err(error.into()),
    }
}

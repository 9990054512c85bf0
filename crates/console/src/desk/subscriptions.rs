//! Subscriptions: the list, one of them, and what may follow.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use billing::subscribe::{Subscribed, Wish};
use http::StatusCode;
use kernel::clock::{BusinessTime, Timestamp};
use kernel::id::{self, Id};
use record::outbox::{self, EventFilter, EventView};
use record::plan::AdminError;
use serde_json::{Value, json};

use super::ask::Seat;
use super::audit::limit;
use super::customers::{clients, cut, next_of, now, one_more, place};
use super::export::{self, Format, Part, ROWS, Reading};
use super::plans::{READ, WRITE, offers};
use super::refused::{Answer, Refused, capitalized_word, problems};
use crate::form::Entered;
use crate::pages::customer::instant;
use crate::pages::plan::{named, price_line};
use crate::pages::subscription::{self as page, Happened, Scheduled};
use crate::pages::subscriptions::{self, List, Row, SECTION};

/// Events that the page of a subscription tells.
const EVENTS: u32 = 50;

async fn name_of(
    billing: &billing::Billing,
    tenant: &record::tenant::Tenant,
    customer: Id<id::Customer>,
) -> Result<String, store::Error> {
    let current = billing.current(tenant, customer).await?.ok_or(store::Error::RowCorrupt)?;
    Ok(current.customer.name.clone())
}

pub(super) async fn list(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let (customer, size) = (ask.query("customer").trim().to_owned(), limit(ask.query("limit")));
    let of = if customer.is_empty() { None } else { Some(billing.find_customer(&ask.tenant, &customer).await?) };
    let is_unknown = matches!(of, Some(None));
    let of = of.flatten().map(|customer| customer.id);
    if let Some(format) = Format::parse(ask.query("format")).filter(|_| !is_unknown) {
        return Ok(file(&seat, format, of));
    }
    let name = ["subscriptions of the console", &customer].join("\0");
    let bytes = place(&seat, &name)?;
    let before = match &bytes {
        None => None,
        Some(bytes) => Some(Id::from_bytes(bytes.as_slice().try_into().map_err(|_| record::Error::Cursor)?)),
    };
    let mut found =
        if is_unknown { Vec::new() } else { billing.subscriptions(&ask.tenant, of, before, one_more(size)).await? };
    let has_more = cut(&mut found, size);
    let seal = |last: &Subscribed| ask.auth.seal_cursor(ask.tenant.id, &name, last.computed.current.id.as_bytes());
    let next = found.last().filter(|_| has_more).map(seal);
    let mut rows = Vec::with_capacity(found.len());
    for one in &found {
        let current = &one.computed.current;
        rows.push(Row {
            id: current.id.to_string(),
            customer_id: one.customer.to_string(),
            customer: name_of(billing, &ask.tenant, one.customer).await?,
            plan: named(&one.plan),
            quantity: current.item.quantity,
            status: current.status.name(),
            next: next_of(&one.computed),
            created_at: instant(current.created_at),
        });
    }
    let today = instant(now(&seat));
    let data = List { rows, customer, is_unknown, limit: size, is_first: bytes.is_none(), next, today };
    Ok(subscriptions::list(&seat.visit(), &data).into_response())
}

const COLUMNS: &[&str] = &[
    "id",
    "customer_id",
    "customer",
    "plan",
    "plan_version",
    "quantity",
    "status",
    "period_end",
    "cancel_at",
    "created_at",
];

/// The subscriptions of the tenant or of one customer as a file, from the first on.
fn file(seat: &Seat, format: Format, of: Option<Id<id::Customer>>) -> Response {
    let (billing, tenant) = (Arc::clone(&seat.ask.access.billing), Arc::clone(&seat.ask.tenant));
    let read = move |place: Option<Id<id::Subscription>>| -> Reading<Id<id::Subscription>> {
        let (billing, tenant) = (Arc::clone(&billing), Arc::clone(&tenant));
        Box::pin(async move {
            let mut found = billing.subscriptions(&tenant, of, place, one_more(ROWS)).await?;
            let has_more = cut(&mut found, ROWS);
            let next = found.last().filter(|_| has_more).map(|last| last.computed.current.id);
            let mut rows = Vec::with_capacity(found.len());
            for one in &found {
                let current = &one.computed.current;
                rows.push(vec![
                    json!(current.id),
                    json!(one.customer),
                    json!(name_of(&billing, &tenant, one.customer).await?),
                    json!(one.plan.key),
                    json!(one.plan.number),
                    json!(current.item.quantity),
                    json!(current.status.name()),
                    json!(current.period.map(|period| period.end.to_string())),
                    json!(current.cancel_at.map(|at| at.to_string())),
                    json!(current.created_at.to_string()),
                ]);
            }
            Ok(Part { rows, next })
        })
    };
    export::file(format, "subscriptions", COLUMNS, read)
}

/// The subscription of the address, with what holds for it now.
async fn held(seat: &Seat) -> Result<Subscribed, Refused> {
    let id = seat.ask.id::<id::Subscription>("subscription")?;
    seat.ask.access.billing.subscription(&seat.ask.tenant, id).await?.ok_or_else(Refused::not_found)
}

/// An event of a subscription as the page tells it.
fn happened(event: &EventView) -> Happened {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let at = text(data.get("at")).and_then(|at| Timestamp::parse(&at).ok());
    Happened {
        at: at.unwrap_or(event.at),
        kind: event.kind.clone(),
        status: text(data.get("status")).unwrap_or_default(),
        from: text(data.pointer("/previous/status")),
    }
}

async fn page_of(seat: &Seat) -> Result<page::Subscription, Refused> {
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let one = held(seat).await?;
    let (computed, current) = (&one.computed, &one.computed.current);
    let filter = EventFilter { object_id: Some(current.id.to_string()), limit: EVENTS, ..EventFilter::default() };
    let events = outbox::events(&ask.auth.store, ask.tenant.id, &filter).await?;
    let scheduled = match current.scheduled {
        None => None,
        Some(change) => {
            let plan = billing.plan(&ask.tenant, change.item.plan).await?.ok_or(store::Error::RowCorrupt)?;
            let at = current.scheduled_at().map(instant);
            Some(Scheduled { plan: named(&plan), quantity: change.item.quantity, at })
        }
    };
    let at = |at: Option<BusinessTime>| at.map(instant);
    Ok(page::Subscription {
        id: current.id.to_string(),
        customer_id: one.customer.to_string(),
        customer: name_of(billing, &ask.tenant, one.customer).await?,
        plan_id: one.plan.id.to_string(),
        plan: named(&one.plan),
        price: price_line(&one.plan),
        quantity: current.item.quantity,
        status: current.status.name(),
        status_since: instant(current.status_since),
        access: computed.access.name(),
        access_until: at(computed.access_until),
        anchor: instant(current.anchor),
        period: current.period.map(|period| (instant(period.start), instant(period.end))),
        trial_end: at(current.trial_end),
        cancel_at: at(current.cancel_at),
        term_end: at(current.term_end),
        overdue_since: at(current.overdue_since),
        scheduled,
        allowed: current.allowed().into_iter().map(billing::subscription::EventKind::name).collect(),
        history: events.iter().map(happened).collect(),
        offers: offers(seat).await?,
        clients: clients(seat, one.customer).await?.len(),
        today: instant(now(seat)),
        created_at: instant(current.created_at),
        etag: one.version.to_string(),
    })
}

async fn draw(seat: &Seat, status: StatusCode, entered: &Entered) -> Answer {
    seat.need(READ)?;
    let shown = page_of(seat).await?;
    Ok((status, page::detail(&seat.visit(), &shown, entered)).into_response())
}

pub(super) async fn show(seat: Seat) -> Answer {
    draw(&seat, StatusCode::OK, &Entered::default()).await
}

/// The body of the API that a form stands for.
fn body(seat: &Seat, verb: &str) -> Value {
    let ask = &seat.ask;
    let given = |name: &str| Some(ask.field(name).trim().to_owned()).filter(|text| !text.is_empty());
    let at = if ask.field("when") == "period_end" { "period_end" } else { "now" };
    match verb {
        "resume" => json!({"anchor": if ask.field("anchor") == "kept" { "kept" } else { "new" }}),
        "cancel" => json!({"at": at}),
        "change" => {
            let quantity = ask.field("quantity").trim();
            let quantity = quantity.parse::<i64>().map_or(Value::from(quantity), Value::from);
            json!({"plan": given("plan"), "quantity": quantity, "at": at})
        }
        "payment-status" => {
            let is_overdue = ask.field("heard") == "overdue_since";
            let at = given("at").unwrap_or_else(|| now(seat).to_string());
            json!({"overdue_since": Some(&at).filter(|_| is_overdue), "settled_at": Some(&at).filter(|_| !is_overdue), "reference": given("reference")})
        }
        _ => json!({}),
    }
}

/// What was done, in a sentence.
fn sentence(verb: &str, body: &Value) -> &'static str {
    let is_later = body.get("at").and_then(Value::as_str) == Some("period_end");
    match verb {
        "pause" => "It is paused",
        "resume" => "It is resumed",
        "cancel" if is_later => "It will be canceled with its period",
        "cancel" => "It is canceled",
        "uncancel" => "The cancellation is taken back",
        "change" if is_later => "What changes with the next period is saved",
        "change" => "It is changed",
        _ => "What was heard of its payment is saved",
    }
}

/// The forms and buttons of one subscription.
pub(super) async fn change(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let id = ask.id::<id::Subscription>("subscription")?;
    let here = format!("{}/{SECTION}/{id}", ask.root);
    let verb = ask.param("part");
    let (body, version) = (body(&seat, verb), ask.field("etag").parse().ok());
    let wish = Wish::read(verb, &body, now(&seat)).ok_or_else(Refused::not_found)?;
    let done = async {
        let wish = wish.map_err(AdminError::Invalid)?;
        let planned = ask.access.billing.change_subscription(&seat.who, &ask.tenant, (id, version), &wish).await?;
        // what takes access away has a lane of its own
        match verb {
            "pause" | "cancel" => ask.auth.run_reserved(planned).await,
            _ => ask.auth.run(planned).await,
        }
    };
    let mut entered = ask.entered();
    let status = match done.await {
        Ok(_) => {
            let undo = (verb == "cancel" && body.get("at").and_then(Value::as_str) == Some("period_end"))
                .then(|| (format!("{here}/uncancel"), Vec::new()));
            return Ok(seat.done(&here, sentence(verb, &body).to_owned(), undo));
        }
        Err(AdminError::Invalid(list)) => {
            let at =
                |name: String| if ["overdue_since", "settled_at"].contains(&&*name) { "at".to_owned() } else { name };
            entered.problems = problems(list).into_iter().map(|(name, text)| (at(name), text)).collect();
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(AdminError::Stale) => {
            let now = held(&seat).await?;
            let plan = named(&now.plan);
            // an empty choice keeps the plan, whichever it is
            let typed = if ask.field("plan").is_empty() { plan.clone() } else { ask.field("plan").to_owned() };
            let quantity = now.computed.current.item.quantity.to_string();
            entered.overtaken([("Plan", plan, typed), ("Quantity", quantity, ask.field("quantity").to_owned())]);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(AdminError::Illegal { detail, .. } | AdminError::State(detail)) => {
            entered.problems = vec![(String::new(), format!("{}.", capitalized_word(&detail.replace('`', ""))))];
            StatusCode::CONFLICT
        }
        Err(error) => return Err(error.into()),
    };
    draw(&seat, status, &entered).await
}

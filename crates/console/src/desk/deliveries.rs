//! The log of a webhook endpoint: its deliveries, one of them, and sending again.

use std::fmt::Write as _;

use auth::error::{AdminError, FieldProblem};
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::clock::Timestamp;
use kernel::event::nearest;
use kernel::id::{self, Id};
use record::outbox::{self, EventView};
use webhook::delivery::{self, DeliveryState, Range};
use webhook::endpoint::State;
use webhook::{Endpoint, Signer};

use super::ask::Seat;
use super::audit::limit;
use super::refused::{Answer, Refused, problems};
use super::webhooks::{READ, WRITE, done, held, here, page_of};
use crate::form::Entered;
use crate::pages::webhook::{self as page, Again, Attempt, Delivery, Filters, Log, Tab, Whole};

fn shown(delivery: &delivery::Delivery) -> Delivery {
    Delivery {
        id: delivery.id.to_string(),
        event_id: delivery.event_id.to_string(),
        kind: delivery.kind.clone(),
        state: delivery.state.name(),
        attempts: delivery.attempts,
        last_status: delivery.last_status,
        last_error: delivery.last_error.clone(),
        next_at: delivery.next_at,
        created_at: delivery.created_at,
    }
}

/// The range that filters mean, and what is wrong with them.
fn range(filters: &Filters) -> (Range, Vec<FieldProblem>) {
    let mut range = Range::default();
    let mut found = Vec::new();
    if !filters.status.is_empty() {
        range.state = DeliveryState::parse(&filters.status);
        if range.state.is_none() {
            found.push(FieldProblem::new("status", "bad_value", "there is no such state"));
        }
    }
    let names = filters.kind.split(',').map(str::trim).filter(|name| !name.is_empty());
    if let Err(name) = range.of_types(names) {
        let detail = format!("{name} is no type of event; did you mean {}?", nearest(name));
        found.push(FieldProblem::new("type", "unknown_type", detail));
    }
    for (name, text, time) in [("from", &filters.from, &mut range.from), ("to", &filters.to, &mut range.to)] {
        if !text.is_empty() {
            *time = Timestamp::parse(text).ok();
            if time.is_none() {
                found.push(FieldProblem::new(name, "bad_value", "this takes a time such as 2027-01-31T00:00:00Z"));
            }
        }
    }
    (range, found)
}

fn filters(value: impl Fn(&str) -> String) -> Filters {
    Filters { status: value("status"), kind: value("type"), from: value("from"), to: value("to") }
}

pub(super) async fn log(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let endpoint = held(&seat).await?;
    let filters = filters(|name| ask.query(name).trim().to_owned());
    let limit = limit(ask.query("limit"));
    let name =
        ["deliveries of the console", ask.param("webhook"), &filters.status, &filters.kind, &filters.from, &filters.to];
    let name = name.join("\0");
    let before = match ask.query("cursor") {
        "" => None,
        text => {
            let bytes = ask.auth.open_cursor(ask.tenant.id, &name, text).ok();
            let id = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            Some(Id::<id::Delivery>::from_bytes(id.ok_or(record::Error::Cursor)?))
        }
    };
    let (range, found) = range(&filters);
    let problem = problems(found).into_iter().next().map(|(_, sentence)| sentence);
    let mut rows = Vec::new();
    if problem.is_none() {
        let page = (before, limit.saturating_add(1));
        rows = delivery::list(&ask.auth.store, ask.tenant.id, endpoint.id, &range, page).await?;
    }
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| has_more).map(|last| last.id);
    let log = Log {
        next: next.map(|id| ask.auth.seal_cursor(ask.tenant.id, &name, id.as_bytes())),
        rows: rows.iter().map(shown).collect(),
        filters,
        limit,
        is_first: before.is_none(),
        problem,
    };
    let status = if log.problem.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let endpoint = page_of(&seat, &endpoint).await?;
    let document = page::detail(&seat.visit(), &endpoint, Tab::Deliveries, (&log, ""), &Entered::default());
    Ok((status, document).into_response())
}

/// A request by hand that carries a message with a signature of this moment.
async fn by_hand(seat: &Seat, endpoint: &Endpoint, event: &EventView, body: &str) -> Result<String, Refused> {
    let ask = &seat.ask;
    let id = event.id.to_string();
    let signer = Signer::open(&ask.auth, ask.tenant.id, endpoint).await?;
    let signature = signer.sign(&id, ask.now, body.as_bytes()).map_err(AdminError::from)?;
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut out = format!("curl -X POST {}", quoted(&endpoint.url));
    for (name, value) in [
        ("Content-Type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", ask.now.as_seconds().to_string()),
        ("webhook-signature", signature),
    ] {
        // writing to a String cannot fail
        let _ = write!(out, " \\\n  -H {}", quoted(&format!("{name}: {value}")));
    }
    let _ = write!(out, " \\\n  --data-raw {}", quoted(body));
    Ok(out)
}

pub(super) async fn show(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let endpoint = held(&seat).await?;
    let id = ask.id::<id::Delivery>("delivery")?;
    let found = delivery::read(&ask.auth.store, ask.tenant.id, endpoint.id, id).await?;
    let (delivery, attempts) = found.ok_or_else(Refused::not_found)?;
    let event = outbox::event(&ask.auth.store, ask.tenant.id, delivery.event_id).await?;
    let (mut body, mut pretty, mut curl) = (None, String::new(), None);
    if let Some(event) = event {
        let whole = event.wire(&ask.tenant.slug)?;
        let text = whole.to_string();
        pretty = serde_json::to_string_pretty(&whole).unwrap_or_default();
        if seat.who.holds(WRITE) {
            curl = Some(by_hand(&seat, &endpoint, &event, &text).await?);
        }
        body = Some(text);
    }
    let whole = Whole {
        delivery: shown(&delivery),
        endpoint_id: endpoint.id.to_string(),
        stopped: (endpoint.state != State::Enabled)
            .then(|| format!("The endpoint is {}; resume it first.", endpoint.state.name())),
        url: endpoint.url,
        attempts: attempts
            .into_iter()
            .map(|attempt| Attempt {
                number: attempt.number,
                at: attempt.at,
                duration_ms: attempt.duration_ms,
                status: attempt.status,
                error: attempt.error,
                node: attempt.node,
            })
            .collect(),
        body,
        pretty,
        curl,
    };
    Ok(page::delivery(&seat.visit(), &whole).into_response())
}

pub(super) async fn resend(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let (endpoint, id) = (ask.id::<id::Webhook>("webhook")?, ask.id::<id::Delivery>("delivery")?);
    let planned = delivery::resend(&ask.auth, &seat.who, &ask.tenant, endpoint, id).await;
    done(&seat, planned).await?;
    let page = format!("{}/deliveries/{id}", here(&seat));
    Ok(seat.done(&page, "It is on its way again".to_owned(), None))
}

/// Counts what would be sent again. Without times it is everything up to now.
pub(super) async fn count(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let endpoint = held(&seat).await?;
    let mut filters = filters(|name| ask.query(name).trim().to_owned());
    if filters.from.is_empty() {
        filters.from = endpoint.created_at.to_string();
    }
    if filters.to.is_empty() {
        filters.to = ask.now.to_string();
    }
    let (range, found) = range(&filters);
    let count = match delivery::count(&ask.auth, &ask.tenant, endpoint.id, &range, found).await {
        Ok(count) => Ok(u64::try_from(count).unwrap_or(0)),
        Err(AdminError::Invalid(list)) => Err(problems(list).into_iter().map(|(_, sentence)| sentence).collect()),
        Err(error) => return Err(error.into()),
    };
    let status = if count.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let again = Again { endpoint_id: endpoint.id.to_string(), url: endpoint.url, filters, count };
    Ok((status, page::again(&seat.visit(), &again)).into_response())
}

pub(super) async fn resend_range(seat: Seat) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let endpoint = ask.id::<id::Webhook>("webhook")?;
    let (range, found) = range(&filters(|name| ask.field(name).trim().to_owned()));
    let planned = delivery::resend_range(&ask.auth, &seat.who, &ask.tenant, endpoint, (&range, found)).await;
    let count = done(&seat, planned).await?;
    let sentence = if count == 1 {
        "1 delivery is on its way again".to_owned()
    } else {
        format!("{count} deliveries are on their way again")
    };
    Ok(seat.done(&here(&seat), sentence, None))
}

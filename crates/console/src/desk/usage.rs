//! Usage: how much was used of a meter, what was reported, and what was refused.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::IntoResponse as _;
use billing::usage::query::{Query, QueryError};
use billing::window::{Size, Window};
use billing::zone::Zone;
use kernel::clock::{BusinessTime, Timestamp};
use kernel::id::{self, Id};

use super::ask::Seat;
use super::audit::limit;
use super::customers::{cut, now, one_more, place};
use super::plans::READ;
use super::refused::{Answer, Refused};
use crate::pages::customer::instant;
use crate::pages::usage::{self as page, Asked, Event, Quantity, Refusal, Usage};

/// The list of events, to its cursors.
const LIST: &str = "usage of the console";
/// Refused events that are shown.
const REFUSED: i64 = 25;
/// Days that are asked about when nothing is said.
const DAYS: i64 = 30;

pub(super) async fn show(seat: Seat) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let (billing, tenant) = (&ask.access.billing, &ask.tenant);
    let size = limit(ask.query("limit"));
    let bytes = place(&seat, LIST)?;
    let before = match &bytes {
        None => i64::MAX,
        Some(bytes) => i64::from_be_bytes(bytes.as_slice().try_into().map_err(|_| record::Error::Cursor)?),
    };
    let mut found = billing.usage_events(tenant, before, one_more(size)).await?;
    let has_more = cut(&mut found, size);
    let next = found.last().filter(|_| has_more);
    let next = next.map(|last| ask.auth.seal_cursor(tenant.id, LIST, &last.sequence.to_be_bytes()));
    let refused = if bytes.is_none() { billing.usage_rejections(tenant, None, REFUSED).await? } else { Vec::new() };
    let mut names = Names(BTreeMap::new());
    let mut events = Vec::with_capacity(found.len());
    for one in found {
        events.push(Event {
            customer: names.of(&seat, one.customer).await?,
            customer_id: one.customer.to_string(),
            counts: match (&one.correction, &one.direct) {
                (Some(correction), _) => Some(correction.value.map_or("0".to_owned(), |value| value.to_string())),
                (None, Some((_, quantity))) => Some(quantity.to_string()),
                (None, None) => None,
            },
            is_corrected: one.correction.is_some(),
            state: one.state().to_owned(),
            event_type: one.event_type,
            source: one.source,
            id: one.id,
            data: one.data,
            at: instant(one.at),
            received_at: one.received_at,
        });
    }
    let mut refusals = Vec::with_capacity(refused.len());
    for one in refused {
        let customer = match one.customer {
            Some(customer) => Some((customer.to_string(), names.of(&seat, customer).await?)),
            None => None,
        };
        refusals.push(Refusal {
            customer,
            event_type: one.event_type,
            source: one.source,
            id: one.event_id,
            code: one.code,
            detail: one.detail,
            received_at: one.received_at,
        });
    }
    let asked = asked(&seat).await?;
    let data = Usage { asked, events, refusals, limit: size, is_first: bytes.is_none(), next };
    Ok(page::show(&seat.visit(), &data).into_response())
}

/// Names of customers, each read once.
struct Names(BTreeMap<[u8; 16], String>);

impl Names {
    async fn of(&mut self, seat: &Seat, customer: Id<id::Customer>) -> Result<String, Refused> {
        if let Some(name) = self.0.get(customer.as_bytes()) {
            return Ok(name.clone());
        }
        let found = seat.ask.access.billing.current(&seat.ask.tenant, customer).await?;
        let name = found.map_or_else(|| customer.to_string(), |current| current.customer.name.clone());
        self.0.insert(*customer.as_bytes(), name.clone());
        Ok(name)
    }
}

/// What the form asks, with its answer or what is wrong with it.
async fn asked(seat: &Seat) -> Result<Asked, Refused> {
    let ask = &seat.ask;
    let billing = &ask.access.billing;
    let text = |name: &str| ask.query(name).trim().to_owned();
    let today = now(seat);
    let day = |at: BusinessTime| at.to_string().chars().take(10).collect::<String>();
    let or = |given: String, default: String| if given.is_empty() { default } else { given };
    let mut asked = Asked {
        customer: text("customer"),
        meter: text("meter"),
        window: or(text("window"), "day".to_owned()),
        from: or(text("from"), day(today.plus_seconds(DAYS.saturating_mul(-86_400)))),
        to: or(text("to"), day(today.plus_seconds(86_400))),
        meters: billing
            .active_meters(&ask.tenant)
            .await?
            .into_keys()
            .filter(|key| key != billing::usage::tokens::METER)
            .collect(),
        ..Asked::default()
    };
    if asked.customer.is_empty() {
        return Ok(asked);
    }
    let Some(customer) = billing.find_customer(&ask.tenant, &asked.customer).await? else {
        asked.problem = Some("There is no customer with this id or external ID.".to_owned());
        return Ok(asked);
    };
    let midnight = |day: &str| {
        let at = Timestamp::parse(&format!("{day}T00:00:00Z")).ok()?;
        Some(BusinessTime::from_micros(at.as_micros()))
    };
    let (Some(start), Some(end)) = (midnight(&asked.from), midnight(&asked.to)) else {
        asked.problem = Some("The days are written as 2027-01-31.".to_owned());
        return Ok(asked);
    };
    if start >= end {
        asked.problem = Some("The last day must lie behind the first.".to_owned());
        return Ok(asked);
    }
    let query = Query {
        customer: customer.id,
        meter: asked.meter.clone(),
        over: Window { start, end },
        size: Size::parse(&asked.window),
        zone: Zone::parse(&customer.details.timezone).unwrap_or(Zone::UTC),
        group_by: BTreeSet::new(),
    };
    match billing.query_usage(&ask.tenant, &query).await {
        Ok(found) => {
            let quantity = |one: &billing::usage::query::Quantity| Quantity {
                start: instant(one.window.start),
                value: one.value.to_string(),
            };
            asked.found = Some(found.quantities.iter().map(quantity).collect());
        }
        Err(QueryError::Store(error)) => return Err(error.into()),
        Err(error) => asked.problem = Some(format!("{error}.")),
    }
    Ok(asked)
}

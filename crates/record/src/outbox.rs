//! Reading the outbox: events by place, by object, by customer, and the one form in which every surface tells them.

use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::page::MAX_LIMIT;
use kernel::tenant::TenantId;
use serde_json::{Value, json};
use store::{Row, Store, params};

use crate::error::Error;
use crate::sql;

/// An event as the outbox holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// Its place among the tenant's events, in the order of their commits.
    pub position: i64,
    /// Its id, kept across deliveries.
    pub id: Id<id::Event>,
    /// Its stable type name.
    pub kind: String,
    /// Whose customer it concerns.
    pub customer_id: Option<String>,
    /// Its number among the customer's events, or among the tenant's without a customer: from 1, without a gap.
    pub sequence: i64,
    /// When it happened.
    pub at: Timestamp,
    /// JSON object with the details.
    pub data: String,
}

impl EventView {
    fn of_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            position: row.int(0)?,
            id: row.id(1)?,
            kind: row.text(2)?.to_owned(),
            customer_id: row.text_opt(3)?.map(str::to_owned),
            sequence: row.int(4)?,
            at: row.time(5)?,
            data: row.text(6)?.to_owned(),
        })
    }

    /// The JSON object that every surface tells, its members always in this order.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the details are no JSON.
    pub fn wire(&self, tenant: &str) -> Result<Value, Error> {
        let data: Value = serde_json::from_str(&self.data).map_err(|_| store::Error::RowCorrupt)?;
        Ok(json!({
            "id": self.id.to_string(), "type": self.kind, "timestamp": self.at.to_string(), "tenant": tenant,
            "customer_id": self.customer_id, "sequence": self.sequence, "data": data,
        }))
    }
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only these types; empty for all.
    pub kinds: Vec<Type>,
    /// The customer concerned.
    pub customer_id: Option<String>,
    /// The object's public id.
    pub object_id: Option<String>,
    /// Machine time from which on.
    pub from: Option<Timestamp>,
    /// Machine time before which.
    pub to: Option<Timestamp>,
    /// How many at most: 1 ..= 200.
    pub limit: u32,
    /// The position of the last event of the page before.
    pub before: Option<i64>,
}

/// Lists events, newest first.
///
/// # Errors
/// Store errors.
pub async fn events(store: &Store, tenant: TenantId, filter: &EventFilter) -> Result<Vec<EventView>, Error> {
    let stmt = match (&filter.object_id, &filter.customer_id) {
        (Some(_), _) => &sql::EVENTS_OF_OBJECT,
        (None, Some(_)) => &sql::EVENTS_OF_CUSTOMER,
        (None, None) => &sql::EVENTS_BEFORE,
    };
    let mut kinds = String::new();
    for kind in &filter.kinds {
        kinds.push(',');
        kinds.push_str(kind.name());
    }
    if !kinds.is_empty() {
        kinds.push(',');
    }
    let values = params![
        tenant,
        filter.before.unwrap_or(i64::MAX),
        filter.from.map_or(i64::MIN, Timestamp::as_micros),
        filter.to.map_or(i64::MAX, Timestamp::as_micros),
        kinds,
        filter.customer_id.clone().unwrap_or_default(),
        filter.object_id.clone().unwrap_or_default(),
        i64::from(filter.limit.clamp(1, MAX_LIMIT)),
    ];
    views(&store.read_all(stmt, values).await?)
}

/// Events after a position, in the order of their commits.
///
/// # Errors
/// Store errors.
pub async fn events_after(store: &Store, tenant: TenantId, position: i64, limit: u32) -> Result<Vec<EventView>, Error> {
    let values = params![tenant, position, i64::from(limit.clamp(1, MAX_LIMIT))];
    views(&store.read_all(&sql::EVENTS_AFTER, values).await?)
}

/// One event; `None` when there is none or it is not kept any more.
///
/// # Errors
/// Store errors.
pub async fn event(store: &Store, tenant: TenantId, id: Id<id::Event>) -> Result<Option<EventView>, Error> {
    let row = store.read(&sql::EVENT_READ, params![tenant, id]).await?;
    Ok(row.as_ref().map(EventView::of_row).transpose()?)
}

/// The oldest event that is kept.
///
/// # Errors
/// Store errors.
pub async fn oldest(store: &Store, tenant: TenantId) -> Result<Option<EventView>, Error> {
    let row = store.read(&sql::EVENT_OLDEST, params![tenant]).await?;
    Ok(row.as_ref().map(EventView::of_row).transpose()?)
}

/// The position of the tenant's latest event, kept or not; 0 before its first one.
///
/// # Errors
/// Store errors.
pub async fn latest(store: &Store, tenant: TenantId) -> Result<i64, Error> {
    let row = store.read(&sql::EVENT_LATEST, params![tenant, "position"]).await?;
    Ok(row.map_or(Ok(0), |row| row.int(0))?)
}

/// Whether events of this customer were ever told in this tenant; its creation is the first.
///
/// # Errors
/// Store errors.
pub async fn knows_customer(store: &Store, tenant: TenantId, customer: &str) -> Result<bool, Error> {
    let line = format!("customer {customer}");
    Ok(store.read(&sql::EVENT_LATEST, params![tenant, line]).await?.is_some())
}

fn views(rows: &[Row]) -> Result<Vec<EventView>, Error> {
    Ok(rows.iter().map(EventView::of_row).collect::<Result<_, _>>()?)
}

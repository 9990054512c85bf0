//! What was reported: events with their corrections, and those that were refused.

use std::sync::Arc;

use kernel::clock::{BusinessTime, Timestamp};
use kernel::decimal::Decimal;
use kernel::id::{self, Id};
use record::tenant::Tenant;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::{Row, params};

use crate::directory::Billing;
use crate::meter::Meter;
use crate::sample::{Dimensions, Measure, select};
use crate::sql;

/// The newest correction of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Which one it is, from 1.
    pub number: i64,
    /// What the event counts; `None` for nothing.
    pub value: Option<Decimal>,
    /// Why.
    pub reason: String,
}

/// An event as it is kept.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Under which number it was received.
    pub sequence: i64,
    /// Whose usage it is.
    pub customer: Id<id::Customer>,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub at: BusinessTime,
    /// When it came.
    pub received_at: Timestamp,
    /// Where it came from.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Who reported it.
    pub reporter: String,
    /// `counted`, `late` (it happened before the billing period that was open) or `unmatched` (no meter looks at it).
    pub state: String,
    /// Its data as JSON text.
    pub data: Option<String>,
    /// Its other members as the text of a JSON object.
    pub attributes: String,
    /// For one that the product wrote itself: the meter that it counts for, and how much.
    pub direct: Option<(String, Decimal)>,
    /// The newest correction.
    pub correction: Option<Correction>,
    /// Whether a backfill took it out of counting.
    pub is_replaced: bool,
}

impl Stored {
    /// Reads a row of [`sql::USAGE_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no event.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let number = |text: &str| Decimal::parse(text).map_err(|_| store::Error::RowCorrupt);
        let direct = match (row.text_opt(11)?, row.text_opt(12)?) {
            (Some(meter), Some(quantity)) => Some((meter.to_owned(), number(quantity)?)),
            _ => None,
        };
        let correction = row.int_opt(13)?.map(|count| {
            let value = row.text_opt(14)?.map(number).transpose()?;
            Ok::<_, store::Error>(Correction { number: count, value, reason: row.text(15)?.to_owned() })
        });
        Ok(Self {
            sequence: row.int(0)?,
            customer: row.id(1)?,
            event_type: row.text(2)?.to_owned(),
            at: BusinessTime::from_micros(row.int(3)?),
            received_at: row.time(4)?,
            source: row.text(5)?.to_owned(),
            id: row.text(6)?.to_owned(),
            reporter: row.text(7)?.to_owned(),
            state: row.text(8)?.to_owned(),
            data: row.text_opt(9)?.map(str::to_owned),
            attributes: row.text(10)?.to_owned(),
            direct,
            correction: correction.transpose()?,
            is_replaced: row.int_opt(16)?.is_some(),
        })
    }

    /// What it said for a meter when it came; `None` when the meter does not look at it.
    pub(super) fn reported(&self, meter: &Arc<Meter>) -> Option<(Measure, Dimensions)> {
        if let Some((key, quantity)) = &self.direct {
            return (*key == meter.key).then(|| (Measure::Value(*quantity), Dimensions::default()));
        }
        // an event that a newer version of the meter does not understand does not count for it
        let sample = select(meter, &self.event_type, self.data.as_deref()).ok().flatten()?;
        Some((sample.measure, sample.dimensions))
    }

    /// What it counts for a meter now.
    pub(super) fn measure(&self, meter: &Arc<Meter>) -> Option<Measure> {
        let (measure, _) = self.reported(meter)?;
        match &self.correction {
            None => Some(measure),
            Some(correction) => correction.value.map(Measure::Value),
        }
    }

    /// Its state as it is shown: `replaced` when a backfill took it out of counting.
    pub fn state(&self) -> &str {
        if self.is_replaced { "replaced" } else { &self.state }
    }

    /// As it is answered.
    pub fn view(&self) -> Value {
        let raw = |text: &str| serde_json::from_str::<Box<RawValue>>(text).ok();
        let data = self.data.as_deref().and_then(raw).map(|raw| json!(raw));
        let correction = self.correction.as_ref().map(|correction| {
            json!({
                "number": correction.number, "value": correction.value.map(|value| value.to_string()),
                "void": correction.value.is_none(), "reason": correction.reason,
            })
        });
        json!({
            "sequence": self.sequence, "source": self.source, "id": self.id, "type": self.event_type,
            "customer_id": self.customer, "time": self.at.to_string(), "received_at": self.received_at.to_string(),
            "reporter": self.reporter, "state": self.state(), "data": data,
            "quantity": self.direct.as_ref().map(|(_, quantity)| quantity.to_string()), "correction": correction,
        })
    }
}

/// An event that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the list.
    pub id: Id<id::Rejection>,
    /// The customer, when its subject named one.
    pub customer: Option<Id<id::Customer>>,
    /// Its source, as far as it could be read; likewise below.
    pub source: String,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub detail: String,
    /// Who reported it.
    pub reporter: String,
    /// When it came.
    pub received_at: Timestamp,
}

impl Rejected {
    fn from_row(row: &Row) -> Result<Self, store::Error> {
        let customer = match row.bytes_opt(1)? {
            None => None,
            Some(_) => Some(row.id(1)?),
        };
        Ok(Self {
            id: row.id(0)?,
            customer,
            source: row.text(2)?.to_owned(),
            event_id: row.text(3)?.to_owned(),
            event_type: row.text(4)?.to_owned(),
            code: row.text(5)?.to_owned(),
            detail: row.text(6)?.to_owned(),
            reporter: row.text(7)?.to_owned(),
            received_at: row.time(8)?,
        })
    }

    /// As it is answered.
    pub fn view(&self) -> Value {
        json!({
            "id": self.id, "customer_id": self.customer, "source": self.source, "event_id": self.event_id,
            "type": self.event_type, "code": self.code, "detail": self.detail, "reporter": self.reporter,
            "received_at": self.received_at.to_string(),
        })
    }
}

impl Billing {
    /// Events before a number, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage_events(&self, tenant: &Tenant, before: i64, limit: i64) -> Result<Vec<Stored>, store::Error> {
        let rows = self.ground.store.read_all(&sql::USAGE_BEFORE, params![tenant.id, before, limit]).await?;
        rows.iter().map(Stored::from_row).collect()
    }

    /// Rejections before an id, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage_rejections(
        &self,
        tenant: &Tenant,
        before: Option<Id<id::Rejection>>,
        limit: i64,
    ) -> Result<Vec<Rejected>, store::Error> {
        let before = before.unwrap_or(Id::from_bytes([0xff; 16]));
        let rows = self.ground.store.read_all(&sql::REJECTIONS_BEFORE, params![tenant.id, before, limit]).await?;
        rows.iter().map(Rejected::from_row).collect()
    }
}

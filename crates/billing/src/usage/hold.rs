//! Reservations: usage that is held before it is counted.

use std::sync::Arc;

use kernel::clock::{BusinessTime, Timestamp};
use kernel::decimal::Decimal;
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::standing::{Allowance, Overage, Reset};
use record::fields::Reader;
use record::plan::AdminError;
use record::tenant::Tenant;
use serde_json::{Map, Value, json};
use store::{Batch, Row, params};

use crate::cloudevent::{self, Form};
use crate::directory::Billing;
use crate::meter::{Aggregation, Meter};
use crate::reservation::{Reservation, ReservationError, Settlement, State};
use crate::sql;
use crate::window::Window;

use super::check::{consumption, quantity};
use super::counter::parts;
use super::report::{Direct, Kept, write_events};
use super::{Plan, Reporter, allowance};

const MISSING: AdminError = AdminError::NotFound("reservation");

/// A reservation as it is stored.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Its id.
    pub id: Id<id::Reservation>,
    /// Whose.
    pub customer: Id<id::Customer>,
    /// Of which feature.
    pub feature: Arc<str>,
    /// Where the window that it counts in begins, in microseconds.
    pub window_start: i64,
    /// What it holds and what became of it.
    pub reservation: Reservation,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Hold {
    /// Reads a row of [`sql::RESERVATION_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no reservation.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let number = |text: &str| Decimal::parse(text).map_err(|_| store::Error::RowCorrupt);
        let state = match (row.text(5)?, row.text_opt(6)?) {
            // one that was folded out has ended all the same, and says so by its time
            ("held" | "expired", None) => State::Held,
            ("released", None) => State::Released,
            ("committed", Some(used)) => State::Committed(number(used)?),
            _ => return Err(store::Error::RowCorrupt),
        };
        Ok(Self {
            id: row.id(0)?,
            customer: row.id(1)?,
            feature: Arc::from(row.text(2)?),
            window_start: row.int(3)?,
            reservation: Reservation {
                quantity: number(row.text(4)?)?,
                state,
                expires_at: BusinessTime::from_micros(row.int(7)?),
            },
            created_at: row.time(8)?,
        })
    }

    /// Ends it, and takes what it held out of its counter.
    pub(super) fn settle(
        &self,
        batch: Batch,
        tenant: &Tenant,
        state: &'static str,
        used: Option<Decimal>,
    ) -> Result<Batch, store::Error> {
        let freed = self.reservation.quantity.checked_neg().ok_or(store::Error::RowCorrupt)?;
        let (whole, part) = parts(freed)?;
        let used = used.map(|used| used.to_string());
        let counter = params![tenant.id, self.customer, &*self.feature, self.window_start, whole, part];
        Ok(batch.expect(1, &sql::RESERVATION_SETTLE, params![tenant.id, self.id, state, used]).expect(
            1,
            &sql::QUOTA_FREE,
            counter,
        ))
    }

    /// As it is answered; `now` tells whether it still holds.
    pub fn view(&self, now: BusinessTime) -> Value {
        let (state, used) = match self.reservation.state {
            State::Held if now >= self.reservation.expires_at => ("expired", None),
            State::Held => ("held", None),
            State::Released => ("released", None),
            State::Committed(used) => ("committed", Some(used.to_string())),
        };
        json!({
            "id": self.id, "customer_id": self.customer, "feature": &*self.feature, "state": state,
            "quantity": self.reservation.quantity.to_string(), "used": used,
            "expires_at": self.reservation.expires_at.to_string(), "created_at": self.created_at.to_string(),
        })
    }
}

/// The body of `POST /api/usage/reservations/{id}/commit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFields {
    /// How much was used; all of it when nothing is said.
    pub quantity: Option<Decimal>,
    /// The event that is kept for it, as a CloudEvent.
    pub event: Option<Map<String, Value>>,
}

impl CommitFields {
    /// Reads a body.
    ///
    /// # Errors
    /// All problems of all fields.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        let read = Self { quantity: quantity(&mut reader, "quantity"), event: reader.object("event").given() };
        let problems = reader.finish();
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }
}

fn refused(name: &str, detail: impl Into<String>) -> AdminError {
    AdminError::Invalid(vec![FieldProblem::new(name, "bad_value", detail.into())])
}

fn settled(error: ReservationError) -> AdminError {
    match error {
        ReservationError::Expired(_) => AdminError::Taken("reservation_expired", error.to_string()),
        ReservationError::Released => illegal("released", "commit", &error),
        ReservationError::Committed(_) => illegal("committed", "release", &error),
        ReservationError::Quantity(_) => refused("quantity", error.to_string()),
    }
}

fn illegal(from: &'static str, event: &'static str, error: &ReservationError) -> AdminError {
    AdminError::Illegal { detail: error.to_string(), from, event, allowed: Vec::new() }
}

impl Billing {
    /// A reservation that the reporter may see.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], the store's.
    pub async fn reservation(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        id: Id<id::Reservation>,
    ) -> Result<Hold, AdminError> {
        let row = self.ground.store.read(&sql::RESERVATION_READ, params![tenant.id, id]).await?.ok_or(MISSING)?;
        let hold = Hold::from_row(&row)?;
        if reporter.own.is_some_and(|own| own != hold.customer) && !kernel::mutant::is("U02-hold") {
            return Err(MISSING);
        }
        Ok(hold)
    }

    /// Frees all that a reservation holds.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Illegal`] when it was committed, the store's.
    pub async fn plan_release(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        id: Id<id::Reservation>,
    ) -> Result<Plan<Hold>, AdminError> {
        let hold = self.reservation(tenant, reporter, id).await?;
        let is_over = tenant.business(reporter.at) >= hold.reservation.expires_at;
        let batch = match hold.reservation.release().map_err(settled)? {
            // what has ended by itself is folded out with the next use of its counter
            Settlement::Now { .. } if !is_over => hold.settle(Batch::new(), tenant, "released", None)?,
            Settlement::Now { .. } | Settlement::Before { .. } => Batch::new(),
        };
        let state = if batch.steps.is_empty() { hold.reservation.state } else { State::Released };
        Ok(Plan { batch, value: Hold { reservation: Reservation { state, ..hold.reservation }, ..hold } })
    }

    /// Counts a part of what a reservation holds, and frees the rest.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Taken`] when it has ended or the key of the event came before, [`AdminError::Illegal`] when it was released,
    /// [`AdminError::Invalid`] for more than it holds and for an event that cannot be kept, the store's.
    pub async fn plan_commit(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        id: Id<id::Reservation>,
        fields: &CommitFields,
    ) -> Result<Plan<Hold>, AdminError> {
        let now = tenant.business(reporter.at);
        let hold = self.reservation(tenant, reporter, id).await?;
        let quantity = fields.quantity.unwrap_or(hold.reservation.quantity);
        let used = match hold.reservation.commit(quantity, now).map_err(settled)? {
            Settlement::Before { .. } => return Ok(Plan { batch: Batch::new(), value: hold }),
            Settlement::Now { used } => used,
        };
        let metering = self.metering(tenant).await?;
        let meter = metering.feature(&hold.feature).and_then(|feature| metering.meter_of(feature));
        let Some(meter) = meter.map(Arc::clone) else {
            let detail = format!("the meter of {} counts no more", hold.feature);
            return Err(AdminError::State(detail));
        };
        if meter.aggregation == Aggregation::Count && used.to_integer().is_none() {
            return Err(refused("quantity", format!("{} counts whole events", hold.feature)));
        }
        if let Some(event) = &fields.event {
            let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
            let key = params![tenant.id, text("source"), text("id")];
            if self.ground.store.read(&sql::USAGE_HASH, key).await?.is_some() {
                let detail = "an event with this id and source came before; it cannot be kept for this use";
                return Err(AdminError::Taken("event_conflict", detail.to_owned()));
            }
        }
        let mut batch = hold.settle(Batch::new(), tenant, "committed", Some(used))?;
        if !used.is_zero() {
            batch = self.count(batch, tenant, (reporter, now), (&hold, &meter), used).await?;
            batch = keep(batch, tenant, reporter, (&hold, &meter), (fields.event.as_ref(), used, now))?;
        }
        let reservation = Reservation { state: State::Committed(used), ..hold.reservation };
        Ok(Plan { batch, value: Hold { reservation, ..hold } })
    }

    /// Adds what a reservation held to its counter: there is room for it, because it held it.
    async fn count(
        &self,
        batch: Batch,
        tenant: &Tenant,
        (reporter, now): (&Reporter, BusinessTime),
        (hold, meter): (&Hold, &Arc<Meter>),
        used: Decimal,
    ) -> Result<Batch, AdminError> {
        let current = self.current(tenant, hold.customer).await?.ok_or(MISSING)?;
        let standing = current.standing(tenant.business(reporter.at))?;
        // a plan that changed in between takes nothing back that was promised
        let promised = Allowance { limit: None, overage: Overage::Allow, reset: Reset::Never, period: None };
        let granted = allowance(&standing, &hold.feature)
            .map_or(promised, |granted| Allowance { overage: Overage::Allow, ..*granted });
        let window = Window { start: BusinessTime::from_micros(hold.window_start), end: Window::ALWAYS.end };
        let mut counter = self.counter(tenant, hold.customer, (&hold.feature, meter), (granted, window), now).await?;
        if !counter.adjust(used) {
            return Err(refused("quantity", "with this quantity the window would hold more than can be counted"));
        }
        Ok(counter.steps(batch, tenant, &self.ground)?)
    }
}

/// Keeps the event of what was committed.
fn keep(
    batch: Batch,
    tenant: &Tenant,
    reporter: &Reporter,
    (hold, meter): (&Hold, &Meter),
    (event, used, now): (Option<&Map<String, Value>>, Decimal, BusinessTime),
) -> Result<Batch, AdminError> {
    let direct = Direct { meter: meter.key.clone(), quantity: used };
    let text = event.map(|event| Value::Object(event.clone()).to_string());
    let event = match &text {
        None => {
            let key = ("bastionary:reservation".to_owned(), hold.id.to_string());
            consumption(hold.customer, meter, key, &direct)
        }
        Some(text) => {
            let read = cloudevent::read(Form::Structured, [], text.as_bytes());
            let read = read.map_err(|error| refused("event", error.to_string()))?.pop();
            let event = read.transpose().map_err(|rejection| refused("event", rejection.to_string()))?;
            let event = event.ok_or_else(|| refused("event", "this is no event"))?;
            if event.event_type != meter.event_type {
                // no query of the meter would find it
                return Err(refused(
                    "event",
                    format!("the meter {} counts events of the type {}", meter.key, meter.event_type),
                ));
            }
            event
        }
    };
    let at = event.time.unwrap_or(now);
    cloudevent::check_time(at, now, cloudevent::MAX_LATE_DAYS).map_err(|error| refused("event", error.to_string()))?;
    let kept = Kept {
        event: &event,
        hash: &jose::hash::sha256(event.canonical.as_bytes()),
        customer: hold.customer,
        state: "counted",
        at,
        direct: Some(&direct),
    };
    Ok(write_events(batch, tenant, &[kept], reporter)?)
}

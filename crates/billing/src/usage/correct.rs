//! Corrections: what was reported wrongly is counted anew, and both stay on record.

use std::sync::Arc;

use kernel::decimal::Decimal;
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::principal::Principal;
use record::action;
use record::fields::Reader;
use record::plan::{AdminError, Planned, change_record};
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::{Batch, params};

use crate::aggregate::{Moment, State};
use crate::directory::Billing;
use crate::meter::{Aggregation, Meter};
use crate::sample::Measure;
use crate::sql;
use crate::window::Window;

use super::counter::adds;
use super::list::Stored;
use super::{Reporter, allowance, window};

/// Longest reason, in characters.
const MAX_REASON: usize = 500;
/// Most corrections of one event.
const MAX_CORRECTIONS: i64 = 100;
/// Most events that are looked through to count a window anew.
pub(super) const MAX_REFOLDED: usize = 100_000;

/// The body of `POST /api/usage/corrections`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionFields {
    /// The source of the event.
    pub source: String,
    /// Its id.
    pub id: String,
    /// What it counts from now on; `None` for nothing at all.
    pub value: Option<Decimal>,
    /// Why.
    pub reason: String,
}

impl CorrectionFields {
    /// Reads a body.
    ///
    /// # Errors
    /// All problems of all fields.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        let mut text = |name: &'static str| {
            let given = reader.string(name).given();
            if given.as_ref().is_none_or(|text| text.is_empty() || text.chars().count() > 1_024) {
                reader.refuse(name, "required", format!("{name} takes 1 to 1024 characters"));
            }
            given.unwrap_or_default()
        };
        let (source, id, reason) = (text("source"), text("id"), text("reason"));
        if reason.chars().count() > MAX_REASON {
            reader.refuse("reason", "bad_value", format!("reason takes at most {MAX_REASON} characters"));
        }
        let value = super::check::quantity(&mut reader, "value");
        let is_void = matches!(reader.boolean("void"), Field::Value(true));
        if reader.is_given("value") == is_void {
            reader.refuse("value", "bad_value", "either value, or void: true, says what the event counts from now on");
        }
        let problems = reader.finish();
        if problems.is_empty() { Ok(Self { source, id, value, reason }) } else { Err(problems) }
    }
}

/// What a correction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// Which one of the event it is, from 1.
    pub number: i64,
    /// The customer whose usage it is.
    pub customer: Id<id::Customer>,
    /// What the event counts from now on; `None` for nothing.
    pub value: Option<Decimal>,
    /// The event.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

impl Corrected {
    /// As it is answered.
    pub fn view(&self) -> Value {
        json!({
            "source": self.source, "id": self.id, "number": self.number, "customer_id": self.customer,
            "value": self.value.map(|value| value.to_string()), "void": self.value.is_none(), "reason": self.reason,
        })
    }
}

fn refused(name: &str, detail: impl Into<String>) -> AdminError {
    AdminError::Invalid(vec![FieldProblem::new(name, "bad_value", detail.into())])
}

impl Billing {
    /// Lets an event count something else, or nothing. The counters of the windows that are open follow in the same commit.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when there is no such event that the reporter may see, [`AdminError::Invalid`] for a value
    /// that its meters do not take, [`AdminError::TooMany`], [`AdminError::State`] when a counter does not say what it is
    /// without the event, the store's.
    pub async fn plan_correction(
        &self,
        who: &Principal,
        tenant: &Tenant,
        reporter: &Reporter,
        fields: &CorrectionFields,
    ) -> Result<Planned<Corrected>, AdminError> {
        let key = params![tenant.id, fields.source.as_str(), fields.id.as_str()];
        let missing = || AdminError::NotFound("usage event");
        let row = self.ground.store.read(&sql::USAGE_READ, key.clone()).await?.ok_or_else(missing)?;
        let event = Stored::from_row(&row)?;
        if reporter.own.is_some_and(|own| own != event.customer) {
            return Err(missing());
        }
        let number = event.correction.as_ref().map_or(1, |correction| correction.number.saturating_add(1));
        if number > MAX_CORRECTIONS {
            let detail = format!("an event is corrected {MAX_CORRECTIONS} times at most");
            return Err(AdminError::TooMany("too_many_corrections", detail));
        }
        if event.is_replaced {
            return Err(AdminError::State("a backfill took this event out of counting".to_owned()));
        }
        let batch = self.recount(Batch::new(), tenant, reporter, (&event, fields.value)).await?;
        let value = fields.value.map(|value| value.to_string());
        let row = params![
            tenant.id,
            event.source.as_str(),
            event.id.as_str(),
            number,
            value.as_deref(),
            fields.reason.as_str(),
            reporter.actor.as_str(),
            reporter.at,
        ];
        let batch = batch
            .expect(1, &sql::USAGE_NUMBERS, params![tenant.id, 1_i64])
            .expect(1, &sql::USAGE_COUNTS, key)
            .expect(1, &sql::CORRECTION_INSERT, row);
        let before = event.correction.as_ref().and_then(|correction| correction.value);
        let (before, after) = (
            json!({"value": before.map(|value| value.to_string()), "number": number.saturating_sub(1)}),
            json!({"value": value, "void": fields.value.is_none(), "reason": fields.reason, "number": number}),
        );
        let object = format!("{} {}", event.source, event.id);
        let states = (Some(before), Some(after));
        let record =
            change_record(&self.ground, who, tenant, action::USAGE_CORRECTED, ("usage_event", &object), states);
        let value = Corrected {
            number,
            customer: event.customer,
            value: fields.value,
            source: event.source,
            id: event.id,
            reason: fields.reason.clone(),
        };
        Ok(Planned { batch, record, value })
    }

    /// Takes the event out of the counters that it is in, and puts it in again with its new value.
    async fn recount(
        &self,
        batch: Batch,
        tenant: &Tenant,
        reporter: &Reporter,
        (event, value): (&Stored, Option<Decimal>),
    ) -> Result<Batch, AdminError> {
        let now = tenant.business(reporter.at);
        let metering = self.metering(tenant).await?;
        let Some(current) = self.current(tenant, event.customer).await? else { return Ok(batch) };
        let standing = current.standing(now)?;
        let version = current.customer.standing_version;
        let mut batch = batch.expect(1, &sql::CUSTOMER_AS_READ, params![tenant.id, event.customer, version]);
        for metered in metering.of_type(&event.event_type) {
            let meter = &metered.meter;
            let (old, new) = (event.measure(meter), replacement(event, meter, value)?);
            if old == new {
                continue;
            }
            for feature in &metered.features {
                let Some(allowance) = allowance(&standing, feature).copied() else { continue };
                let window = window(&allowance, event.at, &current.payer.zone);
                // the window that an event of before counts in now is not the one that it was counted in
                if allowance.reset == kernel::standing::Reset::Period && !window.contains(event.at) {
                    continue;
                }
                let which = (feature, meter);
                let mut counter = self.counter(tenant, event.customer, which, (allowance, window), now).await?;
                let is_done = if adds(meter) {
                    let (old, new) = (number(old.as_ref()), number(new.as_ref()));
                    new.checked_sub(old).is_some_and(|change| counter.adjust(change))
                } else {
                    let count = |stored: &Stored| {
                        if stored.sequence == event.sequence { new.clone() } else { stored.measure(meter) }
                    };
                    let state = self.refold(tenant, event.customer, (meter, window), count).await?;
                    state.is_some_and(|state| counter.replace(state))
                };
                if !is_done {
                    let detail = format!("what {} comes to with this correction cannot be counted", meter.key);
                    return Err(AdminError::State(detail));
                }
                batch = counter.steps(batch, tenant, &self.ground)?;
            }
        }
        Ok(batch)
    }

    /// The state of a window from its events and what each counts; `None` when there are too many of them.
    pub(super) async fn refold(
        &self,
        tenant: &Tenant,
        customer: Id<id::Customer>,
        (meter, window): (&Arc<Meter>, Window),
        count: impl Fn(&Stored) -> Option<Measure>,
    ) -> Result<Option<State>, store::Error> {
        let mut state = State::new(meter.aggregation);
        let mut events = self.between(tenant, customer, &meter.event_type, window);
        let mut folded = 0_usize;
        while let Some(page) = events.next().await? {
            folded = folded.saturating_add(page.len());
            if folded > MAX_REFOLDED {
                return Ok(None);
            }
            for stored in page {
                let Some(measure) = count(&stored) else { continue };
                let moment = Moment { at: stored.at, sequence: stored.received_at.as_micros() };
                if state.fold(window, moment, &measure).is_err() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(state))
    }
}

/// What a measure adds to a counter that adds.
pub(super) fn number(measure: Option<&Measure>) -> Decimal {
    match measure {
        Some(Measure::Event) => Decimal::ONE,
        Some(Measure::Value(value)) => *value,
        Some(Measure::Member(..)) | None => Decimal::ZERO,
    }
}

/// What an event counts for a meter once it is corrected.
fn replacement(event: &Stored, meter: &Arc<Meter>, value: Option<Decimal>) -> Result<Option<Measure>, AdminError> {
    if event.reported(meter).is_none() {
        return Ok(None);
    }
    let Some(value) = value else { return Ok(None) };
    let problem = match meter.aggregation {
        Aggregation::Unique => Some("takes no number; void the event and report another one"),
        Aggregation::Count if value.to_integer().is_none() => Some("counts whole events"),
        Aggregation::Sum | Aggregation::Count if value.is_negative() && !meter.allow_negative => {
            Some("takes no value below zero")
        }
        _ => None,
    };
    match problem {
        Some(problem) => Err(refused("value", format!("the meter {} {problem}", meter.key))),
        None => Ok(Some(Measure::Value(value))),
    }
}

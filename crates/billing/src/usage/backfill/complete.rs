//! The completion of a backfill: its events count, and what it replaces does not, in one commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::standing::{Allowance, Overage, Reset};
use record::action;
use record::plan::{AdminError, Planned, change_record};
use record::tenant::Tenant;
use serde_json::json;
use store::{Batch, params};

use crate::aggregate::Moment;
use crate::cloudevent::MAX_LATE_DAYS;
use crate::current::Current;
use crate::directory::Billing;
use crate::meter::Meter;
use crate::rejection::{Code, Rejection};
use crate::sample::{Measure, select};
use crate::sql;
use crate::window::Window;

use super::super::correct::{MAX_REFOLDED, number};
use super::super::counter::{Counter, adds};
use super::super::list::Stored;
use super::super::metering::Metering;
use super::super::series::Fresh;
use super::super::{Reporter, allowance, window};
use super::{Backfill, Mode, State};

/// Events read at once.
const PAGE: i64 = 500;

/// What a completion comes to.
pub enum Completion {
    /// It happens with this commit.
    Now(Box<Planned<Backfill>>),
    /// It happened before.
    Before(Backfill),
    /// It does not happen: which events are refused, by their place in the backfill and their ids.
    Refused(Vec<(i64, String, Rejection)>),
}

/// An event that begins to count, or ceases to.
struct Move {
    at: BusinessTime,
    /// For the order of what happens at the same time.
    received: i64,
    /// What it counts for each meter of its type, in their order.
    measures: Vec<Option<Measure>>,
    is_new: bool,
}

/// What moves in one window, and what each counts there.
type Uses<'m> = Vec<(&'m Move, &'m Measure)>;

/// What is found out about the events of a backfill.
#[derive(Default)]
struct Found {
    moves: Vec<Move>,
    bad: Vec<(i64, String, Rejection)>,
    fresh: Fresh,
    filled: u64,
    restored: u64,
    duplicates: i64,
    /// Keys of the backfill, which it does not replace.
    keys: HashSet<(String, String)>,
    /// The numbers of the events that it replaces.
    replaced: HashSet<i64>,
}

fn too_many() -> AdminError {
    let detail = format!("this looks through more than {MAX_REFOLDED} events; backfill less time at once");
    AdminError::State(detail)
}

impl Billing {
    /// Lets the events of a backfill count. A limit does not refuse them: they happened.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Illegal`] for a backfill that has ended in another way, [`AdminError::State`]
    /// when its meter looks at another type by now or too many events had to be counted anew, the store's.
    pub async fn plan_completion(
        &self,
        who: &Principal,
        tenant: &Tenant,
        reporter: &Reporter,
        id: Id<id::Backfill>,
    ) -> Result<Completion, AdminError> {
        let before = self.backfill(tenant, id).await?;
        if before.state == State::Completed {
            return Ok(Completion::Before(before));
        }
        before.open("complete")?;
        let metering = self.metering(tenant).await?;
        if metering.meter(&before.meter).is_none_or(|meter| meter.event_type != before.event_type) {
            let detail = format!("the meter {} does not count {} any more", before.meter, before.event_type);
            return Err(AdminError::State(detail));
        }
        let current = self.current(tenant, before.customer).await?.ok_or(AdminError::NotFound("customer"))?;
        let newest = self.usage_number(tenant).await?;
        let mut found = self.brought(tenant, reporter, &before, &metering).await?;
        if !found.bad.is_empty() {
            return Ok(Completion::Refused(found.bad));
        }
        if before.mode == Mode::Replace {
            self.outgoing(tenant, (&before, newest), &metering, &mut found).await?;
        }
        let replaced = u64::try_from(found.replaced.len()).map_err(|_| store::Error::Full)?;
        let accepted = found.filled.saturating_add(found.restored);
        let small = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let after = Backfill {
            state: State::Completed,
            accepted: small(accepted),
            duplicates: found.duplicates,
            replaced: small(replaced),
            updated_at: reporter.at,
            ..before.clone()
        };
        let version = current.customer.standing_version;
        let mut batch = after.end(Batch::new(), tenant).expect(
            1,
            &sql::CUSTOMER_AS_READ,
            params![tenant.id, before.customer, version],
        );
        batch = self.recounted(batch, tenant, reporter, (&current, &metering), (&before, &found)).await?;
        batch = found.fresh.write(batch).expect(1, &sql::USAGE_NUMBERS, params![tenant.id, before.events]);
        let place = params![
            tenant.id,
            before.customer,
            before.event_type.as_str(),
            before.over.start.as_micros(),
            before.over.end.as_micros()
        ];
        if before.mode == Mode::Replace || found.restored > 0 {
            batch = batch.expect(1, &sql::USAGE_QUIET, [place.clone(), params![newest]].concat());
        }
        if before.mode == Mode::Replace {
            batch = batch.expect(replaced, &sql::USAGE_REPLACE, [place, params![id]].concat());
        }
        let key = params![tenant.id, id, reporter.at];
        batch =
            batch.expect(found.restored, &sql::USAGE_RESTORE, key.clone()).expect(found.filled, &sql::USAGE_FILL, key);
        batch = after.forget(batch, tenant);
        let object = ("usage_backfill", &*id.to_string());
        let states = (Some(json!({"state": before.state.name()})), Some(after.view()));
        let record = change_record(&self.ground, who, tenant, action::USAGE_BACKFILL_COMPLETED, object, states);
        Ok(Completion::Now(Box::new(Planned { batch, record, value: after })))
    }

    /// Goes through what the parts brought: new, kept before, or taken out by an earlier backfill.
    async fn brought(
        &self,
        tenant: &Tenant,
        reporter: &Reporter,
        backfill: &Backfill,
        metering: &Metering,
    ) -> Result<Found, AdminError> {
        let store = &self.ground.store;
        let mut found = Found::default();
        let mut last = (String::new(), String::new());
        loop {
            let after = params![tenant.id, backfill.id, last.0.as_str(), last.1.as_str(), PAGE];
            let rows = store.read_all(&sql::STAGED_AFTER, after).await?;
            for row in &rows {
                let (place, source, event_id) = (row.int(0)?, row.text(1)?.to_owned(), row.text(2)?.to_owned());
                let is_same = row.bytes_opt(6)?.map(|hash| row.bytes(4).map(|own| own == hash)).transpose()?;
                let at = BusinessTime::from_micros(row.int(3)?);
                match is_same {
                    None => {
                        let judged = self.incoming(tenant, backfill, metering, (at, row.text_opt(5)?), &mut found);
                        match judged.await? {
                            Ok(measures) => {
                                let received = reporter.at.as_micros().saturating_add(place);
                                found.moves.push(Move { at, received, measures, is_new: true });
                                found.filled = found.filled.saturating_add(1);
                            }
                            Err(rejection) => found.bad.push((place, event_id.clone(), rejection)),
                        }
                    }
                    Some(true) if row.id::<id::Customer>(7)? == backfill.customer => {
                        if row.int_opt(8)?.is_none() {
                            found.duplicates = found.duplicates.saturating_add(1);
                        } else {
                            let key = params![tenant.id, source.as_str(), event_id.as_str()];
                            let kept = store.read(&sql::USAGE_READ, key).await?.ok_or(store::Error::RowCorrupt)?;
                            let received = reporter.at.as_micros().saturating_add(place);
                            found.moves.push(moved(&Stored::from_row(&kept)?, metering, Some(received)));
                            found.restored = found.restored.saturating_add(1);
                        }
                    }
                    Some(_) => {
                        let detail =
                            format!("an event with the id {event_id} and this source came before, with other content");
                        found.bad.push((place, event_id.clone(), Rejection::new(Code::EventConflict, detail)));
                    }
                }
                last = (source, event_id);
                found.keys.insert(last.clone());
            }
            if i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE {
                found.bad.sort_by_key(|(place, ..)| *place);
                return Ok(found);
            }
        }
    }

    /// What a new event counts for each meter of its type: they may have changed since its part came.
    async fn incoming(
        &self,
        tenant: &Tenant,
        backfill: &Backfill,
        metering: &Metering,
        (at, data): (BusinessTime, Option<&str>),
        found: &mut Found,
    ) -> Result<Result<Vec<Option<Measure>>, Rejection>, store::Error> {
        let mut measures = Vec::new();
        for metered in metering.of_type(&backfill.event_type) {
            let sample = match select(&metered.meter, &backfill.event_type, data) {
                Ok(sample) => sample,
                Err(rejection) => return Ok(Err(rejection)),
            };
            if let Some(sample) = &sample {
                let which = (backfill.customer, &*metered.meter, &sample.dimensions);
                if let Err(rejection) = self.admit(tenant, which, at, &mut found.fresh).await? {
                    return Ok(Err(rejection));
                }
            }
            measures.push(sample.map(|sample| sample.measure));
        }
        Ok(Ok(measures))
    }

    /// Goes through what is replaced.
    async fn outgoing(
        &self,
        tenant: &Tenant,
        (backfill, newest): (&Backfill, i64),
        metering: &Metering,
        found: &mut Found,
    ) -> Result<(), AdminError> {
        let mut events = self.between(tenant, backfill.customer, &backfill.event_type, backfill.over);
        events.as_of = newest;
        while let Some(page) = events.next().await? {
            for stored in page {
                if found.keys.contains(&(stored.source.clone(), stored.id.clone())) {
                    continue;
                }
                found.moves.push(moved(&stored, metering, None));
                found.replaced.insert(stored.sequence);
                if found.replaced.len() > MAX_REFOLDED {
                    return Err(too_many());
                }
            }
        }
        Ok(())
    }

    /// The counters of the windows that can still be counted in, with what moves.
    async fn recounted(
        &self,
        batch: Batch,
        tenant: &Tenant,
        reporter: &Reporter,
        (current, metering): (&Current, &Metering),
        (backfill, found): (&Backfill, &Found),
    ) -> Result<Batch, AdminError> {
        let now = tenant.business(reporter.at);
        let oldest = now.as_micros().saturating_sub(MAX_LATE_DAYS.saturating_mul(86_400_000_000));
        let standing = current.standing(now)?;
        let mut batch = batch;
        for (place, metered) in metering.of_type(&backfill.event_type).iter().enumerate() {
            for feature in &metered.features {
                let Some(granted) = allowance(&standing, feature).copied() else { continue };
                let mut windows: BTreeMap<i64, (Window, Uses<'_>)> = BTreeMap::new();
                for one in &found.moves {
                    let Some(measure) = one.measures.get(place).and_then(Option::as_ref) else { continue };
                    let window = window(&granted, one.at, &current.payer.zone);
                    // what lies outside of the open period is no use of it
                    let is_outside = granted.reset == Reset::Period && !window.contains(one.at);
                    if !is_outside && window.end.as_micros() > oldest {
                        windows.entry(window.start.as_micros()).or_insert((window, Vec::new())).1.push((one, measure));
                    }
                }
                let granted = Allowance { overage: Overage::Allow, ..granted };
                for (window, uses) in windows.into_values() {
                    let which = (feature, &metered.meter);
                    let mut counter = self.counter(tenant, backfill.customer, which, (granted, window), now).await?;
                    let place = (backfill.customer, &metered.meter, window);
                    let is_done = self.counted(tenant, place, &mut counter, (&uses, &found.replaced)).await?;
                    if !is_done {
                        let detail =
                            format!("what {} comes to with this backfill cannot be counted", metered.meter.key);
                        return Err(AdminError::State(detail));
                    }
                    batch = counter.steps(batch, tenant, &self.ground)?;
                }
            }
        }
        Ok(batch)
    }

    /// Takes what moves into the counter of a window; `false` when it cannot be counted.
    async fn counted(
        &self,
        tenant: &Tenant,
        (customer, meter, window): (Id<id::Customer>, &Arc<Meter>, Window),
        counter: &mut Counter,
        (uses, replaced): (&Uses<'_>, &HashSet<i64>),
    ) -> Result<bool, AdminError> {
        if adds(meter) {
            let change = uses.iter().try_fold(Decimal::ZERO, |sum, (one, measure)| {
                let value = number(Some(measure));
                if one.is_new { sum.checked_add(value) } else { sum.checked_sub(value) }
            });
            return Ok(change.is_some_and(|change| counter.adjust(change)));
        }
        if uses.iter().all(|(one, _)| one.is_new) {
            let mut uses = uses.iter();
            return Ok(
                uses.all(|(one, measure)| counter.next(measure, one.at).is_ok_and(|next| counter.take(next).is_ok()))
            );
        }
        let left = |stored: &Stored| if replaced.contains(&stored.sequence) { None } else { stored.measure(meter) };
        let mut state = self.refold(tenant, customer, (meter, window), left).await?.ok_or_else(too_many)?;
        let is_folded = uses.iter().filter(|(one, _)| one.is_new).all(|(one, measure)| {
            let moment = Moment { at: one.at, sequence: one.received };
            state.fold(window, moment, measure).is_ok()
        });
        Ok(is_folded && counter.replace(state))
    }
}

/// An event that is kept as it moves: in with the number of microseconds at which it came again, or out.
fn moved(stored: &Stored, metering: &Metering, received: Option<i64>) -> Move {
    let meters = metering.of_type(&stored.event_type).iter();
    let measures = meters.map(|metered| stored.measure(&metered.meter)).collect();
    let is_new = received.is_some();
    Move { at: stored.at, received: received.unwrap_or_else(|| stored.received_at.as_micros()), measures, is_new }
}

//! The counter of one feature in one window: what is used and held, which thresholds were told.
//!
//! For meters that add, the statements that change a counter are relative and state the limit themselves, so that it
//! holds whatever else is committed in between and a counter in demand is waited for instead of fought over. For the
//! others the whole state is replaced while it is the one that was read.

use std::sync::Arc;

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::event::{Event, Type};
use kernel::id::{self, Id};
use kernel::standing::{Allowance, Overage};
use record::Ground;
use record::plan::event;
use record::tenant::Tenant;
use serde_json::json;
use store::{Batch, Row, params};

use crate::aggregate::{Carried, Moment, State};
use crate::customer_change::{OBJECT, about};
use crate::directory::Billing;
use crate::meter::{Aggregation, Meter};
use crate::quota::{Quota, THRESHOLDS, Verdict};
use crate::rejection::{Code, Rejection};
use crate::sample::Measure;
use crate::sql;
use crate::window::Window;

use super::hold::Hold;

/// One, in the units of a [`Decimal`].
const ONE: i128 = 1_000_000_000_000;
/// More than every limit, and so far below what 64 bits hold that no statement overflows.
const MOST: Decimal = Decimal::from_units(4_000_000_000_000_000_000 * ONE);
/// Reservations that are folded out at once.
const FOLDED: i64 = 1_000;

/// What a customer has used of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// What it may.
    pub allowance: Allowance,
    /// In which window.
    pub window: Window,
    /// What is used in it.
    pub used: Decimal,
    /// What live reservations hold.
    pub reserved: Decimal,
}

impl Counted {
    /// As a decision takes it.
    pub fn quota(&self) -> Quota {
        Quota {
            limit: self.allowance.limit,
            overage: self.allowance.overage,
            used: self.used,
            reserved: self.reserved,
            resets_at: self.window.resets_at(),
        }
    }
}

/// A number as its whole part, rounded down, and its units of 10^-12 beyond.
pub(super) fn parts(number: Decimal) -> Result<(i64, i64), store::Error> {
    let split = (number.units().checked_div_euclid(ONE), number.units().checked_rem_euclid(ONE));
    let (Some(whole), Some(part)) = split else { return Err(store::Error::RowCorrupt) };
    match (i64::try_from(whole), i64::try_from(part)) {
        (Ok(whole), Ok(part)) => Ok((whole, part)),
        _ => Err(store::Error::Defect("QUOTA", None)),
    }
}

fn joined(whole: i64, part: i64) -> Result<Decimal, store::Error> {
    let units = i128::from(whole).checked_mul(ONE).and_then(|units| units.checked_add(i128::from(part)));
    units.map(Decimal::from_units).ok_or(store::Error::RowCorrupt)
}

/// What a window comes to for a meter that does not add.
#[derive(Debug, Clone)]
struct Fold {
    state: State,
    carried: Carried,
    /// The version that was read; 1 for a row that this commit makes.
    version: i64,
    /// For the order of what comes at the same time: when it was received.
    sequence: i64,
}

/// A counter as it was read, with what a request adds.
#[derive(Debug)]
pub(super) struct Counter {
    customer: Id<id::Customer>,
    feature: Arc<str>,
    meter: Arc<Meter>,
    is_there: bool,
    pub(super) counted: Counted,
    told: u8,
    added: Decimal,
    fold: Option<Fold>,
    is_touched: bool,
    /// Reservations that freed themselves and are still among what the row calls reserved.
    over: Vec<Hold>,
}

/// What a counter becomes with one more use.
pub(super) enum Next {
    /// So much is added.
    Add(Decimal),
    /// This state.
    Become(State),
    /// The state with this in it; nothing is refused.
    Fold(Moment, Measure),
}

/// Whether the values of a meter add up, so that its counter is changed by addition alone.
pub(super) const fn adds(meter: &Meter) -> bool {
    matches!(meter.aggregation, Aggregation::Count | Aggregation::Sum)
}

fn out_of_range() -> Rejection {
    Rejection::new(Code::ValueInvalid, "with this value the window would hold more than can be counted")
}

/// What is read of a row of [`sql::QUOTA_READ`].
struct Numbers {
    used: Decimal,
    reserved: Decimal,
    told: u8,
    state: Option<State>,
    carried: Carried,
    version: i64,
}

impl Numbers {
    fn from_row(row: &Row) -> Result<Self, store::Error> {
        let corrupt = |_| store::Error::RowCorrupt;
        Ok(Self {
            used: joined(row.int(0)?, row.int(1)?)?,
            reserved: joined(row.int(2)?, row.int(3)?)?,
            told: u8::try_from(row.int(4)?).map_err(|_| store::Error::RowCorrupt)?,
            state: row.text_opt(5)?.map(|text| text.parse().map_err(corrupt)).transpose()?,
            carried: row.text_opt(6)?.map_or(Ok(Carried::Nothing), |text| text.parse().map_err(corrupt))?,
            version: row.int(7)?,
        })
    }
}

impl Billing {
    /// Reads the counter that use of a feature goes to.
    pub(super) async fn counter(
        &self,
        tenant: &Tenant,
        customer: Id<id::Customer>,
        (feature, meter): (&Arc<str>, &Arc<Meter>),
        (allowance, window): (Allowance, Window),
        now: BusinessTime,
    ) -> Result<Counter, store::Error> {
        let store = &self.ground.store;
        let key = params![tenant.id, customer, &**feature, window.start.as_micros()];
        let row = store.read(&sql::QUOTA_READ, key.clone()).await?;
        let numbers = row.as_ref().map(Numbers::from_row).transpose()?;
        let mut over = Vec::new();
        if numbers.as_ref().is_some_and(|numbers| numbers.reserved > Decimal::ZERO) {
            let rows = store
                .read_all(&sql::RESERVATIONS_OVER, [key.clone(), params![now.as_micros(), FOLDED]].concat())
                .await?;
            over = rows.iter().map(Hold::from_row).collect::<Result<Vec<_>, _>>()?;
        }
        let mut fold = None;
        if !adds(meter) {
            let fresh = State::new(meter.aggregation);
            let fits = |state: &State| state.aggregation() == meter.aggregation;
            fold = Some(if let Some(numbers) = &numbers {
                Fold {
                    // a newer version of the meter may aggregate in another way: it begins anew
                    state: numbers.state.clone().filter(fits).unwrap_or(fresh),
                    carried: numbers.carried.clone(),
                    version: numbers.version,
                    sequence: now.as_micros(),
                }
            } else {
                let carried = if meter.carry_over { self.carried(&key, meter).await? } else { Carried::Nothing };
                Fold { state: fresh, carried, version: 1, sequence: now.as_micros() }
            });
        }
        let freed = over.iter().try_fold(Decimal::ZERO, |sum, hold| sum.checked_add(hold.reservation.quantity));
        let freed = freed.ok_or(store::Error::RowCorrupt)?;
        let reserved = numbers.as_ref().map_or(Decimal::ZERO, |numbers| numbers.reserved);
        let mut counter = Counter {
            customer,
            feature: Arc::clone(feature),
            meter: Arc::clone(meter),
            is_there: numbers.is_some(),
            counted: Counted {
                allowance,
                window,
                used: numbers.as_ref().map_or(Decimal::ZERO, |numbers| numbers.used),
                reserved: reserved.checked_sub(freed).ok_or(store::Error::RowCorrupt)?,
            },
            told: numbers.map_or(0, |numbers| numbers.told),
            added: Decimal::ZERO,
            fold,
            is_touched: false,
            over,
        };
        // a time average falls while nothing happens, and what is carried counts from the start
        if let Some(used) = counter.folded() {
            counter.counted.used = used;
        }
        Ok(counter)
    }

    /// What a window takes over from the one before.
    async fn carried(&self, key: &[store::Value], meter: &Meter) -> Result<Carried, store::Error> {
        let Some(row) = self.ground.store.read(&sql::QUOTA_BEFORE, key.to_vec()).await? else {
            return Ok(Carried::Nothing);
        };
        let before = Numbers::from_row(&row)?;
        let state = before.state.unwrap_or_else(|| State::new(meter.aggregation));
        Ok(state.carry(&before.carried).unwrap_or(Carried::Nothing))
    }
}

impl Counter {
    fn folded(&self) -> Option<Decimal> {
        let fold = self.fold.as_ref()?;
        fold.state.result(self.counted.window, self.meter.rounding, &fold.carried).ok()
    }

    /// What one more use makes of it, or why it is refused. Nothing changes yet.
    pub(super) fn next(&self, measure: &Measure, at: BusinessTime) -> Result<Next, Rejection> {
        let quota = self.counted.quota();
        let Some(fold) = &self.fold else {
            let value = match measure {
                Measure::Event => Decimal::ONE,
                Measure::Value(value) => *value,
                Measure::Member(..) => return Err(out_of_range()),
            };
            let used = self.counted.used.checked_add(value).filter(|used| fits(*used)).ok_or_else(out_of_range)?;
            if self.added.checked_add(value).is_none_or(|added| !fits(added)) {
                return Err(out_of_range());
            }
            return match quota.decide_aggregate(used) {
                Verdict::Refused(exceeded) if !kernel::mutant::is("U01-limit") => Err(exceeded.rejection()),
                _ => Ok(Next::Add(value)),
            };
        };
        let Window { start, end } = self.counted.window;
        let last = BusinessTime::from_micros(end.as_micros().saturating_sub(1)).max(start);
        let moment = Moment { at: at.clamp(start, last), sequence: fold.sequence };
        if quota.limit.is_none() || quota.overage != Overage::Deny {
            return Ok(Next::Fold(moment, measure.clone()));
        }
        let mut state = fold.state.clone();
        state.fold(self.counted.window, moment, measure).map_err(|_| out_of_range())?;
        let used = state.result(self.counted.window, self.meter.rounding, &fold.carried).map_err(|_| out_of_range())?;
        match quota.decide_aggregate(used) {
            // what does not raise the aggregate is no further use
            Verdict::Refused(exceeded) if used > self.counted.used => Err(exceeded.rejection()),
            _ => Ok(Next::Become(state)),
        }
    }

    /// Takes a use that was let through.
    pub(super) fn take(&mut self, next: Next) -> Result<(), Rejection> {
        let window = self.counted.window;
        match (next, &mut self.fold) {
            (Next::Add(value), _) => {
                self.counted.used = self.counted.used.checked_add(value).ok_or_else(out_of_range)?;
                self.added = self.added.checked_add(value).ok_or_else(out_of_range)?;
            }
            (Next::Become(state), Some(fold)) => fold.state = state,
            (Next::Fold(moment, measure), Some(fold)) => {
                fold.state.fold(window, moment, &measure).map_err(|_| out_of_range())?;
            }
            (_, None) => return Err(out_of_range()),
        }
        if let Some(fold) = &mut self.fold {
            fold.sequence = fold.sequence.saturating_add(1);
            self.counted.used = self.folded().unwrap_or(self.counted.used);
        }
        self.is_touched = true;
        Ok(())
    }

    /// Adds without asking for room, for what was promised or is corrected; `false` when it cannot be counted.
    pub(super) fn adjust(&mut self, value: Decimal) -> bool {
        self.counted.allowance.overage = Overage::Allow;
        let (used, added) = (self.counted.used.checked_add(value), self.added.checked_add(value));
        let (Some(used), Some(added), None) = (used.filter(|used| fits(*used)), added, &self.fold) else {
            return false;
        };
        (self.counted.used, self.added, self.is_touched) = (used, added, true);
        true
    }

    /// Puts another state in the place of the one that was read; `false` for a counter that adds.
    pub(super) fn replace(&mut self, state: State) -> bool {
        let Some(fold) = &mut self.fold else { return false };
        fold.state = state;
        self.is_touched = true;
        let Some(used) = self.folded() else { return false };
        self.counted.used = used;
        true
    }

    fn key(&self, tenant: &Tenant) -> Vec<store::Value> {
        params![tenant.id, self.customer, &*self.feature, self.counted.window.start.as_micros()]
    }

    /// Makes the row, when there is none, and takes out of it what is not held any more.
    fn open(&self, batch: Batch, tenant: &Tenant) -> Result<Batch, store::Error> {
        let mut batch = batch;
        if !self.is_there {
            let carried = self.fold.as_ref().map(|fold| fold.carried.to_string());
            let row = [self.key(tenant), params![self.counted.window.end.as_micros(), carried]].concat();
            batch = batch.run(&sql::QUOTA_OPEN, row);
        }
        for hold in &self.over {
            batch = hold.settle(batch, tenant, "expired", None)?;
        }
        Ok(batch)
    }

    /// Holds so much, when there is room for it.
    pub(super) fn hold(&self, batch: Batch, tenant: &Tenant, quantity: Decimal) -> Result<Batch, store::Error> {
        let (whole, part) = parts(quantity)?;
        let (limit, rest) = parts(self.bound())?;
        let batch = self.open(batch, tenant)?;
        Ok(batch.expect(1, &sql::QUOTA_HOLD, [self.key(tenant), params![whole, part, limit, rest]].concat()))
    }

    /// What used and reserved may come to.
    fn bound(&self) -> Decimal {
        match self.counted.allowance {
            Allowance { limit: Some(limit), overage: Overage::Deny, .. } => limit,
            _ => MOST,
        }
    }

    /// The most that can be used without reaching a threshold that is not told.
    fn quiet(&self, told: u8) -> Decimal {
        let next = THRESHOLDS.into_iter().find(|percent| *percent > told);
        let (Some(percent), Some(limit)) = (next, self.counted.allowance.limit) else { return MOST };
        let hundredfold = limit.units().checked_mul(i128::from(percent)).unwrap_or(i128::MAX);
        // one unit below the least that reaches it
        let least = hundredfold.checked_add(99).and_then(|sum| sum.checked_div_euclid(100)).unwrap_or(0);
        Decimal::from_units(least.saturating_sub(1)).max(Decimal::ZERO)
    }

    /// The statements of what was taken, with the thresholds that it reaches.
    pub(super) fn steps(&self, batch: Batch, tenant: &Tenant, ground: &Ground) -> Result<Batch, store::Error> {
        if !self.is_touched {
            return Ok(batch);
        }
        let mut batch = self.open(batch, tenant)?;
        let reached: Vec<u8> = self.counted.quota().thresholds(self.told).collect();
        let told = reached.last().copied().unwrap_or(self.told);
        let key = self.key(tenant);
        batch = match &self.fold {
            None => {
                let (whole, part) = parts(self.added)?;
                let (limit, rest) = parts(if kernel::mutant::is("U01-guard") { MOST } else { self.bound() })?;
                let (quiet, beyond) = parts(self.quiet(told))?;
                let (told, before) = (i64::from(told), i64::from(self.told));
                let values = params![whole, part, told, before, limit, rest, quiet, beyond];
                batch.expect(1, &sql::QUOTA_ADD, [key, values].concat())
            }
            Some(fold) => {
                let (whole, part) = parts(self.counted.used)?;
                let values = params![whole, part, i64::from(told), fold.state.to_string(), fold.version];
                batch.expect(1, &sql::QUOTA_STATE, [key, values].concat())
            }
        };
        for percent in reached {
            batch = batch.announce(tenant.id, self.reached(ground, percent));
        }
        Ok(batch)
    }

    fn reached(&self, ground: &Ground, percent: u8) -> Event {
        let facts = json!({
            "feature": &*self.feature, "percent": percent, "used": self.counted.used.to_string(),
            "limit": self.counted.allowance.limit.map(|limit| limit.to_string()),
            "resets_at": self.counted.window.resets_at().map(|at| at.to_string()),
        });
        let customer = self.customer.to_string();
        about(event(ground, Type::EntitlementThresholdReached, (OBJECT, &customer), facts), self.customer)
    }
}

/// Whether a number lies where counters can hold it.
fn fits(number: Decimal) -> bool {
    number <= MOST && MOST.checked_neg().is_some_and(|least| number >= least)
}

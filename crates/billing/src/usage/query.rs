//! What was used: the quantities of a meter by window and group, from the events that are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::id::{self, Id};
use record::tenant::Tenant;
use store::params;

use crate::aggregate::{Carried, Moment, State};
use crate::directory::Billing;
use crate::meter::{Aggregation, Meter};
use crate::sample::Measure;
use crate::sql;
use crate::window::{Size, Window};
use crate::zone::Zone;

use super::list::Stored;

/// Events read at once.
const PAGE: i64 = 5_000;
/// Most quantities of one answer.
pub const MAX_QUANTITIES: usize = 10_000;
/// Most events that one query looks through.
pub const MAX_EVENTS: usize = 2_000_000;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of whom.
    pub customer: Id<id::Customer>,
    /// The key of the meter.
    pub meter: String,
    /// From when, and until when.
    pub over: Window,
    /// In windows of this size; `None` for one quantity of the whole time.
    pub size: Option<Size>,
    /// In whose days and months.
    pub zone: Zone,
    /// By which dimensions of the meter.
    pub group_by: BTreeSet<String>,
}

/// One quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// Of which time.
    pub window: Window,
    /// The values of the dimensions that were asked for, by their names.
    pub group: BTreeMap<String, String>,
    /// How much.
    pub value: Decimal,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantities {
    /// By window and group; windows without events of a group are left out unless something is carried over.
    pub quantities: Vec<Quantity>,
    /// The number of the newest event that is counted in it.
    pub as_of: i64,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no active meter of this key.
    #[error("there is no meter with this key that counts")]
    NoMeter,
    /// The record of tokens is the journal.
    #[error("issued tokens are listed by /api/audit/journal, and counted against a limit by the standing")]
    Journal,
    /// The meter has no such dimension.
    #[error("the meter has no dimension {0}")]
    NoDimension(String),
    /// There are too many events or quantities.
    #[error(
        "this looks through more than {MAX_EVENTS} events or makes more than {MAX_QUANTITIES} quantities; ask for less time or larger windows"
    )]
    TooMany,
    /// A quantity is larger than numbers here are.
    #[error("a quantity is out of range")]
    OutOfRange,
    /// The store's.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The events of a customer and meter in a window, page by page, by time.
pub(super) struct Between<'b> {
    billing: &'b Billing,
    tenant: &'b Tenant,
    customer: Id<id::Customer>,
    event_type: String,
    /// From where on: the time and number of the last that was read.
    from: (i64, i64),
    until: i64,
    pub(super) as_of: i64,
    is_over: bool,
}

impl Between<'_> {
    /// The next page; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Stored>>, store::Error> {
        if self.is_over {
            return Ok(None);
        }
        let (at, sequence) = self.from;
        let kind = self.event_type.as_str();
        let ask = params![self.tenant.id, self.customer, kind, at, self.until, self.as_of, PAGE, sequence];
        let rows = self.billing.ground.store.read_all(&sql::USAGE_BETWEEN, ask).await?;
        let page = rows.iter().map(Stored::from_row).collect::<Result<Vec<_>, _>>()?;
        self.is_over = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
        if let Some(last) = page.last() {
            self.from = (last.at.as_micros(), last.sequence);
        }
        Ok(Some(page))
    }
}

/// A quantity while its events are read.
enum Sum {
    /// Of a meter that adds.
    Added(Decimal),
    /// Of another.
    Folded(State),
}

type Group = Vec<(String, String)>;

impl Billing {
    /// The events of a customer and type that count in a window.
    pub(super) fn between<'b>(
        &'b self,
        tenant: &'b Tenant,
        customer: Id<id::Customer>,
        event_type: &str,
        window: Window,
    ) -> Between<'b> {
        Between {
            billing: self,
            tenant,
            customer,
            event_type: event_type.to_owned(),
            from: (window.start.as_micros(), -1),
            until: window.end.as_micros(),
            as_of: i64::MAX,
            is_over: false,
        }
    }

    /// The number of the newest event of a tenant.
    pub(super) async fn usage_number(&self, tenant: &Tenant) -> Result<i64, store::Error> {
        let row = self.ground.store.read(&sql::USAGE_NUMBER, params![tenant.id]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// What a customer used of a meter.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn query_usage(&self, tenant: &Tenant, query: &Query) -> Result<Quantities, QueryError> {
        if query.meter == super::tokens::METER {
            return Err(QueryError::Journal);
        }
        let metering = self.metering(tenant).await?;
        let meter = metering.meter(&query.meter).ok_or(QueryError::NoMeter)?;
        if let Some(name) = query.group_by.iter().find(|name| !meter.group_by.contains_key(*name)) {
            return Err(QueryError::NoDimension(name.clone()));
        }
        let as_of = self.usage_number(tenant).await?;
        // what is carried over begins with the first event that is kept
        let begin = if meter.carry_over { BusinessTime::from_micros(0) } else { query.over.start };
        let mut events = self.between(tenant, query.customer, &meter.event_type, Window { start: begin, ..query.over });
        events.as_of = as_of;
        let mut sums: BTreeMap<Group, BTreeMap<i64, (Window, Sum)>> = BTreeMap::new();
        let (mut read, mut made, mut window) = (0_usize, 0_usize, None::<Window>);
        while let Some(page) = events.next().await? {
            read = read.saturating_add(page.len());
            if read > MAX_EVENTS {
                return Err(QueryError::TooMany);
            }
            for stored in &page {
                let (Some(measure), Some((_, dimensions))) = (stored.measure(meter), stored.reported(meter)) else {
                    continue;
                };
                let place = match window {
                    Some(window) if window.contains(stored.at) => window,
                    _ => query.window(begin, stored.at).ok_or(QueryError::OutOfRange)?,
                };
                window = Some(place);
                let asked = dimensions.iter().filter(|(name, _)| query.group_by.contains(*name));
                let group: Group = asked.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let sums = sums.entry(group).or_default();
                let (_, sum) = sums.entry(place.start.as_micros()).or_insert_with(|| {
                    made = made.saturating_add(1);
                    (place, Sum::of(meter))
                });
                let moment = Moment { at: stored.at, sequence: stored.sequence };
                sum.take(place, moment, &measure).ok_or(QueryError::OutOfRange)?;
            }
            if made > MAX_QUANTITIES {
                return Err(QueryError::TooMany);
            }
        }
        let mut quantities = Vec::new();
        for (group, sums) in sums {
            let group: BTreeMap<String, String> = group.into_iter().collect();
            query.results(meter, &group, &sums, &mut quantities)?;
        }
        quantities.sort_by(|one, other| (one.window.start, &one.group).cmp(&(other.window.start, &other.group)));
        Ok(Quantities { quantities, as_of })
    }
}

impl Query {
    /// The window that an instant counts in: one for everything before the time that is asked for.
    fn window(&self, begin: BusinessTime, at: BusinessTime) -> Option<Window> {
        if at < self.over.start {
            return Some(Window { start: begin, end: self.over.start });
        }
        let Some(size) = self.size else { return Some(self.over) };
        let whole = Window::containing(at, size, &self.zone)?;
        Some(Window { start: whole.start.max(self.over.start), end: whole.end.min(self.over.end) })
    }

    /// The quantities of one group, window by window, each taking over what the one before leaves.
    fn results(
        &self,
        meter: &Arc<Meter>,
        group: &BTreeMap<String, String>,
        sums: &BTreeMap<i64, (Window, Sum)>,
        quantities: &mut Vec<Quantity>,
    ) -> Result<(), QueryError> {
        let mut carried = Carried::Nothing;
        let mut put = |window: Window, value: Decimal| {
            if window.start >= self.over.start {
                quantities.push(Quantity { window, group: group.clone(), value });
            }
            if quantities.len() > MAX_QUANTITIES { Err(QueryError::TooMany) } else { Ok(()) }
        };
        let out_of_range = |_| QueryError::OutOfRange;
        if !meter.carry_over {
            for (window, sum) in sums.values() {
                put(*window, sum.result(*window, meter, &carried).ok_or(QueryError::OutOfRange)?)?;
            }
            return Ok(());
        }
        if let Some((_, (_, Sum::Folded(state)))) = sums.range(..self.over.start.as_micros()).next() {
            carried = state.carry(&carried).map_err(out_of_range)?;
        }
        // every window has what it took over, with events or without
        let mut at = self.over.start;
        while at < self.over.end {
            let window = self.window(self.over.start, at).ok_or(QueryError::OutOfRange)?;
            let empty = State::new(meter.aggregation);
            let state = match sums.get(&window.start.as_micros()) {
                Some((_, Sum::Folded(state))) => state,
                _ => &empty,
            };
            put(window, state.result(window, meter.rounding, &carried).map_err(out_of_range)?)?;
            carried = state.carry(&carried).map_err(out_of_range)?;
            at = window.end;
        }
        Ok(())
    }
}

impl Sum {
    fn of(meter: &Meter) -> Self {
        match meter.aggregation {
            Aggregation::Count | Aggregation::Sum => Self::Added(Decimal::ZERO),
            other => Self::Folded(State::new(other)),
        }
    }

    fn take(&mut self, window: Window, moment: Moment, measure: &Measure) -> Option<()> {
        match (self, measure) {
            (Self::Added(sum), Measure::Event) => *sum = sum.checked_add(Decimal::ONE)?,
            (Self::Added(sum), Measure::Value(value)) => *sum = sum.checked_add(*value)?,
            (Self::Added(_), Measure::Member(..)) => return None,
            (Self::Folded(state), measure) => state.fold(window, moment, measure).ok()?,
        }
        Some(())
    }

    fn result(&self, window: Window, meter: &Meter, carried: &Carried) -> Option<Decimal> {
        match (self, meter.rounding) {
            (Self::Added(sum), None) => Some(*sum),
            (Self::Added(sum), Some(step)) => sum.rounded(step),
            (Self::Folded(state), rounding) => state.result(window, rounding, carried).ok(),
        }
    }
}

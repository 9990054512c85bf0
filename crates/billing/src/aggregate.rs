//! The aggregate of one counter (customer, meter, dimensions, window), kept up event by event.
//!
//! A [`State`] is the same whatever order the events came in, so a late event is an event like any other; two states of
//! one window merge into the state of all their events. What a window takes over from the one before is not part of its
//! state but a parameter of the result ([`Carried`]): when a late event changes a window that is over, the results of the
//! windows after it change by passing them what is carried now, and their states stay.
//!
//! Size: a state is a few numbers, but for `unique`, which holds one mark for each value that was seen: at most 255 bytes
//! and an instant. Its text grows with the number of values; a counter of very many can keep [`Mark`]s apart and merge
//! them one by one. Sums are exact to 128 bits, more than 10^8 of the largest values; beyond is an error and never wraps.

mod level;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use kernel::clock::BusinessTime;
use kernel::decimal::{Decimal, Step};

pub use self::level::Level;
pub use self::text::NotAState;
use crate::meter::Aggregation;
use crate::sample::{Measure, Operation};
use crate::window::Window;

/// Where an event stands among the others: by its time, and at the same time by receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// The event's time.
    pub at: BusinessTime,
    /// The number under which it was received; no two events share one.
    pub sequence: i64,
}

/// The last that happened to one value of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When.
    pub moment: Moment,
    /// What; a value whose last operation is [`Operation::Add`] is in the set.
    pub operation: Operation,
}

/// What the events of one window come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// How many there are.
    Count(i64),
    /// Their sum.
    Sum(Decimal),
    /// The largest value; `None` without events.
    Max(Option<Decimal>),
    /// The smallest value; `None` without events.
    Min(Option<Decimal>),
    /// The last value with its place; `None` without events.
    Latest(Option<(Moment, Decimal)>),
    /// The last that happened to each value.
    Unique(BTreeMap<String, Mark>),
    /// How they changed the level, and for how long.
    WeightedSum(Level),
}

/// What a window takes over from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Carried {
    /// Nothing: the first window, or a meter without `carry_over`.
    #[default]
    Nothing,
    /// The last value (`latest`) or the level (`weighted_sum`).
    Value(Decimal),
    /// The values of the set (`unique`).
    Members(BTreeSet<String>),
}

/// Why a state does not take an event or gives no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// The sum is larger than 128 bits hold in units of 10^-12.
    #[error("the aggregate is too large to be exact")]
    Overflow,
    /// The event's time is not in the window.
    #[error("the event lies outside of the window")]
    OutsideWindow,
    /// The event, the other state or what is carried belongs to another aggregation.
    #[error("this belongs to another aggregation")]
    Mismatch,
    /// The event alone decides the state, and what the others come to without it is not known: aggregate them anew.
    #[error("without this event the state must be aggregated from the other events")]
    NotReversible,
}

impl State {
    /// The state without events.
    pub const fn new(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Count => Self::Count(0),
            Aggregation::Sum => Self::Sum(Decimal::ZERO),
            Aggregation::Max => Self::Max(None),
            Aggregation::Min => Self::Min(None),
            Aggregation::Latest => Self::Latest(None),
            Aggregation::Unique => Self::Unique(BTreeMap::new()),
            Aggregation::WeightedSum => Self::WeightedSum(Level::NONE),
        }
    }

    /// Which aggregation it belongs to.
    pub const fn aggregation(&self) -> Aggregation {
        match self {
            Self::Count(_) => Aggregation::Count,
            Self::Sum(_) => Aggregation::Sum,
            Self::Max(_) => Aggregation::Max,
            Self::Min(_) => Aggregation::Min,
            Self::Latest(_) => Aggregation::Latest,
            Self::Unique(_) => Aggregation::Unique,
            Self::WeightedSum(_) => Aggregation::WeightedSum,
        }
    }

    /// Adds one event of the window.
    ///
    /// # Errors
    /// [`AggregateError`], but for [`AggregateError::NotReversible`]; the state is then as it was.
    pub fn fold(&mut self, window: Window, moment: Moment, measure: &Measure) -> Result<(), AggregateError> {
        let other = Self::of(self.aggregation(), window, moment, measure)?;
        self.merge(other)
    }

    /// Adds the events of another state of the same window.
    ///
    /// # Errors
    /// [`AggregateError::Overflow`] or [`AggregateError::Mismatch`]; the state is then as it was.
    pub fn merge(&mut self, other: Self) -> Result<(), AggregateError> {
        match (self, other) {
            (Self::Count(mine), Self::Count(more)) => *mine = mine.checked_add(more).ok_or(AggregateError::Overflow)?,
            (Self::Sum(mine), Self::Sum(more)) => *mine = mine.checked_add(more).ok_or(AggregateError::Overflow)?,
            (Self::Max(mine), Self::Max(more)) => *mine = (*mine).max(more),
            (Self::Min(mine), Self::Min(more)) => *mine = [*mine, more].into_iter().flatten().min(),
            (Self::Latest(mine), Self::Latest(more)) => *mine = (*mine).max(more),
            (Self::Unique(mine), Self::Unique(more)) => {
                for (member, mark) in more {
                    mine.entry(member).and_modify(|last| *last = mark.max(*last)).or_insert(mark);
                }
            }
            (Self::WeightedSum(mine), Self::WeightedSum(more)) => {
                *mine = mine.checked_add(more).ok_or(AggregateError::Overflow)?;
            }
            _ => return Err(AggregateError::Mismatch),
        }
        Ok(())
    }

    /// Takes out an event that was added before: a correction voids it, or gives it another value by adding it anew.
    ///
    /// `count`, `sum` and `weighted_sum` always can; the others can while the event does not decide the state.
    ///
    /// # Errors
    /// [`AggregateError`]; the state is then as it was.
    pub fn retract(&mut self, window: Window, moment: Moment, measure: &Measure) -> Result<(), AggregateError> {
        let event = Self::of(self.aggregation(), window, moment, measure)?;
        match (self, event) {
            (Self::Count(mine), Self::Count(less)) => *mine = mine.checked_sub(less).ok_or(AggregateError::Overflow)?,
            (Self::Sum(mine), Self::Sum(less)) => *mine = mine.checked_sub(less).ok_or(AggregateError::Overflow)?,
            (Self::WeightedSum(mine), Self::WeightedSum(less)) => {
                *mine = mine.checked_sub(less).ok_or(AggregateError::Overflow)?;
            }
            (Self::Max(mine), Self::Max(less)) if *mine > less => (),
            (Self::Min(mine), Self::Min(less)) if mine.is_some() && *mine < less => (),
            (Self::Latest(mine), Self::Latest(less)) if *mine > less => (),
            (Self::Unique(mine), Self::Unique(less))
                if less.iter().all(|(member, mark)| mine.get(member).is_some_and(|last| last > mark)) => {}
            (Self::Max(_) | Self::Min(_) | Self::Latest(_) | Self::Unique(_), _) => {
                return Err(AggregateError::NotReversible);
            }
            _ => return Err(AggregateError::Mismatch),
        }
        Ok(())
    }

    /// The quantity of the window: the aggregate of its events and of what is carried, rounded once.
    ///
    /// Without `rounding`, a time average is brought to 12 fraction digits, half a unit away from zero; all else is exact.
    ///
    /// # Errors
    /// [`AggregateError::Overflow`] or [`AggregateError::Mismatch`].
    pub fn result(&self, window: Window, rounding: Option<Step>, carried: &Carried) -> Result<Decimal, AggregateError> {
        let exact = match (self, carried) {
            (Self::WeightedSum(level), Carried::Nothing) => return level.average(window, Decimal::ZERO, rounding),
            (Self::WeightedSum(level), Carried::Value(before)) => return level.average(window, *before, rounding),
            (Self::Count(count), Carried::Nothing) => Decimal::from(*count),
            (Self::Sum(sum), Carried::Nothing) => *sum,
            (Self::Max(value) | Self::Min(value), Carried::Nothing) => value.unwrap_or_default(),
            (Self::Latest(last), Carried::Nothing) => last.map(|(_, value)| value).unwrap_or_default(),
            (Self::Latest(last), Carried::Value(before)) => last.map_or(*before, |(_, value)| value),
            (Self::Unique(marks), Carried::Nothing) => size(present(marks).count())?,
            (Self::Unique(marks), Carried::Members(before)) => {
                let kept = before.iter().filter(|member| !marks.contains_key(*member)).count();
                size(kept.saturating_add(present(marks).count()))?
            }
            _ => return Err(AggregateError::Mismatch),
        };
        rounding.map_or(Some(exact), |step| exact.rounded(step)).ok_or(AggregateError::Overflow)
    }

    /// What the next window takes over, when the meter says `carry_over`; `carried` is what this one took over.
    ///
    /// # Errors
    /// [`AggregateError::Overflow`] or [`AggregateError::Mismatch`].
    pub fn carry(&self, carried: &Carried) -> Result<Carried, AggregateError> {
        match (self, carried) {
            (Self::Latest(Some((_, value))), Carried::Nothing | Carried::Value(_)) => Ok(Carried::Value(*value)),
            (Self::Latest(None), Carried::Nothing | Carried::Value(_)) => Ok(carried.clone()),
            (Self::WeightedSum(level), Carried::Nothing) => Ok(Carried::Value(level.change())),
            (Self::WeightedSum(level), Carried::Value(before)) => {
                before.checked_add(level.change()).map(Carried::Value).ok_or(AggregateError::Overflow)
            }
            (Self::Unique(marks), Carried::Nothing) => Ok(Carried::Members(present(marks).cloned().collect())),
            (Self::Unique(marks), Carried::Members(before)) => {
                let kept = before.iter().filter(|member| !marks.contains_key(*member));
                Ok(Carried::Members(kept.chain(present(marks)).cloned().collect()))
            }
            _ => Err(AggregateError::Mismatch),
        }
    }

    /// The state of one event.
    fn of(aggregation: Aggregation, window: Window, moment: Moment, measure: &Measure) -> Result<Self, AggregateError> {
        if !window.contains(moment.at) {
            return Err(AggregateError::OutsideWindow);
        }
        Ok(match (aggregation, measure) {
            (Aggregation::Count, Measure::Event) => Self::Count(1),
            (Aggregation::Sum, Measure::Value(value)) => Self::Sum(*value),
            (Aggregation::Max, Measure::Value(value)) => Self::Max(Some(*value)),
            (Aggregation::Min, Measure::Value(value)) => Self::Min(Some(*value)),
            (Aggregation::Latest, Measure::Value(value)) => Self::Latest(Some((moment, *value))),
            (Aggregation::WeightedSum, Measure::Value(value)) => {
                Self::WeightedSum(Level::changed(*value, window, moment.at).ok_or(AggregateError::Overflow)?)
            }
            (Aggregation::Unique, Measure::Member(member, operation)) => {
                Self::Unique(BTreeMap::from([(member.clone(), Mark { moment, operation: *operation })]))
            }
            _ => return Err(AggregateError::Mismatch),
        })
    }
}

/// The values that are in the set.
fn present(marks: &BTreeMap<String, Mark>) -> impl Iterator<Item = &String> {
    marks.iter().filter(|(_, mark)| mark.operation == Operation::Add).map(|(member, _)| member)
}

fn size(count: usize) -> Result<Decimal, AggregateError> {
    i64::try_from(count).map(Decimal::from).map_err(|_| AggregateError::Overflow)
}

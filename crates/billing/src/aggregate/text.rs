//! The stored form of states: the name of the aggregation, then its numbers; for sets one line for each value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::str::FromStr;

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;

use super::level::{Level, Product};
use super::{Carried, Mark, Moment, State};
use crate::meter::Aggregation;
use crate::sample::Operation;

/// A text that is not the stored form of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the stored form of an aggregate")]
pub struct NotAState;

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.aggregation().name())?;
        match self {
            Self::Count(count) => write!(f, " {count}"),
            Self::Sum(value) | Self::Max(Some(value)) | Self::Min(Some(value)) => write!(f, " {value}"),
            Self::Max(None) | Self::Min(None) | Self::Latest(None) => Ok(()),
            Self::Latest(Some((Moment { at, sequence }, value))) => {
                write!(f, " {} {sequence} {value}", at.as_micros())
            }
            Self::WeightedSum(Level { change, moment: Product { whole, rest } }) => {
                write!(f, " {change} {whole} {rest}")
            }
            Self::Unique(marks) => marks.iter().try_for_each(|(member, mark)| {
                let sign = if mark.operation == Operation::Add { '+' } else { '-' };
                write!(f, "\n{sign} {} {} {member}", mark.moment.at.as_micros(), mark.moment.sequence)
            }),
        }
    }
}

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        let mut lines = text.split('\n');
        let mut words = lines.next().unwrap_or_default().split(' ');
        let aggregation = words.next().and_then(Aggregation::parse).ok_or(NotAState)?;
        let words: Vec<&str> = words.collect();
        let state = match (aggregation, words.as_slice()) {
            (Aggregation::Count, [count]) => Self::Count(count.parse().map_err(|_| NotAState)?),
            (Aggregation::Sum, [value]) => Self::Sum(decimal(value)?),
            (Aggregation::Max, [value]) => Self::Max(Some(decimal(value)?)),
            (Aggregation::Min, [value]) => Self::Min(Some(decimal(value)?)),
            (Aggregation::Max | Aggregation::Min | Aggregation::Latest, []) => Self::new(aggregation),
            (Aggregation::Latest, [at, sequence, value]) => {
                Self::Latest(Some((moment(at, sequence)?, decimal(value)?)))
            }
            (Aggregation::WeightedSum, [change, whole, rest]) => {
                let number = |text: &str| text.parse::<i128>().map_err(|_| NotAState);
                let moment = Product { whole: number(whole)?, rest: number(rest)? };
                if !moment.is_normal() {
                    return Err(NotAState);
                }
                Self::WeightedSum(Level { change: decimal(change)?, moment })
            }
            (Aggregation::Unique, []) => {
                Self::Unique(lines.by_ref().map(read_mark).collect::<Result<BTreeMap<_, _>, _>>()?)
            }
            _ => return Err(NotAState),
        };
        if state.to_string() == text { Ok(state) } else { Err(NotAState) }
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Value(value) => write!(f, "value {value}"),
            Self::Members(members) => {
                f.write_str("members")?;
                members.iter().try_for_each(|member| {
                    f.write_char('\n')?;
                    f.write_str(member)
                })
            }
        }
    }
}

impl FromStr for Carried {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        let mut lines = text.split('\n');
        let carried = match lines.next().unwrap_or_default() {
            "nothing" => Self::Nothing,
            "members" => Self::Members(lines.map(str::to_owned).collect::<BTreeSet<_>>()),
            value => Self::Value(decimal(value.strip_prefix("value ").ok_or(NotAState)?)?),
        };
        if carried.to_string() == text { Ok(carried) } else { Err(NotAState) }
    }
}

fn decimal(text: &str) -> Result<Decimal, NotAState> {
    Decimal::parse(text).map_err(|_| NotAState)
}

fn moment(at: &str, sequence: &str) -> Result<Moment, NotAState> {
    let number = |text: &str| text.parse::<i64>().map_err(|_| NotAState);
    Ok(Moment { at: BusinessTime::from_micros(number(at)?), sequence: number(sequence)? })
}

fn read_mark(line: &str) -> Result<(String, Mark), NotAState> {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().ok_or(NotAState);
    let operation = match word()? {
        "+" => Operation::Add,
        "-" => Operation::Remove,
        _ => return Err(NotAState),
    };
    let moment = moment(word()?, word()?)?;
    Ok((word()?.to_owned(), Mark { moment, operation }))
}

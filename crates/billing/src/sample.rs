//! What a meter takes from one event: whether it looks at it, which value it reads, and for which dimensions.
//!
//! Values are exact decimals of the text as it came; a value that is not there is a rejection and never a zero.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use kernel::decimal::Decimal;

use crate::meter::{Aggregation, MAX_TEXT_BYTES, Meter};
use crate::path::Path;
use crate::raw;
use crate::rejection::{Code, Rejection};

/// What an event does to a set of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Puts the value in.
    Add,
    /// Takes the value out.
    Remove,
}

/// What an event contributes to the aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Itself, to a count.
    Event,
    /// A number.
    Value(Decimal),
    /// A value of a set, as the canonical JSON text, so that `1` and `"1"` are two: at most [`MAX_TEXT_BYTES`] bytes.
    Member(String, Operation),
}

/// The values of a meter's dimensions, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Dimensions(Vec<(String, String)>);

/// What a meter takes from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What the event contributes.
    pub measure: Measure,
    /// To which counter.
    pub dimensions: Dimensions,
}

impl Dimensions {
    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The stored form and the key of a counter: a JSON object of strings, `{}` without dimensions.
    pub fn to_text(&self) -> String {
        let members: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}:{}", raw::quoted(name), raw::quoted(value))).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Reads [`Self::to_text`].
    pub fn from_text(text: &str) -> Option<Self> {
        let members = raw::members(text).ok()?;
        let pairs =
            members.iter().map(|(name, value)| Some((name.clone().into_owned(), raw::string(value)?.into_owned())));
        let read = Self(pairs.collect::<Option<_>>()?);
        (read.to_text() == text && read.0.is_sorted_by(|(one, _), (other, _)| one < other)).then_some(read)
    }
}

/// What `meter` takes from an event of this type with this data (JSON text, as [`crate::cloudevent`] leaves it); `None`
/// when it does not look at the event.
///
/// A dimension whose value is absent or null has the empty text.
///
/// # Errors
/// [`Code::ValueInvalid`] when the value, the operation or a dimension is not what the meter needs, and
/// [`Code::ValueNegative`] for a value below zero where a sum takes none.
pub fn select(meter: &Meter, event_type: &str, data: Option<&str>) -> Result<Option<Sample>, Rejection> {
    if meter.event_type != event_type {
        return Ok(None);
    }
    let data = data.unwrap_or("null");
    let met = |path: &Path, equals: &str| path.find(data).and_then(scalar).is_some_and(|text| text == equals);
    if !meter.filter.iter().all(|condition| met(&condition.path, &condition.equals)) {
        return Ok(None);
    }
    let measure = match (meter.aggregation, &meter.value_path) {
        (Aggregation::Count, _) => Measure::Event,
        (_, None) => return Err(invalid(meter, "the meter has no `value_path`")),
        (Aggregation::Unique, Some(path)) => Measure::Member(member(meter, path, data)?, operation(meter, data)?),
        (_, Some(path)) => Measure::Value(number(meter, path, data)?),
    };
    let dimension = |(name, path): (&String, &Path)| {
        let text = match path.find(data) {
            None => Cow::Borrowed(""),
            Some(found) => scalar(found).filter(|text| text.len() <= MAX_TEXT_BYTES).ok_or_else(|| {
                let detail =
                    format!("dimension {name} at {path} takes text, a number or a truth value of at most 255 bytes");
                invalid(meter, detail)
            })?,
        };
        Ok((name.clone(), text.into_owned()))
    };
    let dimensions = meter.group_by.iter().map(dimension).collect::<Result<_, Rejection>>()?;
    Ok(Some(Sample { measure, dimensions: Dimensions(dimensions) }))
}

fn invalid(meter: &Meter, detail: impl AsRef<str>) -> Rejection {
    Rejection::new(Code::ValueInvalid, format!("meter {}: {}", meter.key, detail.as_ref()))
}

/// The content of a string, or the text of a number or truth value.
fn scalar(text: &str) -> Option<Cow<'_, str>> {
    match text.as_bytes().first()? {
        b'"' => raw::string(text),
        b'{' | b'[' => None,
        _ => Some(Cow::Borrowed(text)),
    }
}

fn number(meter: &Meter, path: &Path, data: &str) -> Result<Decimal, Rejection> {
    let found = path.find(data).ok_or_else(|| invalid(meter, format!("there is no value at {path}")))?;
    let text = scalar(found).unwrap_or_default();
    let value = Decimal::parse_value(&text).map_err(|error| invalid(meter, format!("the value at {path}: {error}")))?;
    if value.is_negative() && meter.aggregation == Aggregation::Sum && !meter.allow_negative {
        let detail = format!("meter {}: the value at {path} is below zero, which this meter does not take", meter.key);
        return Err(Rejection::new(Code::ValueNegative, detail));
    }
    Ok(value)
}

fn member(meter: &Meter, path: &Path, data: &str) -> Result<String, Rejection> {
    let found = path.find(data).ok_or_else(|| invalid(meter, format!("there is no value at {path}")))?;
    let mut text = String::new();
    if scalar(found).is_none() || raw::write_canonical(found, &mut text).is_err() || text.len() > MAX_TEXT_BYTES {
        let detail =
            format!("the value at {path} must be text, a number or a truth value of at most 255 bytes of JSON");
        return Err(invalid(meter, detail));
    }
    Ok(text)
}

fn operation(meter: &Meter, data: &str) -> Result<Operation, Rejection> {
    let Some((path, found)) = meter.operation_path.as_ref().and_then(|path| Some((path, path.find(data)?))) else {
        return Ok(Operation::Add);
    };
    match raw::string(found).as_deref() {
        Some("add") => Ok(Operation::Add),
        Some("remove") => Ok(Operation::Remove),
        _ => Err(invalid(meter, format!("the operation at {path} must be \"add\" or \"remove\""))),
    }
}

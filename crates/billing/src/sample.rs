//! What a meter takes from one event: whether it looks at it, which value it reads, and for which dimensions.
//!
//! Values are exact decimals of the text as it came; a value that is not there is a rejection and never a zero.

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn meter(aggregation: &str, more: &Value) -> Meter {
        let mut definition = json!({"key": "m", "event_type": "call", "aggregation": aggregation});
        if aggregation != "count" {
            definition["value_path"] = json!("$.v");
        }
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Meter::from_json(&definition).unwrap()
    }

    fn measure(meter: &Meter, data: &str) -> Result<Measure, Rejection> {
        select(meter, "call", Some(data)).map(|sample| sample.unwrap().measure)
    }

    fn code(meter: &Meter, data: &str) -> Code {
        measure(meter, data).unwrap_err().code
    }

    #[test]
    fn a_value_is_the_exact_number_of_its_text() {
        let sum = meter("sum", &json!({}));
        for (value, expected) in [
            ("12.50", "12.5"),
            ("\"12.50\"", "12.5"),
            ("0.1", "0.1"),
            ("1e-7", "0.0000001"),
            ("9007199254740993", "9007199254740993"),
            ("999999999999999999.999999999999", "999999999999999999.999999999999"),
            ("\"\\u0031\"", "1"),
            ("-0", "0"),
        ] {
            let data = format!("{{\"v\":{value}}}");
            assert_eq!(measure(&sum, &data), Ok(Measure::Value(Decimal::parse(expected).unwrap())), "{value}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_is_refused_and_never_a_zero() {
        let sum = meter("sum", &json!({}));
        for value in [
            "null",
            "true",
            "[]",
            "{}",
            "[1]",
            "\"\"",
            "\"x\"",
            "\" 1\"",
            "\"+1\"",
            "\"0x1\"",
            "\"NaN\"",
            "\"1,5\"",
            "1e18",
            "-1e18",
            "0.0000000000001",
            "\"1e400\"",
        ] {
            assert_eq!(code(&sum, &format!("{{\"v\":{value}}}")), Code::ValueInvalid, "{value}");
        }
        for data in ["{}", "[]", "7", "null", "\"v\"", "{\"V\":1}"] {
            assert_eq!(code(&sum, data), Code::ValueInvalid, "{data}");
        }
        assert_eq!(select(&sum, "call", None).unwrap_err().code, Code::ValueInvalid);
    }

    #[test]
    fn below_zero_is_refused_for_a_sum_that_does_not_allow_it() {
        assert_eq!(code(&meter("sum", &json!({})), r#"{"v":-0.5}"#), Code::ValueNegative);
        let minus = Ok(Measure::Value(Decimal::parse("-0.5").unwrap()));
        assert_eq!(measure(&meter("sum", &json!({"allow_negative": true})), r#"{"v":-0.5}"#), minus);
        for aggregation in ["max", "min", "latest", "weighted_sum"] {
            assert_eq!(measure(&meter(aggregation, &json!({})), r#"{"v":"-0.5"}"#), minus);
        }
    }

    #[test]
    fn only_events_of_the_type_that_meet_every_condition_are_looked_at() {
        let filter = json!({"filter": [
            {"path": "$.kind", "equals": "out"}, {"path": "$.paid", "equals": "true"}, {"path": "$.tier", "equals": "1.0"},
        ]});
        let count = meter("count", &filter);
        let looked_at = |data: &str| select(&count, "call", Some(data)).unwrap().is_some();
        assert!(looked_at(r#"{"kind":"o\u0075t","paid":true,"tier":1.0}"#));
        assert!(looked_at(r#"{"kind":"out","paid":"true","tier":"1.0"}"#));
        for data in [
            r#"{"kind":"Out","paid":true,"tier":1.0}"#,
            r#"{"kind":"out","paid":false,"tier":1.0}"#,
            r#"{"kind":"out","paid":true,"tier":1}"#,
            r#"{"kind":"out","paid":true}"#,
            r#"{"kind":["out"],"paid":true,"tier":1.0}"#,
            "7",
        ] {
            assert!(!looked_at(data), "{data}");
        }
        assert_eq!(select(&count, "calls", Some(r#"{"kind":"out","paid":true,"tier":1.0}"#)), Ok(None));
        // An event that is not looked at has no value that could be wrong.
        let sum = meter("sum", &json!({"filter": [{"path": "$.kind", "equals": "out"}]}));
        assert_eq!(select(&sum, "call", Some(r#"{"v":"x"}"#)), Ok(None));
        assert_eq!(select(&meter("count", &json!({})), "call", None).unwrap().unwrap().measure, Measure::Event);
    }

    #[test]
    fn members_of_a_set_differ_by_type_and_text() {
        let unique = meter("unique", &json!({"operation_path": "$.op"}));
        let one = |data: &str| measure(&unique, data).unwrap();
        let member = |text: &str, operation| Measure::Member(text.to_owned(), operation);
        assert_eq!(one(r#"{"v":1}"#), member("1", Operation::Add));
        assert_eq!(one(r#"{"v":1.0}"#), member("1.0", Operation::Add));
        assert_eq!(one(r#"{"v":"1","op":null}"#), member("\"1\"", Operation::Add));
        assert_eq!(one(r#"{"v":"\u0061\n","op":"remove"}"#), member(r#""a\n""#, Operation::Remove));
        assert_eq!(one(r#"{"v":false,"op":"add"}"#), member("false", Operation::Add));
        let long = format!("{{\"v\":\"{}\"}}", "x".repeat(MAX_TEXT_BYTES - 1));
        for data in
            [r#"{"v":null}"#, r#"{"v":{}}"#, r#"{"v":[1]}"#, "{}", &long, r#"{"v":1,"op":"drop"}"#, r#"{"v":1,"op":1}"#]
        {
            assert_eq!(code(&unique, data), Code::ValueInvalid, "{data}");
        }
        assert_eq!(measure(&meter("unique", &json!({})), r#"{"v":1,"op":"drop"}"#), Ok(member("1", Operation::Add)));
    }

    #[test]
    fn dimensions_stand_in_the_order_of_their_names_and_read_back() {
        let count = meter("count", &json!({"group_by": {"region": "$.region", "model": "$.model", "big": "$.n"}}));
        let dimensions = |data: &str| select(&count, "call", Some(data)).map(|sample| sample.unwrap().dimensions);
        let full = dimensions(r#"{"model":"a\"b","n":1e3,"region":true}"#).unwrap();
        assert_eq!(full.to_text(), r#"{"big":"1e3","model":"a\"b","region":"true"}"#);
        assert_eq!(full.iter().next(), Some(("big", "1e3")));
        assert_eq!(Dimensions::from_text(&full.to_text()), Some(full));
        assert_eq!(dimensions(r#"{"model":null}"#).unwrap().to_text(), r#"{"big":"","model":"","region":""}"#);
        assert_eq!(Dimensions::default().to_text(), "{}");
        assert_eq!(Dimensions::from_text("{}"), Some(Dimensions::default()));
        for bad in ["", "[]", r#"{"a":1}"#, r#"{"b":"","a":""}"#, r#"{"a":"","a":""}"#, r#"{"a": ""}"#] {
            assert_eq!(Dimensions::from_text(bad), None, "{bad}");
        }
        let long = format!("{{\"model\":\"{}\"}}", "x".repeat(MAX_TEXT_BYTES + 1));
        for data in [r#"{"model":{}}"#, r#"{"model":[]}"#, &long] {
            let rejection = dimensions(data).unwrap_err();
            assert_eq!(rejection.code, Code::ValueInvalid);
            assert!(rejection.detail.contains("dimension model at $.model"), "{rejection}");
        }
    }
}

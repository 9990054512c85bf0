//! The rule that turns events into a quantity.
//!
//! Here is the definition, how it is read and written, and what it may say. What it makes of one event is
//! [`crate::sample`], what it makes of many [`crate::aggregate`].

use std::collections::BTreeMap;

use kernel::decimal::{Step, StepMode};
use serde_json::{Map, Value, json};

use crate::path::Path;
use kernel::error::FieldProblem;

/// Most dimensions of a meter.
pub const MAX_DIMENSIONS: usize = 10;
/// Most conditions of a filter.
pub const MAX_CONDITIONS: usize = 20;
/// Most bytes of a key, of a dimension's name and of a unit.
pub const MAX_NAME_BYTES: usize = 64;
/// Most bytes of an event type and of the text that a condition compares with.
pub const MAX_TEXT_BYTES: usize = 255;
/// Most combinations of dimensions that one customer may have in one window of a meter.
pub const MAX_COMBINATIONS: usize = 10_000;

/// How the values of a window become one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// The number of events.
    Count,
    /// The sum of the values.
    Sum,
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// The value of the last event, by time and then by receipt.
    Latest,
    /// The number of different values.
    Unique,
    /// The time average of a level that the events change.
    WeightedSum,
}

/// How `overage: deny` can hold for a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Each event adds its value: decided event by event, with reservations.
    ByValue,
    /// The new aggregate is compared with the limit, without reservations.
    ByAggregate,
    /// Not at all: what is used can shrink by itself or by an event.
    Never,
}

impl Aggregation {
    /// Every aggregation.
    pub const ALL: [Self; 7] =
        [Self::Count, Self::Sum, Self::Max, Self::Min, Self::Latest, Self::Unique, Self::WeightedSum];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Min => "min",
            Self::Latest => "latest",
            Self::Unique => "unique",
            Self::WeightedSum => "weighted_sum",
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|aggregation| aggregation.name() == text)
    }

    /// Whether a window may start with the state at the end of the one before.
    pub const fn carries_over(self) -> bool {
        matches!(self, Self::Latest | Self::Unique | Self::WeightedSum)
    }
}

/// What an event must say to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Where.
    pub path: Path,
    /// The content of the string there, or the text of the number or truth value.
    pub equals: String,
}

/// A meter's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Its name in prices and queries: lower-case letters, digits, `_`, `-` and `.`.
    pub key: String,
    /// The type of the events it looks at.
    pub event_type: String,
    /// How their values become one quantity.
    pub aggregation: Aggregation,
    /// Where the value stands in `data`; `None` for [`Aggregation::Count`] alone.
    pub value_path: Option<Path>,
    /// One quantity for each combination of these: name of the dimension, where its value stands.
    pub group_by: BTreeMap<String, Path>,
    /// Conditions that an event must all meet.
    pub filter: Vec<Condition>,
    /// What is counted, for people.
    pub unit: Option<String>,
    /// Applied once, to the aggregate.
    pub rounding: Option<Step>,
    /// Whether a window starts with the state at the end of the one before; see [`Aggregation::carries_over`].
    pub carry_over: bool,
    /// Whether values below zero are taken; for [`Aggregation::Sum`] alone.
    pub allow_negative: bool,
    /// Where `add` or `remove` stands; for [`Aggregation::Unique`] alone.
    pub operation_path: Option<Path>,
}

impl Meter {
    /// How `overage: deny` can hold for this meter.
    pub const fn denial(&self) -> Denial {
        match self.aggregation {
            Aggregation::Count => Denial::ByValue,
            Aggregation::Sum if !self.allow_negative => Denial::ByValue,
            Aggregation::Unique | Aggregation::Max | Aggregation::Latest => Denial::ByAggregate,
            Aggregation::Sum | Aggregation::Min | Aggregation::WeightedSum => Denial::Never,
        }
    }

    /// Reads a definition:
    /// `{"key", "event_type", "aggregation", "value_path"?, "group_by"?: {name: path}, "filter"?: [{"path", "equals"}],
    /// "unit"?, "rounding"?: {"mode": "round" | "ceil" | "floor", "precision"}, "carry_over"?, "allow_negative"?,
    /// "operation_path"?}`. A member that is null counts as absent.
    ///
    /// # Errors
    /// All problems of all fields.
    pub fn from_json(value: &Value) -> Result<Self, Vec<FieldProblem>> {
        let Some(members) = value.as_object() else {
            return Err(vec![problem("", "wrong_type", "a meter is an object")]);
        };
        let mut reader = Reader { members, base: String::new(), problems: Vec::new() };
        reader.only(&[
            "key",
            "event_type",
            "aggregation",
            "value_path",
            "group_by",
            "filter",
            "unit",
            "rounding",
            "carry_over",
            "allow_negative",
            "operation_path",
        ]);
        let key = reader.required("key").map(str::to_owned);
        if key.as_ref().is_some_and(|key| !is_key(key)) {
            let detail = "a key has 1 to 64 lower-case letters, digits, _, - and ., and begins with a letter";
            reader.refuse("key", "bad_value", detail);
        }
        let event_type = reader.required("event_type").map(str::to_owned);
        if event_type.as_ref().is_some_and(|text| !is_text(text, MAX_TEXT_BYTES)) {
            reader.refuse("event_type", "bad_value", "the type of an event has 1 to 255 bytes, no control characters");
        }
        let aggregation = reader.required("aggregation").map(Aggregation::parse);
        if aggregation == Some(None) {
            let accepted = Aggregation::ALL.map(Aggregation::name).join(", ");
            reader.refuse("aggregation", "bad_value", format!("an aggregation is one of {accepted}"));
        }
        let unit = reader.string("unit").map(str::to_owned);
        if unit.as_ref().is_some_and(|text| !is_text(text, MAX_NAME_BYTES)) {
            reader.refuse("unit", "bad_value", "a unit has 1 to 64 bytes, no control characters");
        }
        let meter = Self {
            key: key.unwrap_or_default(),
            event_type: event_type.unwrap_or_default(),
            aggregation: aggregation.flatten().unwrap_or(Aggregation::Count),
            value_path: reader.path("value_path"),
            group_by: reader.group_by(),
            filter: reader.filter(),
            unit,
            rounding: reader.rounding(),
            carry_over: reader.boolean("carry_over"),
            allow_negative: reader.boolean("allow_negative"),
            operation_path: reader.path("operation_path"),
        };
        if let Some(Some(aggregation)) = aggregation {
            reader.fit(&meter, aggregation);
        }
        if reader.problems.is_empty() { Ok(meter) } else { Err(reader.problems) }
    }

    /// The definition as [`Self::from_json`] reads it; absent members are left out.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
        put("key", json!(self.key));
        put("event_type", json!(self.event_type));
        put("aggregation", json!(self.aggregation.name()));
        if let Some(path) = &self.value_path {
            put("value_path", json!(path.to_string()));
        }
        if !self.group_by.is_empty() {
            let paths = self.group_by.iter().map(|(name, path)| (name.clone(), json!(path.to_string())));
            put("group_by", Value::Object(paths.collect()));
        }
        if !self.filter.is_empty() {
            let conditions = self.filter.iter().map(|c| json!({"path": c.path.to_string(), "equals": c.equals}));
            put("filter", Value::Array(conditions.collect()));
        }
        if let Some(unit) = &self.unit {
            put("unit", json!(unit));
        }
        if let Some(step) = self.rounding {
            put("rounding", json!({"mode": mode_name(step.mode()), "precision": step.precision()}));
        }
        if self.carry_over {
            put("carry_over", json!(true));
        }
        if self.allow_negative {
            put("allow_negative", json!(true));
        }
        if let Some(path) = &self.operation_path {
            put("operation_path", json!(path.to_string()));
        }
        Value::Object(out)
    }
}

const fn mode_name(mode: StepMode) -> &'static str {
    match mode {
        StepMode::Round => "round",
        StepMode::Ceil => "ceil",
        StepMode::Floor => "floor",
    }
}

fn is_key(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
    text.len() <= MAX_NAME_BYTES && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(good)
}

fn is_text(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_dimension(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(good)
}

fn problem(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> FieldProblem {
    FieldProblem { pointer: pointer.into(), code, detail: detail.into() }
}

/// Reads the members of one object of a definition and collects what is wrong with them.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    base: String,
    problems: Vec<FieldProblem>,
}

impl<'a> Reader<'a> {
    fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        let pointer = format!("{}/{}", self.base, name.replace('~', "~0").replace('/', "~1"));
        self.problems.push(problem(pointer, code, detail));
    }

    /// Notes every member that is not among these.
    fn only(&mut self, names: &[&str]) {
        let unknown = self.members.keys().filter(|name| !names.contains(&name.as_str())).take(MAX_CONDITIONS);
        for name in unknown {
            self.refuse(name, "unknown_field", "there is no field of this name here");
        }
    }

    fn member(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn string(&mut self, name: &str) -> Option<&'a str> {
        let value = self.member(name)?;
        if !value.is_string() {
            self.refuse(name, "wrong_type", "this takes a string");
        }
        value.as_str()
    }

    fn required(&mut self, name: &str) -> Option<&'a str> {
        if self.member(name).is_none() {
            self.refuse(name, "required", "this field must be given");
        }
        self.string(name)
    }

    fn boolean(&mut self, name: &str) -> bool {
        let Some(value) = self.member(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.refuse(name, "wrong_type", "this takes true or false");
            false
        })
    }

    fn path(&mut self, name: &str) -> Option<Path> {
        let read = self.string(name)?.parse::<Path>();
        read.map_err(|error| self.refuse(name, "bad_value", format!("this is {error}"))).ok()
    }

    /// A reader over an object inside this one, whose problems [`Self::absorb`] takes.
    fn inner(&self, path: &str, members: &'a Map<String, Value>) -> Self {
        Self { members, base: format!("{}/{path}", self.base), problems: Vec::new() }
    }

    fn absorb(&mut self, inner: Self) {
        self.problems.extend(inner.problems);
    }

    fn group_by(&mut self) -> BTreeMap<String, Path> {
        let Some(value) = self.member("group_by") else { return BTreeMap::new() };
        let Some(members) = value.as_object() else {
            self.refuse("group_by", "wrong_type", "this takes an object of paths by the name of the dimension");
            return BTreeMap::new();
        };
        if members.len() > MAX_DIMENSIONS {
            self.refuse("group_by", "too_many", "a meter has at most 10 dimensions");
            return BTreeMap::new();
        }
        let mut inner = self.inner("group_by", members);
        let mut paths = BTreeMap::new();
        for name in members.keys() {
            if !is_dimension(name) {
                let detail = "the name of a dimension has 1 to 64 letters, digits and _, and begins with no digit";
                inner.refuse(name, "bad_value", detail);
            }
            if inner.required(name).is_some()
                && let Some(path) = inner.path(name)
            {
                paths.insert(name.clone(), path);
            }
        }
        self.absorb(inner);
        paths
    }

    fn filter(&mut self) -> Vec<Condition> {
        let Some(value) = self.member("filter") else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.refuse("filter", "wrong_type", "this takes an array of {\"path\", \"equals\"}");
            return Vec::new();
        };
        if items.len() > MAX_CONDITIONS {
            self.refuse("filter", "too_many", "a filter has at most 20 conditions");
            return Vec::new();
        }
        let mut conditions = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(members) = item.as_object() else {
                let pointer = format!("{}/filter/{index}", self.base);
                self.problems.push(problem(pointer, "wrong_type", "a condition is an object with path and equals"));
                continue;
            };
            let mut inner = self.inner(&format!("filter/{index}"), members);
            inner.only(&["path", "equals"]);
            let path = inner.required("path").and_then(|_| inner.path("path"));
            let equals = inner.required("equals").map(str::to_owned);
            if equals.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
                inner.refuse("equals", "too_long", "a condition compares with at most 255 bytes");
            }
            conditions.extend(path.zip(equals).map(|(path, equals)| Condition { path, equals }));
            self.absorb(inner);
        }
        conditions
    }

    fn rounding(&mut self) -> Option<Step> {
        let value = self.member("rounding")?;
        let Some(members) = value.as_object() else {
            self.refuse("rounding", "wrong_type", "this takes {\"mode\", \"precision\"}");
            return None;
        };
        let mut inner = self.inner("rounding", members);
        inner.only(&["mode", "precision"]);
        let name = inner.required("mode");
        let modes = [StepMode::Round, StepMode::Ceil, StepMode::Floor];
        let mode = name.and_then(|name| modes.into_iter().find(|mode| mode_name(*mode) == name));
        if name.is_some() && mode.is_none() {
            inner.refuse("mode", "bad_value", "a mode is one of round, ceil, floor");
        }
        let mut precision = None;
        match inner.member("precision") {
            None => inner.refuse("precision", "required", "this field must be given"),
            Some(value) if !value.is_number() => inner.refuse("precision", "wrong_type", "this takes a whole number"),
            Some(value) => {
                let read = value.as_i64().and_then(|number| i8::try_from(number).ok());
                precision = read.filter(|number| Step::new(StepMode::Round, *number).is_some());
                if precision.is_none() {
                    inner.refuse("precision", "out_of_range", "a precision is a whole number from -6 to 12");
                }
            }
        }
        self.absorb(inner);
        Step::new(mode?, precision?)
    }

    /// What one field says against another.
    fn fit(&mut self, meter: &Meter, aggregation: Aggregation) {
        let given = self.member("value_path").is_some();
        if aggregation == Aggregation::Count && given {
            self.refuse("value_path", "bad_value", "count takes no value; leave the path out");
        } else if aggregation != Aggregation::Count && !given {
            self.refuse("value_path", "required", format!("{} needs the path of its value", aggregation.name()));
        }
        if meter.carry_over && !aggregation.carries_over() {
            self.refuse("carry_over", "bad_value", "only latest, unique and weighted_sum carry over");
        }
        if meter.allow_negative && aggregation != Aggregation::Sum {
            let detail = "only sum has this setting; max, min, latest and weighted_sum take values below zero anyway";
            self.refuse("allow_negative", "bad_value", detail);
        }
        if self.member("operation_path").is_some() && aggregation != Aggregation::Unique {
            self.refuse("operation_path", "bad_value", "only unique takes values out again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(value: &Value) -> Vec<(String, &'static str)> {
        let found = Meter::from_json(value).unwrap_err();
        assert!(found.iter().all(|problem| !problem.detail.is_empty()));
        found.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    fn expect(value: &Value, expected: &[(&str, &'static str)]) {
        let expected: Vec<(String, &'static str)> = expected.iter().map(|(p, c)| ((*p).to_owned(), *c)).collect();
        assert_eq!(problems(value), expected, "{value}");
    }

    #[test]
    fn a_definition_reads_back_as_it_was_written() {
        let full = json!({
            "key": "llm.tokens", "event_type": "llm call", "aggregation": "sum", "value_path": "$.usage.tokens",
            "group_by": {"model": "$.model", "Region_2": "$[\"cloud.region\"]"},
            "filter": [{"path": "$.kind", "equals": "output"}, {"path": "$.paid", "equals": "true"}],
            "unit": "tokens", "rounding": {"mode": "ceil", "precision": -3}, "allow_negative": true,
        });
        let mut meter = Meter::from_json(&full).unwrap();
        assert_eq!(meter.to_json(), full);
        assert_eq!(meter.denial(), Denial::Never);
        meter.allow_negative = false;
        assert_eq!(meter.denial(), Denial::ByValue);
        let seats = json!({
            "key": "seats", "event_type": "seat", "aggregation": "unique", "value_path": "$.user", "carry_over": true,
            "operation_path": "$.operation",
        });
        assert_eq!(Meter::from_json(&seats).unwrap().to_json(), seats);
        let nulls = json!({
            "key": "calls", "event_type": "call", "aggregation": "count", "value_path": null, "group_by": null,
            "filter": [], "unit": null, "rounding": null, "carry_over": false, "operation_path": null,
        });
        let least = json!({"key": "calls", "event_type": "call", "aggregation": "count"});
        assert_eq!(Meter::from_json(&nulls).unwrap().to_json(), least);
    }

    #[test]
    fn every_aggregation_has_its_name_and_says_how_deny_holds() {
        let denials: Vec<(&str, Denial)> = Aggregation::ALL
            .into_iter()
            .map(|aggregation| {
                let mut definition = json!({"key": "m", "event_type": "e", "aggregation": aggregation.name()});
                if aggregation != Aggregation::Count {
                    definition["value_path"] = json!("$.v");
                }
                let meter = Meter::from_json(&definition).unwrap();
                (meter.aggregation.name(), meter.denial())
            })
            .collect();
        let expected = [
            ("count", Denial::ByValue),
            ("sum", Denial::ByValue),
            ("max", Denial::ByAggregate),
            ("min", Denial::Never),
            ("latest", Denial::ByAggregate),
            ("unique", Denial::ByAggregate),
            ("weighted_sum", Denial::Never),
        ];
        assert_eq!(denials, expected);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        expect(&json!([]), &[("", "wrong_type")]);
        expect(&json!({}), &[("/key", "required"), ("/event_type", "required"), ("/aggregation", "required")]);
        expect(
            &json!({
                "key": "Calls", "event_type": "", "aggregation": "median", "value_path": "tokens", "a/b": 1, "unit": 7,
                "group_by": {"1st": "$.a", "ok": "$.b", "c": 5, "d": null, "e": ""},
                "filter": [{"path": "$.k", "equals": 1}, "x", {"equals": "v", "path": "$", "not": 1}],
                "rounding": {"mode": "up", "precision": 13}, "carry_over": "yes", "operation_path": [],
            }),
            &[
                ("/a~1b", "unknown_field"),
                ("/key", "bad_value"),
                ("/event_type", "bad_value"),
                ("/aggregation", "bad_value"),
                ("/unit", "wrong_type"),
                ("/value_path", "bad_value"),
                ("/group_by/1st", "bad_value"),
                ("/group_by/c", "wrong_type"),
                ("/group_by/d", "required"),
                ("/group_by/e", "bad_value"),
                ("/filter/0/equals", "wrong_type"),
                ("/filter/1", "wrong_type"),
                ("/filter/2/not", "unknown_field"),
                ("/filter/2/path", "bad_value"),
                ("/rounding/mode", "bad_value"),
                ("/rounding/precision", "out_of_range"),
                ("/carry_over", "wrong_type"),
                ("/operation_path", "wrong_type"),
            ],
        );
    }

    #[test]
    fn lists_and_texts_have_bounds() {
        let with = |name: &str, value: Value| {
            let mut meter = json!({"key": "m", "event_type": "e", "aggregation": "count"});
            meter[name] = value;
            meter
        };
        let dimensions = |count: usize| Value::Object((0..count).map(|n| (format!("d{n}"), json!("$.d"))).collect());
        assert!(Meter::from_json(&with("group_by", dimensions(MAX_DIMENSIONS))).is_ok());
        expect(&with("group_by", dimensions(MAX_DIMENSIONS + 1)), &[("/group_by", "too_many")]);
        let conditions = |count: usize| json!(vec![json!({"path": "$.d", "equals": ""}); count]);
        assert!(Meter::from_json(&with("filter", conditions(MAX_CONDITIONS))).is_ok());
        expect(&with("filter", conditions(MAX_CONDITIONS + 1)), &[("/filter", "too_many")]);
        let long = json!([{"path": "$.d", "equals": "x".repeat(MAX_TEXT_BYTES + 1)}]);
        expect(&with("filter", long), &[("/filter/0/equals", "too_long")]);
        for key in ["", "1a", ".a", "a b", "é", &"k".repeat(MAX_NAME_BYTES + 1)] {
            expect(&with("key", json!(key)), &[("/key", "bad_value")]);
        }
        expect(&with("unit", json!("a\n")), &[("/unit", "bad_value")]);
        expect(&with("event_type", json!("x".repeat(MAX_TEXT_BYTES + 1))), &[("/event_type", "bad_value")]);
        for (precision, code) in [(json!(-7), "out_of_range"), (json!("2"), "wrong_type"), (json!(null), "required")] {
            let rounding = json!({"mode": "round", "precision": precision});
            expect(&with("rounding", rounding), &[("/rounding/precision", code)]);
        }
        expect(&with("group_by", json!([])), &[("/group_by", "wrong_type")]);
        expect(&with("filter", json!({})), &[("/filter", "wrong_type")]);
        expect(&with("rounding", json!(2)), &[("/rounding", "wrong_type")]);
    }

    #[test]
    fn a_setting_goes_with_the_aggregations_that_have_it() {
        for aggregation in Aggregation::ALL {
            let name = aggregation.name();
            let mut definition = json!({
                "key": "m", "event_type": "e", "aggregation": name, "value_path": "$.v", "carry_over": true,
                "allow_negative": true, "operation_path": "$.o",
            });
            let mut expected: Vec<(&str, &'static str)> = Vec::new();
            if aggregation == Aggregation::Count {
                expected.push(("/value_path", "bad_value"));
            }
            if !matches!(name, "latest" | "unique" | "weighted_sum") {
                expected.push(("/carry_over", "bad_value"));
            }
            if name != "sum" {
                expected.push(("/allow_negative", "bad_value"));
            }
            if name != "unique" {
                expected.push(("/operation_path", "bad_value"));
            }
            expect(&definition, &expected);
            definition = json!({"key": "m", "event_type": "e", "aggregation": name});
            if aggregation != Aggregation::Count {
                expect(&definition, &[("/value_path", "required")]);
            }
        }
    }
}

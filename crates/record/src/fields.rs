//! Reads the members of a JSON object by name and type, and collects every problem instead of the first.
//!
//! Only shape is judged here; which values are good is for the products. A member that nobody asked for is a problem too, so
//! that a misspelt name is never ignored silently.

use kernel::clock::Timestamp;
use kernel::error::FieldProblem;
use kernel::patch::Field;
use serde_json::{Map, Value};

/// Unknown members that one answer names: a body of thousands of them must not become a larger answer.
const MAX_UNKNOWN: usize = 100;

/// A reader over one JSON object.
pub struct Reader<'a> {
    members: &'a Map<String, Value>,
    base: String,
    /// Few enough to be looked through.
    read: Vec<&'static str>,
    problems: Vec<FieldProblem>,
}

impl<'a> Reader<'a> {
    /// A reader over the whole body.
    ///
    /// # Errors
    /// One problem at the empty pointer when the body is not an object.
    pub fn new(value: &'a Value) -> Result<Self, Vec<FieldProblem>> {
        match value {
            Value::Object(members) => Ok(Self::at("", members)),
            other => Err(vec![wrong_type(String::new(), "an object", other)]),
        }
    }

    /// A reader over an object inside the body; `base` is the pointer of that object, for example `/rate_limit`.
    pub fn at(base: &str, members: &'a Map<String, Value>) -> Self {
        Self { members, base: base.to_owned(), read: Vec::new(), problems: Vec::new() }
    }

    /// Whether a member is there with any value but null.
    pub fn is_given(&mut self, name: &'static str) -> bool {
        self.read.push(name);
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text.
    pub fn string(&mut self, name: &'static str) -> Field<String> {
        self.member(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A list of texts.
    pub fn strings(&mut self, name: &'static str) -> Field<Vec<String>> {
        match self.member(name, "an array of strings", Value::as_array) {
            Field::Absent => Field::Absent,
            Field::Null => Field::Null,
            Field::Value(items) => self.texts(name, items),
        }
    }

    /// Scopes: a list of texts, or one text in which they are separated by spaces as in RFC 6749 §3.3.
    pub fn scopes(&mut self, name: &'static str) -> Field<Vec<String>> {
        let accepted = |value: &'a Value| (value.is_string() || value.is_array()).then_some(value);
        match self.member(name, "an array of strings or one space-separated string", accepted) {
            Field::Absent => Field::Absent,
            Field::Null => Field::Null,
            Field::Value(Value::Array(items)) => self.texts(name, items),
            Field::Value(value) => {
                let text = value.as_str().unwrap_or_default();
                Field::Value(text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect())
            }
        }
    }

    /// A whole number of 64 bits.
    pub fn integer(&mut self, name: &'static str) -> Field<i64> {
        self.member(name, "a whole number of 64 bits", Value::as_i64)
    }

    /// A truth value.
    pub fn boolean(&mut self, name: &'static str) -> Field<bool> {
        self.member(name, "true or false", Value::as_bool)
    }

    /// An instant in RFC 3339.
    pub fn time(&mut self, name: &'static str) -> Field<Timestamp> {
        match self.string(name) {
            Field::Absent => Field::Absent,
            Field::Null => Field::Null,
            Field::Value(text) => match Timestamp::parse(&text) {
                Ok(instant) => Field::Value(instant),
                Err(error) => {
                    let detail = format!("this is {error}");
                    self.problems.push(FieldProblem { pointer: self.pointer(name), code: "bad_value", detail });
                    Field::Absent
                }
            },
        }
    }

    /// A list, its items as they are.
    pub fn list(&mut self, name: &'static str) -> Field<Vec<Value>> {
        self.member(name, "an array", |value| value.as_array().cloned())
    }

    /// Whether a member is there, `null` included.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.read.push(name);
        self.members.contains_key(name)
    }

    /// An object, whole.
    pub fn object(&mut self, name: &'static str) -> Field<Map<String, Value>> {
        self.member(name, "an object", |value| value.as_object().cloned())
    }

    /// Adds a problem that the caller found, at a member of this object.
    pub fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.problems.push(FieldProblem { pointer: self.pointer(name), code, detail: detail.into() });
    }

    /// Adds the problems of a reader over an object inside this one.
    pub fn absorb(&mut self, problems: Vec<FieldProblem>) {
        self.problems.extend(problems);
    }

    /// All problems found, with one for each member that was never read.
    pub fn finish(mut self) -> Vec<FieldProblem> {
        let unknown: Vec<String> =
            self.members.keys().filter(|name| !self.read.contains(&name.as_str())).take(MAX_UNKNOWN).cloned().collect();
        for name in unknown.into_iter().filter(|_| !kernel::mutant::is("I02-unknown")) {
            self.refuse(&name, "unknown_field", "there is no field of this name here");
        }
        self.problems
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.base, escape(name))
    }

    /// Reads one member, and notes a problem when it is neither `null` nor what is wanted.
    fn member<T>(&mut self, name: &'static str, wanted: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Field<T> {
        self.read.push(name);
        match self.members.get(name) {
            None => Field::Absent,
            Some(Value::Null) => Field::Null,
            Some(value) => read(value).map_or_else(
                || {
                    self.problems.push(wrong_type(self.pointer(name), wanted, value));
                    Field::Absent
                },
                Field::Value,
            ),
        }
    }

    fn texts(&mut self, name: &str, items: &[Value]) -> Field<Vec<String>> {
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if let Some(text) = item.as_str() {
                texts.push(text.to_owned());
            } else {
                self.problems.push(wrong_type(format!("{}/{index}", self.pointer(name)), "a string", item));
            }
        }
        if texts.len() == items.len() { Field::Value(texts) } else { Field::Absent }
    }
}

/// A member name as a token of a pointer (RFC 6901 §3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn wrong_type(pointer: String, wanted: &str, found: &Value) -> FieldProblem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    FieldProblem { pointer, code: "wrong_type", detail: format!("this takes {wanted}, not {found}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(problems: &[FieldProblem]) -> Vec<(&str, &str)> {
        problems.iter().map(|p| (p.pointer.as_str(), p.code)).collect()
    }

    #[test]
    fn members_are_read_by_type_and_null_is_told_from_absence() {
        let body = json!({
            "name": "n", "list": ["a", "b"], "ttl": -7, "flag": true, "at": "2023-12-31T23:59:59Z", "map": {"k": 1},
            "gone": null,
        });
        let mut reader = Reader::new(&body).unwrap();
        assert_eq!(reader.string("name"), Field::Value("n".to_owned()));
        assert_eq!(reader.strings("list"), Field::Value(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(reader.integer("ttl"), Field::Value(-7));
        assert_eq!(reader.boolean("flag"), Field::Value(true));
        assert_eq!(reader.time("at"), Field::Value(Timestamp::from_seconds(1_704_067_199)));
        assert_eq!(reader.object("map"), Field::Value(body["map"].as_object().unwrap().clone()));
        assert_eq!(reader.time("gone"), Field::Null);
        assert_eq!(reader.string("never_there"), Field::Absent);
        assert_eq!(reader.finish(), []);
    }

    #[test]
    fn scopes_are_a_list_or_one_text() {
        let body = json!({"a": ["x", "y"], "b": " x  y ", "c": "", "d": 1, "e": ["x", 2], "f": null});
        let mut reader = Reader::new(&body).unwrap();
        let both = Field::Value(vec!["x".to_owned(), "y".to_owned()]);
        assert_eq!(reader.scopes("a"), both);
        assert_eq!(reader.scopes("b"), both);
        assert_eq!(reader.scopes("c"), Field::Value(Vec::new()));
        assert_eq!(reader.scopes("d"), Field::Absent);
        assert_eq!(reader.scopes("e"), Field::Absent);
        assert_eq!(reader.scopes("f"), Field::Null);
        assert_eq!(found(&reader.finish()), [("/d", "wrong_type"), ("/e/1", "wrong_type")]);
    }

    #[test]
    fn every_problem_is_collected_with_its_pointer() {
        let body = json!({
            "name": 1, "list": ["a", 2, null], "ttl": 1.5, "big": u64::MAX, "flag": "true", "at": "yesterday",
            "map": [], "a/b~c": 1,
        });
        let mut reader = Reader::new(&body).unwrap();
        assert_eq!(reader.string("name"), Field::Absent);
        assert_eq!(reader.strings("list"), Field::Absent);
        assert_eq!(reader.integer("ttl"), Field::Absent);
        assert_eq!(reader.integer("big"), Field::Absent);
        assert_eq!(reader.boolean("flag"), Field::Absent);
        assert_eq!(reader.time("at"), Field::Absent);
        assert_eq!(reader.object("map"), Field::Absent);
        let problems = reader.finish();
        assert_eq!(
            found(&problems),
            [
                ("/name", "wrong_type"),
                ("/list/1", "wrong_type"),
                ("/list/2", "wrong_type"),
                ("/ttl", "wrong_type"),
                ("/big", "wrong_type"),
                ("/flag", "wrong_type"),
                ("/at", "bad_value"),
                ("/map", "wrong_type"),
                ("/a~1b~0c", "unknown_field"),
            ]
        );
        assert_eq!(problems[0].detail, "this takes a string, not a number");
    }

    #[test]
    fn a_body_that_is_not_an_object_is_a_problem_at_the_empty_pointer() {
        for body in [json!(null), json!([]), json!("x"), json!(1), json!(true)] {
            let problems = Reader::new(&body).map(|_| ()).unwrap_err();
            assert_eq!(found(&problems), [("", "wrong_type")]);
        }
    }

    #[test]
    fn problems_of_an_inner_object_have_the_outer_pointer_in_front() {
        let body = json!({"rate_limit": {"burst": "x", "speed": 1}});
        let mut outer = Reader::new(&body).unwrap();
        let Field::Value(limit) = outer.object("rate_limit") else { panic!("an object") };
        let mut inner = Reader::at("/rate_limit", &limit);
        assert_eq!(inner.integer("burst"), Field::Absent);
        let problems = inner.finish();
        outer.absorb(problems);
        let expected = [("/rate_limit/burst", "wrong_type"), ("/rate_limit/speed", "unknown_field")];
        assert_eq!(found(&outer.finish()), expected);
    }

    #[test]
    fn thousands_of_unknown_members_are_named_up_to_a_bound() {
        let body = Value::Object((0..5_000).map(|i| (format!("f{i}"), json!(1))).collect());
        assert_eq!(Reader::new(&body).unwrap().finish().len(), MAX_UNKNOWN);
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(text in r#"[\[\]{}",:\\0-9an.e\-]{0,48}"#, name: String) {
            let body = serde_json::from_str(&text).unwrap_or_else(|_| json!({ name: text }));
            if let Ok(mut reader) = Reader::new(&body) {
                for member in body.as_object().unwrap().keys() {
                    let member: &'static str = Box::leak(member.clone().into_boxed_str());
                    let _ = (reader.string(member), reader.scopes(member), reader.strings(member));
                    let _ = (reader.integer(member), reader.boolean(member), reader.time(member), reader.object(member));
                }
                proptest::prop_assert!(reader.finish().iter().all(|p| p.code != "unknown_field"));
            }
        }
    }
}

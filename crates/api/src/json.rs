//! A strict reader of JSON bodies (RFC 8259).
//!
//! It refuses what lenient readers disagree about: repeated keys, lone surrogates, numbers without a finite value.
//! Depth and number of values are bounded, so neither the stack nor memory grows past what the body's size allows.

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 32;

/// Most values in one body: scalars, arrays and objects together.
pub const MAX_VALUES: usize = 20_000;

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON as this server reads it: 400.
    #[error("the body is refused at byte {offset}: {what}")]
    Malformed {
        /// The byte at which reading stopped.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A string holds U+0000, which no store keeps in a text: 422.
    #[error("a string holds U+0000, which is not accepted")]
    Nul,
}

/// Reads one JSON text.
///
/// # Errors
/// [`JsonError::Nul`] when the body is good but for U+0000 in a string, [`JsonError::Malformed`] for all else.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::Malformed { offset: error.valid_up_to(), what: "this is not UTF-8" })?;
    let mut reader = Reader { text, at: 0, values: 0, nul: false };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.peek().is_some() {
        return Err(reader.fail("something follows the value"));
    }
    if reader.nul { Err(JsonError::Nul) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    /// Always on a character boundary: only ASCII is stepped over byte by byte.
    at: usize,
    values: usize,
    nul: bool,
}

impl<'a> Reader<'a> {
    fn fail(&self, what: &'static str) -> JsonError {
        JsonError::Malformed { offset: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Steps over the byte when it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.step();
        }
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Reads a value inside `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.skip_space();
        if self.values >= MAX_VALUES {
            return Err(self.fail("there are more than 20000 values"));
        }
        self.values = self.values.saturating_add(1);
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH && !kernel::mutant::is("D01-deep") => {
                Err(self.fail("arrays and objects nest deeper than 32"))
            }
            Some(b'{') => self.object(depth.saturating_add(1)),
            Some(b'[') => self.array(depth.saturating_add(1)),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.fail("a value was expected")),
            None => Err(self.fail("the body ends where a value was expected")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at = self.at.saturating_add(word.len());
            Ok(value)
        } else {
            Err(self.fail("a value was expected"))
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.step();
        let mut members = Map::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.fail("a member name in double quotes was expected"));
            }
            let start = self.at;
            let name = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.fail("a colon was expected"));
            }
            match members.entry(name) {
                Entry::Occupied(_) => {
                    return Err(JsonError::Malformed { offset: start, what: "this member name is repeated" });
                }
                Entry::Vacant(slot) => slot.insert(self.value(depth)?),
            };
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.fail("a comma or the end of the object was expected"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.step();
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.fail("a comma or the end of the array was expected"));
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.step();
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|b| b >= b' ' && b != b'"' && b != b'\\') {
                self.step();
            }
            out.push_str(self.since(start));
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(out);
                }
                Some(b'\\') => {
                    let escaped = self.escape()?;
                    self.nul |= escaped == '\0';
                    out.push(escaped);
                }
                Some(_) => return Err(self.fail("a control character in a string must be escaped")),
                None => return Err(self.fail("the body ends within a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.step();
        let Some(letter) = self.peek() else { return Err(self.fail("the body ends within a string")) };
        let plain = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.step();
                return self.code_point(start);
            }
            _ => return Err(JsonError::Malformed { offset: start, what: "there is no such escape" }),
        };
        self.step();
        Ok(plain)
    }

    /// The character of `\u` and four hexadecimal digits, or of two such that are a surrogate pair (RFC 8259 §7).
    fn code_point(&mut self, start: usize) -> Result<char, JsonError> {
        let lone = JsonError::Malformed { offset: start, what: "a surrogate stands alone" };
        let first = self.hex4()?;
        if !(0xd800..=0xdfff).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if first >= 0xdc00 || !(self.take(b'\\') && self.take(b'u')) {
            return Err(lone);
        }
        let second = self.hex4()?;
        if !(0xdc00..=0xdfff).contains(&second) {
            return Err(lone);
        }
        let joined = ((first & 0x3ff) << 10 | (second & 0x3ff)).saturating_add(0x1_0000);
        char::from_u32(joined).ok_or(lone)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut value = 0_u32;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let digit = digit.ok_or_else(|| self.fail("four hexadecimal digits were expected"))?;
            value = (value << 4) | digit;
            self.step();
        }
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.fail("a digit was expected"));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.step();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        self.take(b'-');
        if self.take(b'0') {
            if self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(self.fail("a number does not begin with a zero that is followed by digits"));
            }
        } else {
            self.digits()?;
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            whole = false;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let text = self.since(start);
        if whole {
            // `-0` has a sign that no integer keeps.
            if text != "-0"
                && let Ok(number) = text.parse::<i64>()
            {
                return Ok(Number::from(number));
            }
            if let Ok(number) = text.parse::<u64>() {
                return Ok(Number::from(number));
            }
        }
        let number = text.parse::<f64>().ok().and_then(Number::from_f64);
        number.ok_or(JsonError::Malformed { offset: start, what: "this number is too large" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refusal(text: &str) -> (usize, &'static str) {
        match parse(text.as_bytes()) {
            Err(JsonError::Malformed { offset, what }) => (offset, what),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_body_is_read_with_its_members_in_order() {
        let value = parse(b" { \"b\" : [1, -2, 1.5e2, true, false, null, \"x\"], \"a\": {} }\r\n\t").unwrap();
        assert_eq!(value, json!({"b": [1, -2, 150.0, true, false, null, "x"], "a": {}}));
        assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn integers_of_64_bits_are_exact_and_larger_ones_are_floats() {
        assert_eq!(parse(b"-9223372036854775808").unwrap(), json!(i64::MIN));
        assert_eq!(parse(b"18446744073709551615").unwrap(), json!(u64::MAX));
        assert!(parse(b"18446744073709551616").unwrap().is_f64());
        assert!(parse(b"1.0").unwrap().is_f64());
        assert_eq!(refusal("1e999"), (0, "this number is too large"));
    }

    #[test]
    fn escapes_and_surrogate_pairs_are_decoded() {
        let text = r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é""#;
        assert_eq!(parse(text.as_bytes()).unwrap(), json!("\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}é"));
    }

    #[test]
    fn lone_surrogates_are_refused() {
        for text in
            [r#""\ud800""#, r#""\udc00""#, r#""\ud800x""#, r#""\ud800\n""#, r#""\ud800\ud800""#, r#""\udc00\ud800""#]
        {
            assert_eq!(refusal(text), (1, "a surrogate stands alone"), "{text}");
        }
    }

    #[test]
    fn a_repeated_member_name_is_refused_at_any_level_and_in_any_spelling() {
        assert_eq!(refusal(r#"{"a":1,"a":1}"#), (7, "this member name is repeated"));
        assert_eq!(refusal(r#"{"x":[{"a":1,"\u0061":2}]}"#), (13, "this member name is repeated"));
        assert!(parse(br#"{"a":{"a":1},"A":2}"#).is_ok());
    }

    #[test]
    fn what_lenient_readers_accept_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\" 1}",
            "[1 2]",
            "01",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "NaN",
            "Infinity",
            "nul",
            "True",
            "\"a",
            "\"\\x41\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "1 2",
            "/**/1",
            "\u{feff}1",
            "\u{a0}1",
        ] {
            refusal(text);
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_where_they_stand() {
        assert_eq!(parse(b"\"a\xff\""), Err(JsonError::Malformed { offset: 2, what: "this is not UTF-8" }));
        assert!(parse(b"\"\xed\xa0\x80\"").is_err());
    }

    #[test]
    fn nul_in_a_string_or_name_has_its_own_error_unless_the_body_is_malformed_too() {
        assert_eq!(parse(br#"["a\u0000"]"#), Err(JsonError::Nul));
        assert_eq!(parse(br#"{"\u0000":1}"#), Err(JsonError::Nul));
        assert!(matches!(parse(br#"["\u0000""#), Err(JsonError::Malformed { .. })));
        assert!(matches!(parse(b"\"\0\""), Err(JsonError::Malformed { .. })));
    }

    #[test]
    fn nesting_ends_at_32_and_values_at_20000() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(32).as_bytes()).is_ok());
        assert_eq!(refusal(&nested(33)), (32, "arrays and objects nest deeper than 32"));
        refusal(&"[".repeat(1_000_000));
        let wide = |items: usize| format!("[{}]", vec!["0"; items].join(","));
        assert!(parse(wide(19_999).as_bytes()).is_ok());
        assert_eq!(refusal(&wide(20_000)).1, "there are more than 20000 values");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[^\u{0}]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[^\u{0}]{0,6}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, text in r#"[\[\]{}",:\\u0-9a-f.eE+\- ntrs]{0,64}"#) {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn what_is_accepted_is_json_to_serde_json_too(text in r#"[\[\]{}",:\\u0-9a-f.eE+\- ntrs]{0,24}"#) {
            if parse(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
            }
        }

        #[test]
        fn a_written_value_comes_back_as_it_was(value in any_value()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value.clone()));
            prop_assert_eq!(parse(serde_json::to_string_pretty(&value).unwrap().as_bytes()), Ok(value));
        }
    }
}

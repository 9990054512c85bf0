//! A request body of JSON, read strictly (RFC 8259) and within bounds into a tree that keeps the order of members.
//!
//! serde's derive is not used for bodies: it stops at the first error, keeps the last of two equal keys and has no
//! pointer to the place. Which members a body may have is decided by [`crate::fields`].

use std::fmt;

use crate::fields::push_token;

/// Levels of arrays and objects a body may have.
pub const MAX_DEPTH: usize = 32;
/// Values a body may hold, its root included.
pub const MAX_VALUES: usize = 20_000;

/// A JSON value; members keep their order and are unique.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// A string, unescaped, without U+0000.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl fmt::Debug for Value {
    /// The shape alone: a string may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::String(text) => write!(f, "string of {} bytes", text.len()),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Object(members) => f.debug_map().entries(members.iter().map(|(k, v)| (k, v))).finish(),
        }
    }
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The body ends inside a value, or is empty: 400.
    #[error("the body ends before its value is complete")]
    UnexpectedEnd,
    /// A byte that cannot stand where it stands: 400.
    #[error("a character stands where JSON does not allow it")]
    UnexpectedByte,
    /// The body is not UTF-8: 400.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// An escape in a string is none of RFC 8259 §7: 400.
    #[error("a string has an escape that JSON does not know")]
    BadEscape,
    /// An escape is one half of a surrogate pair: 400.
    #[error("a string has half of a surrogate pair")]
    LoneSurrogate,
    /// A control character stands in a string without escape: 400.
    #[error("a string has a control character that is not escaped")]
    ControlCharacter,
    /// A number is outside the grammar of RFC 8259 §6: 400.
    #[error("a number is not written as JSON writes numbers")]
    BadNumber,
    /// An object has a key twice: 400.
    #[error("an object has the same key twice")]
    DuplicateKey,
    /// More than [`MAX_DEPTH`] levels: 400.
    #[error("the body is nested deeper than 32 levels")]
    TooDeep,
    /// More than [`MAX_VALUES`] values: 400.
    #[error("the body has more than 20000 values")]
    TooManyValues,
    /// Something follows the value: 400.
    #[error("something follows the value of the body")]
    TrailingData,
    /// A string has an escaped U+0000, which no field accepts and no text column stores: 422.
    #[error("a string has the character U+0000")]
    Nul,
}

impl Defect {
    /// Whether the body is JSON and only a value in it is refused: 422 instead of 400.
    pub const fn is_unprocessable(self) -> bool {
        matches!(self, Self::Nul)
    }
}

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{defect} (at byte {offset})")]
pub struct JsonError {
    /// What is wrong.
    pub defect: Defect,
    /// Bytes before the place.
    pub offset: usize,
    /// The innermost value that was being read, as an RFC 6901 pointer.
    pub pointer: String,
}

impl JsonError {
    fn below(mut self, token: &str) -> Self {
        let inner = std::mem::take(&mut self.pointer);
        push_token(&mut self.pointer, token);
        self.pointer.push_str(&inner);
        self
    }
}

impl Value {
    /// Reads a body of a size that the caller bounds.
    ///
    /// # Errors
    /// [`JsonError`] with every [`Defect`].
    pub fn parse(body: &[u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(body).map_err(|error| JsonError {
            defect: Defect::NotUtf8,
            offset: error.valid_up_to(),
            pointer: String::new(),
        })?;
        let mut parser = Parser { text, at: 0, values: 0 };
        parser.skip_space();
        let value = parser.value(0)?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.fail(Defect::TrailingData));
        }
        Ok(value)
    }

    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a number that is written as an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The word for the kind of value, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The same value for storing; `None` when a number is beyond what 64 bits hold.
    pub fn to_serde(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => serde_json::Value::Bool(*value),
            Self::Number(text) => serde_json::Value::Number(number(text)?),
            Self::String(text) => serde_json::Value::String(text.clone()),
            Self::Array(items) => items.iter().map(Self::to_serde).collect::<Option<Vec<_>>>()?.into(),
            Self::Object(members) => serde_json::Value::Object(
                members.iter().map(|(key, value)| Some((key.clone(), value.to_serde()?))).collect::<Option<_>>()?,
            ),
        })
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    if let Ok(value) = text.parse::<i64>() {
        return Some(value.into());
    }
    if let Ok(value) = text.parse::<u64>() {
        return Some(value.into());
    }
    // An integer that 64 bits do not hold would come back as another number.
    if text.bytes().all(|b| b == b'-' || b.is_ascii_digit()) {
        return None;
    }
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl Parser<'_> {
    const fn fail(&self, defect: Defect) -> JsonError {
        JsonError { defect, offset: self.at, pointer: String::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.step();
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> JsonError {
        self.fail(if self.peek().is_none() { Defect::UnexpectedEnd } else { Defect::UnexpectedByte })
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES {
            return Err(self.fail(Defect::TooManyValues));
        }
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        if depth >= MAX_DEPTH { Err(self.fail(Defect::TooDeep)) } else { Ok(depth.saturating_add(1)) }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        self.expect(b'[')?;
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth).map_err(|error| error.below(&items.len().to_string()))?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut members = Vec::new();
        let mut offsets = Vec::new();
        self.expect(b'{')?;
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            offsets.push(self.at);
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            let value = self.value(depth).map_err(|error| error.below(&key))?;
            members.push((key, value));
            self.skip_space();
            if self.take(b'}') {
                break;
            }
            self.expect(b',')?;
        }
        match repeated(&members, &offsets) {
            None => Ok(Value::Object(members)),
            Some((key, offset)) => {
                Err(JsonError { defect: Defect::DuplicateKey, offset, pointer: String::new() }.below(key))
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z')) {
            return Err(self.fail(Defect::BadNumber));
        }
        let text = self.text.get(start..self.at).ok_or_else(|| self.fail(Defect::BadNumber))?;
        Ok(Value::Number(text.to_owned()))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        match self.peek() {
            _ if self.at > start => Ok(()),
            None => Err(self.fail(Defect::UnexpectedEnd)),
            Some(_) => Err(self.fail(Defect::BadNumber)),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20) {
                self.step();
            }
            // Both ends stand beside an ASCII byte, so they are character boundaries.
            out.push_str(self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.fail(Defect::ControlCharacter)),
                None => return Err(self.fail(Defect::UnexpectedEnd)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let at = |defect| JsonError { defect, offset: start, pointer: String::new() };
        self.step();
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.step();
                let first = self.four_digits()?;
                let code = match first {
                    0xd800..=0xdbff => {
                        if !(self.take(b'\\') && self.take(b'u')) {
                            return Err(at(Defect::LoneSurrogate));
                        }
                        let second = self.four_digits()?;
                        if !(0xdc00..=0xdfff).contains(&second) {
                            return Err(at(Defect::LoneSurrogate));
                        }
                        0x1_0000 | ((first & 0x3ff) << 10).wrapping_add(second & 0x3ff)
                    }
                    other => other,
                };
                // char::from_u32 refuses exactly the low surrogates that come first.
                return match char::from_u32(code) {
                    Some('\0') => Err(at(Defect::Nul)),
                    Some(character) => Ok(character),
                    None => Err(at(Defect::LoneSurrogate)),
                };
            }
            Some(_) => return Err(at(Defect::BadEscape)),
            None => return Err(self.fail(Defect::UnexpectedEnd)),
        };
        self.step();
        Ok(character)
    }

    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let mut code = 0_u32;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return Err(self.fail(Defect::UnexpectedEnd)) };
            let digit = char::from(byte).to_digit(16).ok_or_else(|| self.fail(Defect::BadEscape))?;
            code = (code << 4) | digit;
            self.step();
        }
        Ok(code)
    }
}

/// A key that comes twice, with the offset of its later place; sorted, so that 20,000 keys cost no square.
fn repeated<'m>(members: &'m [(String, Value)], offsets: &[usize]) -> Option<(&'m str, usize)> {
    let mut keys: Vec<_> = members.iter().map(|(key, _)| key.as_str()).zip(offsets.iter().copied()).collect();
    keys.sort_unstable();
    keys.windows(2).find_map(|pair| match pair {
        [(one, _), (other, offset)] if one == other => Some((*other, *offset)),
        _ => None,
    })
}

#[cfg(test)]
mod tests;

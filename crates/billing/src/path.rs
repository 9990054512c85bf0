//! Where in an event's data a value stands: `$.tokens`, `$.usage.input_tokens`, `$["gen_ai.usage.tokens"]`.
//!
//! The part of JSONPath (RFC 9535) that names one place: member names one after another. No index, wildcard or filter.

use std::fmt;
use std::str::FromStr;

use crate::raw;

/// Most member names of a path.
pub const MAX_NAMES: usize = 8;
/// Most bytes of a path's text.
pub const MAX_PATH_BYTES: usize = 255;

/// A path to one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

/// A text that is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path of member names such as $.tokens, $.usage.tokens or $[\"usage.tokens\"], of at most 8 names")]
pub struct NotAPath;

impl Path {
    /// The JSON text of the value at this path; `None` where there is nothing, or `null`.
    ///
    /// `data` is the text of JSON whose members are unique, as [`crate::cloudevent`] leaves it.
    pub fn find<'a>(&self, data: &'a str) -> Option<&'a str> {
        self.0.iter().try_fold(data, |text, name| raw::member(text, name)).filter(|text| *text != "null")
    }
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let mut rest = text.strip_prefix('$').filter(|_| text.len() <= MAX_PATH_BYTES).ok_or(NotAPath)?;
        let mut names = Vec::new();
        while !rest.is_empty() {
            let (name, after) = if let Some(plain) = rest.strip_prefix('.') {
                plain.split_at_checked(plain.find(['.', '[']).unwrap_or(plain.len())).ok_or(NotAPath)?
            } else {
                let quote = if rest.starts_with("['") { '\'' } else { '"' };
                let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_prefix(quote)).ok_or(NotAPath)?;
                let (name, after) = inner.split_once(quote).ok_or(NotAPath)?;
                (name, after.strip_prefix(']').ok_or(NotAPath)?)
            };
            let quoted = rest.starts_with('[');
            let good = if quoted { name.chars().all(is_quotable) && !name.is_empty() } else { is_plain(name) };
            if !good || names.len() == MAX_NAMES {
                return Err(NotAPath);
            }
            names.push(name.to_owned());
            rest = after;
        }
        if names.is_empty() { Err(NotAPath) } else { Ok(Self(names)) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for name in &self.0 {
            if is_plain(name) {
                write!(f, ".{name}")?;
            } else {
                write!(f, "[\"{name}\"]")?;
            }
        }
        Ok(())
    }
}

/// Whether a name may follow a dot.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether a character may stand between quotes: no escapes are read, so that a path has one meaning everywhere.
fn is_quotable(character: char) -> bool {
    !character.is_control() && !matches!(character, '"' | '\'' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_place() {
        let data = r#"{"tokens":"12","usage":{"in":1.50,"gen ai.x":{"é":true}},"gone":null,"list":[1]}"#;
        for (path, found) in [
            ("$.tokens", Some("\"12\"")),
            ("$.usage.in", Some("1.50")),
            ("$['usage'].in", Some("1.50")),
            (r#"$.usage["gen ai.x"]["é"]"#, Some("true")),
            ("$.gone", None),
            ("$.gone.x", None),
            ("$.tokens.x", None),
            ("$.list.x", None),
            ("$.Tokens", None),
        ] {
            assert_eq!(path.parse::<Path>().unwrap().find(data), found, "{path}");
        }
        assert_eq!("$.a".parse::<Path>().unwrap().find("7"), None);
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        let written = |text: &str| text.parse::<Path>().map(|path| path.to_string());
        assert_eq!(written(r#"$['a']["b c"].d-e"#).as_deref(), Ok(r#"$.a["b c"].d-e"#));
        let deep = "$.a.b.c.d.e.f.g.h";
        assert_eq!(written(deep).as_deref(), Ok(deep));
        let long = format!("$[\"{}\"]", "x".repeat(MAX_PATH_BYTES));
        for bad in [
            "",
            "$",
            "tokens",
            "/tokens",
            "$tokens",
            "$.",
            "$..a",
            "$.a.",
            "$.1",
            "$.a b",
            "$[a]",
            "$[0]",
            "$[\"\"]",
            "$[\"a']",
            "$[\"a\"",
            "$[\"a\"]b",
            "$[\"a\\\"b\"]",
            "$[\"a'b\"]",
            "$.*",
            "$.é",
            "$.a.b.c.d.e.f.g.h.i",
            &long,
        ] {
            assert_eq!(written(bad), Err(NotAPath), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_path_that_reads_back_or_none(text in r#"\$[.\["'\]a-c\\é -]{0,16}"#) {
            if let Ok(path) = text.parse::<Path>() {
                proptest::prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
            }
        }
    }
}

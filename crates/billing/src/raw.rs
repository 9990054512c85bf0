//! JSON as text: members, strings and one canonical form, without turning a number into anything else.
//!
//! The grammar is `serde_json`'s, whose raw values are checked text. What is added is what it lets pass: repeated
//! members, U+0000 and deep nesting are refused. Nesting costs a scan per level, which [`MAX_DEPTH`] and the size of an
//! event bound.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of arrays and objects.
pub(crate) const MAX_DEPTH: usize = 32;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("this is not JSON")]
    Syntax,
    #[error("arrays and objects nest deeper than {MAX_DEPTH}")]
    Deep,
    #[error("the member `{0}` is there twice")]
    Repeated(String),
    #[error("a string holds U+0000, which is not accepted")]
    Nul,
}

/// The members of an object, in the order of the text, repeated ones included.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The one value of a text, without the space around it.
pub(crate) fn value(text: &str) -> Result<&str, Flaw> {
    serde_json::from_str::<&RawValue>(text).map(RawValue::get).map_err(|_| Flaw::Syntax)
}

/// The members of a text that is an object.
pub(crate) fn members(text: &str) -> Result<Members<'_>, Flaw> {
    serde_json::from_str::<Object<'_>>(text).map(|object| object.0).map_err(|_| Flaw::Syntax)
}

/// The first `most` values of a text that is an array, and whether there are more.
pub(crate) fn items(text: &str, most: usize) -> Result<(Vec<&str>, bool), Flaw> {
    let list = serde_json::from_str::<List<'_>>(text).map_err(|_| Flaw::Syntax)?;
    Ok((list.0.iter().take(most).copied().collect(), list.0.len() > most))
}

/// The content of a value that is a string.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<Text<'_>>(text).ok().map(|text| text.0)
}

/// A string as JSON text.
pub(crate) fn quoted(content: &str) -> String {
    serde_json::Value::from(content).to_string()
}

/// The value of a member of an object whose members are known to be unique; `None` when the text is no object or has no
/// such member.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(OneMember(name)).ok().flatten()
}

/// Adds the canonical form of a value: members sorted by name, no space, strings escaped in one way, numbers as they are.
pub(crate) fn write_canonical(text: &str, out: &mut String) -> Result<(), Flaw> {
    write(text, 0, out)
}

/// Adds the canonical form of an object with these members, which are left sorted by name.
pub(crate) fn write_members(members: &mut Members<'_>, out: &mut String) -> Result<(), Flaw> {
    object(members, 1, out)
}

fn write(text: &str, depth: usize, out: &mut String) -> Result<(), Flaw> {
    let inner = depth.saturating_add(1);
    match text.as_bytes().first() {
        Some(b'{' | b'[') if inner > MAX_DEPTH => Err(Flaw::Deep),
        Some(b'{') => object(&mut members(text)?, inner, out),
        Some(b'[') => {
            out.push('[');
            let list = serde_json::from_str::<List<'_>>(text).map_err(|_| Flaw::Syntax)?;
            for (index, item) in list.0.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, inner, out)?;
            }
            out.push(']');
            Ok(())
        }
        Some(b'"') if text.contains('\\') => write_string(&string(text).ok_or(Flaw::Syntax)?, out),
        _ => {
            out.push_str(text);
            Ok(())
        }
    }
}

fn object(members: &mut Members<'_>, depth: usize, out: &mut String) -> Result<(), Flaw> {
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    out.push('{');
    let mut before: Option<&str> = None;
    for (name, value) in members.iter() {
        if before == Some(name) {
            return Err(Flaw::Repeated(name.chars().take(64).collect()));
        }
        if before.is_some() {
            out.push(',');
        }
        write_string(name, out)?;
        out.push(':');
        write(value, depth, out)?;
        before = Some(name);
    }
    out.push('}');
    Ok(())
}

fn write_string(content: &str, out: &mut String) -> Result<(), Flaw> {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if content.contains('\0') {
        return Err(Flaw::Nul);
    }
    if content.bytes().all(plain) {
        out.push('"');
        out.push_str(content);
        out.push('"');
    } else {
        out.push_str(&quoted(content));
    }
    Ok(())
}

struct Text<'a>(Cow<'a, str>);
struct Object<'a>(Members<'a>);
struct List<'a>(Vec<&'a str>);
struct OneMember<'n>(&'n str);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(12);
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    members.push((name.0, Cow::Borrowed(map.next_value::<&'de RawValue>()?.get())));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<&'de RawValue>()? {
                    items.push(item.get());
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Visitor<'de> for OneMember<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if name.0 == self.0 {
                found = Some(map.next_value::<&'de RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, Flaw> {
        let mut out = String::new();
        write_canonical(value(text)?, &mut out)?;
        Ok(out)
    }

    #[test]
    fn order_space_and_escapes_do_not_matter_and_numbers_stay_as_they_are() {
        let one = canonical(r#" { "b" : [ 1.0 , 1e3 ] , "a" : "\u0041\/é\n" , "é":{} } "#).unwrap();
        assert_eq!(one, r#"{"a":"A/é\n","b":[1.0,1e3],"é":{}}"#);
        assert_eq!(canonical(r#"{"\u00e9":{},"b":[1.0,1e3],"\u0061":"A/\u00e9\u000A"}"#).unwrap(), one);
        assert_ne!(canonical("[1.0]"), canonical("[1.00]"));
        assert_ne!(canonical("[1]"), canonical(r#"["1"]"#));
        assert_ne!(canonical("[1,[2]]"), canonical("[[1],2]"));
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        assert_eq!(canonical(r#"{"a":1,"\u0061":2}"#), Err(Flaw::Repeated("a".to_owned())));
        assert_eq!(canonical(r#"[{"x":{"b":1,"b":1}}]"#), Err(Flaw::Repeated("b".to_owned())));
        assert_eq!(canonical(r#"["\u0000"]"#), Err(Flaw::Nul));
        assert_eq!(canonical(r#"{"\u0000":1}"#), Err(Flaw::Nul));
        for bad in [r#""\ud800""#, "\"\n\"", "01", "1.", "+1", "NaN", "[1,]", "{\"a\"}", "", "1 2", "'a'", "\u{feff}1"]
        {
            assert_eq!(canonical(bad), Err(Flaw::Syntax), "{bad}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(canonical(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(canonical(&nested(MAX_DEPTH + 1)), Err(Flaw::Deep));
        assert_eq!(canonical(&nested(30_000)), Err(Flaw::Deep));
    }

    #[test]
    fn a_member_is_found_by_its_name_with_its_text() {
        let text = r#"{"a":{"a":1.50},"b\n":[2], "c" : "x"}"#;
        assert_eq!(member(text, "a"), Some(r#"{"a":1.50}"#));
        assert_eq!(member(text, "b\n"), Some("[2]"));
        assert_eq!(member(text, "c"), Some(r#""x""#));
        assert_eq!(member(text, "d"), None);
        assert_eq!(member("[1]", "a"), None);
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_is_json_of_the_same_value(text in r#"[\[\]{}:,"a-c0-2.e\\u -]{0,24}"#) {
            let mine = canonical(&text);
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            if let Ok(form) = mine {
                proptest::prop_assert_eq!(canonical(&form), Ok(form.clone()));
                // Beyond the range of their numbers, the text is good JSON all the same.
                if let Ok(value) = theirs {
                    proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&form).ok(), Some(value));
                }
            }
        }
    }
}

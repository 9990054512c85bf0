//! The form in which the attributes of an event are headers and its data is the body (HTTP protocol binding §3.1).

use std::borrow::Cow;

use super::{Event, MAX_EVENT_BYTES, assemble, invalid, too_large};
use crate::raw::{self, Members};
use crate::rejection::Rejection;

/// Reads the one event of a request.
pub(super) fn read<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &'a [u8],
) -> Result<Event<'a>, Rejection> {
    let mut members: Members<'a> = Vec::with_capacity(10);
    let mut bytes = body.len();
    let mut media_type = None;
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name == "content-type" {
            media_type = Some(decode(&name, value)?);
            continue;
        }
        let Some(attribute) = name.strip_prefix("ce-") else { continue };
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        if bytes > MAX_EVENT_BYTES {
            return Err(too_large());
        }
        if matches!(attribute, "data" | "data_base64" | "datacontenttype") {
            return Err(invalid(format!("`{name}` is no attribute; data is the body, its type is `content-type`")));
        }
        members.push((Cow::Owned(attribute.to_owned()), Cow::Owned(raw::quoted(&decode(&name, value)?))));
    }
    if bytes > MAX_EVENT_BYTES {
        return Err(too_large());
    }
    if let Some(media_type) = media_type {
        if !body.is_empty() && !is_json(&media_type) {
            return Err(invalid("the data of a usage event is JSON: `content-type` must be application/json"));
        }
        members.push((Cow::Borrowed("datacontenttype"), Cow::Owned(raw::quoted(&media_type))));
    }
    if !body.is_empty() {
        let data = std::str::from_utf8(body).ok().and_then(|text| raw::value(text).ok());
        members.push((Cow::Borrowed("data"), Cow::Borrowed(data.ok_or_else(|| invalid("the body is not JSON"))?)));
    }
    assemble(members)
}

/// Whether a media type is JSON, as the JSON format tells it: subtype `json` or suffix `+json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// The content of a header: a quoted string is taken out of its quotes, then percent-encoding is undone once (§3.1.3.2).
fn decode(name: &str, value: &[u8]) -> Result<String, Rejection> {
    let mut unquoted = Vec::with_capacity(value.len());
    let value = value.trim_ascii();
    if let [b'"', inner @ .., b'"'] = value {
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => return Err(invalid(format!("`{name}` goes on after its closing quote"))),
                b'\\' => {
                    let escaped = bytes.next().ok_or_else(|| invalid(format!("`{name}` ends in an escape")))?;
                    unquoted.push(*escaped);
                }
                _ => unquoted.push(*byte),
            }
        }
    } else {
        unquoted.extend_from_slice(value);
    }
    let mut decoded = Vec::with_capacity(unquoted.len());
    let mut bytes = unquoted.into_iter();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
            let (high, low) = digits.ok_or_else(|| invalid(format!("`{name}` holds a % without two hex digits")))?;
            decoded.push((high << 4) | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| invalid(format!("`{name}` is not UTF-8")))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

//! Reads usage events that arrive as CloudEvents 1.0 in four forms: one event, a batch, a request with `ce-` headers, and
//! one event a line.
//!
//! Hostile input is expected. A request whose parts cannot be told apart is refused as a whole ([`BodyError`]); an event
//! that is wrong in itself is a [`Rejection`] at its place, and the others stand. Members that are not wrapped in escapes
//! are borrowed from the body. Not here: whether the customer exists, whether the key came before, what a meter makes of
//! the data ([`crate::sample`]). Sources: CloudEvents 1.0.2, its JSON format and its HTTP protocol binding.

mod binary;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use kernel::clock::{BusinessTime, Timestamp};

use crate::raw::{self, Members};
use crate::rejection::{Code, Rejection};

/// Most events of one request.
pub const MAX_EVENTS: usize = 10_000;
/// Most bytes of one event; in binary mode those of its headers and its body.
pub const MAX_EVENT_BYTES: usize = 65_536;
/// Most bytes of `id`, `type`, `subject` and `datacontenttype`.
pub const MAX_TEXT_BYTES: usize = 255;
/// Most bytes of `source` and `dataschema`.
pub const MAX_URI_BYTES: usize = 1_024;
/// Most members next to those that CloudEvents defines.
pub const MAX_EXTENSIONS: usize = 64;
/// Most bytes of the name of an extension attribute.
pub const MAX_EXTENSION_NAME_BYTES: usize = 64;
/// Seconds that an event's time may lie ahead.
pub const MAX_AHEAD_SECONDS: i64 = 300;
/// Days that an event's time may lie back without a backfill.
pub const MAX_LATE_DAYS: i64 = 35;

/// How the events of a request are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One event (`application/cloudevents+json`).
    Structured,
    /// A JSON array of events (`application/cloudevents-batch+json`).
    Batch,
    /// The attributes in `ce-` headers, the data in the body.
    Binary,
    /// One event a line (`application/x-ndjson`); lines without content do not count.
    Lines,
}

impl Form {
    /// The form that the headers of a request announce: `ce-` headers matter where the media type is none of the other
    /// three.
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
        let (mut media_type, mut attributes) = (String::new(), false);
        for (name, value) in headers {
            attributes |= name.eq_ignore_ascii_case("ce-specversion");
            if name.eq_ignore_ascii_case("content-type") {
                let text = std::str::from_utf8(value).unwrap_or_default();
                media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            }
        }
        match media_type.as_str() {
            "application/cloudevents+json" => Some(Self::Structured),
            "application/cloudevents-batch+json" => Some(Self::Batch),
            "application/x-ndjson" => Some(Self::Lines),
            _ => attributes.then_some(Self::Binary),
        }
    }
}

/// Why a request is refused as a whole; nothing of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The bytes are not text: 400.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// One event was announced: 400.
    #[error("the body is not one JSON object; a single event is an object, and nothing follows it")]
    NotAnObject,
    /// A batch was announced: 400.
    #[error("the body is not one JSON array; a batch is an array of events, and nothing follows it")]
    NotAnArray,
    /// More events than [`MAX_EVENTS`]: 413.
    #[error("the body holds more than 10000 events; send them in several requests")]
    TooManyEvents,
}

/// One event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// `id`: with the source, the key under which an event counts once.
    pub id: Cow<'a, str>,
    /// `source`.
    pub source: Cow<'a, str>,
    /// `type`: which meters look at it.
    pub event_type: Cow<'a, str>,
    /// `subject`: who the usage is of.
    pub subject: Option<Cow<'a, str>>,
    /// `time`; without it, the moment of receipt counts.
    pub time: Option<BusinessTime>,
    /// `data` as JSON text.
    pub data: Option<Cow<'a, str>>,
    /// Every other member but `specversion`, as name and JSON text, sorted by name: extension attributes, and
    /// `datacontenttype`, `dataschema` and `data_base64`.
    pub attributes: Members<'a>,
    /// What the content hash covers: all members as they came, in one form whatever their order, space and escapes.
    pub canonical: String,
}

impl Event<'_> {
    /// [`Self::attributes`] as the text of one JSON object.
    pub fn attributes_json(&self) -> String {
        let members: Vec<String> =
            self.attributes.iter().map(|(name, value)| format!("{}:{value}", raw::quoted(name))).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// Reads the events of a request in their order: exactly one in the forms [`Form::Structured`] and [`Form::Binary`].
///
/// Header names may have any case; only `content-type` and those that begin with `ce-` are read.
///
/// # Errors
/// [`BodyError`], when the request is refused as a whole. What is wrong with one event stands in its place.
pub fn read<'a>(
    form: Form,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &'a [u8],
) -> Result<Vec<Result<Event<'a>, Rejection>>, BodyError> {
    if form == Form::Binary {
        return Ok(vec![binary::read(headers, body)]);
    }
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotUtf8)?;
    match form {
        Form::Structured | Form::Binary => {
            let object = raw::value(text).ok().filter(|value| value.starts_with('{'));
            Ok(vec![read_event(object.ok_or(BodyError::NotAnObject)?)])
        }
        Form::Batch => {
            let (items, more) = raw::items(text, MAX_EVENTS).map_err(|_| BodyError::NotAnArray)?;
            if more {
                return Err(BodyError::TooManyEvents);
            }
            Ok(items.into_iter().map(read_event).collect())
        }
        Form::Lines => {
            let lines = || text.split('\n').map(|line| line.trim_matches([' ', '\t', '\r'])).filter(|l| !l.is_empty());
            if lines().nth(MAX_EVENTS).is_some() {
                return Err(BodyError::TooManyEvents);
            }
            Ok(lines().map(read_event).collect())
        }
    }
}

/// Judges an event's time: at most [`MAX_AHEAD_SECONDS`] ahead of `now`, and at most `past_days` back. These are
/// [`MAX_LATE_DAYS`], or, for a backfill, the days that events are kept: an older one could count twice, because its key
/// may be gone.
///
/// # Errors
/// [`Code::EventInFuture`] or [`Code::EventTooOld`].
pub fn check_time(at: BusinessTime, now: BusinessTime, past_days: i64) -> Result<(), Rejection> {
    let ahead = at.as_micros().saturating_sub(now.as_micros());
    if ahead > MAX_AHEAD_SECONDS.saturating_mul(1_000_000) {
        let detail = format!("`time` is {at}, more than {MAX_AHEAD_SECONDS} s after the clock of this tenant, {now}");
        return Err(Rejection::new(Code::EventInFuture, detail));
    }
    if ahead < past_days.saturating_mul(-86_400_000_000) {
        let detail = format!("`time` is {at}, more than {past_days} days before the clock of this tenant, {now}");
        return Err(Rejection::new(Code::EventTooOld, detail));
    }
    Ok(())
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new(Code::EventInvalid, detail)
}

fn too_large() -> Rejection {
    Rejection::new(Code::EventTooLarge, format!("the event takes more than {MAX_EVENT_BYTES} bytes"))
}

/// Reads the text of one event.
fn read_event(text: &str) -> Result<Event<'_>, Rejection> {
    if text.len() > MAX_EVENT_BYTES {
        return Err(too_large());
    }
    let members = raw::members(text).map_err(|_| invalid("the event is not a JSON object"))?;
    assemble(members)
}

/// Makes an event of its members.
fn assemble(mut members: Members<'_>) -> Result<Event<'_>, Rejection> {
    let mut canonical = String::with_capacity(256);
    raw::write_members(&mut members, &mut canonical).map_err(|flaw| invalid(flaw.to_string()))?;
    let (mut id, mut source, mut event_type, mut subject) = (None, None, None, None);
    let (mut version, mut time, mut data) = (None, None, None);
    let (mut attributes, mut extensions, mut encoded) = (Vec::new(), 0_usize, false);
    for (name, value) in members {
        // The JSON format takes a member that is null for one that is not there.
        if value == "null" {
            continue;
        }
        match name.as_ref() {
            "id" => id = Some(text("id", value, MAX_TEXT_BYTES)?),
            "source" => source = Some(text("source", value, MAX_URI_BYTES)?),
            "type" => event_type = Some(text("type", value, MAX_TEXT_BYTES)?),
            "subject" => subject = Some(text("subject", value, MAX_TEXT_BYTES)?),
            "specversion" => version = Some(text("specversion", value, MAX_TEXT_BYTES)?),
            "time" => time = Some(instant(value)?),
            "data" => data = Some(value),
            "datacontenttype" => {
                text("datacontenttype", value.clone(), MAX_TEXT_BYTES)?;
                attributes.push((name, value));
            }
            "dataschema" => {
                text("dataschema", value.clone(), MAX_URI_BYTES)?;
                attributes.push((name, value));
            }
            "data_base64" => {
                if !value.starts_with('"') {
                    return Err(invalid("`data_base64` is not a string"));
                }
                encoded = true;
                attributes.push((name, value));
            }
            _ => {
                extensions = extensions.saturating_add(1);
                if name.is_empty() || name.len() > MAX_EXTENSION_NAME_BYTES {
                    let detail =
                        format!("the name of an extension attribute takes 1 to {MAX_EXTENSION_NAME_BYTES} bytes");
                    return Err(invalid(detail));
                }
                attributes.push((name, value));
            }
        }
    }
    if version.as_deref() != Some("1.0") {
        return Err(invalid("`specversion` must be \"1.0\""));
    }
    if data.is_some() && encoded {
        return Err(invalid("`data` and `data_base64` exclude each other"));
    }
    if extensions > MAX_EXTENSIONS {
        return Err(invalid(format!("there are more than {MAX_EXTENSIONS} extension attributes")));
    }
    let missing = |name: &str| invalid(format!("`{name}` is missing; id, source, specversion and type are required"));
    Ok(Event {
        id: id.ok_or_else(|| missing("id"))?,
        source: source.ok_or_else(|| missing("source"))?,
        event_type: event_type.ok_or_else(|| missing("type"))?,
        subject,
        time,
        data,
        attributes,
        canonical,
    })
}

/// A string of 1 to `most` bytes without control characters, borrowed where its JSON text is borrowed and has no escape.
fn text<'a>(name: &str, value: Cow<'a, str>, most: usize) -> Result<Cow<'a, str>, Rejection> {
    let content = match value {
        Cow::Borrowed(value) => raw::string(value),
        Cow::Owned(value) => raw::string(&value).map(|content| Cow::Owned(content.into_owned())),
    };
    let content = content.ok_or_else(|| invalid(format!("`{name}` is not a string")))?;
    if content.is_empty() || content.len() > most {
        return Err(invalid(format!("`{name}` takes 1 to {most} bytes")));
    }
    if content.chars().any(char::is_control) {
        return Err(invalid(format!("`{name}` holds a control character")));
    }
    Ok(content)
}

fn instant(value: Cow<'_, str>) -> Result<BusinessTime, Rejection> {
    let content = text("time", value, MAX_TEXT_BYTES)?;
    let read = Timestamp::parse(&content).map_err(|error| invalid(format!("`time` is {error}")))?;
    Ok(BusinessTime::from_micros(read.as_micros()))
}

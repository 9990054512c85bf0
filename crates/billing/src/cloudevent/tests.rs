use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;

const GOOD: &str = r#"{"specversion":"1.0","id":"e1","source":"/s","type":"tokens","subject":"cus_1","time":"2026-03-01T00:00:00Z","data":{"tokens":12.50,"model":"m"}}"#;
const NONE: [(&str, &[u8]); 0] = [];

type Read<'a> = Result<Vec<Result<Event<'a>, Rejection>>, BodyError>;

fn lines(body: &str) -> Read<'_> {
    read(Form::Lines, NONE, body.as_bytes())
}

fn batch(body: &[u8]) -> Read<'_> {
    read(Form::Batch, NONE, body)
}

fn one(body: &str) -> Result<Event<'_>, Rejection> {
    let mut events = read(Form::Structured, NONE, body.as_bytes()).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn refused(body: &str) -> String {
    one(body).unwrap_err().to_string()
}

/// [`GOOD`] with one text in place of another.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

/// [`GOOD`] with one more member.
fn and(member: &str) -> String {
    with("{\"specversion\"", &format!("{{{member},\"specversion\""))
}

fn binary<'a>(headers: &[(&'a str, &'a str)], body: &'a str) -> Result<Event<'a>, Rejection> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    read(Form::Binary, headers, body.as_bytes()).unwrap().remove(0)
}

const REQUIRED: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("Ce-Id", "e1"), ("CE-SOURCE", "/s"), ("ce-type", "tokens")];

/// A binary event with more headers.
fn headers<'a>(more: &[(&'a str, &'a str)], body: &'a str) -> Result<Event<'a>, Rejection> {
    let all: Vec<(&str, &str)> = REQUIRED.iter().chain(more).copied().collect();
    binary(&all, body)
}

#[test]
fn an_event_is_read_member_by_member_and_nothing_is_copied_without_need() {
    let body = and(r#""trace":"t\n","count":1.0,"dataschema":"urn:x","datacontenttype":"application/json""#);
    let event = one(&body).unwrap();
    assert_eq!((event.id.as_ref(), event.source.as_ref(), event.event_type.as_ref()), ("e1", "/s", "tokens"));
    assert_eq!(event.subject.as_deref(), Some("cus_1"));
    assert_eq!(event.time.unwrap().to_string(), "2026-03-01T00:00:00Z");
    assert_eq!(event.data.as_deref(), Some(r#"{"tokens":12.50,"model":"m"}"#));
    assert_eq!(
        event.attributes_json(),
        r#"{"count":1.0,"datacontenttype":"application/json","dataschema":"urn:x","trace":"t\n"}"#
    );
    let borrowed = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
    assert!(borrowed(&event.id) && borrowed(&event.source) && event.data.as_ref().is_some_and(borrowed));
}

#[test]
fn only_four_members_are_required_and_null_is_absence() {
    let event = one(r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":null,"time":null,"data":null}"#);
    let event = event.unwrap();
    assert_eq!((event.subject, event.time, event.data), (None, None, None));
    for name in ["id", "source", "type", "specversion"] {
        let renamed = refused(&with(&format!("\"{name}\":"), "\"other\":"));
        assert!(renamed.starts_with("event_invalid: ") && renamed.contains(&format!("`{name}`")), "{renamed}");
        let mut members = raw::members(GOOD).unwrap();
        members.iter_mut().filter(|(member, _)| member == name).for_each(|(_, value)| *value = Cow::Borrowed("null"));
        assert!(assemble(members).unwrap_err().detail.contains(name));
    }
}

#[test]
fn an_event_that_is_wrong_is_refused_for_its_own_reason() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let extensions: Vec<String> = (0..=MAX_EXTENSIONS).map(|n| format!("\"x{n}\":1")).collect();
    for (body, part) in [
        (with("\"1.0\"", "\"0.3\""), "`specversion` must be"),
        (with("\"1.0\"", "1.0"), "`specversion` is not a string"),
        (with("\"e1\"", "1"), "`id` is not a string"),
        (with("\"e1\"", "\"\""), "`id` takes 1 to 255 bytes"),
        (with("\"e1\"", &format!("\"{long}\"")), "`id` takes 1 to 255 bytes"),
        (with("\"cus_1\"", &format!("\"{long}\"")), "`subject` takes 1 to 255 bytes"),
        (with("\"/s\"", &format!("\"{}\"", "x".repeat(MAX_URI_BYTES + 1))), "`source` takes 1 to 1024 bytes"),
        (with("\"e1\"", r#""a\u0007""#), "`id` holds a control character"),
        (with("\"e1\"", r#""\u0000""#), "U+0000"),
        (with("\"m\"", r#""\u0000""#), "U+0000"),
        (with("\"m\"", r#""\ud800""#), "not JSON"),
        (with("2026-03-01T00:00:00Z", "2026-03-01"), "`time` is not an RFC 3339"),
        (with("\"2026-03-01T00:00:00Z\"", "1767225600"), "`time` is not a string"),
        (and("\"id\":\"e1\""), "`id` is there twice"),
        (with("\"model\"", "\"tokens\""), "`tokens` is there twice"),
        (with("\"m\"", &("[".repeat(40) + &"]".repeat(40))), "nest deeper than 32"),
        (and("\"data_base64\":\"AA==\""), "exclude each other"),
        (with("\"data\":{\"tokens\":12.50,\"model\":\"m\"}", "\"data_base64\":[]"), "`data_base64` is not a string"),
        (and("\"\":1"), "name of an extension attribute"),
        (and(&format!("\"{}\":1", "x".repeat(MAX_EXTENSION_NAME_BYTES + 1))), "name of an extension attribute"),
        (and(&extensions.join(",")), "more than 64 extension attributes"),
        (and("\"datacontenttype\":1"), "`datacontenttype` is not a string"),
    ] {
        let detail = refused(&body);
        assert!(detail.starts_with("event_invalid: ") && detail.contains(part), "{detail}: {body}");
    }
    assert_eq!(one(&and(&extensions[1..].join(","))).unwrap().attributes.len(), MAX_EXTENSIONS);
}

#[test]
fn an_event_takes_64_kib_and_no_byte_more() {
    let filled = |bytes: usize| with("\"m\"", &format!("\"{}\"", "x".repeat(bytes + 3 - GOOD.len() - 2)));
    let largest = filled(MAX_EVENT_BYTES);
    assert_eq!(largest.len(), MAX_EVENT_BYTES);
    assert!(one(&largest).is_ok());
    let larger = filled(MAX_EVENT_BYTES + 1);
    assert_eq!(one(&larger).unwrap_err().code, Code::EventTooLarge);
    // Space around an event is not part of it.
    assert!(one(&format!("  {largest}\n")).is_ok());
    let two = format!("[{larger},{GOOD}]");
    let codes: Vec<_> = batch(two.as_bytes()).unwrap().into_iter().map(|event| event.err().map(|e| e.code)).collect();
    assert_eq!(codes, [Some(Code::EventTooLarge), None]);
}

#[test]
fn a_body_whose_parts_cannot_be_told_apart_is_refused_as_a_whole() {
    for bad in ["", "[", "{}", "null", "[1", &format!("[{GOOD}"), &format!("[{GOOD}]]"), &format!("[{GOOD},]"), GOOD] {
        assert_eq!(batch(bad.as_bytes()), Err(BodyError::NotAnArray), "{bad}");
    }
    for bad in ["", "[]", "1", "{", &format!("{GOOD}{GOOD}"), &format!("[{GOOD}]")] {
        assert_eq!(read(Form::Structured, NONE, bad.as_bytes()), Err(BodyError::NotAnObject), "{bad}");
    }
    for form in [Form::Structured, Form::Batch, Form::Lines] {
        assert_eq!(read(form, NONE, b"[\"\xff\"]"), Err(BodyError::NotUtf8));
    }
    assert_eq!(batch(b" [ ] "), Ok(Vec::new()));
}

#[test]
fn what_is_wrong_with_an_event_stands_at_its_place() {
    let items = format!("[{GOOD},1,null,[],{},{GOOD}]", with("\"1.0\"", "\"2\""));
    let good: Vec<bool> = batch(items.as_bytes()).unwrap().iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, false, false, true]);
    // A line that is cut off spoils no other one.
    let body = format!("{GOOD}\r\n\n  \t{{\"specversion\":\n{GOOD}");
    let good: Vec<bool> = lines(&body).unwrap().iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true]);
    assert_eq!(lines("\n\r\n"), Ok(Vec::new()));
}

#[test]
fn ten_thousand_events_are_taken_and_not_one_more() {
    let array = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert_eq!(batch(array(MAX_EVENTS).as_bytes()).unwrap().len(), MAX_EVENTS);
    assert_eq!(batch(array(MAX_EVENTS + 1).as_bytes()), Err(BodyError::TooManyEvents));
    assert_eq!(lines(&"0\n".repeat(MAX_EVENTS)).unwrap().len(), MAX_EVENTS);
    assert_eq!(lines(&"0\n".repeat(MAX_EVENTS + 1)), Err(BodyError::TooManyEvents));
}

#[test]
fn the_content_is_the_same_whatever_the_order_the_space_and_the_escapes() {
    let again = r#" { "data" : { "model" : "\u006d", "tokens":12.50 }, "time":"2026-03-01T00:00:00Z",
        "subject":"cus_1", "\u0074ype":"tokens","source":"\/s","id":"e1","specversion":"1.0" } "#;
    let content = one(GOOD).unwrap().canonical;
    assert_eq!(one(again).unwrap().canonical, content);
    assert_eq!(
        content,
        r#"{"data":{"model":"m","tokens":12.50},"id":"e1","source":"/s","specversion":"1.0","subject":"cus_1","time":"2026-03-01T00:00:00Z","type":"tokens"}"#
    );
    for other in [
        with("12.50", "12.5"),
        with("2026-03-01T00:00:00Z", "2026-03-01T00:00:00.0Z"),
        and("\"x\":1"),
        and("\"x\":null"),
        with("\"m\"", "\"M\""),
    ] {
        assert_ne!(one(&other).unwrap().canonical, content, "{other}");
    }
}

#[test]
fn attributes_in_headers_make_the_same_event() {
    let event = headers(
        &[("ce-subject", "cus_1"), ("ce-time", "2026-03-01T00:00:00Z"), ("accept", "*/*")],
        r#" {"tokens":12.50,"model":"m"} "#,
    );
    let event = event.unwrap();
    assert_eq!(event, one(GOOD).unwrap());
    let typed = headers(&[("Content-Type", "application/vnd.x+JSON; charset=utf-8")], "1").unwrap();
    assert_eq!(typed.attributes_json(), r#"{"datacontenttype":"application/vnd.x+JSON; charset=utf-8"}"#);
    assert_eq!(headers(&[("content-type", "text/plain")], "").unwrap().data, None);
}

#[test]
fn header_values_are_unquoted_and_decoded_once() {
    let subject = |value| headers(&[("ce-subject", value)], "").map(|event| event.subject.unwrap().into_owned());
    for (value, content) in [
        ("Euro%20%E2%82%AC%20%f0%9f%98%80", "Euro € 😀"),
        ("%2520", "%20"),
        ("a+b", "a+b"),
        ("\"a \\\"b\\\\ %41\"", "a \"b\\ A"),
        ("  a b  ", "a b"),
        ("a\"b", "a\"b"),
        ("null", "null"),
    ] {
        assert_eq!(subject(value).as_deref(), Ok(content), "{value}");
    }
    for bad in ["%", "%4", "%zz", "%+1", "%E2%82", "%00", "%0a", "\"a\"b\"", "\"a\\\"", "", "\"\""] {
        assert_eq!(subject(bad).unwrap_err().code, Code::EventInvalid, "{bad}");
    }
}

#[test]
fn a_binary_event_that_is_wrong_is_refused_for_its_own_reason() {
    let large = "x".repeat(MAX_EVENT_BYTES);
    for (more, body, part) in [
        (("ce-id", "e2"), "", "`id` is there twice"),
        (("ce-data", "1"), "", "`ce-data` is no attribute"),
        (("ce-datacontenttype", "a/b"), "", "`ce-datacontenttype` is no attribute"),
        (("content-type", "text/plain"), "1", "must be application/json"),
        (("content-type", "application/json"), "{", "the body is not JSON"),
        (("content-type", "application/json"), "1 2", "the body is not JSON"),
        (("ce-x", "1"), "{\"a\":1,\"a\":1}", "`a` is there twice"),
        (("ce-", "1"), "", "name of an extension attribute"),
        (("ce-x", &large), "", "event_too_large"),
        (("x", ""), &large, "event_too_large"),
    ] {
        let rejection = headers(&[more], body).unwrap_err().to_string();
        assert!(rejection.contains(part), "{rejection}");
    }
    assert!(binary(&REQUIRED[1..], "").unwrap_err().detail.contains("specversion"));
}

#[test]
fn the_headers_announce_the_form() {
    let form = |headers: &[(&str, &str)]| Form::of(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    let typed = |media_type| form(&[("Content-Type", media_type)]);
    assert_eq!(typed("application/cloudevents+json; charset=UTF-8"), Some(Form::Structured));
    assert_eq!(typed("Application/CloudEvents-Batch+JSON"), Some(Form::Batch));
    assert_eq!(typed("application/x-ndjson"), Some(Form::Lines));
    assert_eq!(typed("application/json"), None);
    assert_eq!(form(&[("Ce-Specversion", "1.0"), ("content-type", "application/json")]), Some(Form::Binary));
    assert_eq!(
        form(&[("ce-specversion", "1.0"), ("content-type", "application/cloudevents+json")]),
        Some(Form::Structured)
    );
    assert_eq!(form(&[]), None);
}

#[test]
fn time_has_an_edge_ahead_and_one_behind() {
    let now = BusinessTime::from_micros(1_800_000_000_000_000);
    let code = |moved: i64, days: i64| {
        let at = BusinessTime::from_micros(now.as_micros().saturating_add(moved));
        check_time(at, now, days).err().map(|rejection| rejection.code)
    };
    assert_eq!(code(300_000_000, MAX_LATE_DAYS), None);
    assert_eq!(code(300_000_001, MAX_LATE_DAYS), Some(Code::EventInFuture));
    assert_eq!(code(-35 * 86_400_000_000, MAX_LATE_DAYS), None);
    assert_eq!(code(-35 * 86_400_000_000 - 1, MAX_LATE_DAYS), Some(Code::EventTooOld));
    assert_eq!(code(-35 * 86_400_000_000 - 1, 400), None);
    assert_eq!(code(i64::MIN, 400), Some(Code::EventTooOld));
    assert_eq!(code(i64::MAX, 400), Some(Code::EventInFuture));
}

/// Pieces that mean something to the readers.
const PIECES: [&str; 20] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "1e400",
    "-0",
    "\n",
    "\u{feff}",
    "%",
    "é",
    "\"id\":\"e1\",",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "0",
];

/// What every reading of any bytes must keep: what is taken can be read again from its content, with the same result.
fn judge(form: Form, body: &[u8]) -> usize {
    let header = body.get(..body.len().min(40)).unwrap_or_default();
    let headers = REQUIRED.iter().map(|(name, value)| (*name, value.as_bytes())).chain([("ce-subject", header)]);
    let Ok(events) = read(form, headers, body) else { return 0 };
    assert!(events.len() <= MAX_EVENTS);
    let good: Vec<Event<'_>> = events.into_iter().flatten().collect();
    for event in &good {
        let again = one(&event.canonical).unwrap();
        assert_eq!((&again.id, &again.source, &again.subject), (&event.id, &event.source, &event.subject));
        assert_eq!((&again.time, &again.canonical), (&event.time, &event.canonical));
        assert!(raw::value(&event.attributes_json()).is_ok());
        assert!(event.data.as_ref().is_none_or(|data| raw::value(data).is_ok()));
    }
    good.len()
}

fn damage() -> impl Strategy<Value = (usize, usize, usize, prop::sample::Index)> {
    (0..4_usize, 0..PIECES.len(), 0..9_usize, any::<prop::sample::Index>())
}

fn damaged(form: Form, changes: &[(usize, usize, usize, prop::sample::Index)]) -> Vec<u8> {
    let mut body = match form {
        Form::Structured => GOOD.to_owned(),
        Form::Batch => format!("[{GOOD},{GOOD}]"),
        Form::Lines => format!("{GOOD}\n{GOOD}\n"),
        Form::Binary => "{\"tokens\":1}".to_owned(),
    }
    .into_bytes();
    for (kind, piece, length, at) in changes {
        let at = at.index(body.len().saturating_add(1));
        let end = at.saturating_add(*length).min(body.len());
        match kind {
            0 => drop(body.drain(at..end)),
            1 if at < body.len() => body[at] ^= 1 << (length % 8),
            2 => drop(body.splice(at..at, PIECES[*piece].bytes())),
            _ => drop(body.splice(at..end, PIECES[*piece].bytes())),
        }
    }
    body
}

const FORMS: [Form; 4] = [Form::Structured, Form::Batch, Form::Binary, Form::Lines];

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for form in FORMS {
            judge(form, &bytes);
        }
    }

    #[test]
    fn damaged_events_are_read_as_what_they_are_or_refused(changes in prop::collection::vec(damage(), 0..5)) {
        for form in FORMS {
            let taken = judge(form, &damaged(form, &changes));
            prop_assert!(!changes.is_empty() || taken > 0);
        }
    }
}

/// Many more of the damaged events, and what one event costs.
#[test]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 500,000 requests per form"]
fn proof_fuzz_cloudevents() {
    let full = std::env::var("BASTIONARY_PROOF").is_ok_and(|value| value == "full");
    let cases = if full { 500_000 } else { 2_000 };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut taken, mut inputs) = (0, 0);
    for _ in 0..cases {
        let changes = prop::collection::vec(damage(), 0..5).new_tree(&mut runner).unwrap().current();
        for form in FORMS {
            taken += judge(form, &damaged(form, &changes));
            inputs += 1;
        }
    }
    println!(
        "PROOF CloudEvents: {inputs} damaged requests in four forms read without a panic, {taken} events of them good"
    );
    let meter = serde_json::json!({
        "key": "tokens", "event_type": "tokens", "aggregation": "sum", "value_path": "$.tokens",
        "group_by": {"model": "$.model"},
    });
    let meter = crate::meter::Meter::from_json(&meter).unwrap();
    let body = format!("[{}]", vec![GOOD; 5_000].join(","));
    let mut least = [std::time::Duration::MAX; 2];
    for _ in 0..50 {
        let start = std::time::Instant::now();
        let events = batch(body.as_bytes()).unwrap();
        least[0] = least[0].min(start.elapsed());
        let start = std::time::Instant::now();
        for event in events.into_iter().flatten() {
            crate::sample::select(&meter, &event.event_type, event.data.as_deref()).unwrap().unwrap();
        }
        least[1] = least[1].min(start.elapsed());
    }
    let [reading, selecting] = least.map(|time| time.as_nanos() / 5_000);
    println!(
        "PROOF CloudEvents: one event of {} bytes in a batch of 5000 takes {reading} ns to read and {selecting} ns to \
         meter (best of 50 rounds)",
        GOOD.len(),
    );
}

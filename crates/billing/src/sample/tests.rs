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

use serde_json::{Value, json};

use super::*;

fn read(definition: &Value) -> Price {
    Price::from_json(definition, &[]).unwrap()
}

/// A definition with the members that every price has.
fn with(members: &Value) -> Value {
    let mut definition = json!({ "currency": "EUR", "timing": "arrears" });
    definition.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    definition
}

fn problems(definition: &Value) -> Vec<(String, &'static str)> {
    let problems = Price::from_json(definition, &[]).unwrap_err();
    assert!(problems.iter().all(|problem| !problem.detail.is_empty()));
    problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
}

#[track_caller]
fn refused(members: &Value, expected: &[(&str, &str)]) {
    let found = problems(&with(members));
    let found: Vec<(&str, &str)> = found.iter().map(|(pointer, code)| (pointer.as_str(), *code)).collect();
    assert_eq!(found, expected, "{members}");
}

/// One full definition of each model, in the form in which it is written.
fn full() -> [Value; 7] {
    let tail = |mut members: Value| {
        let map = members.as_object_mut().unwrap();
        map.insert("minimum".to_owned(), json!("10"));
        map.insert("maximum".to_owned(), json!("10.5"));
        map.insert("tax_behavior".to_owned(), json!("inclusive"));
        map.insert("tax_category".to_owned(), json!("e-book.reduced"));
        members
    };
    [
        tail(json!({ "model": "flat", "currency": "EUR", "timing": "advance", "amount": "29.99" })),
        tail(json!({ "model": "per_unit", "currency": "JPY", "timing": "arrears", "unit_amount": "0.000000000001" })),
        tail(json!({
            "model": "graduated", "currency": "EUR", "timing": "arrears",
            "tiers": [
                { "up_to": "0", "unit_amount": "0" },
                { "up_to": "10.5", "unit_amount": "1", "flat_amount": "2" },
                { "up_to": null, "unit_amount": "0", "flat_amount": "7" },
            ],
        })),
        tail(json!({
            "model": "volume", "currency": "EUR", "timing": "arrears",
            "tiers": [{ "up_to": "100", "unit_amount": "2" }, { "up_to": null, "unit_amount": "1" }],
        })),
        tail(json!({
            "model": "package", "currency": "KWD", "timing": "arrears", "size": "1000", "amount": "5", "free": "0.5",
        })),
        tail(json!({
            "model": "percentage", "currency": "EUR", "timing": "arrears", "rate": "1.3", "fixed_amount": "2",
            "free_events": 3, "free_amount": "250", "min_per_event": "0.1", "max_per_event": "9",
        })),
        tail(json!({
            "model": "graduated_percentage", "currency": "EUR", "timing": "arrears",
            "tiers": [{ "up_to": "1000", "rate": "2" }, { "up_to": null, "rate": "1.5", "flat_amount": "1" }],
        })),
    ]
}

#[test]
fn a_price_of_every_model_is_written_as_it_was_read() {
    for (definition, name) in full().into_iter().zip(Model::NAMES) {
        let price = read(&definition);
        assert_eq!(price.model.name(), name);
        assert_eq!(price.to_json(), definition);
        assert_eq!(read(&price.to_json()), price);
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let price = read(&with(&json!({ "model": "flat", "amount": "1.50", "minimum": null, "tax_category": null })));
    assert_eq!((price.minimum, price.maximum), (None, None));
    assert_eq!((price.tax_behavior, price.tax_category.as_str()), (TaxBehavior::Exclusive, "standard"));
    assert_eq!(price.to_json()["amount"], "1.5");
    let package = read(&with(&json!({ "model": "package", "size": "10", "amount": "1" })));
    let Model::Package { free, .. } = package.model else { panic!("a package") };
    assert!(free.is_zero());
    let tiers = read(&with(&json!({ "model": "volume", "tiers": [{ "flat_amount": "3" }] })));
    let Model::Volume(tiers) = tiers.model else { panic!("tiers") };
    let tier = Tier { up_to: None, rate: Decimal::ZERO, flat_amount: Decimal::from(3) };
    assert_eq!(tiers.as_slice(), [tier]);
}

#[test]
fn what_counts_per_event_needs_the_events() {
    let needs = |members: Value| {
        let mut definition = with(&json!({ "model": "percentage", "rate": "1" }));
        definition.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let Model::Percentage(percentage) = read(&definition).model else { panic!("a percentage") };
        percentage.needs_events()
    };
    assert!(!needs(json!({})) && !needs(json!({ "free_amount": "5", "fixed_amount": "0" })));
    assert!(needs(json!({ "fixed_amount": "1" })) && needs(json!({ "free_events": 0 })));
    assert!(needs(json!({ "min_per_event": "0" })) && needs(json!({ "max_per_event": "1" })));
}

#[test]
fn members_of_other_readers_are_passed_over_and_unknown_ones_are_not() {
    let definition = with(&json!({ "model": "flat", "amount": "1", "cadence": "month", "meter": "m", "a/b~c": 1 }));
    let found = Price::from_json(&definition, &["cadence", "meter"]).unwrap_err();
    assert_eq!((found.len(), found[0].pointer.as_str(), found[0].code), (1, "/a~1b~0c", "unknown_field"));
    refused(&json!({ "model": "flat", "amount": "1", "unit_amount": "1" }), &[("/unit_amount", "unknown_field")]);
    let many = (0..5_000).map(|index| (format!("f{index}"), json!(1)));
    let mut definition = with(&json!({ "model": "flat", "amount": "1" }));
    definition.as_object_mut().unwrap().extend(many);
    assert_eq!(problems(&definition).len(), 100);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_at_its_place() {
    for value in [json!(null), json!([]), json!("flat"), json!(1)] {
        assert_eq!(problems(&value), [(String::new(), "wrong_type")]);
    }
    let missing: [(String, _); 3] = ["/model", "/currency", "/timing"].map(|place| (place.to_owned(), "required"));
    assert_eq!(problems(&json!({})), missing);
    refused(
        &json!({
            "model": "sliding", "amount": 1, "tiers": "x", "currency": "EURO", "timing": "never", "minimum": "5",
            "maximum": "4.99", "tax_behavior": "hidden", "tax_category": "No spaces", "surprise": true,
        }),
        &[
            ("/model", "bad_value"),
            ("/currency", "currency_unknown"),
            ("/timing", "bad_value"),
            ("/maximum", "maximum_below_minimum"),
            ("/tax_behavior", "bad_value"),
            ("/tax_category", "bad_value"),
            ("/surprise", "unknown_field"),
        ],
    );
    refused(
        &json!({ "model": 1, "currency": 2, "timing": 3, "tax_behavior": 4, "tax_category": 5, "maximum": 6 }),
        &[
            ("/model", "wrong_type"),
            ("/currency", "wrong_type"),
            ("/timing", "wrong_type"),
            ("/maximum", "wrong_type"),
            ("/tax_behavior", "wrong_type"),
            ("/tax_category", "wrong_type"),
        ],
    );
    let longest = "x".repeat(MAX_CATEGORY_LENGTH);
    assert_eq!(read(&with(&json!({ "model": "flat", "amount": "1", "tax_category": longest }))).tax_category, longest);
    let long = "x".repeat(MAX_CATEGORY_LENGTH + 1);
    refused(&json!({ "model": "flat", "amount": "1", "tax_category": long }), &[("/tax_category", "bad_value")]);
}

#[test]
fn an_amount_is_a_decimal_string_of_twelve_digits_at_most() {
    for (amount, code) in [
        (json!(12), "wrong_type"),
        (json!(1.5), "wrong_type"),
        (json!(true), "wrong_type"),
        (json!("1,5"), "bad_value"),
        (json!("NaN"), "bad_value"),
        (json!(""), "bad_value"),
        (json!("0.0000000000001"), "too_many_digits"),
        (json!("1000000000000000000"), "out_of_range"),
        (json!("-0.01"), "out_of_range"),
        (json!(null), "required"),
    ] {
        refused(&json!({ "model": "flat", "amount": amount }), &[("/amount", code)]);
        refused(&json!({ "model": "per_unit", "unit_amount": amount }), &[("/unit_amount", code)]);
    }
}

#[test]
fn tiers_ascend_to_one_without_an_end() {
    let graduated = |tiers: Value| json!({ "model": "graduated", "tiers": tiers });
    let tier = |up_to: &str| json!({ "up_to": up_to, "unit_amount": "1" });
    let rest = json!({ "unit_amount": "1" });
    refused(&json!({ "model": "graduated" }), &[("/tiers", "required")]);
    refused(&graduated(json!([])), &[("/tiers", "required")]);
    refused(&graduated(json!({})), &[("/tiers", "wrong_type")]);
    refused(&graduated(json!([tier("10"), 7, rest])), &[("/tiers/1", "wrong_type")]);
    refused(&graduated(json!([tier("10"), tier("10"), rest])), &[("/tiers/1/up_to", "tiers_not_ascending")]);
    refused(&graduated(json!([tier("10"), tier("5"), tier("7"), rest])), &[("/tiers/1/up_to", "tiers_not_ascending")]);
    refused(&graduated(json!([tier("10"), tier("20")])), &[("/tiers/1/up_to", "last_tier_bounded")]);
    refused(
        &graduated(json!([tier("10"), tier("x")])),
        &[("/tiers/1/up_to", "bad_value"), ("/tiers/1/up_to", "last_tier_bounded")],
    );
    refused(&graduated(json!([rest, rest])), &[("/tiers/0/up_to", "required")]);
    refused(
        &graduated(json!([tier("10"), rest, tier("5"), rest])),
        &[("/tiers/1/up_to", "required"), ("/tiers/2/up_to", "tiers_not_ascending")],
    );
    refused(&graduated(json!([tier("-1"), rest])), &[("/tiers/0/up_to", "out_of_range")]);
    refused(&graduated(json!([{ "up_to": null }])), &[("/tiers/0/unit_amount", "required")]);
    refused(
        &graduated(json!([{ "up_to": 10, "unit_amount": "1.0000000000001", "flat_amount": [], "price": 1 }, rest])),
        &[
            ("/tiers/0/up_to", "wrong_type"),
            ("/tiers/0/unit_amount", "too_many_digits"),
            ("/tiers/0/flat_amount", "wrong_type"),
            ("/tiers/0/price", "unknown_field"),
        ],
    );
    let percent = json!({ "model": "graduated_percentage", "tiers": [{ "unit_amount": "1" }] });
    refused(&percent, &[("/tiers/0/rate", "required"), ("/tiers/0/unit_amount", "unknown_field")]);
    let mut many: Vec<Value> = (1..MAX_TIERS).map(|end| tier(&end.to_string())).collect();
    many.push(rest.clone());
    let Model::Graduated(tiers) = read(&with(&graduated(many.clone().into()))).model else { panic!("tiers") };
    assert_eq!(tiers.as_slice().len(), MAX_TIERS);
    many.insert(0, tier("0"));
    refused(&graduated(many.into()), &[("/tiers", "too_many")]);
}

#[test]
fn a_bound_may_equal_the_other_one_and_a_count_its_limit() {
    let members = json!({
        "model": "percentage", "rate": "1", "minimum": "5", "maximum": "5.00", "min_per_event": "2",
        "max_per_event": "2.0", "free_events": MAX_FREE_EVENTS,
    });
    let price = read(&with(&members));
    assert_eq!(price.minimum, price.maximum);
    let Model::Percentage(percentage) = price.model else { panic!("a percentage") };
    assert_eq!(percentage.min_per_event, percentage.max_per_event);
    assert_eq!(percentage.free_events, Some(MAX_FREE_EVENTS));
}

#[test]
fn a_package_has_a_size_and_a_percentage_sensible_bounds() {
    refused(&json!({ "model": "package" }), &[("/size", "required"), ("/amount", "required")]);
    refused(&json!({ "model": "package", "size": "0", "amount": "1" }), &[("/size", "out_of_range")]);
    refused(&json!({ "model": "package", "size": "-5", "amount": "1" }), &[("/size", "out_of_range")]);
    refused(
        &json!({ "model": "percentage", "free_events": -1 }),
        &[("/rate", "required"), ("/free_events", "out_of_range")],
    );
    refused(
        &json!({
            "model": "percentage", "rate": "-1", "free_events": "3", "min_per_event": "2", "max_per_event": "1.999",
        }),
        &[("/rate", "out_of_range"), ("/free_events", "wrong_type"), ("/max_per_event", "maximum_below_minimum")],
    );
    for count in [json!(1.5), json!(MAX_FREE_EVENTS + 1)] {
        let members = json!({ "model": "percentage", "rate": "1", "free_events": count });
        refused(&members, &[("/free_events", "out_of_range")]);
    }
}

#[test]
fn damaged_definitions_are_refused_without_a_panic_or_read_to_something_that_is_written_the_same() {
    let values = [json!(null), json!(-1), json!("1e400"), json!("9"), json!([]), json!({}), json!([{}]), json!("")];
    for definition in full() {
        for name in definition.as_object().unwrap().keys() {
            for value in &values {
                let mut damaged = definition.clone();
                damaged[name] = value.clone();
                match Price::from_json(&damaged, &[]) {
                    Ok(price) => assert_eq!(read(&price.to_json()), price),
                    Err(problems) => assert!(!problems.is_empty(), "{damaged}"),
                }
            }
        }
    }
}

//! Customers, plans, subscriptions, features and meters with made-up data.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::billing::catalog::{Feature, FeatureKind};
use ::billing::catalog_change::StoredMeter;
use ::billing::customer::{Address, Details};
use ::billing::estimate::estimate;
use ::billing::meter::Meter;
use ::billing::plan::{Definition, Plan, PlanState};
use ::billing::standing::Combine;
use console::pages::catalog::{self, Catalog};
use console::pages::customer::{self, Acting, Customer, Held, Right, ScopeWhy, Why};
use console::pages::plan::{self, New, Offer, Sum, Whole};
use console::pages::subscription::{self, Happened, Scheduled, Subscription};
use console::pages::{access, customers, plans, subscriptions};
use console::{Document, Entered, Visit};
use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::id::Id;
use kernel::standing::{Access, Source, Standing, Status};
use serde_json::json;

use super::{NOW, ago};

const CUSTOMER: &str = "cus_06gx2k9v5q7m3t8w1z4c6b0dhr";
const SUBSCRIPTION: &str = "sub_06gx2k9v5q7m3t8w1z4c6b0dhr";

fn entered(values: &[(&str, &str)], problems: &[(&str, &str)]) -> Entered {
    let owned = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    Entered { values: owned(values), problems: owned(problems), ..Entered::default() }
}

#[expect(clippy::unwrap_used, reason = "made-up data that can be read")]
fn plan_of(key: &str, number: i64, state: PlanState, definition: &serde_json::Value) -> Plan {
    let definition = Definition::read(definition, &[]).unwrap();
    let seed = key.bytes().next().unwrap_or_default().wrapping_add(u8::try_from(number).unwrap_or_default());
    Plan {
        id: Id::from_bytes([seed; 16]),
        key: key.to_owned(),
        number,
        state,
        definition,
        created_at: ago(40 * 86_400),
        updated_at: ago(3_600),
        version: 2,
    }
}

fn pro(number: i64, state: PlanState) -> Plan {
    plan_of(
        "pro",
        number,
        state,
        &json!({
            "name": "Pro", "description": "For teams that ship", "cadence": "month", "trial_days": 14,
            "on_unpaid": "restrict", "restricted_scopes": ["invoices:read"], "restricted_features": ["sso"],
            "credits_pause": true, "billing": "calendar",
            "prices": [
                {"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"},
                {"model": "per_unit", "unit_amount": "9.5", "currency": "EUR", "timing": "advance", "minimum": "38"},
                {"model": "graduated", "currency": "EUR", "timing": "arrears", "meter": "api-calls", "tiers": [
                    {"up_to": "1000", "unit_amount": "0"}, {"up_to": "100000", "unit_amount": "0.002"},
                    {"up_to": null, "unit_amount": "0.001", "flat_amount": "5"}]},
                {"model": "percentage", "rate": "1.3", "fixed_amount": "0.25", "currency": "USD", "timing": "arrears",
                 "meter": "payments", "max_per_event": "10"},
                {"model": "package", "size": "1000", "amount": "3", "free": "5000", "currency": "EUR", "timing": "arrears", "meter": "mails"},
                {"model": "graduated_percentage", "currency": "EUR", "timing": "arrears", "meter": "volume", "tiers": [
                    {"up_to": "10000", "rate": "2"}, {"up_to": null, "rate": "1.5"}]},
            ],
            "entitlements": [
                {"feature": "sso", "value": true}, {"feature": "seats", "value": 5}, {"feature": "region", "value": "eu"},
                {"feature": "api-calls", "limit": "100000", "overage": "bill"}, {"feature": "mails", "limit": null},
            ],
        }),
    )
}

fn free() -> Plan {
    plan_of("free", 1, PlanState::Active, &json!({"name": "Free", "cadence": "month"}))
}

fn whole(plan: Plan) -> Whole {
    let typed = ["", "3", "250000", "19.90, 120, 4000", "12000", "15000"];
    let number = |text: &str| Decimal::parse_value(text.trim()).unwrap_or_default();
    let prices = &plan.definition.prices;
    let estimates: Vec<_> = prices
        .iter()
        .zip(typed)
        .map(|(price, text)| {
            let values: Vec<Decimal> = text.split(',').filter(|text| !text.is_empty()).map(number).collect();
            estimate(price, &values).map_err(|error| error.to_string())
        })
        .collect();
    let totals = estimates.iter().flatten().map(|estimate| estimate.amount).take(1).collect();
    Whole {
        versions: vec![(plan.id.to_string(), plan.number, plan.state), (free().id.to_string(), 1, PlanState::Archived)],
        subscribers: 3,
        is_capped: false,
        features: BTreeMap::from([("sso".to_owned(), "Single sign-on".to_owned())]),
        sum: Sum { quantity: "3".to_owned(), typed: typed.map(str::to_owned).into(), estimates, totals },
        plan,
    }
}

fn standing(access: Access) -> Arc<Standing> {
    let at = |seconds: i64| BusinessTime::from_micros((NOW + seconds) * 1_000_000);
    Arc::new(Standing {
        version: 7,
        plans: vec!["pro".to_owned(), "free".to_owned()],
        source: Some(Source {
            subscription: Id::from_bytes([7; 16]),
            status: if access == Access::None { Status::Unpaid } else { Status::Active },
            since: at(-40 * 86_400),
        }),
        access,
        suspended_at: None,
        entitlements: BTreeMap::new(),
        restricted_scopes: std::collections::BTreeSet::new(),
        not_before: (access == Access::None).then(|| at(-86_400)),
        access_until: Some(at(12 * 86_400)),
        narrows_at: None,
        paid_through: Some(at(12 * 86_400)),
        next_boundary: None,
    })
}

fn why(plan: &str, grants: &str) -> Why {
    Why { subscription: SUBSCRIPTION.to_owned(), plan: plan.to_owned(), status: "active", grants: grants.to_owned() }
}

fn right(feature: &str, value: &str, terms: &str, whys: Vec<Why>) -> Right {
    Right {
        feature: feature.to_owned(),
        name: feature.replace('-', " "),
        value: value.to_owned(),
        terms: terms.to_owned(),
        whys,
        adds_up: feature == "seats",
    }
}

fn offer(key: &str, name: &str, price: &str) -> Offer {
    Offer { key: key.to_owned(), number: 2, name: name.to_owned(), price: price.to_owned() }
}

fn one_customer() -> Customer {
    let scope = |scope: &str, requires: Option<&str>, is_granted, why: &str| ScopeWhy {
        scope: scope.to_owned(),
        requires: requires.map(str::to_owned),
        is_granted,
        why: why.to_owned(),
    };
    let held = |plan: &str, status, quantity, next: Option<(&'static str, i64)>| Held {
        id: SUBSCRIPTION.to_owned(),
        plan: plan.to_owned(),
        quantity,
        status,
        next: next.map(|(word, seconds)| (word, ago(seconds))),
    };
    Customer {
        id: CUSTOMER.to_owned(),
        name: "Northwind Traders".to_owned(),
        external_id: Some("crm-1042".to_owned()),
        details: Details {
            email: Some("accounts@northwind.example".to_owned()),
            currency: Some("EUR".to_owned()),
            timezone: "Europe/Berlin".to_owned(),
            address: Some(Address {
                line1: "Speicherstadt 4".to_owned(),
                city: "Hamburg".to_owned(),
                postal_code: "20457".to_owned(),
                country: "DE".to_owned(),
                ..Address::default()
            }),
            tax_ids: vec!["DE123456789".to_owned()],
            language: Some("de".to_owned()),
            payment_terms_days: Some(14),
            ..Details::default()
        },
        standing: standing(Access::Full),
        rights: vec![
            right(
                "api-calls",
                "100\u{202f}000",
                "each billing period, billed beyond",
                vec![why("Pro, version 2", "100\u{202f}000")],
            ),
            right("seats", "8", "", vec![why("Pro, version 2", "5"), why("Seats, version 1", "3")]),
            right("sso", "Yes", "", vec![why("Pro, version 2", "Yes")]),
        ],
        held: Some(vec![
            held("Pro, version 2", "active", 3, Some(("Renews", -12 * 86_400))),
            held("Seats, version 1", "trialing", 1, Some(("Trial ends", -2 * 86_400))),
            held("Free, version 1", "canceled", 1, Some(("Ended", 90 * 86_400))),
        ]),
        clients: Some(vec![
            Acting {
                client_id: "northwind-jobs".to_owned(),
                name: "Northwind jobs".to_owned(),
                status: "active",
                says: access::Says::Token { claims: "{}".to_owned(), alg: Some("ES256"), lifetime: 900 },
                scope: "orders:read".to_owned(),
                scopes: vec![
                    scope("orders:read", None, true, "The client may request it, and it requires no feature."),
                    scope("orders:write", Some("bulk"), false, "No plan of the customer grants bulk."),
                    scope("reports:read", Some("sso"), true, "Granted by Pro, version 2."),
                ],
            },
            Acting {
                client_id: "northwind-old".to_owned(),
                name: "Northwind old".to_owned(),
                status: "disabled",
                says: access::Says::Refusal { code: "invalid_scope", sentence: "no scope is left".to_owned() },
                scope: String::new(),
                scopes: Vec::new(),
            },
        ]),
        client_count: 2,
        offers: vec![
            offer("pro", "Pro", "49.00 EUR each month + 0.002 EUR per api-calls"),
            offer("free", "Free", "Free"),
        ],
        today: ago(0),
        created_at: ago(40 * 86_400),
        updated_at: ago(3_600),
        etag: "3".to_owned(),
        form: "form-1".to_owned(),
    }
}

fn one_subscription() -> Subscription {
    let happened = |kind: &str, status: &str, from: Option<&str>, seconds| Happened {
        at: ago(seconds),
        kind: format!("subscription.{kind}"),
        status: status.to_owned(),
        from: from.map(str::to_owned),
    };
    Subscription {
        id: SUBSCRIPTION.to_owned(),
        customer_id: CUSTOMER.to_owned(),
        customer: "Northwind Traders".to_owned(),
        plan_id: "pln_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        plan: "Pro, version 2".to_owned(),
        price: "49.00 EUR each month".to_owned(),
        quantity: 3,
        status: "active",
        status_since: ago(26 * 86_400),
        access: "full",
        access_until: None,
        anchor: ago(26 * 86_400),
        period: Some((ago(18 * 86_400), ago(-12 * 86_400))),
        trial_end: Some(ago(26 * 86_400)),
        cancel_at: None,
        term_end: Some(ago(-200 * 86_400)),
        overdue_since: None,
        scheduled: Some(Scheduled { plan: "Team, version 1".to_owned(), quantity: 5, at: Some(ago(-12 * 86_400)) }),
        allowed: vec![
            "pause",
            "cancel",
            "cancel_at_period_end",
            "change",
            "change_at_period_end",
            "overdue",
            "settled",
        ],
        history: vec![
            happened("updated", "active", None, 9_000),
            happened("activated", "active", Some("trialing"), 26 * 86_400),
            happened("trial_ending", "trialing", None, 29 * 86_400),
            happened("created", "trialing", None, 40 * 86_400),
        ],
        offers: vec![offer("team", "Team", "9.50 EUR per unit")],
        clients: 2,
        today: ago(0),
        created_at: ago(40 * 86_400),
        etag: "4".to_owned(),
    }
}

#[expect(clippy::unwrap_used, reason = "made-up data that can be read")]
fn catalog_of() -> Catalog {
    let feature = |number: u8, key: &str, kind, meter: Option<&str>, combine| Feature {
        id: Id::from_bytes([number; 16]),
        key: key.to_owned(),
        kind,
        name: key.replace('-', " "),
        meter: meter.map(str::to_owned),
        combine,
        created_at: ago(86_400),
        updated_at: ago(86_400),
        version: 1,
    };
    let meter = |number: u8, is_active, definition: serde_json::Value| StoredMeter {
        id: Id::from_bytes([number; 16]),
        number: 2,
        is_active,
        meter: Meter::from_json(&definition).unwrap(),
        created_at: ago(86_400),
        updated_at: ago(86_400),
        version: 1,
    };
    Catalog {
        features: vec![
            feature(1, "api-calls", FeatureKind::Metered, Some("api-calls"), Combine::Sum),
            feature(2, "seats", FeatureKind::Static, None, Combine::Largest),
            feature(3, "sso", FeatureKind::Boolean, None, Combine::Largest),
        ],
        more_features: Some("sso".to_owned()),
        meters: vec![
            meter(4, true, json!({"key": "api-calls", "event_type": "api.call", "aggregation": "count"})),
            meter(
                5,
                false,
                json!({"key": "tokens", "event_type": "llm.call", "aggregation": "sum", "value_path": "$.tokens",
                       "unit": "tokens", "group_by": {"model": "$.model"}}),
            ),
        ],
        more_meters: None,
        counting: vec!["api-calls".to_owned()],
        form: "form-1".to_owned(),
    }
}

pub(super) fn pages(visit: &Visit<'_>) -> Vec<(&'static str, Document)> {
    let nothing = Entered::default();
    let row = |name: &str, own: Option<&str>, status, is_suspended, plans: &[&str], days: i64| customers::Row {
        id: CUSTOMER.to_owned(),
        name: name.to_owned(),
        external_id: own.map(str::to_owned),
        status,
        is_suspended,
        plans: plans.iter().map(|key| (*key).to_owned()).collect(),
        created_at: ago(days * 86_400),
    };
    let all = customers::List {
        rows: vec![
            row("Northwind Traders", Some("crm-1042"), Some("active"), false, &["pro", "seats"], 40),
            row("Alder Logistics", Some("crm-1043"), Some("trialing"), false, &["pro"], 2),
            row("Brook Foods", None, Some("past_due"), false, &["team"], 200),
            row("Fern Robotics", Some("crm-0007"), Some("unpaid"), true, &["team"], 400),
            row("Tern Toys", None, None, false, &[], 0),
        ],
        q: String::new(),
        limit: 50,
        is_first: true,
        next: Some("b3BhcXVl".to_owned()),
    };
    let none = customers::List { rows: Vec::new(), next: None, ..all.clone() };
    let unmatched = customers::List { q: "zzz".to_owned(), ..none.clone() };
    let wrong = entered(
        &[("name", "Northwind"), ("country", "Germany"), ("metadata", "{")],
        &[
            ("country", "Address takes country (two capital letters of ISO 3166-1)."),
            ("metadata", "This is no JSON: EOF while parsing an object at line 1 column 1."),
        ],
    );
    let one = one_customer();
    let suspended = Customer {
        standing: Arc::new(Standing {
            suspended_at: Some(BusinessTime::from_micros((NOW - 86_400) * 1_000_000)),
            ..(*standing(Access::None)).clone()
        }),
        rights: Vec::new(),
        held: None,
        clients: None,
        ..one_customer()
    };
    let bare = Customer {
        external_id: None,
        details: Details::default(),
        standing: Arc::new(Standing {
            source: None,
            plans: Vec::new(),
            paid_through: None,
            ..(*standing(Access::None)).clone()
        }),
        rights: Vec::new(),
        held: Some(Vec::new()),
        clients: Some(Vec::new()),
        client_count: 0,
        offers: Vec::new(),
        ..one_customer()
    };
    let no_quantity = entered(&[("plan", "pro"), ("quantity", "many")], &[("quantity", "This takes a whole number.")]);
    let of = |customer, tab, entered| customer::detail(visit, customer, tab, entered);
    let versions = plans::List {
        plans: vec![(free(), 12), (pro(1, PlanState::Archived), 1), (pro(2, PlanState::Active), 1_204)],
        limit: 50,
        is_first: true,
        next: None,
    };
    let no_plans = plans::List { plans: Vec::new(), ..versions.clone() };
    let (active, draft, gratis) = (whole(pro(2, PlanState::Active)), whole(pro(3, PlanState::Draft)), whole(free()));
    let mistyped = Whole {
        sum: Sum { estimates: vec![Err("many is no number.".to_owned())], totals: Vec::new(), ..active.sum.clone() },
        ..active.clone()
    };
    let new = New { key: String::new(), definition: "{\n  \"name\": \"Pro\"\n}".to_owned(), form: "form-1".to_owned() };
    let next = New { key: "pro".to_owned(), ..new.clone() };
    let wrong_plan = entered(
        &[("key", "Pro!"), ("definition", "{\"name\": 1}")],
        &[
            ("key", "Key takes 1 to 64 of a-z, 0-9, dot, hyphen and underscore."),
            ("definition", "/prices/0/meter: there is no meter calls."),
            ("definition", "/cadence: a plan has a cadence, such as month."),
        ],
    );
    let subscription_row = |plan: &str, status, quantity| subscriptions::Row {
        id: SUBSCRIPTION.to_owned(),
        customer_id: CUSTOMER.to_owned(),
        customer: "Northwind Traders".to_owned(),
        plan: plan.to_owned(),
        quantity,
        status,
        next: (status != "paused").then(|| ("Renews", ago(-12 * 86_400))),
        created_at: ago(40 * 86_400),
    };
    let held = subscriptions::List {
        rows: vec![
            subscription_row("Pro, version 2", "active", 3),
            subscription_row("Team, version 1", "paused", 12_000),
        ],
        customer: String::new(),
        is_unknown: false,
        limit: 50,
        is_first: true,
        next: Some("b3BhcXVl".to_owned()),
        today: ago(0),
    };
    let no_one = subscriptions::List { rows: Vec::new(), next: None, ..held.clone() };
    let unknown = subscriptions::List { customer: "crm-9".to_owned(), is_unknown: true, ..no_one.clone() };
    let sub = one_subscription();
    let ending = Subscription {
        cancel_at: Some(ago(-12 * 86_400)),
        scheduled: None,
        allowed: vec!["pause", "cancel", "undo_cancel", "change", "overdue", "settled"],
        ..one_subscription()
    };
    let unpaid = Subscription {
        status: "unpaid",
        access: "none",
        overdue_since: Some(ago(20 * 86_400)),
        scheduled: None,
        ..one_subscription()
    };
    let paused = Subscription {
        status: "paused",
        access: "none",
        period: None,
        scheduled: None,
        allowed: vec!["resume", "cancel", "change", "settled"],
        history: Vec::new(),
        ..one_subscription()
    };
    let over =
        Subscription { status: "canceled", access: "none", allowed: Vec::new(), scheduled: None, ..one_subscription() };
    let wrong_change = entered(
        &[("quantity", "-1"), ("when", "now")],
        &[("quantity", "Quantity takes 0 to 1000000000."), ("at", "This time is in the future.")],
    );
    let known = catalog_of();
    let wrong_feature = entered(
        &[("what", "feature"), ("key", "SSO")],
        &[("key", "Key takes 1 to 64 of a-z."), ("meter", "There is no active meter of this key.")],
    );
    let wrong_meter =
        entered(&[("what", "meter"), ("meter_key", "1")], &[("value_path", "Sum needs the path of its value.")]);
    let in_use = entered(&[], &[("", "Version 2 of the plan pro grants it.")]);
    vec![
        ("customers", customers::list(visit, &all)),
        ("customers-empty", customers::list(visit, &none)),
        ("customers-no-match", customers::list(visit, &unmatched)),
        ("customer-new", customers::new(visit, &nothing, "form-1")),
        ("customer-new-wrong", customers::new(visit, &wrong, "form-1")),
        ("customer", of(&one, customer::Tab::Overview, &nothing)),
        ("customer-suspended", of(&suspended, customer::Tab::Overview, &nothing)),
        ("customer-bare", of(&bare, customer::Tab::Overview, &nothing)),
        ("customer-settings", of(&one, customer::Tab::Settings, &nothing)),
        ("customer-settings-wrong", of(&one, customer::Tab::Settings, &wrong)),
        ("customer-danger", of(&one, customer::Tab::Danger, &nothing)),
        ("customer-danger-suspended", of(&suspended, customer::Tab::Danger, &nothing)),
        ("customer-deletable", of(&bare, customer::Tab::Danger, &nothing)),
        ("customer-subscribe", of(&one, customer::Tab::Subscribe, &nothing)),
        ("customer-subscribe-wrong", of(&bare, customer::Tab::Subscribe, &no_quantity)),
        ("plans", plans::list(visit, &versions)),
        ("plans-empty", plans::list(visit, &no_plans)),
        ("plan-new", plan::new(visit, &new, &nothing)),
        ("plan-next", plan::new(visit, &next, &nothing)),
        ("plan-new-wrong", plan::new(visit, &new, &wrong_plan)),
        ("plan", plan::detail(visit, &active, plan::Tab::Overview, &nothing)),
        ("plan-mistyped", plan::detail(visit, &mistyped, plan::Tab::Overview, &nothing)),
        ("plan-free", plan::detail(visit, &gratis, plan::Tab::Overview, &nothing)),
        ("plan-draft", plan::detail(visit, &draft, plan::Tab::Overview, &nothing)),
        ("plan-definition", plan::detail(visit, &active, plan::Tab::Definition, &nothing)),
        ("plan-edit", plan::detail(visit, &draft, plan::Tab::Definition, &nothing)),
        ("plan-edit-wrong", plan::detail(visit, &draft, plan::Tab::Definition, &wrong_plan)),
        ("plan-danger", plan::detail(visit, &active, plan::Tab::Danger, &nothing)),
        ("plan-draft-danger", plan::detail(visit, &draft, plan::Tab::Danger, &nothing)),
        ("subscriptions", subscriptions::list(visit, &held)),
        ("subscriptions-empty", subscriptions::list(visit, &no_one)),
        ("subscriptions-unknown", subscriptions::list(visit, &unknown)),
        ("subscription", subscription::detail(visit, &sub, &nothing)),
        ("subscription-ending", subscription::detail(visit, &ending, &nothing)),
        ("subscription-unpaid", subscription::detail(visit, &unpaid, &nothing)),
        ("subscription-paused", subscription::detail(visit, &paused, &nothing)),
        ("subscription-over", subscription::detail(visit, &over, &nothing)),
        ("subscription-wrong", subscription::detail(visit, &sub, &wrong_change)),
        ("features", catalog::page(visit, &known, &nothing)),
        ("features-empty", catalog::page(visit, &Catalog::default(), &nothing)),
        ("features-wrong", catalog::page(visit, &known, &wrong_feature)),
        ("features-wrong-meter", catalog::page(visit, &known, &wrong_meter)),
        ("features-in-use", catalog::page(visit, &known, &in_use)),
    ]
}

//! The page of usage with made-up data.

use console::pages::usage::{self, Asked, Event, Quantity, Refusal, Usage};
use console::{Document, Visit};

use super::ago;

const CUSTOMER: &str = "cus_06gx2k9v5q7m3t8w1z4c6b0dhr";

fn event(id: &str, state: &str, data: Option<&str>, counts: Option<&str>, minutes: i64) -> Event {
    Event {
        customer: "Northwind Traders".to_owned(),
        customer_id: CUSTOMER.to_owned(),
        event_type: "api.call".to_owned(),
        source: "gateway".to_owned(),
        id: id.to_owned(),
        state: state.to_owned(),
        data: data.map(str::to_owned),
        counts: counts.map(str::to_owned),
        is_corrected: counts == Some("0"),
        at: ago(minutes * 60),
        received_at: ago(minutes * 60 - 2),
    }
}

fn refusal(code: &str, detail: &str, customer: bool) -> Refusal {
    Refusal {
        customer: customer.then(|| (CUSTOMER.to_owned(), "Northwind Traders".to_owned())),
        event_type: if customer { "api.call".to_owned() } else { String::new() },
        source: "gateway".to_owned(),
        id: "call-1047".to_owned(),
        code: code.to_owned(),
        detail: detail.to_owned(),
        received_at: ago(300),
    }
}

fn asked() -> Asked {
    let quantity = |days: i64, value: &str| Quantity { start: ago(days * 86_400), value: value.to_owned() };
    Asked {
        customer: "crm-1042".to_owned(),
        meter: "api-calls".to_owned(),
        window: "day".to_owned(),
        from: "2026-05-01".to_owned(),
        to: "2026-06-02".to_owned(),
        meters: vec!["api-calls".to_owned(), "tokens".to_owned()],
        problem: None,
        found: Some(vec![quantity(3, "1204"), quantity(2, "18250.5"), quantity(1, "0"), quantity(0, "731")]),
    }
}

/// Every page by name.
pub(super) fn pages(visit: &Visit<'_>) -> Vec<(&'static str, Document)> {
    let whole = Usage {
        asked: asked(),
        events: vec![
            event("call-1050", "counted", Some("{\"path\":\"/v1/search\",\"status\":200}"), None, 1),
            event("order-7", "counted", None, Some("12.5"), 4),
            event("call-1049", "late", Some("{}"), None, 90),
            event("call-1048", "unmatched", None, None, 120),
            event("call-1046", "counted", Some("{}"), Some("0"), 200),
        ],
        refusals: vec![
            refusal("quota_exceeded", "1000 of 1000 used, 0 left, resets 2026-07-01T00:00:00Z", true),
            refusal("event_invalid", "`id` is missing; id, source, specversion and type are required", false),
        ],
        limit: 50,
        is_first: true,
        next: Some("b3BhcXVl".to_owned()),
    };
    let quiet = Asked { found: Some(Vec::new()), ..asked() };
    let wrong =
        Asked { found: None, problem: Some("There is no customer with this id or external ID.".to_owned()), ..asked() };
    let empty = Usage {
        asked: Asked { found: None, ..asked() },
        events: Vec::new(),
        refusals: Vec::new(),
        next: None,
        ..whole.clone()
    };
    vec![
        ("usage", usage::show(visit, &whole)),
        ("usage-quiet", usage::show(visit, &Usage { asked: quiet, ..whole.clone() })),
        ("usage-wrong", usage::show(visit, &Usage { asked: wrong, ..whole.clone() })),
        ("usage-empty", usage::show(visit, &empty)),
        ("usage-second", usage::show(visit, &Usage { is_first: false, next: None, ..whole })),
    ]
}

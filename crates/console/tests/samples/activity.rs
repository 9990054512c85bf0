//! Activity with made-up data.

use console::pages::activity::{self, Asked, Event, List};
use console::pages::audit::Difference;
use console::{Document, Visit};

use super::ago;

pub(super) fn events() -> Vec<Event> {
    let event = |state, subject: &str, verb: &str, detail: &str, by: Option<&str>, at| Event {
        at: ago(at),
        state,
        subject: subject.to_owned(),
        verb: verb.to_owned(),
        detail: detail.to_owned(),
        by: by.map(str::to_owned),
        client: Some("billing-worker".to_owned()),
        ids: vec![("Client", "billing-worker".to_owned()), ("Request", "req_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned())],
        source: Some("203.0.113.9".to_owned()),
        differences: Vec::new(),
    };
    let changed =
        Difference { field: "scopes".to_owned(), before: Some("a".to_owned()), after: Some("a b".to_owned()) };
    vec![
        event("issued", "Client billing-worker", "got a token", "scope invoices:read usage:write", None, 40),
        event(
            "denied",
            "Unknown client meter-7",
            "was denied",
            "it did not authenticate · 14 times within a minute",
            None,
            100,
        ),
        Event {
            differences: vec![changed],
            ..event("changed", "Client billing-worker", "was updated", "", Some("ada@example.com (passkey)"), 120)
        },
        event(
            "changed",
            "Secret March rotation",
            "was created",
            "of client billing-worker",
            Some("ada@example.com (passkey)"),
            3_600,
        ),
    ]
}

pub(super) fn pages(visit: &Visit<'_>) -> Vec<(&'static str, Document)> {
    let asked = Asked {
        kind: String::new(),
        object: String::new(),
        actor: String::new(),
        source: String::new(),
        outcome: String::new(),
        limit: 50,
    };
    let all = List { events: events(), asked: asked.clone(), is_first: true, next: Some("bg".to_owned()) };
    let none =
        List { events: Vec::new(), next: None, asked: Asked { object: "nothing".to_owned(), ..asked }, ..all.clone() };
    vec![("activity", activity::list(visit, &all)), ("activity-none", activity::list(visit, &none))]
}

//! Webhook endpoints with made-up data.

use console::pages::webhook::{self, Again, Attempt, Delivery, Endpoint, Filters, Log, Tab, Whole};
use console::pages::webhooks::{self, Made, Row};
use console::{Document, Entered, Visit};

use super::ago;

fn endpoint() -> Endpoint {
    Endpoint {
        id: "whe_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        url: "https://hooks.example.com/bastionary".to_owned(),
        description: "Billing".to_owned(),
        types: vec!["client.*".to_owned(), "token.revoked".to_owned()],
        signing: "both",
        rate_per_second: Some(50),
        state: "enabled",
        reason: None,
        state_at: ago(90 * 86_400),
        public_key: Some("whpk_dGhpcyBpcyBhIHB1YmxpYyBrZXkgb2YgMzIgYiE=".to_owned()),
        overlap_until: None,
        last_success_at: Some(ago(40)),
        failing_since: None,
        backlog: 3,
        is_backlog_capped: false,
        attempts: 412,
        succeeded: 409,
        p95_ms: Some(184),
        created_at: ago(90 * 86_400),
        updated_at: ago(3_600),
        etag: "3".to_owned(),
    }
}

fn delivery(kind: &str, state: &'static str, attempts: i64, made: i64) -> Delivery {
    Delivery {
        id: "dlv_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        event_id: "evt_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        kind: kind.to_owned(),
        state,
        attempts,
        last_status: (attempts == 1).then_some(200),
        last_error: (attempts > 1).then(|| "timeout".to_owned()),
        next_at: (state == "pending").then(|| ago(-300)),
        created_at: ago(made),
    }
}

pub(super) fn pages(visit: &Visit<'_>) -> Vec<(&'static str, Document)> {
    let row = |url: &str, types: &[&str], state, success: Option<i64>, failing: Option<i64>| Row {
        id: "whe_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        url: url.to_owned(),
        description: if state == "enabled" { "Billing".to_owned() } else { String::new() },
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        state,
        last_success_at: success.map(ago),
        failing_since: failing.map(ago),
    };
    let rows = [
        row("https://hooks.example.com/bastionary", &["client.*", "token.revoked"], "enabled", Some(40), None),
        row("https://siem.example.com/in", &["*"], "paused", Some(6 * 86_400), Some(5 * 86_400)),
        row("https://gone.example.com/in", &["key.*", "client.*", "token.*", "tenant.*"], "disabled", None, None),
    ];
    let log = Log {
        rows: vec![
            delivery("client.disabled", "pending", 2, 30),
            delivery("client.created", "delivered", 1, 60),
            delivery("token.revoked", "failed", 10, 4 * 86_400),
            delivery("webhook.test", "canceled", 0, 5 * 86_400),
        ],
        limit: 50,
        is_first: true,
        next: Some("b3BhcXVl".to_owned()),
        ..Log::default()
    };
    let wrong_log = Log {
        filters: Filters { from: "yesterday".to_owned(), ..Filters::default() },
        problem: Some("This takes a time such as 2027-01-31T00:00:00Z.".to_owned()),
        limit: 50,
        is_first: true,
        ..Log::default()
    };
    let one = endpoint();
    let paused = Endpoint {
        state: "paused",
        reason: Some("failing"),
        failing_since: Some(ago(5 * 86_400)),
        overlap_until: Some(ago(-7_200)),
        signing: "v1a",
        attempts: 0,
        p95_ms: None,
        ..endpoint()
    };
    let nothing = Entered::default();
    let wrong = Entered {
        values: [("url", "http://127.0.0.1"), ("types", "client.*"), ("types", "token.revoked"), ("signing", "v1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        problems: vec![
            ("url".to_owned(), "Messages cannot be posted to this URL.".to_owned()),
            ("types".to_owned(), "No type of event has this name.".to_owned()),
        ],
        ..Entered::default()
    };
    let made = |secret: Option<&str>| Made {
        id: one.id.clone(),
        url: one.url.clone(),
        secret: secret.map(str::to_owned),
        public_key: secret.is_none().then(|| "whpk_dGhpcyBpcyBhIHB1YmxpYyBrZXkgb2YgMzIgYiE=".to_owned()),
        overlap_until: secret.is_none().then(|| ago(-86_400)),
    };
    let whole = Whole {
        delivery: delivery("client.disabled", "failed", 2, 600),
        endpoint_id: one.id.clone(),
        url: one.url.clone(),
        stopped: None,
        attempts: [(1, Some(500), Some("status")), (2, None, Some("timeout")), (3, Some(200), None)]
            .map(|(number, status, error)| Attempt {
                number,
                at: ago(600 - number * 60),
                duration_ms: 41 * number,
                status,
                error: error.map(str::to_owned),
                node: "node_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
            })
            .into(),
        body: Some("{\"id\":\"evt_1\"}".to_owned()),
        pretty: "{\n  \"id\": \"evt_1\"\n}".to_owned(),
        curl: Some("curl -X POST 'https://hooks.example.com/bastionary' \\\n  -H 'webhook-id: evt_1'".to_owned()),
    };
    let bare = Whole {
        attempts: Vec::new(),
        body: None,
        curl: None,
        stopped: Some("The endpoint is paused; resume it first.".to_owned()),
        ..whole.clone()
    };
    let again = |count| Again {
        endpoint_id: one.id.clone(),
        url: one.url.clone(),
        filters: Filters {
            status: "failed".to_owned(),
            from: "2026-03-01T00:00:00Z".to_owned(),
            to: "2026-03-10T00:00:00Z".to_owned(),
            ..Filters::default()
        },
        count,
    };
    let too_many = Err(vec!["This range holds more than 10000 deliveries; ask for a shorter one.".to_owned()]);
    let none = Log { limit: 50, is_first: true, ..Log::default() };
    let detail = |endpoint, tab, log, entered: &Entered| webhook::detail(visit, endpoint, tab, (log, ""), entered);
    vec![
        ("webhooks", webhooks::list(visit, &rows)),
        ("webhooks-empty", webhooks::list(visit, &[])),
        ("webhook-new", webhooks::new(visit, &nothing, "form-1")),
        ("webhook-new-wrong", webhooks::new(visit, &wrong, "form-1")),
        ("webhook-reveal", webhooks::reveal(visit, &made(Some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=")))),
        ("webhook-rolled", webhooks::reveal(visit, &made(None))),
        ("webhook", detail(&one, Tab::Deliveries, &log, &nothing)),
        ("webhook-paused", detail(&paused, Tab::Deliveries, &none, &nothing)),
        ("webhook-wrong-filter", detail(&one, Tab::Deliveries, &wrong_log, &nothing)),
        ("webhook-events", webhook::detail(visit, &one, Tab::Events, (&none, "client"), &nothing)),
        ("webhook-verify", detail(&one, Tab::Verify, &none, &nothing)),
        ("webhook-verify-key", detail(&paused, Tab::Verify, &none, &nothing)),
        ("webhook-settings", detail(&one, Tab::Settings, &none, &nothing)),
        ("webhook-settings-wrong", detail(&paused, Tab::Settings, &none, &wrong)),
        ("webhook-danger", detail(&one, Tab::Danger, &none, &nothing)),
        ("webhook-delivery", webhook::delivery(visit, &whole)),
        ("webhook-delivery-bare", webhook::delivery(visit, &bare)),
        ("webhook-resend", webhook::again(visit, &again(Ok(12)))),
        ("webhook-resend-refused", webhook::again(visit, &again(too_many))),
    ]
}

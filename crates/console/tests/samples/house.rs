//! Settings, limits and tenants with made-up data.

use console::pages::limits::{self, Data, Met, Own, Rate};
use console::pages::settings::{self, Fact, Group};
use console::pages::tenants::{self, List, Made, Row};
use console::{Document, Entered, Visit};

use super::ago;

pub(super) fn pages(visit: &Visit<'_>) -> Vec<(&'static str, Document)> {
    let fact = |label, value: &str, key| Fact { label, value: value.to_owned(), key };
    let groups = [
        Group {
            title: "General",
            sentence: "",
            facts: vec![fact("Issuer", "https://id.example.com", "issuer"), fact("Environment", "Live", "")],
        },
        Group { title: "Storage", sentence: "A sentence.", facts: vec![fact("Engine", "Embedded", "database_url")] },
    ];
    let rate = |limit, window_s, burst| Rate { limit, window_s, burst };
    let own = |client_id: &str, name: &str, rate, quotas, is_enforced| Own {
        client_id: client_id.to_owned(),
        name: name.to_owned(),
        rate,
        quotas,
        is_enforced,
        version: "4".to_owned(),
    };
    let limits = Data {
        client: rate(1_000, 1, 2_000),
        is_own: true,
        server: rate(1_000, 1, 2_000),
        source: rate(20_000, 1, 40_000),
        pair_failures: rate(60, 60, 20),
        source_failures: rate(600, 60, 100),
        own: vec![
            own("ci-deployer", "CI deployer", Some(rate(600, 60, 1_200)), vec![("hour", 8_210, 10_000)], true),
            own("billing-worker", "billing-worker", None, vec![("hour", 12, 500), ("day", 4_900, 5_000)], false),
        ],
        limit: 25,
        is_first: true,
        next: None,
        met: vec![Met {
            client_id: "ci-deployer".to_owned(),
            name: "CI deployer".to_owned(),
            refused: 1_200,
            monitored: 3,
        }],
        version: "1".to_owned(),
        entered: Entered::default(),
    };
    let wrong = Data {
        own: Vec::new(),
        met: Vec::new(),
        is_own: false,
        entered: Entered {
            values: vec![("limit".to_owned(), "many".to_owned())],
            problems: vec![("limit".to_owned(), "This takes 0 to 1000000000.".to_owned())],
            ..Entered::default()
        },
        ..limits.clone()
    };
    let tenant = |slug: &str, name: &str, kind, is_disabled| Row {
        slug: slug.to_owned(),
        name: name.to_owned(),
        kind,
        is_disabled,
        issuer: format!("https://id.example.com/t/{slug}"),
        created_at: ago(9 * 86_400),
    };
    let list = List {
        rows: vec![
            tenant("acme", "Acme", "live", false),
            tenant("default", "Northwind Energy", "live", false),
            tenant("trial", "Trial", "sandbox", true),
        ],
        limit: 50,
        is_first: true,
        next: None,
        form: "form-1".to_owned(),
    };
    let made = Made {
        slug: "trial".to_owned(),
        name: "Trial".to_owned(),
        client_id: "client_06gx2k9v5q7m3t8w1z4c6b0dhr".to_owned(),
        secret: "a secret that a sample makes up".to_owned(),
    };
    let problem = Entered {
        values: vec![("slug".to_owned(), "Not One".to_owned())],
        problems: vec![("slug".to_owned(), "Slug takes 1 to 63 characters of a-z 0-9 -.".to_owned())],
        ..Entered::default()
    };
    let nothing = Entered::default();
    vec![
        ("settings", settings::show(visit, &groups, true)),
        ("notices", settings::notices(visit, &settings::packages())),
        ("limits", limits::show(visit, &limits)),
        ("limits-wrong", limits::show(visit, &wrong)),
        ("tenants", tenants::list(visit, &list, None, &nothing)),
        ("tenants-made", tenants::list(visit, &list, Some(&made), &nothing)),
        ("tenants-wrong", tenants::list(visit, &list, None, &problem)),
    ]
}

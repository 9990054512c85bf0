//! The list of clients.

use askama::Template;
use kernel::clock::Timestamp;

use crate::badge::{self, Badge};
use crate::chart::{Chart, Series, chart, sparkline};
use crate::form::{Column, Entered, Field, Figure, Paging};
use crate::moment::{Grouped, Moment, relative};
use crate::shell::{Document, Frame, Visit};

/// A credential that ends within this many seconds is shown in the list.
const SOON_SECONDS: i64 = 14 * 86_400;

/// One client of the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// Scopes it may request.
    pub scopes: Vec<String>,
    /// `active`, `expired` or `disabled`.
    pub status: &'static str,
    /// End of the live secret that ends first, when all are dated.
    pub secret_expires_at: Option<Timestamp>,
    /// Last token.
    pub last_token_at: Option<Timestamp>,
    /// Tokens of the last 24 hours, when they are counted.
    pub tokens_24h: Option<u64>,
}

/// Figures of the last 24 hours.
#[derive(Debug, Clone)]
pub struct Activity {
    /// Times of the chart, `HH:MM` in UTC.
    pub times: Vec<String>,
    /// Tokens issued at each time.
    pub issued: Vec<u64>,
    /// Requests denied at each time.
    pub denied: Vec<u64>,
    /// 99th percentile of the token endpoint, in microseconds.
    pub p99_micros: Option<u64>,
}

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The rows of this page.
    pub rows: Vec<Row>,
    /// All clients of the tenant.
    pub total: u64,
    /// The filter `q`.
    pub q: String,
    /// The filter `status`; empty for all.
    pub status: String,
    /// `name`, `created_at` or `expires_at`, with `-` in front for descending.
    pub sort: String,
    /// Rows on a page.
    pub limit: u32,
    /// Cursor of the page before.
    pub previous: Option<String>,
    /// Cursor of the page after.
    pub next: Option<String>,
    /// `None` while nothing is counted.
    pub activity: Option<Activity>,
}

struct Shown<'a> {
    row: &'a Row,
    badge: Badge,
    ending: Option<Badge>,
    last: Option<Moment>,
    tokens: String,
    href: String,
}

#[derive(Template)]
#[template(path = "clients.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a List,
    count: String,
    refused: Option<String>,
    figures: Vec<Figure>,
    chart: Option<Chart>,
    columns: Vec<Column>,
    rows: Vec<Shown<'a>>,
    paging: Paging,
    is_filtered: bool,
}

/// The page.
pub fn list(visit: &Visit<'_>, data: &List) -> Document {
    let frame = Frame::new(visit, "identity/clients", "Clients");
    let action = format!("{}/identity/clients", frame.root);
    let mut kept = Vec::new();
    for (name, value) in [("q", &data.q), ("status", &data.status), ("sort", &data.sort)] {
        if !value.is_empty() {
            kept.push((name.to_owned(), value.clone()));
        }
    }
    let query = crate::address::query(
        [("q", data.q.as_str()), ("status", data.status.as_str())].into_iter().filter(|(_, value)| !value.is_empty()),
    );
    let at = |cursor: &String| {
        let sort = crate::address::encoded(&data.sort);
        format!("{action}?{query}sort={sort}&limit={}&cursor={}", data.limit, crate::address::encoded(cursor))
    };
    let rows = data.rows.iter().map(|row| shown(visit, row, &action)).collect();
    let (figures, chart) = data.activity.as_ref().map_or((Vec::new(), None), |a| figures(data.total, a));
    Document::of(&Page {
        count: if data.total > 10_000 { "10\u{202f}000+".to_owned() } else { Grouped(data.total).to_string() },
        refused: visit.viewer.refused("clients:write"),
        figures,
        chart,
        columns: vec![
            Column::sortable("Client", "name", &data.sort, &action, &query),
            Column::plain("Scopes"),
            Column::plain("Status"),
            Column::plain("Last token"),
            Column::plain("Tokens 24 h").number(),
        ],
        rows,
        paging: Paging {
            shown: crate::address::counted(data.rows.len(), "client"),
            limit: data.limit,
            kept,
            previous: data.previous.as_ref().map(at),
            next: data.next.as_ref().map(at),
            action,
        },
        is_filtered: !data.q.is_empty() || !data.status.is_empty(),
        frame,
        data,
    })
}

fn shown<'a>(visit: &Visit<'_>, row: &'a Row, action: &str) -> Shown<'a> {
    let left = row.secret_expires_at.map(|end| end.seconds_since(visit.now));
    Shown {
        row,
        badge: badge::of(row.status),
        ending: left
            .filter(|left| (0..SOON_SECONDS).contains(left))
            .map(|left| badge::ending("Secret", &relative(left))),
        last: row.last_token_at.map(|at| Moment::new(at, visit.now)),
        tokens: row.tokens_24h.map_or_else(|| "–".to_owned(), |n| Grouped(n).to_string()),
        href: format!("{action}/{}", row.client_id),
    }
}

fn figures(total: u64, activity: &Activity) -> (Vec<Figure>, Option<Chart>) {
    let sum = |values: &[u64]| values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
    let (issued, denied) = (sum(&activity.issued), sum(&activity.denied));
    let share = denied.saturating_mul(1000).checked_div(issued.saturating_add(denied)).unwrap_or(0);
    let latency = activity.p99_micros.map(|micros| format!("{}.{} ms", micros / 1000, micros % 1000 / 100));
    let figures = vec![
        Figure::new("Clients", Some(Grouped(total).to_string()), ""),
        Figure {
            line: Some(sparkline("Tokens issued", 0, &activity.issued)),
            ..Figure::new("Tokens issued, 24 h", Some(Grouped(issued).to_string()), "")
        },
        Figure {
            line: Some(sparkline("Requests denied", 1, &activity.denied)),
            ..Figure::new(
                "Denied, 24 h",
                Some(Grouped(denied).to_string()),
                &format!("{}.{} % of requests", share / 10, share % 10),
            )
        },
        Figure::new("p99 token latency, 24 h", latency, ""),
    ];
    let series = [
        Series { name: "Issued".to_owned(), values: activity.issued.clone() },
        Series { name: "Denied".to_owned(), values: activity.denied.clone() },
    ];
    let chart = chart("Tokens of the last 24 hours", &activity.times, &series);
    (figures, Some(chart))
}

/// What the form for a new client needs.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// Scopes that can be given: name and description.
    pub scopes: Vec<(String, String)>,
    /// What came back.
    pub entered: Entered,
    /// Makes a second submission find the first one's client.
    pub idempotency_key: String,
}

#[derive(Template)]
#[template(path = "client_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    data: &'a New,
    name: Field,
    folded: Vec<Field>,
    is_open: bool,
}

/// The form for a new client: name, scopes, Create; the rest is folded.
pub fn new(visit: &Visit<'_>, data: &New) -> Document {
    let entered = &data.entered;
    let folded: Vec<Field> = [
        Field::new("client_id", "Client ID", "text")
            .hint("Left empty, an id is made. 1 to 100 letters, digits and . _ ~ -"),
        Field::new("secret", "Own secret", "password")
            .hint("Left empty, a secret of 256 bits is made, which is the safer choice."),
        Field::new("expires_at", "Expiry", "text")
            .hint("A time such as 2027-01-31T00:00:00Z. A past one makes a client that is expired from the start."),
        Field::new("audiences", "Audiences", "text")
            .hint("Identifiers of APIs, separated by spaces. Left empty: the APIs that own the scopes."),
        Field::new("access_token_ttl_seconds", "Token lifetime in seconds", "number")
            .hint("60 to 86400. Left empty: 900."),
    ]
    .map(|field| field.optional().autocomplete("off").filled(entered))
    .into();
    Document::of(&NewPage {
        frame: Frame::new(visit, "identity/clients", "New client"),
        name: Field::new("name", "Name", "text")
            .hint("What people call it, for example billing-worker.")
            .autocomplete("off")
            .filled(entered),
        is_open: folded.iter().any(|field| field.error.is_some() || !field.value.is_empty()),
        folded,
        data,
    })
}

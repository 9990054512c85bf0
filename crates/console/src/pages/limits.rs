//! Limits: those of every client, those of some, and who met one.

use askama::Template;

use crate::address::counted;
use crate::badge::{self, Badge};
use crate::form::{Entered, Field, Paging};
use crate::moment::{Grouped, duration};
use crate::shell::{Document, Frame, Visit};

/// Requests in a window, and at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Requests per window; 0 means no limit.
    pub limit: u32,
    /// Seconds of the window.
    pub window_s: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

impl Rate {
    fn words(self) -> String {
        if self.limit == 0 {
            return "No limit".to_owned();
        }
        let grouped = |n: u32| Grouped(u64::from(n));
        let window = match self.window_s {
            1 => "second".to_owned(),
            60 => "minute".to_owned(),
            3_600 => "hour".to_owned(),
            other => duration(i64::from(other)),
        };
        format!("{} each {window}, {} at once", grouped(self.limit), grouped(self.burst))
    }
}

/// A client with limits of its own.
#[derive(Debug, Clone)]
pub struct Own {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// Its rate, when it has one.
    pub rate: Option<Rate>,
    /// `hour` or `day`, tokens taken, tokens of the window.
    pub quotas: Vec<(&'static str, i64, i64)>,
    /// Whether its limits refuse.
    pub is_enforced: bool,
    /// Version of the client.
    pub version: String,
}

/// A client that met a limit lately.
#[derive(Debug, Clone)]
pub struct Met {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that a monitored limit would have refused.
    pub monitored: u64,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Data {
    /// The rate of a client that has none of its own.
    pub client: Rate,
    /// Whether the tenant decides it; else the server does.
    pub is_own: bool,
    /// What the server says.
    pub server: Rate,
    /// The rate of a source address.
    pub source: Rate,
    /// Slow authentications of one client from one source.
    pub pair_failures: Rate,
    /// Slow authentications from one source.
    pub source_failures: Rate,
    /// Clients with limits of their own.
    pub own: Vec<Own>,
    /// Rows on a page of them.
    pub limit: u32,
    /// Whether this is the first page of them.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
    /// Clients that met a limit lately.
    pub met: Vec<Met>,
    /// Version of the tenant's settings.
    pub version: String,
    /// What came back from the form.
    pub entered: Entered,
}

struct Quota {
    text: String,
    used: i64,
    max: i64,
}

struct Shown<'a> {
    own: &'a Own,
    rate: String,
    quotas: Vec<Quota>,
    badge: Badge,
}

#[derive(Template)]
#[template(path = "limits.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a Data,
    here: String,
    rules: [(&'static str, String, &'static str); 3],
    fields: Vec<Field>,
    rows: Vec<Shown<'a>>,
    paging: Paging,
    met: Vec<(&'a Met, String)>,
    server: String,
    refused: Option<String>,
    refused_mode: Option<String>,
}

/// The page.
pub fn show<'a>(visit: &Visit<'a>, data: &'a Data) -> Document {
    let frame = Frame::new(visit, "identity/limits", "Rate limits");
    let given = |field: Field, value: u32| field.given(&value.to_string(), &data.entered);
    let requests = Field::new("limit", "Requests", "number").hint("0 switches the limit off.");
    let fields = vec![
        given(requests, data.client.limit),
        given(Field::new("window_s", "in seconds", "number"), data.client.window_s),
        given(Field::new("burst", "at once", "number"), data.client.burst),
    ];
    let quota = |(span, used, max): &(&'static str, i64, i64)| Quota {
        text: format!("{} of {} this {span}", grouped(*used), grouped(*max)),
        used: *used,
        max: *max,
    };
    let count = |n: u64, what: &str| {
        (n > 0).then(|| format!("{} {what}", counted(usize::try_from(n).unwrap_or(usize::MAX), "request")))
    };
    let here = format!("{}/identity/limits", frame.root);
    Document::of(&Page {
        paging: Paging {
            shown: counted(data.own.len(), "client"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{here}?limit={}", data.limit)),
            next: data.next.as_ref().map(|id| format!("{here}?limit={}&cursor={id}", data.limit)),
            previous: None,
            export: None,
            kept: Vec::new(),
            action: here.clone(),
        },
        here,
        rules: [
            ("Requests of one address", data.source.words(), "limits.source_rate"),
            (
                "Failed authentications of one client from one address",
                data.pair_failures.words(),
                "limits.auth_failure_client_rate",
            ),
            (
                "Failed authentications from one address",
                data.source_failures.words(),
                "limits.auth_failure_source_rate",
            ),
        ],
        fields,
        rows: data
            .own
            .iter()
            .map(|own| Shown {
                rate: own.rate.map_or_else(|| "The tenant’s".to_owned(), Rate::words),
                quotas: own.quotas.iter().map(quota).collect(),
                badge: badge::of(if own.is_enforced { "enforced" } else { "monitored" }),
                own,
            })
            .collect(),
        met: data
            .met
            .iter()
            .map(|met| {
                let parts = [count(met.refused, "refused"), count(met.monitored, "over, and answered")];
                (met, parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            })
            .collect(),
        server: data.server.words(),
        refused: visit.viewer.refused("limits:write"),
        refused_mode: visit.viewer.refused("clients:write"),
        frame,
        data,
    })
}

fn grouped(n: i64) -> Grouped {
    Grouped(u64::try_from(n).unwrap_or(0))
}

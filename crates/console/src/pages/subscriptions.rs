//! Subscriptions: the list.

use askama::Template;
use kernel::clock::Timestamp;

use crate::address::{counted, encoded, query};
use crate::badge::{self, Badge};
use crate::form::Paging;
use crate::moment::{Grouped, Moment};
use crate::shell::{Document, Frame, Visit};

/// Where the pages are, below the console.
pub(crate) const SECTION: &str = "billing/subscriptions";

/// One subscription of the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Id of its customer.
    pub customer_id: String,
    /// Name of its customer.
    pub customer: String,
    /// Name and version of its plan.
    pub plan: String,
    /// How many.
    pub quantity: u64,
    /// Where it stands.
    pub status: &'static str,
    /// When it goes on or ends, and which of the two.
    pub next: Option<(&'static str, Timestamp)>,
    /// Creation.
    pub created_at: Timestamp,
}

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The rows of this page, the newest first.
    pub rows: Vec<Row>,
    /// The customer whose they are, as it was typed; empty for all.
    pub customer: String,
    /// Whether there is no such customer.
    pub is_unknown: bool,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
    /// The present instant of the tenant's business time.
    pub today: Timestamp,
}

struct Shown<'a> {
    row: &'a Row,
    badge: Badge,
    quantity: Grouped,
    next: Option<(&'static str, Moment)>,
    created: Moment,
}

#[derive(Template)]
#[template(path = "subscriptions.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a List,
    here: String,
    rows: Vec<Shown<'a>>,
    paging: Paging,
}

/// The list.
pub fn list<'a>(visit: &Visit<'a>, data: &'a List) -> Document {
    let frame = Frame::new(visit, SECTION, "Subscriptions");
    let here = format!("{}/{SECTION}", frame.root);
    let kept: Vec<(String, String)> =
        Some(("customer".to_owned(), data.customer.clone())).into_iter().filter(|(_, id)| !id.is_empty()).collect();
    let asked = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Document::of(&Page {
        rows: data
            .rows
            .iter()
            .map(|row| Shown {
                badge: badge::of(row.status),
                quantity: Grouped(row.quantity),
                next: row.next.map(|(word, at)| (word, Moment::new(at, data.today))),
                created: Moment::new(row.created_at, data.today),
                row,
            })
            .collect(),
        paging: Paging {
            shown: counted(data.rows.len(), "subscription"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{here}?{asked}limit={}", data.limit)),
            previous: None,
            next: data
                .next
                .as_ref()
                .map(|cursor| format!("{here}?{asked}limit={}&cursor={}", data.limit, encoded(cursor))),
            export: Some(Ok(format!("{here}?{asked}format="))),
            action: here.clone(),
            kept,
        },
        here,
        frame,
        data,
    })
}

//! All that happened, newest first: changes, tokens that were issued, requests that were denied.

use askama::Template;
use kernel::clock::Timestamp;

use super::audit::Difference;
use crate::address::{counted, encoded, query};
use crate::badge::{self, Badge};
use crate::form::Paging;
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One thing that happened, as a sentence.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// `changed`, `issued` or `denied`.
    pub state: &'static str,
    /// What it is about.
    pub subject: String,
    /// What happened to it.
    pub verb: String,
    /// The rest of the sentence.
    pub detail: String,
    /// Who did it, when that is somebody else.
    pub by: Option<String>,
    /// Public id of a client that has a page.
    pub client: Option<String>,
    /// Ids with their labels.
    pub ids: Vec<(&'static str, String)>,
    /// From which address.
    pub source: Option<String>,
    /// What changed.
    pub differences: Vec<Difference>,
}

/// The filters, as they were typed, and the rows on a page.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Kind of the object; empty for a client.
    pub kind: String,
    /// Id of the object.
    pub object: String,
    /// Who.
    pub actor: String,
    /// From which address.
    pub source: String,
    /// `changed`, `issued`, `denied` or empty.
    pub outcome: String,
    /// Rows on a page.
    pub limit: u32,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The events, newest first.
    pub events: Vec<Event>,
    /// The filters.
    pub asked: Asked,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// Kinds of object that a filter offers, as records name them, with their words.
const KINDS: [(&str, &str); 8] = [
    ("client", "Client"),
    ("secret", "Secret"),
    ("token", "Token"),
    ("family", "Refresh family"),
    ("api", "API"),
    ("scope", "Scope"),
    ("key", "Key"),
    ("operator", "Operator"),
];

struct Shown<'a> {
    event: &'a Event,
    badge: Badge,
    at: Moment,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct Page<'a> {
    frame: Frame<'a>,
    asked: &'a Asked,
    events: Vec<Shown<'a>>,
    is_filtered: bool,
    /// Whether more may be found by going on.
    goes_on: bool,
    /// The address of the first page, which changes while it is looked at.
    here: Option<String>,
    paging: Paging,
}

/// The page.
pub fn list<'a>(visit: &Visit<'a>, list: &'a List) -> Document {
    let frame = Frame::new(visit, "activity", "Activity");
    let action = format!("{}/activity", frame.root);
    let asked = &list.asked;
    let kept: Vec<(String, String)> = [
        ("kind", &asked.kind),
        ("object", &asked.object),
        ("actor", &asked.actor),
        ("source", &asked.source),
        ("outcome", &asked.outcome),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .collect();
    let query = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let shown = |event: &'a Event| Shown { event, badge: badge::of(event.state), at: Moment::new(event.at, visit.now) };
    Document::of(&Page {
        asked,
        events: list.events.iter().map(shown).collect(),
        is_filtered: !kept.is_empty(),
        goes_on: list.next.is_some(),
        here: list.is_first.then(|| format!("{action}?{query}limit={}", asked.limit)),
        paging: Paging {
            shown: counted(list.events.len(), "event"),
            limit: asked.limit,
            first: (!list.is_first).then(|| format!("{action}?{query}limit={}", asked.limit)),
            next: list
                .next
                .as_ref()
                .map(|cursor| format!("{action}?{query}limit={}&cursor={}", asked.limit, encoded(cursor))),
            previous: None,
            export: None,
            kept,
            action,
        },
        frame,
    })
}

//! The audit log: who did what, from where, and what changed.

use askama::Template;
use kernel::clock::Timestamp;

use crate::address::{counted, encoded, query};
use crate::form::Paging;
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One field of a change.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Name of the field.
    pub field: String,
    /// What it was; `None` when it was absent.
    pub before: Option<String>,
    /// What it is; `None` when it was removed.
    pub after: Option<String>,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// Who.
    pub actor: String,
    /// The name of a client that acted.
    pub actor_name: Option<String>,
    /// What, for example `client.created`.
    pub action: String,
    /// On which object: its kind and id.
    pub object: String,
    /// The object's name, where it has one.
    pub object_name: Option<String>,
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub source: Option<String>,
    /// In which request.
    pub request: Option<String>,
    /// What changed.
    pub differences: Vec<Difference>,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Log {
    /// The records, newest first.
    pub records: Vec<Record>,
    /// The filter `action`.
    pub action: String,
    /// The filter `actor`.
    pub actor: String,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
    /// When the tree of records was last signed.
    pub signed_at: Option<Timestamp>,
}

struct Shown<'a> {
    record: &'a Record,
    at: Moment,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    frame: Frame<'a>,
    log: &'a Log,
    records: Vec<Shown<'a>>,
    signed: Option<Moment>,
    paging: Paging,
}

/// The page.
pub fn log<'a>(visit: &Visit<'a>, log: &'a Log) -> Document {
    let frame = Frame::new(visit, "audit", "Audit log");
    let action = format!("{}/audit", frame.root);
    let kept: Vec<(String, String)> = [("action", &log.action), ("actor", &log.actor)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let query = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let at = |cursor: &String| format!("{action}?{query}limit={}&cursor={}", log.limit, encoded(cursor));
    Document::of(&Page {
        records: log.records.iter().map(|record| Shown { record, at: Moment::new(record.at, visit.now) }).collect(),
        signed: log.signed_at.map(|at| Moment::new(at, visit.now)),
        paging: Paging {
            shown: counted(log.records.len(), "record"),
            limit: log.limit,
            first: (!log.is_first).then(|| format!("{action}?{query}limit={}", log.limit)),
            previous: None,
            next: log.next.as_ref().map(at),
            export: Some(
                visit.viewer.refused("audit:export").map_or_else(|| Ok(format!("{action}?{query}format=")), Err),
            ),
            kept,
            action,
        },
        frame,
        log,
    })
}

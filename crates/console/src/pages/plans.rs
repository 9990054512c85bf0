//! Plans: each key with its versions.

use askama::Template;
use billing::plan::{Plan, PlanState};

use super::plan::price_line;
use crate::address::{counted, encoded};
use crate::badge::{self, Badge};
use crate::form::Paging;
use crate::moment::Grouped;
use crate::shell::{Document, Frame, Visit};

/// Where the pages are, below the console.
pub(crate) const SECTION: &str = "billing/plans";

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// Versions in the order of keys and numbers, each with how many subscriptions to it last.
    pub plans: Vec<(Plan, u64)>,
    /// Versions on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// A plan with the versions of it that are on this page.
struct Row {
    /// Id of the version that stands for it: the newest active one, else the newest.
    id: String,
    key: String,
    name: String,
    price: String,
    features: String,
    subscribers: Grouped,
    versions: Vec<(String, String, Badge)>,
}

#[derive(Template)]
#[template(path = "plans.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a List,
    here: String,
    rows: Vec<Row>,
    paging: Paging,
    refused: Option<String>,
}

/// Id, word and state of each version.
pub(crate) fn versions(list: &[(String, i64, PlanState)]) -> Vec<(String, String, Badge)> {
    let one = |(id, number, state): &(String, i64, PlanState)| {
        (id.clone(), format!("Version {number}"), badge::of(state.name()))
    };
    list.iter().map(one).collect()
}

fn rows(plans: &[(Plan, u64)]) -> Vec<Row> {
    let of_key = plans.chunk_by(|(one, _), (other, _)| one.key == other.key);
    let row = |list: &[(Plan, u64)]| {
        let active = list.iter().rev().find(|(plan, _)| plan.state == PlanState::Active);
        let (plan, _) = active.or(list.last())?;
        let newest_first: Vec<_> =
            list.iter().rev().map(|(plan, _)| (plan.id.to_string(), plan.number, plan.state)).collect();
        Some(Row {
            id: plan.id.to_string(),
            key: plan.key.clone(),
            name: plan.definition.name.clone(),
            price: price_line(plan),
            features: counted(plan.definition.entitlements.len(), "feature"),
            subscribers: Grouped(list.iter().map(|(_, count)| *count).sum()),
            versions: versions(&newest_first),
        })
    };
    of_key.filter_map(row).collect()
}

/// The list.
pub fn list<'a>(visit: &Visit<'a>, data: &'a List) -> Document {
    let frame = Frame::new(visit, SECTION, "Plans");
    let here = format!("{}/{SECTION}", frame.root);
    Document::of(&Page {
        rows: rows(&data.plans),
        paging: Paging {
            shown: counted(data.plans.len(), "version"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{here}?limit={}", data.limit)),
            previous: None,
            next: data.next.as_ref().map(|cursor| format!("{here}?limit={}&cursor={}", data.limit, encoded(cursor))),
            export: None,
            kept: Vec::new(),
            action: here.clone(),
        },
        refused: visit.viewer.refused("billing:write"),
        here,
        frame,
        data,
    })
}

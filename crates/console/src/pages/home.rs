//! The first page: what needs attention, what is left to set up, what happened last.

use askama::Template;
use kernel::clock::Timestamp;

use super::audit::Record;
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One line of the checklist.
#[derive(Debug, Clone)]
pub struct Step {
    /// What to do.
    pub text: &'static str,
    /// In a few more words.
    pub detail: &'static str,
    /// Where.
    pub href: String,
    /// Whether it is done.
    pub is_done: bool,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Home {
    /// The checklist, in order.
    pub steps: Vec<Step>,
    /// A sentence and the page that helps, the most urgent first.
    pub needs: Vec<(&'static str, String)>,
    /// The newest records.
    pub latest: Vec<Record>,
    /// When the record was last signed.
    pub signed_at: Option<Timestamp>,
    /// The issuer of the tenant.
    pub issuer: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a Home,
    is_set_up: bool,
    latest: Vec<(&'a Record, Moment)>,
    signed: Option<Moment>,
}

/// The page.
pub fn home(visit: &Visit<'_>, data: &Home) -> Document {
    Document::of(&Page {
        frame: Frame::new(visit, "", "Home"),
        is_set_up: data.steps.iter().all(|step| step.is_done),
        latest: data.latest.iter().map(|record| (record, Moment::new(record.at, visit.now))).collect(),
        signed: data.signed_at.map(|at| Moment::new(at, visit.now)),
        data,
    })
}

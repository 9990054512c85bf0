//! The first page: what needs attention, what is left to set up, what happened last.

use askama::Template;
use kernel::clock::Timestamp;

use super::activity::Event;
use crate::badge::{self, Badge};
use crate::moment::{Grouped, Moment};
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

/// Something that somebody should look at.
#[derive(Debug, Clone)]
pub struct Need {
    /// Whether something does not work, or somebody is at work who should not be.
    pub is_urgent: bool,
    /// In a sentence.
    pub text: String,
    /// The page that helps.
    pub href: String,
    /// When it happened, or will happen.
    pub at: Option<Timestamp>,
    /// Where a form settles it, and the word on its button.
    pub act: Option<(String, &'static str)>,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Home {
    /// The checklist, in order.
    pub steps: Vec<Step>,
    /// What needs attention, the most urgent first.
    pub needs: Vec<Need>,
    /// The newest events; `None` for somebody who may not see them.
    pub latest: Option<Vec<Event>>,
    /// Requests for tokens in each of the last minutes, the oldest first; `None` for somebody who may not see them.
    pub pace: Option<Vec<u64>>,
    /// When the record was last signed.
    pub signed_at: Option<Timestamp>,
    /// The issuer of the tenant.
    pub issuer: String,
}

/// A line of small figures.
struct Spark {
    line: String,
    area: String,
    total: Grouped,
    text: String,
}

/// Width and height of the drawing of a [`Spark`].
const WIDTH: usize = 300;
const HEIGHT: u64 = 30;

impl Spark {
    fn new(counts: &[u64]) -> Self {
        let most = counts.iter().copied().max().unwrap_or(0);
        let total = counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let steps = counts.len().saturating_sub(1).max(1);
        let points: Vec<String> = counts
            .iter()
            .enumerate()
            .map(|(at, count)| {
                let x = at.saturating_mul(WIDTH).checked_div(steps).unwrap_or(0);
                let y = HEIGHT.saturating_sub(count.saturating_mul(HEIGHT).checked_div(most).unwrap_or(0));
                format!("{x} {y}")
            })
            .collect();
        let line = points.join("L");
        let last = counts.last().copied().unwrap_or(0);
        Self {
            area: format!("M0 {HEIGHT}L{line}L{WIDTH} {HEIGHT}Z"),
            line: format!("M{line}"),
            total: Grouped(total),
            text: format!(
                "{} in the last {} minutes: {} in the busiest minute, {} in the present one",
                Grouped(total),
                counts.len(),
                Grouped(most),
                Grouped(last)
            ),
        }
    }
}

#[derive(Template)]
#[template(path = "home.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a Home,
    is_set_up: bool,
    needs: Vec<(&'a Need, Option<Moment>)>,
    latest: Option<Vec<(&'a Event, Badge, Moment)>>,
    refused: Option<String>,
    spark: Option<Spark>,
    signed: Option<Moment>,
}

/// The page.
pub fn home(visit: &Visit<'_>, data: &Home) -> Document {
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    Document::of(&Page {
        frame: Frame::new(visit, "", "Home"),
        is_set_up: data.steps.iter().all(|step| step.is_done),
        needs: data.needs.iter().map(|need| (need, need.at.map(moment))).collect(),
        latest: data
            .latest
            .as_ref()
            .map(|latest| latest.iter().map(|event| (event, badge::of(event.state), moment(event.at))).collect()),
        refused: visit.viewer.refused("audit:read"),
        spark: data.pace.as_deref().map(Spark::new),
        signed: data.signed_at.map(moment),
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_high_as_its_busiest_minute_and_says_so_in_words() {
        let spark = Spark::new(&[0, 5, 10, 1]);
        assert_eq!(spark.line, "M0 30L100 15L200 0L300 27");
        assert_eq!(spark.text, "16 in the last 4 minutes: 10 in the busiest minute, 1 in the present one");
        assert_eq!(Spark::new(&[0, 0]).line, "M0 30L300 30");
    }
}

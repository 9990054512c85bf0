//! Usage: quantities of a meter, events as they came, and those that were refused.

use askama::Template;
use kernel::clock::Timestamp;

use crate::address::{counted, encoded};
use crate::badge::{self, Badge};
use crate::form::Paging;
use crate::moment::{Moment, grouped};
use crate::shell::{Document, Frame, Visit};

/// Where the page is, below the console.
pub(crate) const SECTION: &str = "billing/usage";

/// What was asked of a meter.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The customer, as it was typed.
    pub customer: String,
    /// The key of the meter.
    pub meter: String,
    /// The length of the windows: `minute`, `hour`, `day` or `month`.
    pub window: String,
    /// The first day.
    pub from: String,
    /// The day behind the last.
    pub to: String,
    /// The keys of the meters that there are.
    pub meters: Vec<String>,
    /// What is wrong with the question.
    pub problem: Option<String>,
    /// The answer; `None` when nothing was asked.
    pub found: Option<Vec<Quantity>>,
}

/// What was used in one window.
#[derive(Debug, Clone)]
pub struct Quantity {
    /// When it begins.
    pub start: Timestamp,
    /// How much.
    pub value: String,
}

/// An event as it came.
#[derive(Debug, Clone)]
pub struct Event {
    /// Name of its customer.
    pub customer: String,
    /// Id of its customer.
    pub customer_id: String,
    /// Its type.
    pub event_type: String,
    /// Where it came from.
    pub source: String,
    /// Its id.
    pub id: String,
    /// `counted`, `late`, `unmatched` or `replaced`.
    pub state: String,
    /// Its data as JSON text.
    pub data: Option<String>,
    /// What it counts, where that is not in its data.
    pub counts: Option<String>,
    /// Whether it was corrected.
    pub is_corrected: bool,
    /// When it happened.
    pub at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
}

/// An event that was refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Id and name of the customer that its subject named.
    pub customer: Option<(String, String)>,
    /// Its type, as far as it could be read; likewise below.
    pub event_type: String,
    /// Where it came from.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Why, by its code.
    pub code: String,
    /// Why, in a sentence.
    pub detail: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The question, with its answer.
    pub asked: Asked,
    /// Events, the newest first.
    pub events: Vec<Event>,
    /// Refused events, the newest first.
    pub refusals: Vec<Refusal>,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

struct Bar {
    start: String,
    value: String,
    /// Of the largest, in percent.
    percent: u32,
}

struct ShownEvent<'a> {
    event: &'a Event,
    badge: Badge,
    at: Moment,
    received: Moment,
}

struct ShownRefusal<'a> {
    refusal: &'a Refusal,
    /// The sentence without the backquotes that mark code.
    detail: String,
    received: Moment,
}

const WINDOWS: [(&str, &str); 4] = [("minute", "Minutes"), ("hour", "Hours"), ("day", "Days"), ("month", "Months")];

#[derive(Template)]
#[template(path = "usage.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a Usage,
    here: String,
    bars: Option<Vec<Bar>>,
    events: Vec<ShownEvent<'a>>,
    refusals: Vec<ShownRefusal<'a>>,
    paging: Paging,
}

/// The page.
pub fn show<'a>(visit: &Visit<'a>, data: &'a Usage) -> Document {
    let frame = Frame::new(visit, SECTION, "Usage");
    let here = format!("{}/{SECTION}", frame.root);
    Document::of(&Page {
        bars: data.asked.found.as_ref().map(|found| bars(found, &data.asked.window)),
        events: data
            .events
            .iter()
            .map(|event| ShownEvent {
                badge: badge::of(&event.state),
                at: Moment::new(event.at, visit.now),
                received: Moment::new(event.received_at, visit.now),
                event,
            })
            .collect(),
        refusals: data
            .refusals
            .iter()
            .map(|refusal| ShownRefusal {
                detail: refusal.detail.replace('`', ""),
                received: Moment::new(refusal.received_at, visit.now),
                refusal,
            })
            .collect(),
        paging: Paging {
            shown: counted(data.events.len(), "event"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{here}?limit={}", data.limit)),
            previous: None,
            next: data.next.as_ref().map(|cursor| format!("{here}?limit={}&cursor={}", data.limit, encoded(cursor))),
            export: None,
            action: here.clone(),
            kept: Vec::new(),
        },
        here,
        frame,
        data,
    })
}

/// Quantities with the length of their bars.
fn bars(found: &[Quantity], window: &str) -> Vec<Bar> {
    // a bar is a picture: whole numbers are enough
    let whole =
        |one: &Quantity| one.value.split('.').next().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0).max(0);
    let most = found.iter().map(whole).max().unwrap_or(0).max(1);
    let length = match window {
        "month" => 7,
        "day" => 10,
        _ => 16,
    };
    let bar = |one: &Quantity| Bar {
        start: one.start.to_string().chars().take(length).collect::<String>().replace('T', " "),
        value: grouped(&one.value),
        percent: whole(one)
            .saturating_mul(100)
            .checked_div(most)
            .and_then(|part| u32::try_from(part).ok())
            .unwrap_or(0),
    };
    found.iter().map(bar).collect()
}

//! One webhook endpoint: its deliveries, the events it asks for, how to verify, settings, danger zone; one delivery; and
//! what would be sent again.

use askama::Template;
use kernel::clock::Timestamp;
use kernel::event::{Type, covers};

use super::webhooks::{Group, SECTION, fields, groups};
use crate::address::{encoded, query};
use crate::badge::{self, Badge};
use crate::code;
use crate::form::{Confirm, Entered, Field, Paging};
use crate::moment::{Grouped, Moment};
use crate::shell::{Document, Frame, Visit};
use crate::snippet::{self, Snippet};

/// Names of states in the filter of the log, and their words.
const STATES: [(&str, &str); 5] =
    [("", "All"), ("pending", "Pending"), ("delivered", "Delivered"), ("failed", "Failed"), ("canceled", "Canceled")];

/// An endpoint as its pages show it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Where messages go.
    pub url: String,
    /// For people.
    pub description: String,
    /// Names of types that it asks for.
    pub types: Vec<String>,
    /// `v1`, `v1a` or `both`.
    pub signing: &'static str,
    /// Most messages in a second.
    pub rate_per_second: Option<u32>,
    /// `enabled`, `paused` or `disabled`.
    pub state: &'static str,
    /// `requested`, `failing` or `gone`.
    pub reason: Option<&'static str>,
    /// Since when it is in this state.
    pub state_at: Timestamp,
    /// For receivers of `v1a`.
    pub public_key: Option<String>,
    /// Until when the keys before the last roll sign as well.
    pub overlap_until: Option<Timestamp>,
    /// When a message last arrived.
    pub last_success_at: Option<Timestamp>,
    /// Since when none arrives.
    pub failing_since: Option<Timestamp>,
    /// Open deliveries.
    pub backlog: u64,
    /// Whether there are more of them.
    pub is_backlog_capped: bool,
    /// Attempts of the last day.
    pub attempts: u64,
    /// How many of them delivered.
    pub succeeded: u64,
    /// What 95 of a hundred took at most.
    pub p95_ms: Option<u64>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Its version.
    pub etag: String,
}

/// One delivery of the log.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// The event.
    pub event_id: String,
    /// The event's type.
    pub kind: String,
    /// `pending`, `delivered`, `failed` or `canceled`.
    pub state: &'static str,
    /// Attempts so far.
    pub attempts: i64,
    /// Status of the last answer.
    pub last_status: Option<i64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it is tried next.
    pub next_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The filters of the log as they were typed.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// State, empty for all.
    pub status: String,
    /// Types between commas.
    pub kind: String,
    /// From this time on.
    pub from: String,
    /// Before this time.
    pub to: String,
}

impl Filters {
    fn pairs(&self) -> Vec<(String, String)> {
        [("status", &self.status), ("type", &self.kind), ("from", &self.from), ("to", &self.to)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }
}

/// A page of the log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Deliveries, newest first.
    pub rows: Vec<Delivery>,
    /// What they were filtered by.
    pub filters: Filters,
    /// What is wrong with a filter.
    pub problem: Option<String>,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// The parts of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// The log.
    Deliveries,
    /// What it asks for, with a sample of each type.
    Events,
    /// How a receiver verifies.
    Verify,
    /// Settings and keys.
    Settings,
    /// Deletion.
    Danger,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Deliveries, Self::Events, Self::Verify, Self::Settings, Self::Danger];

    /// Last segment of its address, empty for the first.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Deliveries => "",
            Self::Events => "events",
            Self::Verify => "verify",
            Self::Settings => "settings",
            Self::Danger => "danger",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| !tab.path().is_empty() && tab.path() == text)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Deliveries => "Deliveries",
            Self::Events => "Events",
            Self::Verify => "Verify",
            Self::Settings => "Settings",
            Self::Danger => "Danger zone",
        }
    }
}

struct Line<'a> {
    delivery: &'a Delivery,
    badge: Badge,
    made: Moment,
    next: Option<Moment>,
}

/// One type with its sample.
struct Sample {
    name: &'static str,
    meaning: &'static str,
    body: String,
    is_asked_for: bool,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct Page<'a> {
    frame: Frame<'a>,
    endpoint: &'a Endpoint,
    here: String,
    tab: Tab,
    tabs: Vec<(&'static str, String, bool)>,
    badge: Badge,
    since: Moment,
    success: Option<Moment>,
    failing: Option<Moment>,
    overlap: Option<Moment>,
    created: Moment,
    rate: Option<String>,
    attempts: Grouped,
    backlog: Grouped,
    log: &'a Log,
    lines: Vec<Line<'a>>,
    paging: Paging,
    samples: Vec<Sample>,
    wanted: &'a str,
    snippets: Vec<Snippet>,
    fields: Vec<Field>,
    groups: Vec<Group>,
    entered: Entered,
    roll: Confirm,
    delete: Confirm,
    refused: Option<String>,
}

/// A sample in the form in which an event is told.
fn sample(kind: Type, tenant: &str) -> String {
    let data: serde_json::Value = serde_json::from_str(kind.sample()).unwrap_or_default();
    let whole = serde_json::json!({
        "id": "evt_06dv6t0x9r7e3k2m5q8w1z4y6a", "type": kind.name(), "timestamp": "2027-01-31T09:00:00Z",
        "tenant": tenant, "customer_id": null, "sequence": 4711, "data": data,
    });
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

/// The settings as they are stored, for a form.
pub(crate) fn stored(endpoint: &Endpoint) -> Entered {
    let mut values = vec![
        ("url".to_owned(), endpoint.url.clone()),
        ("description".to_owned(), endpoint.description.clone()),
        ("signing".to_owned(), endpoint.signing.to_owned()),
        ("rate_per_second".to_owned(), endpoint.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default()),
    ];
    values.extend(endpoint.types.iter().map(|name| ("types".to_owned(), name.clone())));
    Entered { values, ..Entered::default() }
}

/// The page; `wanted` narrows the types that the part about events lists.
pub fn detail<'a>(
    visit: &Visit<'a>,
    endpoint: &'a Endpoint,
    tab: Tab,
    (log, wanted): (&'a Log, &'a str),
    entered: &Entered,
) -> Document {
    let title = endpoint.url.split_once("://").map_or(endpoint.url.as_str(), |(_, rest)| rest);
    let mut frame = Frame::new(visit, SECTION, title);
    let values = [("webhook_id", endpoint.id.as_str())];
    let issuer = &visit.viewer.issuer;
    frame.code = code::shown(
        match tab {
            Tab::Deliveries => &["getWebhook", "listDeliveries", "testWebhook", "pauseWebhook"],
            Tab::Events | Tab::Settings => &["updateWebhook", "rollWebhookSecret"],
            Tab::Verify => &["getWebhook"],
            Tab::Danger => &["deleteWebhook"],
        },
        issuer,
        &values,
    );
    let here = format!("{}/{SECTION}/{}", frame.root, endpoint.id);
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    let refused = visit.viewer.refused("webhooks:write");
    let form = if entered.is_back() {
        entered.clone()
    } else {
        Entered { problems: entered.problems.clone(), others: entered.others.clone(), ..stored(endpoint) }
    };
    let kept = log.filters.pairs();
    let asked = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let is_wanted = |kind: &&Type| {
        let sought = wanted.to_lowercase();
        kind.name().contains(&sought) || kind.meaning().to_lowercase().contains(&sought)
    };
    let rolled = endpoint.overlap_until.map(|until| {
        let until = moment(until);
        format!("The keys before the last roll still sign; that ends {}.", until.relative)
    });
    let address = |tab: Tab| if tab.path().is_empty() { here.clone() } else { format!("{here}/{}", tab.path()) };
    Document::of(&Page {
        tab,
        tabs: Tab::ALL.map(|each| (each.word(), address(each), each == tab)).to_vec(),
        badge: badge::of(endpoint.state),
        since: moment(endpoint.state_at),
        success: endpoint.last_success_at.map(moment),
        failing: endpoint.failing_since.map(moment),
        overlap: endpoint.overlap_until.map(moment),
        created: moment(endpoint.created_at),
        rate: endpoint.succeeded.saturating_mul(1_000).checked_div(endpoint.attempts).map(|thousandths| {
            let (whole, rest) = (thousandths / 10, thousandths % 10);
            if rest == 0 { format!("{whole} %") } else { format!("{whole}.{rest} %") }
        }),
        attempts: Grouped(endpoint.attempts),
        backlog: Grouped(endpoint.backlog),
        lines: log
            .rows
            .iter()
            .map(|delivery| Line {
                badge: state(delivery.state),
                made: moment(delivery.created_at),
                next: delivery.next_at.map(moment),
                delivery,
            })
            .collect(),
        paging: Paging {
            shown: match log.rows.len() {
                1 => "1 delivery".to_owned(),
                n => format!("{} deliveries", Grouped(u64::try_from(n).unwrap_or(u64::MAX))),
            },
            limit: log.limit,
            action: here.clone(),
            first: (!log.is_first).then(|| format!("{here}?{asked}limit={}", log.limit)),
            previous: None,
            next: log
                .next
                .as_ref()
                .map(|cursor| format!("{here}?{asked}limit={}&cursor={}", log.limit, encoded(cursor))),
            export: None,
            kept,
        },
        samples: Type::ALL
            .iter()
            .filter(is_wanted)
            .map(|kind| Sample {
                name: kind.name(),
                meaning: kind.meaning(),
                body: sample(*kind, &visit.viewer.tenant_slug),
                is_asked_for: endpoint.types.iter().any(|name| covers(name, kind.name())),
            })
            .collect(),
        wanted,
        snippets: snippet::receive(endpoint.signing == "v1a"),
        fields: fields(&form),
        groups: groups(&form),
        entered: form,
        roll: Confirm {
            id: "roll".to_owned(),
            action: format!("{here}/roll"),
            title: "Roll the secret".to_owned(),
            consequence: "The endpoint gets a new secret and a new key pair. Until the overlap ends, every message \
                          carries the signatures of the old ones too, so receivers can change over without a gap."
                .to_owned(),
            verb: "Roll secret",
            typed: None,
            refused: refused.clone().or(rolled),
        },
        delete: Confirm {
            id: "delete".to_owned(),
            action: format!("{here}/delete"),
            title: "Delete this endpoint".to_owned(),
            consequence: format!(
                "No event is posted to {} any more, and {} not delivered. This cannot be undone.",
                endpoint.url,
                match endpoint.backlog {
                    0 => "nothing is left that was".to_owned(),
                    1 => "1 open delivery is".to_owned(),
                    n if endpoint.is_backlog_capped => format!("more than {} open deliveries are", Grouped(n)),
                    n => format!("{} open deliveries are", Grouped(n)),
                }
            ),
            verb: "Delete endpoint",
            typed: None,
            refused: refused.clone(),
        },
        frame,
        endpoint,
        here,
        log,
        refused,
    })
}

/// The badge of a delivery.
fn state(name: &str) -> Badge {
    // what is not valid yet has this name too
    badge::of(if name == "pending" { "underway" } else { name })
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// From 1.
    pub number: i64,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// Status of the answer.
    pub status: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// The process that made it.
    pub node: String,
}

/// One delivery with all that is known of it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The delivery.
    pub delivery: Delivery,
    /// Its endpoint.
    pub endpoint_id: String,
    /// Where it goes.
    pub url: String,
    /// Why it cannot be sent again, beside the role.
    pub stopped: Option<String>,
    /// Its attempts, the first one first.
    pub attempts: Vec<Attempt>,
    /// The event as it is posted; `None` when it is not kept any more.
    pub body: Option<String>,
    /// The event, to be read.
    pub pretty: String,
    /// A request by hand with a fresh signature, for those who may send it.
    pub curl: Option<String>,
}

#[derive(Template)]
#[template(path = "webhook_delivery.html")]
struct DeliveryPage<'a> {
    frame: Frame<'a>,
    whole: &'a Whole,
    here: String,
    endpoint: String,
    badge: Badge,
    made: Moment,
    next: Option<Moment>,
    attempts: Vec<(&'a Attempt, Moment, Badge)>,
    refused: Option<String>,
}

/// The page of one delivery.
pub fn delivery<'a>(visit: &Visit<'a>, whole: &'a Whole) -> Document {
    let mut frame = Frame::new(visit, SECTION, &whole.delivery.kind);
    let endpoint = format!("{}/{SECTION}/{}", frame.root, whole.endpoint_id);
    frame.crumbs.push((whole.url.clone(), endpoint.clone()));
    let values = [("webhook_id", whole.endpoint_id.as_str()), ("delivery_id", whole.delivery.id.as_str())];
    frame.code = code::shown(&["getDelivery", "resendDelivery"], &visit.viewer.issuer, &values);
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    Document::of(&DeliveryPage {
        here: format!("{endpoint}/deliveries/{}", whole.delivery.id),
        endpoint,
        badge: state(whole.delivery.state),
        made: moment(whole.delivery.created_at),
        next: whole.delivery.next_at.map(moment),
        attempts: whole
            .attempts
            .iter()
            .map(|attempt| {
                let state = if attempt.error.is_none() { "delivered" } else { "failed" };
                (attempt, moment(attempt.at), badge::of(state))
            })
            .collect(),
        refused: visit.viewer.refused("webhooks:write").or_else(|| whole.stopped.clone()),
        whole,
        frame,
    })
}

/// What would be sent again.
#[derive(Debug, Clone)]
pub struct Again {
    /// The endpoint.
    pub endpoint_id: String,
    /// Where it goes.
    pub url: String,
    /// What is sent again.
    pub filters: Filters,
    /// How many, or why not.
    pub count: Result<u64, Vec<String>>,
}

#[derive(Template)]
#[template(path = "webhook_resend.html")]
struct AgainPage<'a> {
    frame: Frame<'a>,
    again: &'a Again,
    here: String,
    count: Option<Grouped>,
    back: String,
    refused: Option<String>,
}

/// The page that counts before many are sent again.
pub fn again<'a>(visit: &Visit<'a>, again: &'a Again) -> Document {
    let mut frame = Frame::new(visit, SECTION, "Send again");
    let here = format!("{}/{SECTION}/{}", frame.root, again.endpoint_id);
    frame.crumbs.push((again.url.clone(), here.clone()));
    frame.code =
        code::shown(&["resendDeliveries"], &visit.viewer.issuer, &[("webhook_id", again.endpoint_id.as_str())]);
    let kept = again.filters.pairs();
    let asked = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Document::of(&AgainPage {
        back: format!("{here}?{}", asked.trim_end_matches('&')),
        count: again.count.as_ref().ok().map(|count| Grouped(*count)),
        refused: visit.viewer.refused("webhooks:write"),
        here,
        again,
        frame,
    })
}

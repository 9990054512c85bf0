//! Webhook endpoints: the list, the form for a new one, and the one page that shows a new secret.

use askama::Template;
use kernel::clock::Timestamp;
use kernel::event::Type;

use crate::badge::{self, Badge};
use crate::form::{Entered, Field};
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};
use crate::snippet::{self, Snippet};

/// Where the pages are, below the console.
pub(crate) const SECTION: &str = "developers/webhooks";

/// One endpoint of the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Where messages go.
    pub url: String,
    /// For people.
    pub description: String,
    /// Names of types that it asks for.
    pub types: Vec<String>,
    /// `enabled`, `paused` or `disabled`.
    pub state: &'static str,
    /// When a message last arrived.
    pub last_success_at: Option<Timestamp>,
    /// Since when none arrives.
    pub failing_since: Option<Timestamp>,
}

struct Shown<'a> {
    row: &'a Row,
    badge: Badge,
    success: Option<Moment>,
    failing: Option<Moment>,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct Page<'a> {
    frame: Frame<'a>,
    here: String,
    rows: Vec<Shown<'a>>,
    refused: Option<String>,
}

/// The list.
pub fn list<'a>(visit: &Visit<'a>, rows: &'a [Row]) -> Document {
    let frame = Frame::new(visit, SECTION, "Webhooks");
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    Document::of(&Page {
        here: format!("{}/{SECTION}", frame.root),
        rows: rows
            .iter()
            .map(|row| Shown {
                badge: badge::of(row.state),
                success: row.last_success_at.map(moment),
                failing: row.failing_since.map(moment),
                row,
            })
            .collect(),
        refused: visit.viewer.refused("webhooks:write"),
        frame,
    })
}

/// The types of one kind of object, for a form.
pub(crate) struct Group {
    /// The name that covers them all.
    pub(crate) all: String,
    /// Name and meaning of each.
    pub(crate) types: Vec<(&'static str, &'static str)>,
    /// Whether one of them is ticked.
    pub(crate) is_open: bool,
}

/// Every type by the kind of its object. Tests go to the endpoint that they are for without being asked for.
pub(crate) fn groups(entered: &Entered) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in Type::ALL.iter().filter(|kind| **kind != Type::WebhookTest) {
        let all = format!("{}.*", kind.name().split('.').next().unwrap_or_default());
        let is_ticked = entered.has("types", kind.name());
        match groups.last_mut().filter(|group| group.all == all) {
            Some(group) => {
                group.types.push((kind.name(), kind.meaning()));
                group.is_open |= is_ticked;
            }
            None => groups.push(Group { all, types: vec![(kind.name(), kind.meaning())], is_open: is_ticked }),
        }
    }
    groups
}

/// The fields beside the types, with what was typed.
pub(crate) fn fields(entered: &Entered) -> Vec<Field> {
    let fields = [
        Field::new("url", "URL", "url")
            .hint("https, a public address, port 443. Events are posted there.")
            .autocomplete("off"),
        Field::new("description", "Description", "text").optional().autocomplete("off"),
        Field::new("signing", "Signatures", "text").of(&[
            ("v1", "v1: HMAC-SHA-256 with a shared secret"),
            ("v1a", "v1a: Ed25519, verified with a public key"),
            ("both", "Both"),
        ]),
        Field::new("rate_per_second", "Messages in a second, at most", "number")
            .optional()
            .hint("1 to 1,000; empty for no bound."),
    ];
    fields.map(|field| field.filled(entered)).into()
}

#[derive(Template)]
#[template(path = "webhook_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    here: String,
    fields: Vec<Field>,
    groups: Vec<Group>,
    entered: &'a Entered,
    form: &'a str,
}

/// The form for a new endpoint; `form` names it, so that sending it twice makes one.
pub fn new(visit: &Visit<'_>, entered: &Entered, form: &str) -> Document {
    let frame = Frame::new(visit, SECTION, "New endpoint");
    Document::of(&NewPage {
        here: format!("{}/{SECTION}", frame.root),
        fields: fields(entered),
        groups: groups(entered),
        entered,
        form,
        frame,
    })
}

/// Keys that were just made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The endpoint's id.
    pub id: String,
    /// Where its messages go.
    pub url: String,
    /// The shared secret, where it signs with one.
    pub secret: Option<String>,
    /// The public key, where it signs with a private one.
    pub public_key: Option<String>,
    /// Until when the keys before sign as well.
    pub overlap_until: Option<Timestamp>,
}

#[derive(Template)]
#[template(path = "webhook_reveal.html")]
struct RevealPage<'a> {
    frame: Frame<'a>,
    here: String,
    made: &'a Made,
    overlap: Option<Moment>,
    snippets: Vec<Snippet>,
}

/// The page that shows new keys. It is the answer to the POST that made them and has no address of its own, so neither
/// Back nor reload brings it again.
pub fn reveal<'a>(visit: &Visit<'a>, made: &'a Made) -> Document {
    let frame = Frame::new(visit, SECTION, &made.url);
    Document::of(&RevealPage {
        here: format!("{}/{SECTION}/{}", frame.root, made.id),
        overlap: made.overlap_until.map(|until| Moment::new(until, visit.now)),
        snippets: snippet::receive(made.secret.is_none()),
        made,
        frame,
    })
}

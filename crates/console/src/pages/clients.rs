//! The list of clients.

use askama::Template;
use kernel::clock::Timestamp;

use super::client::limit_fields;
use crate::badge::{self, Badge};
use crate::form::{Column, Entered, Field, Paging};
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One client of the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// Scopes it may request.
    pub scopes: Vec<String>,
    /// `active`, `expired` or `disabled`.
    pub status: &'static str,
    /// Creation.
    pub created_at: Timestamp,
}

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The rows of this page, the newest client first.
    pub rows: Vec<Row>,
    /// The filter `q`.
    pub q: String,
    /// The filter `status`; empty for all.
    pub status: String,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

struct Shown<'a> {
    row: &'a Row,
    badge: Badge,
    created: Moment,
    href: String,
}

#[derive(Template)]
#[template(path = "clients.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a List,
    refused: Option<String>,
    columns: Vec<Column>,
    rows: Vec<Shown<'a>>,
    paging: Paging,
    is_filtered: bool,
}

/// The page.
pub fn list<'a>(visit: &Visit<'a>, data: &'a List) -> Document {
    let frame = Frame::new(visit, "identity/clients", "Clients");
    let action = format!("{}/identity/clients", frame.root);
    let kept: Vec<(String, String)> = [("q", &data.q), ("status", &data.status)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let query = crate::address::query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let at =
        |cursor: &String| format!("{action}?{query}limit={}&cursor={}", data.limit, crate::address::encoded(cursor));
    let shown = |row: &'a Row| Shown {
        badge: badge::of(row.status),
        created: Moment::new(row.created_at, visit.now),
        href: format!("{action}/{}", row.client_id),
        row,
    };
    Document::of(&Page {
        refused: visit.viewer.refused("clients:write"),
        columns: ["Client", "Scopes", "Status", "Created"].map(Column::plain).into(),
        rows: data.rows.iter().map(shown).collect(),
        paging: Paging {
            shown: crate::address::counted(data.rows.len(), "client"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{action}?{query}limit={}", data.limit)),
            next: data.next.as_ref().map(at),
            kept,
            action,
        },
        is_filtered: !data.q.is_empty() || !data.status.is_empty(),
        frame,
        data,
    })
}

/// What the form for a new client needs.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// Scopes of your own APIs that can be given: name and description.
    pub scopes: Vec<(String, String)>,
    /// Scopes of this server's own API.
    pub management: Vec<(String, String)>,
    /// Audience and name of each API.
    pub apis: Vec<(String, String)>,
    /// What came back.
    pub entered: Entered,
    /// Code and sentence of what deserves a second thought before the client is made.
    pub warnings: Vec<(&'static str, String)>,
    /// Names this form, so that sending it twice makes one client.
    pub form: String,
}

#[derive(Template)]
#[template(path = "client_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    data: &'a New,
    name: Field,
    folded: Vec<Field>,
    limits: Vec<Field>,
    is_open: bool,
    is_management_open: bool,
}

/// The form for a new client: name, scopes, Create; the rest is folded.
pub fn new(visit: &Visit<'_>, data: &New) -> Document {
    let entered = &data.entered;
    let folded: Vec<Field> = [
        Field::new("client_id", "Client ID", "text")
            .hint("Left empty, an id is made. 1 to 128 letters, digits and . _ ~ -"),
        Field::new("secret", "Own secret", "password")
            .live("strength")
            .hint("Left empty, a secret of 256 bits is made, which is the safer choice."),
        Field::new("expires_at", "Expiry", "text").live("first").hint("A time such as 2027-01-31T00:00:00Z."),
        Field::new("access_token_ttl_seconds", "Token lifetime in seconds", "number")
            .hint("60 to 86400. Left empty: as the API, else 900."),
    ]
    .map(|field| field.optional().autocomplete("off").filled(entered))
    .into();
    let limits = limit_fields(None, None).map(|(field, stored)| {
        let typed = entered.value(field.name);
        let field = field.filled(entered);
        if typed.is_empty() { Field { value: stored, ..field } } else { field }
    });
    let is_used = |field: &Field| field.error.is_some() || (field.choices.is_empty() && !field.value.is_empty());
    Document::of(&NewPage {
        frame: Frame::new(visit, "identity/clients", "New client"),
        name: Field::new("name", "Name", "text")
            .hint("What people call it, for example billing-worker.")
            .autocomplete("off")
            .filled(entered),
        is_open: folded.iter().chain(&limits).any(is_used) || !data.warnings.is_empty(),
        is_management_open: data.management.iter().any(|(scope, _)| entered.has("scope", scope)),
        folded,
        limits: limits.into(),
        data,
    })
}

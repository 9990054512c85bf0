//! The list of clients.

use askama::Template;
use kernel::clock::Timestamp;

use super::client::{customer_field, limit_fields};
use crate::badge::{self, Badge};
use crate::form::{Column, Entered, Field, Paging};
use crate::moment::{Grouped, Moment};
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
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// The columns beside the client itself that can be chosen: name and head, and whether it is shown without a choice.
const CHOICES: [(&str, &str, bool); 5] = [
    ("scopes", "Scopes", true),
    ("status", "Status", true),
    ("expiry", "Expiry", true),
    ("created", "Created", true),
    ("changed", "Changed", false),
];

/// The columns of a choice as a browser keeps it; those that are shown without a choice when there is none.
pub fn columns(kept: Option<&str>) -> Vec<&'static str> {
    let is_shown = |(name, _, is_usual): &(&str, &str, bool)| {
        kept.map_or(*is_usual, |kept| kept.split('.').any(|chosen| chosen == *name))
    };
    CHOICES.iter().filter(|choice| is_shown(choice)).map(|(name, ..)| *name).collect()
}

/// A choice of columns in the form that [`columns`] reads; what is no column is left out.
pub(crate) fn kept(chosen: &[String]) -> String {
    let known = CHOICES.iter().map(|(name, ..)| *name).filter(|name| chosen.iter().any(|given| given == name));
    let kept = known.collect::<Vec<_>>().join(".");
    if kept.is_empty() { "none".to_owned() } else { kept }
}

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The rows of this page, in order.
    pub rows: Vec<Row>,
    /// The filter `q`.
    pub q: String,
    /// The filter `status`; empty for all.
    pub status: String,
    /// The order as addresses have it: `name`, or `-name` for the last first.
    pub sort: String,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page before.
    pub previous: Option<String>,
    /// Cursor of the page after.
    pub next: Option<String>,
    /// How many clients there are, and how many of them the filter finds; whether there may be more.
    pub counts: [(u32, bool); 2],
    /// What the filter did not look at.
    pub window: Option<&'static str>,
    /// Address of this page.
    pub here: String,
    /// Columns that are shown, by name.
    pub columns: Vec<&'static str>,
}

/// The orders that can be chosen where there are no column heads.
const ORDERS: [(&str, &str); 8] = [
    ("-created_at", "Newest first"),
    ("created_at", "Oldest first"),
    ("name", "Name, A to Z"),
    ("-name", "Name, Z to A"),
    ("status", "Expired first"),
    ("-status", "Disabled first"),
    ("expiry", "Ends soonest first"),
    ("-expiry", "Ends last first"),
];

struct Shown<'a> {
    row: &'a Row,
    badge: Badge,
    expires: Option<Moment>,
    created: Moment,
    changed: Moment,
    href: String,
}

#[derive(Template)]
#[template(path = "clients.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a List,
    refused: Option<String>,
    columns: Vec<Column>,
    orders: [(&'static str, &'static str); 8],
    rows: Vec<Shown<'a>>,
    paging: Paging,
    total: String,
    is_filtered: bool,
    /// Name and head of each column that can be chosen, and whether it is shown.
    choices: Vec<(&'static str, &'static str, bool)>,
}

impl Page<'_> {
    fn has(&self, column: &str) -> bool {
        self.data.columns.contains(&column)
    }
}

/// The page.
pub fn list<'a>(visit: &Visit<'a>, data: &'a List) -> Document {
    let frame = Frame::new(visit, "identity/clients", "Clients");
    let action = format!("{}/identity/clients", frame.root);
    let in_order = |order: &str| -> Vec<(String, String)> {
        let all = [("q", &*data.q), ("status", &*data.status), ("sort", order)];
        let given = all.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let kept = in_order(&data.sort);
    let query_of = |pairs: &[(String, String)]| {
        crate::address::query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    };
    let query = query_of(&kept);
    let at =
        |cursor: &String| format!("{action}?{query}limit={}&cursor={}", data.limit, crate::address::encoded(cursor));
    let sorted = |order: &str| format!("{action}?{}limit={}", query_of(&in_order(order)), data.limit);
    let head = |text, first| Column::sorting(text, first, &data.sort, sorted);
    let shown = |row: &'a Row| Shown {
        badge: badge::of(row.status),
        expires: row.expires_at.map(|at| Moment::new(at, visit.now)),
        created: Moment::new(row.created_at, visit.now),
        changed: Moment::new(row.updated_at, visit.now),
        href: format!("{action}/{}", row.client_id),
        row,
    };
    let [total, of] = data.counts.map(|(number, is_capped)| capped(number, is_capped));
    Document::of(&Page {
        refused: visit.viewer.refused("clients:write"),
        columns: std::iter::once(head("Client", "name"))
            .chain(data.columns.iter().filter_map(|column| {
                Some(match *column {
                    "scopes" => Column::plain("Scopes"),
                    "status" => head("Status", "status"),
                    "expiry" => head("Expiry", "expiry"),
                    "created" => head("Created", "-created_at"),
                    "changed" => Column::plain("Changed"),
                    _ => return None,
                })
            }))
            .collect(),
        choices: CHOICES.iter().map(|(name, text, _)| (*name, *text, data.columns.contains(name))).collect(),
        orders: ORDERS,
        rows: data.rows.iter().map(shown).collect(),
        paging: Paging {
            shown: format!("{} of {of}", crate::address::counted(data.rows.len(), "client")),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{action}?{query}limit={}", data.limit)),
            previous: data.previous.as_ref().map(at),
            next: data.next.as_ref().map(at),
            export: Some(Ok(format!("{action}?{query}format="))),
            kept,
            action,
        },
        total,
        is_filtered: !data.q.is_empty() || !data.status.is_empty(),
        frame,
        data,
    })
}

/// `42`, or `10 000+` when there may be more.
fn capped(number: u32, is_capped: bool) -> String {
    format!("{}{}", Grouped(u64::from(number)), if is_capped { "+" } else { "" })
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
        customer_field(),
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

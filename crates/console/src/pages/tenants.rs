//! Tenants: each an issuer of its own.

use askama::Template;
use kernel::clock::Timestamp;

use crate::address::{counted, encoded};
use crate::badge::{self, Badge};
use crate::form::{Entered, Field, Paging};
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// One tenant.
#[derive(Debug, Clone)]
pub struct Row {
    /// The path segment.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// `live` or `sandbox`.
    pub kind: &'static str,
    /// Whether it is switched off.
    pub is_disabled: bool,
    /// Its issuer.
    pub issuer: String,
    /// Creation.
    pub created_at: Timestamp,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The tenants.
    pub rows: Vec<Row>,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
    /// Name of the form that makes one.
    pub form: String,
}

/// A tenant that was made just now, with its first admin client.
#[derive(Debug, Clone)]
pub struct Made {
    /// The path segment.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Public id of the admin client.
    pub client_id: String,
    /// Its secret, shown this one time.
    pub secret: String,
}

/// A tenant that is about to be disabled, with what depends on it.
#[derive(Debug, Clone)]
pub struct Disable {
    /// The path segment.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// How many clients it has.
    pub clients: String,
    /// How many tokens it issued in the last hour.
    pub tokens: String,
    /// How many sessions of its people are open.
    pub sessions: i64,
}

#[derive(Template)]
#[template(path = "tenant_disable.html")]
struct DisablePage<'a> {
    frame: Frame<'a>,
    data: &'a Disable,
    list: String,
    typed: Field,
    entered: &'a Entered,
}

/// The question before a tenant is disabled.
pub fn disable<'a>(visit: &Visit<'a>, data: &'a Disable, entered: &'a Entered) -> Document {
    let frame = Frame::new(visit, "/console/tenants", "Disable a tenant");
    Document::of(&DisablePage {
        list: format!("{}/tenants", frame.root),
        typed: Field::new("confirm", "Slug of the tenant", "text")
            .hint("Type it to confirm.")
            .autocomplete("off")
            .filled(entered),
        data,
        entered,
        frame,
    })
}

struct Shown<'a> {
    row: &'a Row,
    kind: Badge,
    state: Option<Badge>,
    created: Moment,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct Page<'a> {
    frame: Frame<'a>,
    here: String,
    rows: Vec<Shown<'a>>,
    made: Option<&'a Made>,
    fields: Vec<Field>,
    form: &'a str,
    entered: &'a Entered,
    paging: Paging,
}

/// The page.
pub fn list<'a>(visit: &Visit<'a>, list: &'a List, made: Option<&'a Made>, entered: &'a Entered) -> Document {
    let frame = Frame::new(visit, "/console/tenants", "Tenants");
    let here = format!("{}/tenants", frame.root);
    let fields = [
        Field::new("name", "Name", "text").optional().hint("For people. Without one the slug stands in."),
        Field::new("slug", "Slug", "text").hint("In its addresses, /t/{slug}; a-z 0-9 -, chosen once."),
    ];
    Document::of(&Page {
        rows: list
            .rows
            .iter()
            .map(|row| Shown {
                kind: badge::of(row.kind),
                state: row.is_disabled.then(|| badge::of("disabled")),
                created: Moment::new(row.created_at, visit.now),
                is_here: row.slug == visit.viewer.tenant_slug,
                row,
            })
            .collect(),
        made,
        fields: fields.into_iter().map(|field| field.autocomplete("off").filled(entered)).collect(),
        form: &list.form,
        entered,
        paging: Paging {
            shown: counted(list.rows.len(), "tenant"),
            limit: list.limit,
            first: (!list.is_first).then(|| format!("{here}?limit={}", list.limit)),
            next: list.next.as_ref().map(|slug| format!("{here}?limit={}&cursor={}", list.limit, encoded(slug))),
            previous: None,
            export: None,
            kept: Vec::new(),
            action: here.clone(),
        },
        here,
        frame,
    })
}

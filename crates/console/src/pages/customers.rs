//! Customers: the list, and the form for a new one.

use askama::Template;
use kernel::clock::Timestamp;

use crate::address::{counted, encoded, query};
use crate::badge::{self, Badge};
use crate::form::{Entered, Field, Paging};
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// Where the pages are, below the console.
pub(crate) const SECTION: &str = "customers";

/// One customer of the list.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The operator's own id of it.
    pub external_id: Option<String>,
    /// That of its best subscription.
    pub status: Option<&'static str>,
    /// Whether an operator suspends it.
    pub is_suspended: bool,
    /// Keys of its plans.
    pub plans: Vec<String>,
    /// Creation.
    pub created_at: Timestamp,
}

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The rows of this page, in order.
    pub rows: Vec<Row>,
    /// The filter as it was typed.
    pub q: String,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// The badges of a customer: its status, and the suspension beside it.
pub(crate) fn badges(status: Option<&'static str>, is_suspended: bool) -> Vec<Badge> {
    let status = badge::of(status.unwrap_or("no_subscription"));
    is_suspended.then(|| badge::of("suspended")).into_iter().chain([status]).collect()
}

struct Shown<'a> {
    row: &'a Row,
    href: String,
    badges: Vec<Badge>,
    created: Moment,
}

#[derive(Template)]
#[template(path = "customers.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a List,
    here: String,
    rows: Vec<Shown<'a>>,
    paging: Paging,
    refused: Option<String>,
}

/// The list.
pub fn list<'a>(visit: &Visit<'a>, data: &'a List) -> Document {
    let frame = Frame::new(visit, SECTION, "Customers");
    let here = format!("{}/{SECTION}", frame.root);
    let kept: Vec<(String, String)> =
        Some(("q".to_owned(), data.q.clone())).into_iter().filter(|(_, q)| !q.is_empty()).collect();
    let asked = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Document::of(&Page {
        rows: data
            .rows
            .iter()
            .map(|row| Shown {
                href: format!("{here}/{}", row.id),
                badges: badges(row.status, row.is_suspended),
                created: Moment::new(row.created_at, visit.now),
                row,
            })
            .collect(),
        paging: Paging {
            shown: counted(data.rows.len(), "customer"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{here}?{asked}limit={}", data.limit)),
            previous: None,
            next: data
                .next
                .as_ref()
                .map(|cursor| format!("{here}?{asked}limit={}&cursor={}", data.limit, encoded(cursor))),
            export: Some(Ok(format!("{here}?{asked}format="))),
            action: here.clone(),
            kept,
        },
        refused: visit.viewer.refused("customers:write"),
        here,
        frame,
        data,
    })
}

/// The fields that every customer has, then those that are folded.
pub(crate) fn fields() -> (Vec<Field>, Vec<Field>) {
    let first = [
        Field::new("name", "Name", "text").hint("Who pays: a company, a team or a person."),
        Field::new("external_id", "External ID", "text")
            .optional()
            .hint("Your own id of the customer; it stands for the id in the API. Unique."),
        Field::new("email", "E-mail", "email").optional().hint("Where to write to."),
        Field::new("currency", "Currency", "text")
            .optional()
            .hint("ISO 4217, such as EUR. A plan with prices needs one in this currency."),
        Field::new("country", "Country", "text")
            .optional()
            .hint("ISO 3166-1, such as DE. What is charged cannot be taxed without it."),
        Field::new("payment_terms_days", "Days to pay an invoice", "number")
            .optional()
            .hint("0 to 365. Empty: nothing is agreed, and a trial does not become a paid period."),
    ];
    let folded = [
        Field::new("timezone", "Time zone", "text")
            .optional()
            .hint("The IANA zone in which periods are counted, such as Europe/Berlin; UTC when empty."),
        Field::new("language", "Language", "text").optional().hint("BCP 47, such as de or pt-BR."),
        Field::new("line1", "Address", "text").optional(),
        Field::new("line2", "Address, second line", "text").optional(),
        Field::new("postal_code", "Postal code", "text").optional(),
        Field::new("city", "City", "text").optional(),
        Field::new("region", "Region", "text").optional(),
        Field::new("tax_status", "Taxed as", "text").of(&[
            ("consumer", "Consumer"),
            ("business", "Business"),
            ("exempt", "Exempt"),
        ]),
        Field::new("tax_ids", "Tax numbers", "text").optional().hint("Up to 10, between commas."),
        Field::new("metadata", "Metadata", "text")
            .optional()
            .lines(4)
            .hint("A JSON object of your own: up to 50 members, 16 KiB."),
    ];
    (first.map(|field| field.autocomplete("off")).into(), folded.map(|field| field.autocomplete("off")).into())
}

#[derive(Template)]
#[template(path = "customer_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    here: String,
    first: Vec<Field>,
    folded: Vec<Field>,
    is_open: bool,
    entered: &'a Entered,
    form: &'a str,
}

/// The form for a new customer; `form` names it, so that sending it twice makes one.
pub fn new<'a>(visit: &Visit<'a>, entered: &'a Entered, form: &'a str) -> Document {
    let frame = Frame::new(visit, SECTION, "New customer");
    let (first, folded) = fields();
    let filled = |fields: Vec<Field>| fields.into_iter().map(|field| field.filled(entered)).collect::<Vec<_>>();
    let folded = filled(folded);
    let is_used = |field: &Field| field.error.is_some() || (field.choices.is_empty() && !field.value.is_empty());
    Document::of(&NewPage {
        here: format!("{}/{SECTION}", frame.root),
        first: filled(first),
        is_open: folded.iter().any(is_used),
        folded,
        entered,
        form,
        frame,
    })
}

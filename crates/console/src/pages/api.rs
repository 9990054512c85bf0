//! One API: its scopes, who may ask for them, how its tokens are verified, settings, danger zone; and the form for a new one.

use askama::Template;
use kernel::clock::Timestamp;

use super::client::ALGORITHMS;
use crate::badge::{self, Badge};
use crate::code;
use crate::form::{Confirm, Entered, Field};
use crate::moment::{Moment, duration};
use crate::shell::{Document, Frame, Visit};
use crate::snippet::{self, Snippet};

/// One scope.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub text: String,
    /// Whether a client may request it, so that it cannot be removed.
    pub is_used: bool,
}

/// An API as its pages show it.
#[derive(Debug, Clone)]
pub struct Api {
    /// Internal id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The audience.
    pub identifier: String,
    /// Whether it came with the tenant.
    pub is_built_in: bool,
    /// Whether its scopes are fixed.
    pub is_management: bool,
    /// Life of its tokens in seconds, when it decides.
    pub token_ttl_seconds: Option<i64>,
    /// Algorithm of its tokens, when it decides; else empty.
    pub signing_alg: String,
    /// The issuer of the tenant.
    pub issuer: String,
    /// Its scopes, by name.
    pub scopes: Vec<Scope>,
    /// Public id, name and state of clients that may request one of its scopes, the newest first.
    pub clients: Vec<(String, String, &'static str)>,
    /// Whether there are more clients than those.
    pub has_more_clients: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// What the form of the settings sends back.
    pub etag: String,
}

/// The parts of the page; each has its own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Its scopes.
    Scopes,
    /// Who may ask.
    Clients,
    /// How its tokens are verified.
    Verify,
    /// Name, lifetime, algorithm.
    Settings,
    /// Delete.
    Danger,
}

impl Tab {
    /// The operations of the API behind it.
    const fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Scopes => &["listScopes", "createScope", "updateScope", "deleteScope"],
            Self::Clients => &["getApi", "listClients"],
            Self::Verify => &["getProtectedResourceMetadata", "getJwks"],
            Self::Settings => &["getApi", "updateApi"],
            Self::Danger => &["deleteApi"],
        }
    }

    const ALL: [Self; 5] = [Self::Scopes, Self::Clients, Self::Verify, Self::Settings, Self::Danger];

    /// Reads [`Tab::path`].
    pub fn parse(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| tab.path() == path)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Scopes => "Scopes",
            Self::Clients => "Clients",
            Self::Verify => "Verify",
            Self::Settings => "Settings",
            Self::Danger => "Danger zone",
        }
    }

    /// The last segment of its address; empty for the first.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Scopes => "",
            Self::Clients => "clients",
            Self::Verify => "verify",
            Self::Settings => "settings",
            Self::Danger => "danger",
        }
    }
}

struct Row<'a> {
    scope: &'a Scope,
    /// Why it cannot be removed.
    kept: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "api.html")]
struct Page<'a> {
    frame: Frame<'a>,
    api: &'a Api,
    here: String,
    tab: Tab,
    tabs: Vec<(&'static str, String, bool)>,
    badge: Option<Badge>,
    rows: Vec<Row<'a>>,
    clients: Vec<(&'a str, &'a str, Badge)>,
    snippets: Vec<Snippet>,
    created: Moment,
    updated: Moment,
    ttl: String,
    fields: Vec<Field>,
    new_scope: Vec<Field>,
    form: &'a str,
    delete: Confirm,
    entered: &'a Entered,
    /// Why nothing can be changed.
    refused: Option<String>,
    /// Why the scopes cannot be changed.
    fixed: Option<String>,
}

fn stored(api: Option<&Api>) -> Vec<(Field, String)> {
    let ttl = api.and_then(|api| api.token_ttl_seconds);
    vec![
        (
            Field::new("name", "Name", "text").hint("What people call it, for example Billing.").autocomplete("off"),
            api.map(|api| api.name.clone()).unwrap_or_default(),
        ),
        (
            Field::new("token_ttl_seconds", "Token lifetime in seconds", "number")
                .optional()
                .hint("60 to 86400. A client's own lifetime wins; without both it is 900."),
            ttl.map(|seconds| seconds.to_string()).unwrap_or_default(),
        ),
        (
            Field::new("signing_alg", "Algorithm", "")
                .of(&ALGORITHMS.map(|(value, word)| {
                    if value.is_empty() { (value, "ES256 unless the client says") } else { (value, word) }
                }))
                .hint("A client's own algorithm wins."),
            api.map(|api| api.signing_alg.clone()).unwrap_or_default(),
        ),
    ]
}

/// Label, stored and typed text of each field of the settings, for a form that came too late.
pub fn both_versions(api: &Api, entered: &Entered) -> Vec<(&'static str, String, String)> {
    stored(Some(api)).into_iter().map(|(field, stored)| (field.label, stored, entered.value(field.name))).collect()
}

/// One part of the page; `entered` is what came back from its form, `form` names the form for a new scope.
pub fn detail(visit: &Visit<'_>, api: &Api, tab: Tab, form: &str, entered: &Entered) -> Document {
    let mut frame = Frame::new(visit, "identity/apis", &api.name);
    frame.code = code::shown(tab.operations(), &api.issuer, &[("id", &api.id)]);
    let here = format!("{}/identity/apis/{}", frame.root, api.id);
    let address = |tab: Tab| if tab.path().is_empty() { here.clone() } else { format!("{here}/{}", tab.path()) };
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    let refused = visit.viewer.refused("apis:write");
    let fixed = api.is_management.then(|| "The scopes of this server’s own API are fixed.".to_owned());
    let undeletable = if api.is_built_in {
        Some("This API came with the tenant and stays.".to_owned())
    } else if !api.scopes.is_empty() {
        let scopes = crate::address::counted(api.scopes.len(), "scope");
        Some(format!("It still owns {scopes}; remove them first."))
    } else {
        None
    };
    let ttl = api.token_ttl_seconds.map_or_else(|| "As the client".to_owned(), duration);
    let delete = Confirm {
        id: "delete".to_owned(),
        action: format!("{here}/delete"),
        title: format!("Delete {}", api.name),
        consequence: format!(
            "No token is issued for {} any more; {} it now. Tokens that were issued before stay valid until they end. This cannot be undone.",
            api.identifier,
            match api.clients.len() {
                0 => "no client may ask for".to_owned(),
                _ if api.has_more_clients => "more than 50 clients may ask for".to_owned(),
                n => format!("{} may ask for", crate::address::counted(n, "client")),
            }
        ),
        verb: "Delete API",
        typed: Some(api.identifier.clone()),
        refused: refused.clone().or(undeletable),
    };
    let new_scope = [
        Field::new("new_scope", "Scope", "text")
            .hint("For example invoices:read. It cannot be renamed.")
            .autocomplete("off"),
        Field::new("description", "What it allows", "text").optional().autocomplete("off"),
    ];
    Document::of(&Page {
        tab,
        tabs: Tab::ALL.map(|each| (each.word(), address(each), each == tab)).to_vec(),
        badge: api.is_built_in.then(|| badge::of("built_in")),
        rows: api
            .scopes
            .iter()
            .map(|scope| Row { scope, kept: scope.is_used.then_some("A client may request it") })
            .collect(),
        clients: api.clients.iter().map(|(id, name, state)| (id.as_str(), name.as_str(), badge::of(state))).collect(),
        snippets: snippet::verify(&api.issuer, &api.identifier, &api.signing_alg),
        created: moment(api.created_at),
        updated: moment(api.updated_at),
        ttl,
        fields: stored(Some(api)).into_iter().map(|(field, stored)| field.given(&stored, entered)).collect(),
        new_scope: new_scope.map(|field| if tab == Tab::Scopes { field.filled(entered) } else { field }).into(),
        form,
        delete,
        frame,
        api,
        here,
        entered,
        fixed: refused.clone().or(fixed),
        refused,
    })
}

#[derive(Template)]
#[template(path = "api_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    fields: Vec<Field>,
    entered: &'a Entered,
    form: &'a str,
}

/// The form for a new API; `form` names it, so that sending it twice makes one.
pub fn new(visit: &Visit<'_>, entered: &Entered, form: &str) -> Document {
    let identifier = Field::new("identifier", "Audience", "text")
        .hint("An absolute URI such as https://billing.example.com; it need not answer. Tokens carry it, so it cannot be changed.")
        .autocomplete("off");
    let rest = stored(None).into_iter().map(|(field, _)| field);
    Document::of(&NewPage {
        frame: Frame::new(visit, "identity/apis", "New API"),
        fields: std::iter::once(identifier).chain(rest).map(|field| field.filled(entered)).collect(),
        entered,
        form,
    })
}

//! One client: overview, credentials, access, limits, settings, danger zone.

use askama::Template;
use kernel::clock::Timestamp;

use crate::badge::{self, Badge};
use crate::code;
use crate::form::{Confirm, Entered, Field};
use crate::moment::{Grouped, Moment, duration};
use crate::pages::run::Ran;
use crate::shell::{Document, Frame, Visit};
use crate::snippet::{self, Snippet};

/// One secret, ended ones included.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its id.
    pub id: String,
    /// Label for people.
    pub label: String,
    /// `generated` or `chosen`.
    pub kind: &'static str,
    /// The last four characters, or empty.
    pub hint: String,
    /// `pending`, `active`, `expired` or `revoked`.
    pub status: &'static str,
    /// Creation.
    pub created_at: Timestamp,
    /// End, when dated.
    pub expires_at: Option<Timestamp>,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
}

/// One API that the client may ask tokens for.
#[derive(Debug, Clone)]
pub struct Access {
    /// Name of the API.
    pub api: String,
    /// Its audience.
    pub audience: String,
    /// Scopes of this API that the client holds.
    pub scopes: Vec<String>,
}

/// A client as the detail pages show it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// `active`, `expired` or `disabled`.
    pub status: &'static str,
    /// The issuer of the tenant, for snippets.
    pub issuer: String,
    /// Grants it may use.
    pub grants: Vec<String>,
    /// How it authenticates.
    pub auth_method: &'static str,
    /// Scopes it may request.
    pub scopes: Vec<String>,
    /// Scopes, separated by spaces, that one token of it can have; empty when it has none.
    pub scope: String,
    /// APIs and the scopes of each.
    pub access: Vec<Access>,
    /// The claims of a token that it would get, as JSON.
    pub claims: String,
    /// Its secrets.
    pub credentials: Vec<Credential>,
    /// Life of an access token, in seconds.
    pub token_ttl_seconds: i64,
    /// Requests and window in seconds of its rate limit, and whether it refuses.
    pub rate: Option<(u64, i64, bool)>,
    /// Tokens for each hour and day, and whether it refuses.
    pub quota: Option<(Option<u64>, Option<u64>, bool)>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// End, when it has one.
    pub expires_at: Option<Timestamp>,
    /// Last token.
    pub last_token_at: Option<Timestamp>,
    /// Live tokens, for what a destructive action would hit.
    pub live_tokens: Option<u64>,
    /// The entity tag that forms send back.
    pub etag: String,
    /// Names the form for a new secret, so that sending it twice makes one.
    pub form: String,
    /// What came of getting a token from this page.
    pub ran: Option<Ran>,
}

/// The parts of the detail page; each has its own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Snippets and facts.
    Overview,
    /// Secrets.
    Credentials,
    /// APIs and scopes.
    Access,
    /// Rates and quotas.
    Limits,
    /// Name, lifetime, expiry.
    Settings,
    /// Disable and delete.
    Danger,
}

impl Tab {
    const ALL: [Self; 6] =
        [Self::Overview, Self::Credentials, Self::Access, Self::Limits, Self::Settings, Self::Danger];

    /// Reads [`Tab::path`].
    pub fn parse(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| tab.path() == path)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Credentials => "Credentials",
            Self::Access => "Access",
            Self::Limits => "Limits",
            Self::Settings => "Settings",
            Self::Danger => "Danger zone",
        }
    }

    /// The operations of the API behind it.
    const fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Overview => &["getClient", "listTokens"],
            Self::Credentials => &["listSecrets", "createSecret", "deleteSecret"],
            Self::Access | Self::Limits | Self::Settings => &["getClient", "updateClient"],
            Self::Danger => &["disableClient", "enableClient", "revokeClientTokens", "deleteClient"],
        }
    }

    /// The last segment of its address; empty for the first.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Credentials => "credentials",
            Self::Access => "access",
            Self::Limits => "limits",
            Self::Settings => "settings",
            Self::Danger => "danger",
        }
    }
}

struct Secret<'a> {
    row: &'a Credential,
    badge: Badge,
    created: Moment,
    expires: Option<Moment>,
    used: Option<Moment>,
    end: Option<Confirm>,
}

#[derive(Template)]
#[template(path = "client.html")]
struct Page<'a> {
    frame: Frame<'a>,
    client: &'a Client,
    here: String,
    tab: Tab,
    tabs: Vec<(&'static str, String, bool)>,
    badge: Badge,
    created: Moment,
    updated: Moment,
    expires: Option<Moment>,
    last: Option<Moment>,
    ttl: String,
    limits: Vec<(&'static str, String)>,
    snippets: Vec<Snippet>,
    secrets: Vec<Secret<'a>>,
    rotate: Confirm,
    disable: Confirm,
    delete: Confirm,
    fields: Vec<Field>,
    entered: &'a Entered,
    refused: Option<String>,
}

/// One part of the detail page; `entered` is what came back from its form.
pub fn detail(visit: &Visit<'_>, client: &Client, tab: Tab, entered: &Entered) -> Document {
    let mut frame = Frame::new(visit, "identity/clients", &client.name);
    frame.code = code::shown(tab.operations(), &client.issuer, &[("client_id", &client.client_id)]);
    let here = format!("{}/identity/clients/{}", frame.root, client.client_id);
    let address = |tab: Tab| if tab.path().is_empty() { here.clone() } else { format!("{here}/{}", tab.path()) };
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    let refused = visit.viewer.refused("clients:write");
    let hit = client.live_tokens.map_or_else(String::new, |n| {
        format!(" {} live {} affected.", Grouped(n), if n == 1 { "token is" } else { "tokens are" })
    });
    let confirm = |id: &str, action: &str, title: String, consequence: String, verb: &'static str| Confirm {
        id: id.to_owned(),
        action: format!("{here}/{action}"),
        title,
        consequence,
        verb,
        typed: None,
        refused: refused.clone(),
    };
    let is_disabled = client.status == "disabled";
    let disable = if is_disabled {
        confirm(
            "enable",
            "enable",
            format!("Enable {}", client.name),
            "It gets tokens again at once, with the secrets that it has.".to_owned(),
            "Enable client",
        )
    } else {
        confirm(
            "disable",
            "disable",
            format!("Disable {}", client.name),
            format!(
                "It gets no more tokens, and its tokens count as inactive at introspection.{hit} Enabling it again undoes this."
            ),
            "Disable client",
        )
    };
    let delete = Confirm {
        typed: Some(client.client_id.clone()),
        ..confirm(
            "delete",
            "delete",
            format!("Delete {}", client.name),
            format!(
                "The client and its secrets are gone; the audit log keeps what it did.{hit} This cannot be undone."
            ),
            "Delete client",
        )
    };
    let rotate = confirm(
        "rotate",
        "secrets",
        format!("Rotate the secret of {}", client.name),
        "A new secret is made and shown one time. The old ones keep working for as long as you say.".to_owned(),
        "Make new secret",
    );
    let secrets = client.credentials.iter().map(|row| Secret {
        badge: badge::of(row.status),
        created: moment(row.created_at),
        expires: row.expires_at.map(moment),
        used: row.last_used_at.map(moment),
        end: matches!(row.status, "active" | "pending").then(|| {
            confirm(
                &format!("end-{}", row.id),
                &format!("secrets/{}/end", row.id),
                format!("End {}", row.label),
                "Whoever still uses this secret gets no more tokens from now on.".to_owned(),
                "End secret",
            )
        }),
        row,
    });
    Document::of(&Page {
        tab,
        tabs: Tab::ALL.map(|each| (each.word(), address(each), each == tab)).to_vec(),
        badge: badge::of(client.status),
        created: moment(client.created_at),
        updated: moment(client.updated_at),
        expires: client.expires_at.map(moment),
        last: client.last_token_at.map(moment),
        ttl: duration(client.token_ttl_seconds),
        limits: limits(client),
        snippets: programs(client, None),
        secrets: secrets.collect(),
        fields: fields(client, tab, entered),
        rotate,
        disable,
        delete,
        frame,
        client,
        here,
        entered,
        refused,
    })
}

/// The programs that get a token; without the secret they read it from the environment.
pub(crate) fn programs(client: &Client, secret: Option<&str>) -> Vec<Snippet> {
    let Client { issuer, client_id, scope, .. } = client;
    snippet::token(&snippet::Values { issuer, client_id, scope, secret })
}

fn limits(client: &Client) -> Vec<(&'static str, String)> {
    let mode = |enforces: bool| if enforces { "refuses beyond" } else { "counts only" };
    let mut out = Vec::new();
    if let Some((limit, window, enforces)) = client.rate {
        out.push(("Request rate", format!("{} in {}, {}", Grouped(limit), duration(window), mode(enforces))));
    }
    if let Some((hour, day, enforces)) = client.quota {
        for (what, most) in [("Tokens each hour", hour), ("Tokens each day", day)] {
            if let Some(most) = most {
                out.push((what, format!("{}, {}", Grouped(most), mode(enforces))));
            }
        }
    }
    out
}

fn fields(client: &Client, tab: Tab, entered: &Entered) -> Vec<Field> {
    let given = |field: Field, value: String| {
        let came_back = !entered.values.is_empty();
        if came_back { field.filled(entered) } else { Field { value, ..field } }
    };
    match tab {
        Tab::Settings => vec![
            given(Field::new("name", "Name", "text").autocomplete("off"), client.name.clone()),
            given(
                Field::new("access_token_ttl_seconds", "Token lifetime in seconds", "number").hint("60 to 86400."),
                client.token_ttl_seconds.to_string(),
            ),
            given(
                Field::new("expires_at", "Expiry", "text")
                    .optional()
                    .hint("A time such as 2027-01-31T00:00:00Z; empty for none."),
                client.expires_at.map(|at| at.to_string()).unwrap_or_default(),
            ),
        ],
        Tab::Limits => vec![
            given(
                Field::new("rate_limit", "Requests", "number")
                    .optional()
                    .hint("0 switches the limit off; empty: the tenant's."),
                client.rate.map(|(n, _, _)| n.to_string()).unwrap_or_default(),
            ),
            given(
                Field::new("rate_window_seconds", "in seconds", "number").optional(),
                client.rate.map(|(_, s, _)| s.to_string()).unwrap_or_default(),
            ),
            given(
                Field::new("quota_per_hour", "Tokens each hour", "number").optional(),
                client.quota.and_then(|(h, _, _)| h).map(|n| n.to_string()).unwrap_or_default(),
            ),
            given(
                Field::new("quota_per_day", "Tokens each day", "number").optional(),
                client.quota.and_then(|(_, d, _)| d).map(|n| n.to_string()).unwrap_or_default(),
            ),
        ],
        _ => Vec::new(),
    }
}

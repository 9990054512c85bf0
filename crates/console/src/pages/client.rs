//! One client: overview, credentials, access, limits, settings, danger zone.

use askama::Template;
use auth::client::{RateLimit, TokenQuota};
use kernel::clock::Timestamp;

use super::access::{self, Api, Says};
use super::client_log::{Log, Shown};
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
    /// Live refresh families that it started, where that was counted.
    pub families: usize,
}

/// An address that got a token, and the secret that it used last.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address; empty when it is not known.
    pub source: String,
    /// Id of the secret.
    pub secret: String,
    /// When it got its last token.
    pub at: Timestamp,
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
    /// Id and name of the customer that it acts for; the id twice for those who may not see customers.
    pub customer: Option<(String, String)>,
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
    pub access: Vec<Api>,
    /// Whether one of its tokens may name several APIs.
    pub multi_audience: bool,
    /// What a request for a token would get.
    pub says: Says,
    /// Its secrets.
    pub credentials: Vec<Credential>,
    /// Life of an access token in seconds, when it decides.
    pub token_ttl_seconds: Option<i64>,
    /// `jwt` or `opaque`.
    pub format: &'static str,
    /// Algorithm of its tokens, when it decides.
    pub signing_alg: String,
    /// Its rate limit.
    pub rate: Option<RateLimit>,
    /// Its token quota.
    pub quota: Option<TokenQuota>,
    /// Who got tokens in the last day, the latest first, where that was asked.
    pub callers: Vec<Caller>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// End, when it has one.
    pub expires_at: Option<Timestamp>,
    /// Last token.
    pub last_token_at: Option<Timestamp>,
    /// Live refresh families, where that was counted.
    pub families: usize,
    /// Tokens of the last hour, where that was counted.
    pub issued_lately: Option<usize>,
    /// The entity tag that forms send back.
    pub etag: String,
    /// Names the form for a new secret, so that sending it twice makes one.
    pub form: String,
    /// What it asked for, where the page shows that.
    pub log: Option<Log>,
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
    /// Requests and why some were denied.
    Logs,
    /// Name, lifetime, expiry.
    Settings,
    /// Disable and delete.
    Danger,
}

impl Tab {
    const ALL: [Self; 7] =
        [Self::Overview, Self::Credentials, Self::Access, Self::Limits, Self::Logs, Self::Settings, Self::Danger];

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
            Self::Logs => "Logs",
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
            Self::Logs => &["listJournal"],
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
            Self::Logs => "logs",
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
    /// Address, label and end of the secret it used last, and when.
    callers: Vec<(&'a str, String, Moment)>,
    rotate: Confirm,
    disable: Confirm,
    delete: Confirm,
    fields: Vec<Field>,
    log: Option<Shown<'a>>,
    access: Vec<Api>,
    multi_audience: bool,
    preview_scope: String,
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
    let hit = reach(client, visit.now);
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
                "It gets no more tokens, its tokens count as inactive at introspection, and its refresh tokens end.{hit} Enabling it lets it ask for new ones."
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
                format!(
                    "Whoever still uses this secret gets no more tokens from now on. {}{}",
                    match row.last_used_at {
                        Some(at) => format!("It was last used {}", moment(at).relative),
                        None => "It was never used".to_owned(),
                    },
                    match row.families {
                        0 => ".".to_owned(),
                        n => format!("; {} started with it.", counted(n, "refresh family", "refresh families")),
                    }
                ),
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
        ttl: client.token_ttl_seconds.map_or_else(|| "As the API".to_owned(), duration),
        limits: limits(client),
        snippets: programs(client, None),
        secrets: secrets.collect(),
        callers: client
            .callers
            .iter()
            .map(|caller| (caller.source.as_str(), used(client, caller), moment(caller.at)))
            .collect(),
        fields: fields(client, tab, entered),
        log: client.log.as_ref().map(|log| Shown::new(visit, log, address(Tab::Logs))),
        access: access::ticked(&client.access, entered),
        multi_audience: if entered.is_back() { entered.has("multi_audience", "true") } else { client.multi_audience },
        preview_scope: entered.value("preview_scope"),
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

/// The secret of a caller, as people tell secrets apart.
fn used(client: &Client, caller: &Caller) -> String {
    let found = client.credentials.iter().find(|secret| secret.id == caller.secret);
    found.map_or_else(
        || "One that is gone".to_owned(),
        |secret| match secret.hint.as_str() {
            "" => secret.label.clone(),
            hint => format!("{} …{hint}", secret.label),
        },
    )
}

/// Most rows that are counted for a sentence.
pub const MOST_COUNTED: usize = 200;

/// A count that may stand for more.
fn counted(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        MOST_COUNTED.. => format!("{MOST_COUNTED} or more {several}"),
        n => format!("{n} {several}"),
    }
}

/// What depends on the client at the moment, in a sentence; empty where that was not counted.
fn reach(client: &Client, now: Timestamp) -> String {
    let Some(issued) = client.issued_lately else { return String::new() };
    let live = client.credentials.iter().filter(|secret| secret.status == "active").count();
    let used = match client.last_token_at {
        Some(at) => format!(", last used {}", Moment::new(at, now).relative),
        None => ", never used".to_owned(),
    };
    format!(
        " It has {}{used}, got {} in the last hour and holds {}.",
        counted(live, "live secret", "live secrets"),
        counted(issued, "token", "tokens"),
        counted(client.families, "refresh family", "refresh families"),
    )
}

fn limits(client: &Client) -> Vec<(&'static str, String)> {
    let mode = |enforces: bool| if enforces { "refuses beyond" } else { "counts only" };
    let mut out = Vec::new();
    if let Some(rate) = client.rate {
        let (limit, window) = (Grouped(u64::from(rate.limit)), duration(i64::from(rate.window_s)));
        out.push(("Request rate", format!("{limit} in {window}, {}", mode(rate.enforce))));
    }
    if let Some(quota) = client.quota {
        for (what, most) in [("Tokens each hour", quota.per_hour), ("Tokens each day", quota.per_day)] {
            if let Some(most) = most {
                out.push((what, format!("{}, {}", Grouped(u64::from(most)), mode(quota.enforce))));
            }
        }
    }
    out
}

/// Algorithms that a client or an API may choose.
pub(crate) const ALGORITHMS: [(&str, &str); 6] = [
    ("", "As the API, else ES256"),
    ("ES256", "ES256"),
    ("EdDSA", "EdDSA"),
    ("ES384", "ES384"),
    ("PS256", "PS256"),
    ("RS256", "RS256"),
];

/// The fields of the limits of a client, with what is stored.
pub(crate) fn limit_fields(rate: Option<RateLimit>, quota: Option<TokenQuota>) -> [(Field, String); 7] {
    let text = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
    let field = |name, label| Field::new(name, label, "number").optional();
    let mode = |name, label| Field::new(name, label, "").of(&[("refuse", "Refused"), ("count", "Counted only")]);
    let word = |enforces: bool| if enforces { "refuse" } else { "count" }.to_owned();
    [
        (
            field("rate_limit", "Rate limit: requests").hint("0 switches the limit off; empty: the tenant's."),
            text(rate.map(|rate| rate.limit)),
        ),
        (
            field("rate_window_seconds", "Rate limit: in seconds").hint("Empty: 1."),
            text(rate.map(|rate| rate.window_s)),
        ),
        (
            field("rate_burst", "Rate limit: at once")
                .hint("Requests that may come at the same moment; empty: twice the number."),
            text(rate.map(|rate| rate.burst)),
        ),
        (mode("rate_mode", "Beyond the rate limit"), word(rate.is_none_or(|rate| rate.enforce))),
        (field("quota_per_hour", "Token quota: each hour"), text(quota.and_then(|quota| quota.per_hour))),
        (field("quota_per_day", "Token quota: each day"), text(quota.and_then(|quota| quota.per_day))),
        (mode("quota_mode", "Beyond the token quota"), word(quota.is_none_or(|quota| quota.enforce))),
    ]
}

/// The field of the customer that a client acts for.
pub(crate) fn customer_field() -> Field {
    Field::new("customer_id", "Customer", "text")
        .optional()
        .autocomplete("off")
        .hint("The id of the customer that it acts for, cus_…; without one it is internal and not billed.")
}

/// The fields of a tab, each with what is stored.
fn stored(client: &Client, tab: Tab) -> Vec<(Field, String)> {
    match tab {
        Tab::Settings => vec![
            (Field::new("name", "Name", "text").autocomplete("off"), client.name.clone()),
            (
                Field::new("access_token_ttl_seconds", "Token lifetime in seconds", "number")
                    .optional()
                    .hint("60 to 86400. Empty: as the API, else 900."),
                client.token_ttl_seconds.map(|seconds| seconds.to_string()).unwrap_or_default(),
            ),
            (
                Field::new("expires_at", "Expiry", "text")
                    .optional()
                    .live("later")
                    .hint("A time such as 2027-01-31T00:00:00Z; empty for none."),
                client.expires_at.map(|at| at.to_string()).unwrap_or_default(),
            ),
            (
                Field::new("access_token_format", "Form of its tokens", "")
                    .of(&[("jwt", "JWT, which APIs verify themselves"), ("opaque", "Opaque, which APIs introspect")]),
                client.format.to_owned(),
            ),
            (Field::new("signing_alg", "Algorithm", "").of(&ALGORITHMS), client.signing_alg.clone()),
            (customer_field(), client.customer.as_ref().map(|(id, _)| id.clone()).unwrap_or_default()),
        ],
        Tab::Limits => limit_fields(client.rate, client.quota).into(),
        _ => Vec::new(),
    }
}

fn fields(client: &Client, tab: Tab, entered: &Entered) -> Vec<Field> {
    stored(client, tab).into_iter().map(|(field, stored)| field.given(&stored, entered)).collect()
}

/// Label, stored and typed text of each field of a tab, for a form that came too late.
pub fn both_versions(client: &Client, tab: Tab, entered: &Entered) -> Vec<(&'static str, String, String)> {
    if tab != Tab::Access {
        let of = |(field, stored): (Field, String)| (field.label, stored, entered.value(field.name));
        return stored(client, tab).into_iter().map(of).collect();
    }
    let list = |apis: &[Api], is_kept: fn(&access::Scope) -> bool| {
        let kept = apis.iter().flat_map(|api| &api.scopes).filter(|scope| is_kept(scope));
        kept.map(|scope| scope.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    let audiences = |apis: &[Api]| {
        apis.iter().filter(|api| api.is_listed).map(|api| api.audience.as_str()).collect::<Vec<_>>().join(" ")
    };
    let typed = access::ticked(&client.access, entered);
    let word = |several: bool| if several { "Yes" } else { "No" }.to_owned();
    vec![
        ("May request", list(&client.access, |s| s.is_allowed), list(&typed, |s| s.is_allowed)),
        ("By default", list(&client.access, |s| s.is_default), list(&typed, |s| s.is_default)),
        ("Audiences", audiences(&client.access), audiences(&typed)),
        ("Several APIs in one token", word(client.multi_audience), word(entered.has("multi_audience", "true"))),
    ]
}

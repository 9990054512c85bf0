//! The frame of the console: who looks, where they are, and what stands around every page.

use std::collections::BTreeSet;

use auth::operator::Role;
use kernel::clock::Timestamp;

use crate::code::{self, Shown};
use crate::protect::Nonce;

/// Whether what happens here is for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// For real.
    Live,
    /// For tests and trials.
    Sandbox,
}

/// Colors that an operator chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Reads [`Theme::name`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == text)
    }

    /// The value in forms, cookies and the attribute `data-theme`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The operator who looks at a page.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Name for people.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Role in this tenant.
    pub role: Role,
    /// Slug of the tenant; `default` is served without a prefix.
    pub tenant_slug: String,
    /// Name of the tenant.
    pub tenant_name: String,
    /// The issuer of the tenant.
    pub issuer: String,
    /// Live or sandbox.
    pub environment: Environment,
    /// The token that each form sends back, bound to the session.
    pub csrf: String,
    /// Scopes that the role holds.
    pub holds: BTreeSet<String>,
    /// Chosen colors.
    pub theme: Theme,
    /// Chosen language of code, by its key.
    pub language: &'static str,
    /// Whether the operator may go from one tenant to another.
    pub goes_between: bool,
    /// What they did a moment ago.
    pub done: Option<Done>,
}

/// What was done a moment ago, as the next page says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// A sentence without its full stop.
    pub sentence: String,
    /// Address and fields of the form that undoes it.
    pub undo: Option<(String, Vec<(&'static str, String)>)>,
}

impl Viewer {
    /// Whether the operator may do what a scope names.
    pub fn may(&self, scope: &str) -> bool {
        self.holds.contains("admin") || self.holds.contains(scope)
    }

    /// Why a control is off, `None` when the operator may use it.
    pub fn refused(&self, scope: &str) -> Option<String> {
        (!self.may(scope))
            .then(|| format!("Needs the scope {scope}, which the role {} does not hold.", self.role.word()))
    }

    /// Where the console of this tenant begins, without a slash at the end.
    pub fn root(&self) -> String {
        if self.tenant_slug == kernel::tenant::DEFAULT_SLUG {
            "/console".to_owned()
        } else {
            format!("/t/{}/console", self.tenant_slug)
        }
    }

    /// Up to two letters for the avatar.
    pub fn initials(&self) -> String {
        self.name
            .split_whitespace()
            .filter_map(|word| word.chars().next())
            .take(2)
            .flat_map(char::to_uppercase)
            .collect()
    }
}

/// One look at a page: who, with which nonce, at what time.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The operator.
    pub viewer: &'a Viewer,
    /// The nonce of this answer, from the request's extensions.
    pub nonce: &'a Nonce,
    /// The time that relative times count from.
    pub now: Timestamp,
}

/// A link of the sidebar.
pub(crate) struct Link {
    /// Symbol of the sprite.
    pub(crate) icon: &'static str,
    /// Text.
    pub(crate) text: &'static str,
    /// Absolute path.
    pub(crate) href: String,
    /// Whether the page stands below it.
    pub(crate) is_current: bool,
    /// The scope that the page needs and the viewer does not hold.
    pub(crate) lacks: Option<&'static str>,
}

/// Icon, text and path below the console; a path that begins with `/` is not of the console.
pub(crate) type Place = (&'static str, &'static str, &'static str);

/// The page of tenants, which the first one has alone.
const TENANTS: &str = "/console/tenants";

/// The scope that a page of the sidebar reads with; the others are for everybody.
const READS: &[(&str, &str)] = &[
    ("activity", "audit:read"),
    ("audit", "audit:read"),
    ("identity/clients", "clients:read"),
    ("identity/apis", "apis:read"),
    ("identity/keys", "keys:read"),
    ("identity/tokens", "clients:read"),
    ("identity/limits", "limits:read"),
    ("customers", "customers:read"),
    ("billing/plans", "billing:read"),
    ("billing/subscriptions", "billing:read"),
    ("billing/usage", "billing:read"),
    ("billing/features", "billing:read"),
    ("developers/webhooks", "webhooks:read"),
    ("team", "operators:read"),
    ("settings", "operators:read"),
];

/// Sections of the sidebar: title (none for the first) and places.
const SECTIONS: &[(&str, &[Place])] = &[
    ("", &[("house", "Home", ""), ("activity", "Activity", "activity"), ("scroll-text", "Audit log", "audit")]),
    (
        "Identity",
        &[
            ("boxes", "Clients", "identity/clients"),
            ("badge-check", "Tokens", "identity/tokens"),
            ("layers", "APIs & scopes", "identity/apis"),
            ("key-round", "Keys", "identity/keys"),
            ("gauge", "Rate limits", "identity/limits"),
        ],
    ),
    (
        "Billing",
        &[
            ("users", "Customers", "customers"),
            ("coins", "Plans", "billing/plans"),
            ("receipt", "Subscriptions", "billing/subscriptions"),
            ("hash", "Usage", "billing/usage"),
            ("list-filter", "Features & meters", "billing/features"),
        ],
    ),
    (
        "Developers",
        &[
            ("webhook", "Webhooks", "developers/webhooks"),
            ("code-xml", "API reference", "/docs/api"),
            ("book-open", "Docs", "/docs"),
        ],
    ),
    (
        "Organization",
        &[("building-2", "Tenants", TENANTS), ("user-cog", "Team", "team"), ("settings", "Settings", "settings")],
    ),
];

/// Icon, text and path of every place of the sidebar.
pub(crate) fn places() -> impl Iterator<Item = Place> {
    SECTIONS.iter().flat_map(|(_, places)| places.iter().copied())
}

/// What every template of the console needs.
pub(crate) struct Frame<'a> {
    /// Title of the tab and, unless the page says otherwise, its heading.
    pub(crate) title: String,
    /// See [`Visit`].
    pub(crate) viewer: &'a Viewer,
    /// See [`Visit`].
    pub(crate) nonce: &'a str,
    /// See [`Viewer::root`].
    pub(crate) root: String,
    /// Title and links of each section.
    pub(crate) sections: Vec<(&'static str, Vec<Link>)>,
    /// Text and address of what lies above the page.
    pub(crate) crumbs: Vec<(String, String)>,
    /// The operations of the API behind the page.
    pub(crate) code: Vec<Shown>,
}

impl<'a> Frame<'a> {
    /// The frame of a page that stands below the path `section` (a path of [`SECTIONS`]).
    pub(crate) fn new(visit: &Visit<'a>, section: &str, title: &str) -> Self {
        let root = visit.viewer.root();
        let link = |(icon, text, path): &Place| Link {
            icon,
            text,
            href: match *path {
                "" => root.clone(),
                path if path.starts_with('/') => path.to_owned(),
                path => format!("{root}/{path}"),
            },
            is_current: *path == section,
            lacks: READS.iter().find(|(page, scope)| page == path && !visit.viewer.may(scope)).map(|(_, scope)| *scope),
        };
        let mut crumbs = Vec::new();
        if let Some((group, links)) =
            SECTIONS.iter().find(|(_, links)| links.iter().any(|(_, _, path)| *path == section))
        {
            if !group.is_empty() {
                crumbs.push(((*group).to_owned(), String::new()));
            }
            for (_, text, path) in links.iter().filter(|(_, text, path)| *path == section && *text != title) {
                crumbs.push(((*text).to_owned(), format!("{root}/{path}")));
            }
        }
        Self {
            title: title.to_owned(),
            viewer: visit.viewer,
            nonce: visit.nonce.as_str(),
            sections: SECTIONS
                .iter()
                .map(|(title, links)| {
                    let seen = links.iter().filter(|(_, _, path)| visit.viewer.goes_between || *path != TENANTS);
                    (*title, seen.map(link).collect())
                })
                .collect(),
            root,
            crumbs,
            code: code::of_section(section, &visit.viewer.issuer),
        }
    }
}

/// A finished page. It answers with `Cache-Control: no-store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(String);

impl Document {
    /// The page of a template. A template over plain data cannot fail; if it did, the page would be empty.
    pub(crate) fn of(template: &impl askama::Template) -> Self {
        Self(template.render().unwrap_or_default())
    }

    /// The HTML.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl axum::response::IntoResponse for Document {
    fn into_response(self) -> axum::response::Response {
        ([(http::header::CACHE_CONTROL, "no-store")], axum::response::Html(self.0)).into_response()
    }
}

//! One customer: what it may do and why, its subscriptions and clients, a new subscription, settings, danger zone.

use std::sync::Arc;

use askama::Template;
use billing::customer::{Details, TaxStatus};
use kernel::clock::{BusinessTime, Timestamp};
use kernel::standing::Standing;

use super::access::Says;
use super::customers::{SECTION, badges, fields};
use super::plan::Offer;
use crate::address::counted;
use crate::badge::{self, Badge};
use crate::code;
use crate::form::{Confirm, Entered, Field};
use crate::moment::{Moment, duration};
use crate::shell::{Document, Frame, Visit};

/// Why a feature may be used: what one subscription grants of it.
#[derive(Debug, Clone)]
pub struct Why {
    /// The subscription.
    pub subscription: String,
    /// Name and version of its plan.
    pub plan: String,
    /// Where the subscription stands.
    pub status: &'static str,
    /// What it grants by itself.
    pub grants: String,
}

/// A feature that the customer may use.
#[derive(Debug, Clone)]
pub struct Right {
    /// Its key.
    pub feature: String,
    /// Its name for people.
    pub name: String,
    /// What all subscriptions grant together.
    pub value: String,
    /// When use counts from zero again, and what happens beyond the limit; empty for what is not metered.
    pub terms: String,
    /// Where it comes from, that of the best status first.
    pub whys: Vec<Why>,
    /// Whether the rights of several subscriptions add up; else the largest counts.
    pub adds_up: bool,
}

/// A subscription of the customer.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its id.
    pub id: String,
    /// Name and version of its plan.
    pub plan: String,
    /// How many.
    pub quantity: u64,
    /// Where it stands.
    pub status: &'static str,
    /// When it goes on or ends, and which of the two.
    pub next: Option<(&'static str, Timestamp)>,
}

/// A scope of a client, and why it is granted or not.
#[derive(Debug, Clone)]
pub struct ScopeWhy {
    /// The scope.
    pub scope: String,
    /// The feature that it requires.
    pub requires: Option<String>,
    /// Whether it is granted now.
    pub is_granted: bool,
    /// Why.
    pub why: String,
}

/// A client that acts for the customer.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Public id.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// `active`, `expired` or `disabled`.
    pub status: &'static str,
    /// What a request for a token comes to now, and the scopes of it.
    pub says: Says,
    /// The scopes of that request.
    pub scope: String,
    /// Each scope that it may request.
    pub scopes: Vec<ScopeWhy>,
}

/// A customer as its pages show it.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The operator's own id of it.
    pub external_id: Option<String>,
    /// What else is known.
    pub details: Details,
    /// What it may do now.
    pub standing: Arc<Standing>,
    /// The same feature by feature, with the reasons.
    pub rights: Vec<Right>,
    /// Its subscriptions, the newest first; `None` for those who may not see them.
    pub held: Option<Vec<Held>>,
    /// Clients that act for it; `None` for those who may not see them.
    pub clients: Option<Vec<Acting>>,
    /// How many there are, those that are not shown included.
    pub client_count: usize,
    /// What can be subscribed to, where the page asks.
    pub offers: Vec<Offer>,
    /// The present instant of the tenant's business time.
    pub today: Timestamp,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change by a person.
    pub updated_at: Timestamp,
    /// The entity tag that forms send back.
    pub etag: String,
    /// Names the form for a new subscription.
    pub form: String,
}

/// The parts of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// What it may do, and why.
    Overview,
    /// Name, address, tax and the like.
    Settings,
    /// Suspension and deletion.
    Danger,
    /// The form for a new subscription, which has no tab.
    Subscribe,
}

impl Tab {
    const SHOWN: [Self; 3] = [Self::Overview, Self::Settings, Self::Danger];

    /// Last segment of its address, empty for the first.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Settings => "settings",
            Self::Danger => "danger",
            Self::Subscribe => "subscribe",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Settings, Self::Danger, Self::Subscribe].into_iter().find(|tab| tab.path() == text)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Settings => "Settings",
            Self::Danger => "Danger zone",
            Self::Subscribe => "New subscription",
        }
    }

    const fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Overview => &["getCustomer", "getStanding", "listSubscriptions"],
            Self::Settings => &["updateCustomer"],
            Self::Danger => &["suspendCustomer", "reinstateCustomer", "deleteCustomer"],
            Self::Subscribe => &["createSubscription"],
        }
    }
}

/// An instant of business time, to be shown beside others.
pub(crate) fn instant(at: BusinessTime) -> Timestamp {
    Timestamp::from_micros(at.as_micros())
}

/// What is stored, for the form.
pub(crate) fn stored(customer: &Customer) -> Entered {
    let details = &customer.details;
    let address = details.address.clone().unwrap_or_default();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let metadata = if details.metadata.is_empty() {
        String::new()
    } else {
        serde_json::to_string_pretty(&details.metadata).unwrap_or_default()
    };
    let tax_status = match details.tax_status {
        TaxStatus::Consumer => "consumer",
        TaxStatus::Business => "business",
        TaxStatus::Exempt => "exempt",
    };
    let values = [
        ("name", customer.name.clone()),
        ("external_id", text(&customer.external_id)),
        ("email", text(&details.email)),
        ("currency", text(&details.currency)),
        ("country", address.country),
        ("payment_terms_days", details.payment_terms_days.map(|days| days.to_string()).unwrap_or_default()),
        ("timezone", details.timezone.clone()),
        ("language", text(&details.language)),
        ("line1", address.line1),
        ("line2", address.line2),
        ("postal_code", address.postal_code),
        ("city", address.city),
        ("region", address.region),
        ("tax_status", tax_status.to_owned()),
        ("tax_ids", details.tax_ids.join(", ")),
        ("metadata", metadata),
    ];
    Entered { values: values.map(|(name, value)| (name.to_owned(), value)).into(), ..Entered::default() }
}

/// Every field of the settings as it is stored and as it was typed.
pub(crate) fn both_versions(now: &Customer, typed: &Entered) -> Vec<(&'static str, String, String)> {
    let (stored, (first, folded)) = (stored(now), fields());
    first.iter().chain(&folded).map(|field| (field.label, stored.value(field.name), typed.value(field.name))).collect()
}

/// The fields of a new subscription beside the plan.
fn subscribe_fields(entered: &Entered) -> Vec<Field> {
    let quantity = Field::new("quantity", "Quantity", "number").hint("0 to 1,000,000,000, such as a number of seats.");
    let fields = [
        quantity.given("1", entered),
        Field::new("activation", "Without a trial it becomes active", "text")
            .of(&[("immediate", "At once"), ("on_payment", "With the first payment")])
            .filled(entered),
        Field::new("term_end", "Ends by itself", "text")
            .optional()
            .hint("A time such as 2027-01-31T00:00:00Z; empty: never.")
            .filled(entered),
    ];
    fields.map(|field| field.autocomplete("off")).into()
}

struct Line<'a> {
    held: &'a Held,
    badge: Badge,
    next: Option<(&'static str, Moment)>,
}

struct Client<'a> {
    acting: &'a Acting,
    badge: Badge,
    /// What a token request gets, in one word on its ground, and a sentence.
    answer: (Badge, String),
}

#[derive(Template)]
#[template(path = "customer.html")]
struct Page<'a> {
    frame: Frame<'a>,
    customer: &'a Customer,
    here: String,
    tab: Tab,
    tabs: Vec<(&'static str, String, bool)>,
    badges: Vec<Badge>,
    access: Badge,
    /// Why it may do nothing.
    refusal: Option<String>,
    until: Option<Moment>,
    paid: Option<Moment>,
    void: Option<Moment>,
    created: Moment,
    updated: Moment,
    rights: Vec<(&'a Right, Vec<(&'a Why, Badge)>)>,
    held: Vec<Line<'a>>,
    clients: Vec<Client<'a>>,
    /// Where it is, in one line.
    address: Option<String>,
    /// How many clients act for it.
    acting: String,
    history: Option<String>,
    fields: Vec<Field>,
    entered: &'a Entered,
    suspend: Confirm,
    delete: Confirm,
    refused: Option<String>,
    refused_billing: Option<String>,
    refused_client: Option<String>,
}

fn client(acting: &Acting) -> Client<'_> {
    let answer = if acting.status == "active" {
        match &acting.says {
            Says::Token { lifetime, .. } => {
                (badge::of("granted"), format!("A request gets a token for {}.", duration(*lifetime)))
            }
            Says::Refusal { code, sentence } => (badge::of("denied"), format!("{code}: {sentence}.")),
        }
    } else {
        (badge::of("denied"), "It cannot authenticate.".to_owned())
    };
    Client { badge: badge::of(acting.status), answer, acting }
}

/// Why the customer cannot be deleted now.
fn kept_by(customer: &Customer) -> Option<String> {
    let lasting = customer.held.iter().flatten().filter(|held| !matches!(held.status, "canceled" | "ended")).count();
    match (lasting, customer.client_count) {
        (0, 0) => None,
        (0, clients) => Some(format!("{} for it; delete or move them first.", acting(clients))),
        (1, _) => Some("A subscription lasts; cancel it first.".to_owned()),
        (n, _) => Some(format!("{} last; cancel them first.", counted(n, "subscription"))),
    }
}

/// `1 client acts`, `3 clients act`.
pub(crate) fn acting(clients: usize) -> String {
    format!("{} {}", counted(clients, "client"), if clients == 1 { "acts" } else { "act" })
}

/// What becomes of the clients when access ends.
pub(crate) fn ending(clients: usize) -> &'static str {
    match clients {
        0 => "No client acts for it.",
        1 => "Its client gets no token from the next request on, and the tokens that it has count as inactive.",
        _ => "Its clients get no token from the next request on, and the tokens that they have count as inactive.",
    }
}

/// One part of the page; `entered` is what came back from its form.
pub fn detail<'a>(visit: &Visit<'a>, customer: &'a Customer, tab: Tab, entered: &'a Entered) -> Document {
    let title = if tab == Tab::Subscribe { tab.word() } else { customer.name.as_str() };
    let mut frame = Frame::new(visit, SECTION, title);
    frame.code = code::shown(tab.operations(), &visit.viewer.issuer, &[("customer_id", &customer.id)]);
    let here = format!("{}/{SECTION}/{}", frame.root, customer.id);
    if tab == Tab::Subscribe {
        frame.crumbs.push((customer.name.clone(), here.clone()));
    }
    let address = |tab: Tab| if tab.path().is_empty() { here.clone() } else { format!("{here}/{}", tab.path()) };
    let standing = &*customer.standing;
    let business = |at: BusinessTime| Moment::new(instant(at), customer.today);
    let refused = visit.viewer.refused("customers:write");
    let is_suspended = standing.suspended_at.is_some();
    let (verb, part, title, consequence) = if is_suspended {
        let consequence = "Its subscriptions decide again what its clients may do. Tokens from before stay inactive.";
        ("Lift suspension", "reinstate", format!("Lift the suspension of {}", customer.name), consequence.to_owned())
    } else {
        let ends = ending(customer.client_count);
        let consequence = format!("It loses all access, whatever is paid, until the suspension is lifted. {ends}");
        ("Suspend customer", "suspend", format!("Suspend {}", customer.name), consequence)
    };
    let settings = if entered.is_back() { entered.clone() } else { stored(customer) };
    let filled = |field: Field| Field { error: field.clone().filled(entered).error, ..field.filled(&settings) };
    let (first, folded) = fields();
    Document::of(&Page {
        tabs: Tab::SHOWN.map(|each| (each.word(), address(each), each == tab)).to_vec(),
        badges: badges(standing.status().map(kernel::standing::Status::name), is_suspended),
        access: badge::of(standing.access.name()),
        refusal: standing.refusal().map(|refusal| refusal.to_string()),
        until: standing.access_until.filter(|_| standing.refusal().is_none()).map(business),
        paid: standing.paid_through.map(business),
        void: standing.not_before.map(business),
        created: Moment::new(customer.created_at, visit.now),
        updated: Moment::new(customer.updated_at, visit.now),
        rights: customer
            .rights
            .iter()
            .map(|right| (right, right.whys.iter().map(|why| (why, badge::of(why.status))).collect()))
            .collect(),
        held: customer
            .held
            .iter()
            .flatten()
            .map(|held| Line {
                badge: badge::of(held.status),
                next: held.next.map(|(word, at)| (word, Moment::new(at, customer.today))),
                held,
            })
            .collect(),
        clients: customer.clients.iter().flatten().map(client).collect(),
        address: customer.details.address.as_ref().map(|at| {
            let lines = [&at.line1, &at.line2, &at.postal_code, &at.city, &at.region, &at.country];
            lines.into_iter().filter(|line| !line.is_empty()).cloned().collect::<Vec<_>>().join(", ")
        }),
        acting: acting(customer.client_count),
        history: visit
            .viewer
            .may("audit:read")
            .then(|| format!("{}/activity?kind=customer&object={}", frame.root, customer.id)),
        fields: match tab {
            Tab::Settings => first.into_iter().chain(folded).map(filled).collect(),
            Tab::Subscribe => subscribe_fields(entered),
            Tab::Overview | Tab::Danger => Vec::new(),
        },
        suspend: Confirm {
            id: part.to_owned(),
            action: format!("{here}/{part}"),
            title,
            consequence,
            verb,
            typed: None,
            refused: refused.clone(),
        },
        delete: Confirm {
            id: "delete".to_owned(),
            action: format!("{here}/delete"),
            title: format!("Delete {}", customer.name),
            consequence: "The customer and its subscriptions are gone; the audit log keeps what happened. This cannot \
                          be undone."
                .to_owned(),
            verb: "Delete customer",
            typed: Some(customer.name.clone()),
            refused: refused.clone().or_else(|| kept_by(customer)),
        },
        refused,
        refused_billing: visit.viewer.refused("billing:write"),
        refused_client: visit.viewer.refused("clients:write"),
        customer,
        here,
        tab,
        entered,
        frame,
    })
}

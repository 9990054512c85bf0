//! Tokens: refresh families, live access tokens of one client, and the inspector.

use askama::Template;
use kernel::clock::Timestamp;

use crate::address::{counted, encoded, query};
use crate::badge::{self, Badge};
use crate::form::{Confirm, Paging};
use crate::moment::Moment;
use crate::shell::{Document, Frame, Visit};

/// A refresh family.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Public id and name of its client; `None` when it was deleted.
    pub client: Option<(String, String)>,
    /// Scopes of the grant.
    pub scopes: Vec<String>,
    /// `active`, `expired`, `revoked` or `reused`.
    pub state: &'static str,
    /// Why it ended.
    pub why: Option<String>,
    /// How often it was refreshed.
    pub generation: u32,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was refreshed last.
    pub used_at: Option<Timestamp>,
    /// When it ended, or ends unless it is used.
    pub ends_at: Timestamp,
}

/// An access token that has not expired.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id.
    pub jti: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub ends_at: Timestamp,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// What the list needs.
#[derive(Debug, Clone)]
pub struct List {
    /// The families of the page.
    pub groups: Vec<Group>,
    /// The id that was asked for.
    pub wanted: String,
    /// Public id and name of the client with that id.
    pub client: Option<(String, String)>,
    /// Its newest tokens that have not expired.
    pub tokens: Vec<Token>,
    /// The filter by state.
    pub state: String,
    /// Rows on a page.
    pub limit: u32,
    /// Whether this is the first page.
    pub is_first: bool,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// The newest family that ended because a used token came again.
    pub alarm: Option<Group>,
}

/// What the inspector is asked. The token itself never comes back.
#[derive(Debug, Clone)]
pub struct Question {
    /// Identifier and name of each API.
    pub apis: Vec<(String, String)>,
    /// The chosen API.
    pub api: String,
    /// The scope that the API would ask for.
    pub scope: String,
}

/// Why a token is not good.
#[derive(Debug, Clone)]
pub struct Reason {
    /// In a sentence.
    pub text: String,
    /// Since when.
    pub at: Option<Timestamp>,
}

/// One thing that an API looks at.
#[derive(Debug, Clone)]
pub struct Check {
    /// What it looks at.
    pub what: &'static str,
    /// Whether it speaks for the token.
    pub passed: bool,
    /// In a sentence.
    pub detail: String,
}

/// A token of ours.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What it is.
    pub kind: &'static str,
    /// Its state, as badges name it.
    pub state: &'static str,
    /// Whether our signature, or our row, stands behind it.
    pub is_verified: bool,
    /// Why it is not good; empty while it is.
    pub reasons: Vec<Reason>,
    /// Public id and name of its client.
    pub client: Option<(String, String)>,
    /// Its id.
    pub jti: Option<String>,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The header of a JWT.
    pub header: Option<String>,
    /// What it says.
    pub claims: String,
    /// Scopes that the client has lost since.
    pub lost_scopes: Vec<String>,
    /// Name of the chosen API and what it would find.
    pub checks: Option<(String, Vec<Check>)>,
}

struct Shown<'a> {
    group: &'a Group,
    badge: Badge,
    created: Moment,
    used: Option<Moment>,
    ends: Moment,
    end: Option<Confirm>,
}

struct ShownToken<'a> {
    token: &'a Token,
    badge: Badge,
    issued: Moment,
    ends: Moment,
}

/// The two pages of tokens: text, address, whether it is the one that is shown.
type Tabs = [(&'static str, String, bool); 2];

fn tabs(frame: &Frame<'_>, is_inspector: bool) -> Tabs {
    let at = |path: &str| format!("{}/identity/tokens{path}", frame.root);
    [("Refresh families", at(""), !is_inspector), ("Inspect a token", at("/inspect"), is_inspector)]
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Page<'a> {
    frame: Frame<'a>,
    tabs: Tabs,
    data: &'a List,
    rows: Vec<Shown<'a>>,
    tokens: Vec<ShownToken<'a>>,
    alarm: Option<Shown<'a>>,
    end_all: Confirm,
    refused: Option<String>,
    paging: Paging,
}

/// The list of families.
pub fn list<'a>(visit: &Visit<'a>, data: &'a List) -> Document {
    let frame = Frame::new(visit, "identity/tokens", "Tokens");
    let here = format!("{}/identity/tokens", frame.root);
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    let refused = visit.viewer.refused("tokens:revoke");
    let shown = |group: &'a Group| Shown {
        badge: badge::of(group.state),
        created: moment(group.created_at),
        used: group.used_at.map(moment),
        ends: moment(group.ends_at),
        end: (group.state == "active" && group.client.is_some()).then(|| Confirm {
            id: format!("end-{}", group.id),
            action: format!("{here}/families/{}/end", group.id),
            title: "Revoke this family".to_owned(),
            consequence: "Its refresh token and the access tokens that came from it stop working now.".to_owned(),
            verb: "Revoke",
            typed: None,
            refused: refused.clone(),
        }),
        group,
    };
    let kept: Vec<(String, String)> = [("client", &data.wanted), ("state", &data.state)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let query = query(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let name = data.client.as_ref().map_or("", |(_, name)| name.as_str());
    Document::of(&Page {
        tabs: tabs(&frame, false),
        rows: data.groups.iter().map(shown).collect(),
        tokens: data
            .tokens
            .iter()
            .map(|token| ShownToken {
                badge: badge::of(if token.is_revoked { "revoked" } else { "active" }),
                issued: moment(token.issued_at),
                ends: moment(token.ends_at),
                token,
            })
            .collect(),
        alarm: data.alarm.as_ref().map(shown),
        end_all: Confirm {
            id: "end-all".to_owned(),
            action: format!("{here}/clients/end"),
            title: format!("Revoke all tokens of {name}"),
            consequence: "Every access token and refresh family of this client from before now stops working. \
                          The client stays as it is and can ask for new ones."
                .to_owned(),
            verb: "Revoke all",
            typed: None,
            refused: refused.clone(),
        },
        refused,
        paging: Paging {
            shown: counted(data.groups.len(), "row"),
            limit: data.limit,
            first: (!data.is_first).then(|| format!("{here}?{query}limit={}", data.limit)),
            next: data.next.as_ref().map(|id| format!("{here}?{query}limit={}&cursor={}", data.limit, encoded(id))),
            previous: None,
            export: None,
            kept,
            action: here,
        },
        frame,
        data,
    })
}

#[derive(Template)]
#[template(path = "token_inspector.html")]
struct Inspector<'a> {
    frame: Frame<'a>,
    tabs: Tabs,
    question: &'a Question,
    found: Option<&'a Result<Inspected, String>>,
    badge: Badge,
    reasons: Vec<(&'a Reason, Option<Moment>)>,
    accepts: bool,
    issued: Option<Moment>,
    expires: Option<Moment>,
    refused: Option<String>,
}

/// The inspector with what it found, or the sentence that says that there is nothing to see.
pub fn inspector<'a>(
    visit: &Visit<'a>,
    question: &'a Question,
    found: Option<&'a Result<Inspected, String>>,
) -> Document {
    let frame = Frame::new(visit, "identity/tokens", "Inspect a token");
    let moment = |at: Timestamp| Moment::new(at, visit.now);
    let token = found.and_then(|found| found.as_ref().ok());
    let reasons = token.map(|token| token.reasons.as_slice()).unwrap_or_default();
    Document::of(&Inspector {
        tabs: tabs(&frame, true),
        badge: badge::of(token.map_or("", |token| token.state)),
        reasons: reasons.iter().map(|reason| (reason, reason.at.map(moment))).collect(),
        accepts: token
            .and_then(|token| token.checks.as_ref())
            .is_some_and(|(_, checks)| checks.iter().all(|check| check.passed)),
        issued: token.and_then(|token| token.issued_at).map(moment),
        expires: token.and_then(|token| token.expires_at).map(moment),
        refused: visit.viewer.refused("tokens:revoke"),
        frame,
        question,
        found,
    })
}

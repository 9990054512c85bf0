//! A person's own account: passphrase, second factors, sessions; and the question for a fresh sign-in.

use askama::Template;
use kernel::clock::Timestamp;

use crate::form::{Confirm, Entered, Field};
use crate::moment::Moment;
use crate::qr;
use crate::shell::{Document, Frame, Visit};

/// One open session.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its id, which is no credential.
    pub id: String,
    /// The browser's name for itself.
    pub browser: String,
    /// The address it was opened from.
    pub source: String,
    /// How it was signed in.
    pub method: &'static str,
    /// When it was opened.
    pub created_at: Timestamp,
    /// Last request.
    pub last_seen_at: Timestamp,
    /// Whether it is the one that looks at the page.
    pub is_present: bool,
}

/// One passkey.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_at: Timestamp,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
}

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Account {
    /// Whether nothing else can be done before a second factor is set up.
    pub must_enroll: bool,
    /// Whether there is a passphrase.
    pub has_passphrase: bool,
    /// Whether an authenticator is set up.
    pub has_totp: bool,
    /// Unused recovery codes.
    pub codes_left: i64,
    /// Where the console must be opened instead, when browsers make no passkey for its present address.
    pub passkey_host: Option<String>,
    /// The passkeys.
    pub passkeys: Vec<Own>,
    /// The open sessions, the newest first.
    pub sessions: Vec<Open>,
}

struct ShownSession<'a> {
    browser: String,
    open: &'a Open,
    created: Moment,
    seen: Moment,
}

struct ShownPasskey<'a> {
    own: &'a Own,
    created: Moment,
    used: Option<Moment>,
    remove: Confirm,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page<'a> {
    frame: Frame<'a>,
    data: &'a Account,
    sessions: Vec<ShownSession<'a>>,
    passkeys: Vec<ShownPasskey<'a>>,
    passphrase: Field,
    remove_totp: Confirm,
    entered: &'a Entered,
}

/// The page; `entered` is a passphrase form that came back.
pub fn account(visit: &Visit<'_>, data: &Account, entered: &Entered) -> Document {
    let frame = Frame::new(visit, "account", "Your account");
    let confirm = |id: String, action: String, title: String, consequence: &str| Confirm {
        id,
        action: format!("{}/account/{action}", frame.root),
        title,
        consequence: consequence.to_owned(),
        verb: "Remove",
        typed: None,
        refused: None,
    };
    let passkeys = data.passkeys.iter().map(|own| ShownPasskey {
        created: Moment::new(own.created_at, visit.now),
        used: own.last_used_at.map(|at| Moment::new(at, visit.now)),
        remove: confirm(
            format!("remove-{}", own.id),
            format!("passkeys/{}/remove", own.id),
            format!("Remove the passkey {}", own.name),
            "It signs nobody in any more.",
        ),
        own,
    });
    let sessions = data.sessions.iter().map(|open| ShownSession {
        browser: crate::agent::readable(&open.browser),
        created: Moment::new(open.created_at, visit.now),
        seen: Moment::new(open.last_seen_at, visit.now),
        open,
    });
    Document::of(&Page {
        sessions: sessions.collect(),
        passkeys: passkeys.collect(),
        passphrase: Field::new(
            "passphrase",
            if data.has_passphrase { "New passphrase" } else { "Passphrase" },
            "password",
        )
        .hint("At least 15 characters. Every other session ends.")
        .autocomplete("new-password")
        .filled(entered),
        remove_totp: confirm(
            "remove-totp".to_owned(),
            "authenticator/remove".to_owned(),
            "Remove the authenticator".to_owned(),
            "Its codes sign nobody in any more, and the recovery codes go with it.",
        ),
        frame,
        data,
        entered,
    })
}

#[derive(Template)]
#[template(path = "totp.html")]
struct TotpPage<'a> {
    frame: Frame<'a>,
    ticket: &'a str,
    secret: &'a str,
    drawing: Option<qr::Drawing>,
    entered: &'a Entered,
}

/// Setting up an authenticator: the secret as a picture and as text, and the first code.
pub fn totp(visit: &Visit<'_>, ticket: &str, secret: &str, address: &str, entered: &Entered) -> Document {
    let frame = Frame::new(visit, "account", "Set up an authenticator");
    Document::of(&TotpPage { frame, ticket, secret, drawing: qr::draw(address), entered })
}

#[derive(Template)]
#[template(path = "codes.html")]
struct CodesPage<'a> {
    frame: Frame<'a>,
    codes: String,
    count: usize,
}

/// New recovery codes, shown this once.
pub fn codes(visit: &Visit<'_>, codes: &[&str]) -> Document {
    let frame = Frame::new(visit, "account", "Recovery codes");
    Document::of(&CodesPage { frame, codes: codes.join("\n"), count: codes.len() })
}

/// What a person can prove themselves with.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    /// Whether there is a passphrase.
    pub has_passphrase: bool,
    /// Whether a code is asked with it.
    pub has_totp: bool,
    /// Whether there is a passkey.
    pub has_passkey: bool,
    /// Where to go on.
    pub next: &'a str,
}

#[derive(Template)]
#[template(path = "step_up.html")]
struct StepUpPage<'a> {
    frame: Frame<'a>,
    again: &'a Again<'a>,
    entered: &'a Entered,
}

/// The question for a fresh sign-in.
pub fn step_up(visit: &Visit<'_>, again: &Again<'_>, entered: &Entered) -> Document {
    let frame = Frame::new(visit, "account", "Confirm that it is you");
    Document::of(&StepUpPage { frame, again, entered })
}

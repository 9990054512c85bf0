//! Pages before there is a session: sign-in, second factor, first setup. They know no operator, only the answer's nonce.

use askama::Template;
use auth::operator::Role;

use crate::form::{Entered, Field};
use crate::protect::Nonce;
use crate::shell::Document;

/// What all of these pages need.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// Where the console of the tenant begins.
    pub root: &'a str,
    /// Name of the tenant.
    pub tenant_name: &'a str,
    /// The nonce of this answer.
    pub nonce: &'a Nonce,
    /// The token that the form sends back, bound to a cookie of this page.
    pub csrf: &'a str,
    /// What came back.
    pub entered: &'a Entered,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    title: &'static str,
    nonce: &'a str,
    door: &'a Door<'a>,
    email: Field,
    passphrase: Field,
    next: &'a str,
}

/// E-mail and passphrase, or a passkey; `next` is the path to go on to.
pub fn sign_in(door: &Door<'_>, next: &str) -> Document {
    Document::of(&SignIn {
        title: "Sign in",
        nonce: door.nonce.as_str(),
        email: Field::new("email", "E-mail", "email").autocomplete("username webauthn").filled(door.entered),
        passphrase: Field::new("passphrase", "Passphrase", "password")
            .autocomplete("current-password")
            .filled(door.entered),
        next,
        door,
    })
}

/// The second question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// Six digits of an authenticator.
    Totp,
    /// One of the recovery codes.
    Recovery,
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactor<'a> {
    title: &'static str,
    nonce: &'a str,
    door: &'a Door<'a>,
    is_totp: bool,
    next: &'a str,
}

/// A code of the authenticator, or a recovery code.
pub fn second_factor(door: &Door<'_>, factor: Factor, next: &str) -> Document {
    let is_totp = factor == Factor::Totp;
    let title = if is_totp { "Enter the code of your authenticator" } else { "Enter a recovery code" };
    Document::of(&SecondFactor { title, nonce: door.nonce.as_str(), is_totp, next, door })
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup<'a> {
    title: &'static str,
    nonce: &'a str,
    door: &'a Door<'a>,
    action: &'a str,
    lead: String,
    organization: Option<Field>,
    person: Vec<Field>,
    verb: &'static str,
}

fn passphrase(door: &Door<'_>) -> Field {
    Field::new("passphrase", "Passphrase", "password")
        .hint("At least 15 characters. A few words that do not belong together are easy to keep in mind.")
        .autocomplete("new-password")
        .filled(door.entered)
}

fn name(door: &Door<'_>) -> Field {
    Field::new("name", "Your name", "text").autocomplete("name").filled(door.entered)
}

/// The first owner of a tenant: opened by the one-time link that `path` is.
pub fn setup(door: &Door<'_>, path: &str) -> Document {
    Document::of(&Setup {
        title: "Set up Bastionary",
        nonce: door.nonce.as_str(),
        action: path,
        lead: "The first account. It can invite the others and give them their roles.".to_owned(),
        organization: Some(
            Field::new("organization", "Organization", "text").autocomplete("organization").filled(door.entered),
        ),
        person: vec![
            name(door),
            Field::new("email", "E-mail", "email").autocomplete("username").filled(door.entered),
            passphrase(door),
        ],
        verb: "Finish setup",
        door,
    })
}

/// An invited person: the address and the role are settled, the rest is theirs.
pub fn join(door: &Door<'_>, path: &str, email: &str, role: Role) -> Document {
    Document::of(&Setup {
        title: "Join the team",
        nonce: door.nonce.as_str(),
        action: path,
        lead: format!("{email} is invited to {} as {}.", door.tenant_name, role.word()),
        organization: None,
        person: vec![name(door), passphrase(door)],
        verb: "Join",
        door,
    })
}

#[derive(Template)]
#[template(path = "link_gone.html")]
struct LinkGone<'a> {
    title: &'static str,
    nonce: &'a str,
    is_setup: bool,
}

/// A link that is used, expired, replaced or unknown: the same page for all.
pub fn link_gone(nonce: &Nonce, is_setup: bool) -> Document {
    Document::of(&LinkGone { title: "This link does not work any more", nonce: nonce.as_str(), is_setup })
}

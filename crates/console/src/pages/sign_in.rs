//! Pages before there is a session: sign-in, second factor, first setup. They know no operator, only the answer's nonce.

use askama::Template;

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
    action: String,
    organization: Field,
    owner: Vec<Field>,
    issuer: Field,
}

/// The first owner of a server: opened by the one-time link, whose token is in `path`.
pub fn setup(door: &Door<'_>, path: &str) -> Document {
    let filled = |field: Field| field.filled(door.entered);
    Document::of(&Setup {
        title: "Set up Bastionary",
        nonce: door.nonce.as_str(),
        action: path.to_owned(),
        organization: filled(Field::new("organization", "Organization", "text").autocomplete("organization")),
        owner: vec![
            filled(Field::new("name", "Your name", "text").autocomplete("name")),
            filled(Field::new("email", "E-mail", "email").autocomplete("username")),
            filled(
                Field::new("passphrase", "Passphrase", "password")
                    .hint("At least 15 characters. A few words that do not belong together are easy to keep in mind.")
                    .autocomplete("new-password"),
            ),
        ],
        issuer: filled(
            Field::new("issuer", "Issuer URL", "url")
                .hint("How programs reach this server. It stands in every token, so choose the name that will last.")
                .autocomplete("off"),
        ),
        door,
    })
}

#[derive(Template)]
#[template(path = "setup_gone.html")]
struct SetupGone<'a> {
    title: &'static str,
    nonce: &'a str,
}

/// A setup link that is used, expired or unknown: the same page for all three.
pub fn setup_gone(nonce: &Nonce) -> Document {
    Document::of(&SetupGone { title: "This link does not work any more", nonce: nonce.as_str() })
}

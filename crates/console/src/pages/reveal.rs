//! The one page that shows a new secret, with what it takes to keep it: files, programs, a first token.

use askama::Template;
use serde_json::json;

use crate::code::{self, Shown};
use crate::moment::Moment;
use crate::pages::client::{Client, programs};
use crate::shell::{Document, Frame, Visit};
use crate::snippet::Snippet;

/// What made the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// A client was created with it.
    Client,
    /// It was added to a client.
    Secret,
}

impl Made {
    /// Reads the value of the form that comes back from the page.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Client, Self::Secret].into_iter().find(|made| made.name() == text)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Secret => "secret",
        }
    }

    const fn operation(self) -> &'static str {
        match self {
            Self::Client => "createClient",
            Self::Secret => "createSecret",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Client => "Client created",
            Self::Secret => "New secret",
        }
    }
}

/// A file that keeps the secret.
struct File {
    key: &'static str,
    title: &'static str,
    name: &'static str,
    media: &'static str,
    text: String,
}

impl File {
    fn id(&self) -> String {
        format!("reveal-{}", self.key)
    }
}

#[derive(Template)]
#[template(path = "reveal.html")]
struct Page<'a> {
    frame: Frame<'a>,
    client: &'a Client,
    title: String,
    secret: &'a str,
    from: &'static str,
    here: String,
    snippets: Vec<Snippet>,
    files: [File; 3],
    code: Vec<Shown>,
    came: Option<Moment>,
    refused: Option<String>,
}

/// The page. It is the answer to the POST that made the secret and has no address of its own, so neither Back nor reload
/// brings it again; without scripts it comes a second time as the answer to a run that carried the secret.
pub fn reveal(visit: &Visit<'_>, client: &Client, secret: &str, made: Made) -> Document {
    // The page covers the drawer of the frame, and has the one operation of its own.
    let frame = Frame { code: Vec::new(), ..Frame::new(visit, "identity/clients", &client.name) };
    Document::of(&Page {
        title: format!("{}: {}", made.title(), client.name),
        here: format!("{}/identity/clients/{}", frame.root, client.client_id),
        from: made.name(),
        snippets: programs(client, Some(secret)),
        files: files(client, secret),
        code: code::shown(&[made.operation()], &client.issuer, &[("client_id", &client.client_id)]),
        came: None,
        refused: visit.viewer.refused("clients:write"),
        frame,
        client,
        secret,
    })
}

/// What an environment, a program and a cluster read. The values have no quote and no line break (see `snippet`).
fn files(client: &Client, secret: &str) -> [File; 3] {
    let Client { issuer, client_id, .. } = client;
    let env =
        format!("BASTIONARY_ISSUER={issuer}\nBASTIONARY_CLIENT_ID={client_id}\nBASTIONARY_CLIENT_SECRET={secret}");
    let json = json!({"issuer": issuer, "client_id": client_id, "client_secret": secret});
    let kubernetes = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: bastionary-{}\ntype: Opaque\nstringData:\n  \
         BASTIONARY_ISSUER: \"{issuer}\"\n  BASTIONARY_CLIENT_ID: \"{client_id}\"\n  \
         BASTIONARY_CLIENT_SECRET: \"{secret}\"",
        label(client_id)
    );
    let file = |key, title, name, media, text| File { key, title, name, media, text };
    [
        file("env", ".env", "client.env", "text/plain", env),
        file(
            "json",
            "JSON",
            "client.json",
            "application/json",
            serde_json::to_string_pretty(&json).unwrap_or_default(),
        ),
        file("kubernetes", "Kubernetes Secret", "client-secret.yaml", "application/yaml", kubernetes),
    ]
}

/// An id as the name of an object in a cluster (RFC 1123): small letters, digits and hyphens, neither first nor last.
fn label(id: &str) -> String {
    let plain: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    plain.trim_matches('-').to_owned()
}

#[derive(Template)]
#[template(path = "first_token.html")]
struct First<'a> {
    frame: Frame<'a>,
    here: String,
    came: Option<Moment>,
}

/// The line of the page that waits for the first token, once it came.
pub(crate) fn first_token(visit: &Visit<'_>, client_id: &str, came: Moment) -> Document {
    let frame = Frame::new(visit, "identity/clients", client_id);
    let here = format!("{}/identity/clients/{client_id}", frame.root);
    Document::of(&First { frame, here, came: Some(came) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_becomes_a_name_that_a_cluster_takes() {
        assert_eq!(label("client_06gx.A~"), "client-06gx-a");
        assert_eq!(label("~-x-~"), "x");
    }
}

//! `bastionary clients`.

use std::path::PathBuf;

use http::Method;
use serde_json::Value;

use super::body::{Body, FromFile};
use super::consent::Consent;
use super::remote::{Remote, SecretArgument, read_text};
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;
use crate::terminal;

const COLUMNS: [&str; 5] = ["client_id", "name", "status", "scopes", "expiry"];

/// Clients of the server
#[derive(clap::Args)]
pub(crate) struct Clients {
    #[command(flatten)]
    remote: Remote,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Shape,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List clients
    #[command(after_help = "Example:\n  bastionary clients list --status active -o id")]
    List {
        /// `active`, `expired` or `disabled`
        #[arg(long)]
        status: Option<String>,
        /// Only clients that hold this scope
        #[arg(long)]
        scope: Option<String>,
        /// Beginning of the id or the name
        #[arg(long)]
        q: Option<String>,
        /// `created_at`, `name`, `status` or `expiry`; `-` in front for the last first
        #[arg(long, allow_hyphen_values = true)]
        sort: Option<String>,
        /// At most so many
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Show a client
    #[command(after_help = "Example:\n  bastionary clients get invoice-export")]
    Get {
        /// The client
        client_id: String,
    },
    /// Create a client; a generated secret is shown this once
    #[command(
        after_help = "Example:\n  bastionary clients create --client-id invoice-export --scope invoices:read -o json"
    )]
    Create {
        /// A chosen id
        #[arg(long)]
        client_id: Option<String>,
        /// File with a chosen secret; `-` reads standard input
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
        #[command(flatten)]
        argument: SecretArgument,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change a client; `none` removes a value
    #[command(
        after_help = "Example:\n  bastionary clients update invoice-export --scope \"invoices:read invoices:write\""
    )]
    Update {
        /// The client
        client_id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a client, its secrets and its tokens
    #[command(after_help = "Example:\n  bastionary clients delete invoice-export --yes")]
    Delete {
        /// The client
        client_id: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Disable a client and end its tokens
    #[command(after_help = "Example:\n  bastionary clients disable invoice-export")]
    Disable {
        /// The client
        client_id: String,
    },
    /// Enable a client
    #[command(after_help = "Example:\n  bastionary clients enable invoice-export")]
    Enable {
        /// The client
        client_id: String,
    },
    /// End every token of a client
    #[command(after_help = "Example:\n  bastionary clients revoke-tokens invoice-export")]
    RevokeTokens {
        /// The client
        client_id: String,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Scope it may request; may be repeated
    #[arg(long)]
    scope: Vec<String>,
    /// Scope of a request that names none; may be repeated
    #[arg(long)]
    default_scope: Vec<String>,
    /// API it may ask tokens for; may be repeated
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// Grant it may use; may be repeated
    #[arg(long)]
    grant_type: Vec<String>,
    /// Customer that it acts for
    #[arg(long, value_name = "ID")]
    customer_id: Option<String>,
    /// What its tokens say about its customer: `plan`, `ent`, `ent_ver`, `sub_status`; may be repeated
    #[arg(long)]
    claim: Vec<String>,
    /// When it ends, RFC 3339
    #[arg(long, value_name = "TIME")]
    expiry: Option<String>,
    /// Life of its access tokens
    #[arg(long, value_name = "SECONDS")]
    access_token_ttl_seconds: Option<i64>,
    /// `jwt` or `opaque`
    #[arg(long, value_name = "FORMAT")]
    access_token_format: Option<String>,
    #[command(flatten)]
    file: FromFile,
}

impl Fields {
    fn body(self) -> Result<Body, Failure> {
        let mut body = self.file.body()?;
        body.set("name", self.name);
        body.set_list("scopes", &self.scope);
        body.set_list("default_scopes", &self.default_scope);
        body.set_list("audiences", &self.audience);
        body.set_list("grant_types", &self.grant_type);
        body.set_or_null("customer_id", self.customer_id);
        body.set_list("claims", &self.claim);
        body.set_or_null("expiry", self.expiry);
        body.set("access_token_ttl_seconds", self.access_token_ttl_seconds);
        body.set("access_token_format", self.access_token_format);
        Ok(body)
    }
}

fn path(client_id: &str, rest: &str) -> String {
    format!("/api/clients/{}{rest}", encoded(client_id))
}

/// Tells what the server warns of.
pub(super) fn warn(answer: &Value) {
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| warning.get(name).and_then(Value::as_str).unwrap_or_default();
        terminal::words(&format!("warning: {}: {}", text("code"), text("detail")));
    }
}

impl Clients {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let scope = match &self.verb {
            Verb::List { .. } | Verb::Get { .. } => "clients:read",
            Verb::RevokeTokens { .. } => "tokens:revoke",
            _ => "clients:write",
        };
        if let Verb::Delete { client_id, consent } = &self.verb {
            consent.obtain(&format!("deleting the client {client_id}"))?;
        }
        let (method, path, body) = match self.verb {
            Verb::List { status, scope: held, q, sort, limit } => {
                let pairs = [("status", status), ("scope", held), ("q", q), ("sort", sort)];
                let query: Vec<(&str, String)> = pairs.into_iter().filter_map(|(n, v)| Some((n, v?))).collect();
                let session = self.remote.session(scope).await?;
                print(&session.list("/api/clients", &query, limit).await?, self.output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Verb::Get { client_id } => (Method::GET, path(&client_id, ""), None),
            Verb::Create { client_id, client_secret_file, argument, fields } => {
                argument.refuse()?;
                let mut body = fields.body()?;
                body.set("client_id", client_id);
                if let Some(file) = client_secret_file {
                    body.set("client_secret", Some(read_text(&file, "secret")?.trim_end_matches(['\r', '\n'])));
                }
                (Method::POST, "/api/clients".to_owned(), Some(body.finish()))
            }
            Verb::Update { client_id, fields } => (Method::PATCH, path(&client_id, ""), Some(fields.body()?.finish())),
            Verb::Delete { client_id, .. } => (Method::DELETE, path(&client_id, ""), None),
            Verb::Disable { client_id } => (Method::POST, path(&client_id, "/disable"), None),
            Verb::Enable { client_id } => (Method::POST, path(&client_id, "/enable"), None),
            Verb::RevokeTokens { client_id } => (Method::POST, path(&client_id, "/revoke-tokens"), None),
        };
        let session = self.remote.session(scope).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            warn(&answer);
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

//! `bastionary apis`: APIs and their scopes.

use http::Method;

use super::body::{Body, FromFile};
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 5] = ["id", "identifier", "name", "token_ttl_seconds", "signing_alg"];
const SCOPE_COLUMNS: [&str; 3] = ["name", "description", "requires_feature"];

/// APIs and their scopes
#[derive(clap::Args)]
pub(crate) struct Apis {
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
    /// List APIs
    #[command(after_help = "Example:\n  bastionary apis list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show an API
    #[command(after_help = "Example:\n  bastionary apis get api_01j…")]
    Get {
        /// The API
        id: String,
    },
    /// Create an API
    #[command(after_help = "Example:\n  bastionary apis create --identifier https://invoices.example --name Invoices")]
    Create {
        /// The audience, an absolute URI
        #[arg(long, value_name = "URI")]
        identifier: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change an API; `none` removes a value
    #[command(after_help = "Example:\n  bastionary apis update api_01j… --token-ttl-seconds 300")]
    Update {
        /// The API
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete an API that no client uses
    #[command(after_help = "Example:\n  bastionary apis delete api_01j… --yes")]
    Delete {
        /// The API
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// List the scopes of an API
    #[command(after_help = "Example:\n  bastionary apis scopes api_01j…")]
    Scopes {
        /// The API
        id: String,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Add a scope to an API
    #[command(
        after_help = "Example:\n  bastionary apis add-scope api_01j… invoices:read --description \"Read invoices\""
    )]
    AddScope {
        /// The API
        id: String,
        /// The scope
        name: String,
        /// For people
        #[arg(long)]
        description: Option<String>,
        /// The feature that a customer needs for its clients to get it
        #[arg(long, value_name = "KEY")]
        requires_feature: Option<String>,
    },
    /// Delete a scope that no client uses
    #[command(after_help = "Example:\n  bastionary apis delete-scope api_01j… invoices:read --yes")]
    DeleteScope {
        /// The API
        id: String,
        /// The scope
        name: String,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Life of its tokens
    #[arg(long, value_name = "SECONDS")]
    token_ttl_seconds: Option<i64>,
    /// Signing algorithm of its tokens
    #[arg(long, value_name = "ALG")]
    signing_alg: Option<String>,
    #[command(flatten)]
    file: FromFile,
}

impl Fields {
    fn body(self) -> Result<Body, Failure> {
        let mut body = self.file.body()?;
        body.set("name", self.name);
        body.set("token_ttl_seconds", self.token_ttl_seconds);
        body.set_or_null("signing_alg", self.signing_alg);
        Ok(body)
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/apis/{}{rest}", encoded(id))
}

impl Apis {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let lists = match &self.verb {
            Verb::List { limit } => Some(("/api/apis".to_owned(), *limit, COLUMNS.as_slice())),
            Verb::Scopes { id, limit } => Some((path(id, "/scopes"), *limit, SCOPE_COLUMNS.as_slice())),
            _ => None,
        };
        if let Some((path, limit, columns)) = lists {
            let session = self.remote.session("apis:read").await?;
            print(&session.list(&path, &[], limit).await?, self.output, columns);
            return Ok(Exit::Done);
        }
        let scope = if matches!(self.verb, Verb::Get { .. }) { "apis:read" } else { "apis:write" };
        let (method, path, body) = match self.verb {
            Verb::List { .. } | Verb::Scopes { .. } => return Ok(Exit::Done),
            Verb::Get { id } => (Method::GET, path(&id, ""), None),
            Verb::Create { identifier, fields } => {
                let mut body = fields.body()?;
                body.set("identifier", identifier);
                (Method::POST, "/api/apis".to_owned(), Some(body.finish()))
            }
            Verb::Update { id, fields } => (Method::PATCH, path(&id, ""), Some(fields.body()?.finish())),
            Verb::Delete { id, consent } => {
                consent.obtain(&format!("deleting the API {id}"))?;
                (Method::DELETE, path(&id, ""), None)
            }
            Verb::AddScope { id, name, description, requires_feature } => {
                let body = serde_json::json!({
                    "name": name, "description": description.unwrap_or_default(), "requires_feature": requires_feature,
                });
                (Method::POST, path(&id, "/scopes"), Some(body))
            }
            Verb::DeleteScope { id, name, consent } => {
                consent.obtain(&format!("deleting the scope {name}"))?;
                (Method::DELETE, path(&id, &format!("/scopes/{}", encoded(&name))), None)
            }
        };
        let session = self.remote.session(scope).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

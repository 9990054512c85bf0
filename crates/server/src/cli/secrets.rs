//! `bastionary secrets`.

use http::Method;

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 6] = ["id", "label", "status", "created_at", "last_used_at", "expires_at"];
const COLUMNS_OF_ALL: [&str; 5] = ["client_id", "id", "status", "last_used_at", "expires_at"];

/// Secrets of clients
#[derive(clap::Args)]
pub(crate) struct Secrets {
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
    /// List the secrets of a client, or of all clients
    #[command(after_help = "Example:\n  bastionary secrets list invoice-export")]
    List {
        /// The client; left out: all
        client_id: Option<String>,
        /// Of all clients, those not used since then, RFC 3339
        #[arg(long, value_name = "TIME", conflicts_with = "client_id")]
        unused_since: Option<String>,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Add a secret; it is shown this once
    #[command(after_help = "Example:\n  bastionary secrets create invoice-export --expire-others-in-seconds 86400")]
    Create {
        /// The client
        client_id: String,
        /// Label for people
        #[arg(long)]
        label: Option<String>,
        /// When it begins, RFC 3339
        #[arg(long, value_name = "TIME")]
        not_before: Option<String>,
        /// When it ends, RFC 3339
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// When the other live secrets end
        #[arg(long, value_name = "SECONDS")]
        expire_others_in_seconds: Option<i64>,
        #[command(flatten)]
        file: FromFile,
    },
    /// End a secret and what it started
    #[command(after_help = "Example:\n  bastionary secrets delete invoice-export sec_01j… --yes")]
    Delete {
        /// The client
        client_id: String,
        /// The secret
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
}

impl Secrets {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::List { client_id: Some(client_id), limit, .. } => {
                let session = self.remote.session("clients:read").await?;
                let path = format!("/api/clients/{}/secrets", encoded(&client_id));
                print(&session.list(&path, &[], limit).await?, self.output, &COLUMNS);
            }
            Verb::List { unused_since, limit, .. } => {
                let session = self.remote.session("clients:read").await?;
                let query: Vec<_> = unused_since.into_iter().map(|since| ("unused_since", since)).collect();
                print(&session.list("/api/secrets", &query, limit).await?, self.output, &COLUMNS_OF_ALL);
            }
            Verb::Create { client_id, label, not_before, expires_at, expire_others_in_seconds, file } => {
                let mut body = file.body()?;
                body.set("label", label);
                body.set("not_before", not_before);
                body.set("expires_at", expires_at);
                body.set("expire_others_in_seconds", expire_others_in_seconds);
                let session = self.remote.session("clients:write").await?;
                let path = format!("/api/clients/{}/secrets", encoded(&client_id));
                let answer = session.call(Method::POST, &path, Some(&body.finish())).await?.unwrap_or_default();
                print(&answer, self.output, &COLUMNS);
            }
            Verb::Delete { client_id, id, consent } => {
                consent.obtain(&format!("ending the secret {id}"))?;
                let session = self.remote.session("clients:write").await?;
                let path = format!("/api/clients/{}/secrets/{}", encoded(&client_id), encoded(&id));
                session.call(Method::DELETE, &path, None).await?;
            }
        }
        Ok(Exit::Done)
    }
}

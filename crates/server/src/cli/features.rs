//! `bastionary features`: what plans grant.

use http::Method;

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 6] = ["id", "key", "kind", "name", "meter", "combine"];

/// Features that plans grant
#[derive(clap::Args)]
pub(crate) struct Features {
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
    /// List features by key
    #[command(after_help = "Example:\n  bastionary features list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a feature
    #[command(after_help = "Example:\n  bastionary features get fea_01j…")]
    Get {
        /// The feature
        id: String,
    },
    /// Create a feature
    #[command(after_help = "Example:\n  bastionary features create --key api-calls --kind metered --meter api-calls")]
    Create {
        /// By which plans, tokens and programs name it
        #[arg(long)]
        key: Option<String>,
        /// boolean, static or metered
        #[arg(long)]
        kind: Option<String>,
        /// Key of the meter that counts it, for a metered one
        #[arg(long)]
        meter: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change the name of a feature, or how its rights add up
    #[command(after_help = "Example:\n  bastionary features update fea_01j… --combine sum")]
    Update {
        /// The feature
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a feature that no plan grants
    #[command(after_help = "Example:\n  bastionary features delete fea_01j… --yes")]
    Delete {
        /// The feature
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// What the rights of several subscriptions are together: largest or sum
    #[arg(long)]
    combine: Option<String>,
    #[command(flatten)]
    file: FromFile,
}

fn path(id: &str) -> String {
    format!("/api/features/{}", encoded(id))
}

impl Features {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let is_read = matches!(self.verb, Verb::Get { .. });
        let (method, path, body) = match self.verb {
            Verb::List { limit } => {
                let session = self.remote.session("billing:read").await?;
                print(&session.list("/api/features", &[], limit).await?, self.output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Verb::Get { id } => (Method::GET, path(&id), None),
            Verb::Create { key, kind, meter, fields } => {
                let mut body = fields.file.body()?;
                for (name, value) in
                    [("key", key), ("kind", kind), ("meter", meter), ("name", fields.name), ("combine", fields.combine)]
                {
                    body.set(name, value);
                }
                (Method::POST, "/api/features".to_owned(), Some(body.finish()))
            }
            Verb::Update { id, fields } => {
                let mut body = fields.file.body()?;
                body.set("name", fields.name);
                body.set("combine", fields.combine);
                (Method::PATCH, path(&id), Some(body.finish()))
            }
            Verb::Delete { id, consent } => {
                consent.obtain(&format!("deleting the feature {id}"))?;
                (Method::DELETE, path(&id), None)
            }
        };
        let session = self.remote.session(if is_read { "billing:read" } else { "billing:write" }).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

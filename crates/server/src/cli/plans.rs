//! `bastionary plans`: versions of plans.

use http::Method;

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 6] = ["id", "key", "version", "state", "name", "cadence"];

/// Plans and their versions
#[derive(clap::Args)]
pub(crate) struct Plans {
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
    /// List versions of plans by key
    #[command(after_help = "Example:\n  bastionary plans list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a version of a plan
    #[command(after_help = "Example:\n  bastionary plans get pln_01j… -o json")]
    Get {
        /// The version of the plan
        id: String,
    },
    /// Create a plan, or the next version of one, as a draft
    #[command(after_help = "Example:\n  bastionary plans create -f plan.json")]
    Create {
        /// By which customers subscribe; versions share it
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change a draft
    #[command(after_help = "Example:\n  bastionary plans update pln_01j… -f changes.json")]
    Update {
        /// The draft
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Let customers subscribe to a draft; it does not change from then on
    #[command(after_help = "Example:\n  bastionary plans publish pln_01j…")]
    Publish {
        /// The draft
        id: String,
    },
    /// Let nobody subscribe to a version any more
    #[command(after_help = "Example:\n  bastionary plans archive pln_01j… --yes")]
    Archive {
        /// The version of the plan
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Delete a draft
    #[command(after_help = "Example:\n  bastionary plans delete pln_01j… --yes")]
    Delete {
        /// The draft
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
    /// Length of a period: day, week, month, quarter, year, or for example `3 months`
    #[arg(long)]
    cadence: Option<String>,
    #[command(flatten)]
    file: FromFile,
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/plans/{}{rest}", encoded(id))
}

impl Plans {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let is_read = matches!(self.verb, Verb::Get { .. });
        let (method, path, body) = match self.verb {
            Verb::List { limit } => {
                let session = self.remote.session("billing:read").await?;
                print(&session.list("/api/plans", &[], limit).await?, self.output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Verb::Get { id } => (Method::GET, path(&id, ""), None),
            Verb::Create { key, fields } => {
                let mut body = fields.file.body()?;
                body.set("key", key);
                body.set("name", fields.name);
                body.set("cadence", fields.cadence);
                (Method::POST, "/api/plans".to_owned(), Some(body.finish()))
            }
            Verb::Update { id, fields } => {
                let mut body = fields.file.body()?;
                body.set("name", fields.name);
                body.set("cadence", fields.cadence);
                (Method::PATCH, path(&id, ""), Some(body.finish()))
            }
            Verb::Publish { id } => (Method::POST, path(&id, "/publish"), None),
            Verb::Archive { id, consent } => {
                consent.obtain(&format!("archiving the plan {id}"))?;
                (Method::POST, path(&id, "/archive"), None)
            }
            Verb::Delete { id, consent } => {
                consent.obtain(&format!("deleting the draft {id}"))?;
                (Method::DELETE, path(&id, ""), None)
            }
        };
        let session = self.remote.session(if is_read { "billing:read" } else { "billing:write" }).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

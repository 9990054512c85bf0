//! `bastionary meters`: how usage is counted.

use http::Method;

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 6] = ["id", "key", "version", "state", "event_type", "aggregation"];

/// Meters that count usage
#[derive(clap::Args)]
pub(crate) struct Meters {
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
    /// List the newest version of each meter by key
    #[command(after_help = "Example:\n  bastionary meters list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a version of a meter
    #[command(after_help = "Example:\n  bastionary meters get mtr_01j…")]
    Get {
        /// The version of the meter
        id: String,
    },
    /// Create a meter, or the next version of one
    #[command(
        after_help = "Example:\n  bastionary meters create --key tokens --event-type llm.call --aggregation sum --value-path '$.tokens'"
    )]
    Create {
        /// By which features and prices name it
        #[arg(long)]
        key: Option<String>,
        /// The `type` of the events that it counts
        #[arg(long, value_name = "TYPE")]
        event_type: Option<String>,
        /// count, sum, max, min, latest, unique or weighted_sum
        #[arg(long)]
        aggregation: Option<String>,
        /// Path of the value in `data`, for example `$.tokens`
        #[arg(long, value_name = "PATH")]
        value_path: Option<String>,
        /// What is counted, for people
        #[arg(long)]
        unit: Option<String>,
        #[command(flatten)]
        file: FromFile,
    },
    /// Count no more events by a meter
    #[command(after_help = "Example:\n  bastionary meters archive mtr_01j… --yes")]
    Archive {
        /// The version of the meter
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
}

impl Meters {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let is_read = matches!(self.verb, Verb::Get { .. });
        let (method, path, body) = match self.verb {
            Verb::List { limit } => {
                let session = self.remote.session("billing:read").await?;
                print(&session.list("/api/meters", &[], limit).await?, self.output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Verb::Get { id } => (Method::GET, format!("/api/meters/{}", encoded(&id)), None),
            Verb::Create { key, event_type, aggregation, value_path, unit, file } => {
                let mut body = file.body()?;
                for (name, value) in [
                    ("key", key),
                    ("event_type", event_type),
                    ("aggregation", aggregation),
                    ("value_path", value_path),
                    ("unit", unit),
                ] {
                    body.set(name, value);
                }
                (Method::POST, "/api/meters".to_owned(), Some(body.finish()))
            }
            Verb::Archive { id, consent } => {
                consent.obtain(&format!("archiving the meter {id}"))?;
                (Method::POST, format!("/api/meters/{}/archive", encoded(&id)), None)
            }
        };
        let session = self.remote.session(if is_read { "billing:read" } else { "billing:write" }).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

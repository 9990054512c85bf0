//! `bastionary keys`: signing keys.

use http::Method;

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;
use crate::terminal;

const COLUMNS: [&str; 6] = ["kid", "purpose", "alg", "state", "promoted_at", "remove_after"];

/// Signing keys
#[derive(clap::Args)]
pub(crate) struct Keys {
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
    /// List signing keys
    #[command(after_help = "Example:\n  bastionary keys list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a signing key
    #[command(after_help = "Example:\n  bastionary keys get v45brkIC6boB46xUt10w_QGTzjElJjNlolvmlspv5uk")]
    Get {
        /// The key
        kid: String,
    },
    /// Promote the staged key, now or when it is old enough
    #[command(after_help = "Example:\n  bastionary keys rotate")]
    Rotate {
        /// Promote it now, although resource servers may not know it yet
        #[arg(long, conflicts_with = "at")]
        force: bool,
        /// Promote it at a time, for example 2027-01-31T03:00:00Z
        #[arg(long)]
        at: Option<String>,
        /// The algorithm
        #[arg(long)]
        alg: Option<String>,
        /// `token` or `checkpoint`
        #[arg(long)]
        purpose: Option<String>,
        #[command(flatten)]
        file: FromFile,
    },
    /// Call off the rotation that is scheduled for a key
    #[command(after_help = "Example:\n  bastionary keys cancel-rotation v45brkIC6boB46xUt10w_QGTzjElJjNlolvmlspv5uk")]
    CancelRotation {
        /// The key that signs
        kid: String,
    },
    /// Destroy a signing key in an emergency
    #[command(after_help = "Example:\n  bastionary keys revoke v45brkIC6boB46xUt10w_QGTzjElJjNlolvmlspv5uk --yes")]
    Revoke {
        /// The key
        kid: String,
        #[command(flatten)]
        consent: Consent,
    },
}

impl Keys {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::List { limit } => {
                let session = self.remote.session("keys:read").await?;
                print(&session.list("/api/keys", &[], limit).await?, self.output, &COLUMNS);
            }
            Verb::Get { kid } => {
                let session = self.remote.session("keys:read").await?;
                let answer = session.call(Method::GET, &format!("/api/keys/{}", encoded(&kid)), None).await?;
                print(&answer.unwrap_or_default(), self.output, &COLUMNS);
            }
            Verb::Rotate { force, at, alg, purpose, file } => {
                let mut body = file.body()?;
                body.set("force", force.then_some(true));
                body.set("at", at);
                body.set("alg", alg);
                body.set("purpose", purpose);
                let session = self.remote.session("keys:write").await?;
                let answer =
                    session.call(Method::POST, "/api/keys/rotate", Some(&body.finish())).await?.unwrap_or_default();
                if let Some(at) = answer.get("promotes_at").and_then(serde_json::Value::as_str) {
                    terminal::words(&format!("The staged key will be promoted at {at}. `--force` promotes it now."));
                }
                print(&answer, self.output, &COLUMNS);
            }
            Verb::CancelRotation { kid } => {
                let session = self.remote.session("keys:write").await?;
                let path = format!("/api/keys/{}/cancel-rotation", encoded(&kid));
                print(&session.call(Method::POST, &path, None).await?.unwrap_or_default(), self.output, &COLUMNS);
            }
            Verb::Revoke { kid, consent } => {
                consent.obtain(&format!("destroying the key {kid}"))?;
                let session = self.remote.session("keys:write").await?;
                let path = format!("/api/keys/{}/revoke", encoded(&kid));
                print(&session.call(Method::POST, &path, None).await?.unwrap_or_default(), self.output, &COLUMNS);
            }
        }
        Ok(Exit::Done)
    }
}

//! `bastionary operators`: the people of the console.

use http::Method;
use serde_json::Value;

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;
use crate::terminal;

const COLUMNS: [&str; 5] = ["id", "email", "role", "status", "signed_in_at"];
const COLUMNS_OF_INVITATIONS: [&str; 4] = ["id", "email", "role", "expires_at"];
const COLUMNS_OF_SESSIONS: [&str; 5] = ["id", "method", "source", "last_seen_at", "ends_at"];
const COLUMNS_OF_ROLES: [&str; 2] = ["name", "scopes"];
const INVITATIONS: &str = "/api/operators/invitations";

/// People who sign in to the console
#[derive(clap::Args)]
pub(crate) struct Operators {
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
    /// List operators
    #[command(after_help = "Example:\n  bastionary operators list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show an operator
    #[command(after_help = "Example:\n  bastionary operators get op_01j…")]
    Get {
        /// The operator
        id: String,
    },
    /// Invite a person; the link is shown this once
    #[command(after_help = "Example:\n  bastionary operators invite kim@example.com --role developer")]
    Invite {
        /// The person's e-mail address
        email: String,
        /// The role; `operators roles` lists them
        #[arg(long)]
        role: String,
    },
    /// List the open invitations
    #[command(after_help = "Example:\n  bastionary operators invitations")]
    Invitations {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Withdraw an invitation
    #[command(after_help = "Example:\n  bastionary operators withdraw lnk_01j…")]
    Withdraw {
        /// The invitation
        id: String,
    },
    /// Change the name or the role of an operator
    #[command(after_help = "Example:\n  bastionary operators update op_01j… --role support")]
    Update {
        /// The operator
        id: String,
        /// The name for people
        #[arg(long)]
        name: Option<String>,
        /// The role
        #[arg(long)]
        role: Option<String>,
        #[command(flatten)]
        file: FromFile,
    },
    /// Disable an operator and end their sessions
    #[command(after_help = "Example:\n  bastionary operators disable op_01j…")]
    Disable {
        /// The operator
        id: String,
    },
    /// Enable an operator
    #[command(after_help = "Example:\n  bastionary operators enable op_01j…")]
    Enable {
        /// The operator
        id: String,
    },
    /// Remove an operator, their factors and their sessions
    #[command(after_help = "Example:\n  bastionary operators delete op_01j… --yes")]
    Delete {
        /// The operator
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// List the sessions of an operator
    #[command(after_help = "Example:\n  bastionary operators sessions op_01j…")]
    Sessions {
        /// The operator
        id: String,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// End the sessions of an operator
    #[command(after_help = "Example:\n  bastionary operators end-sessions op_01j… --session ses_01j…")]
    EndSessions {
        /// The operator
        id: String,
        /// This session alone
        #[arg(long)]
        session: Option<String>,
    },
    /// List the roles with their scopes
    #[command(after_help = "Example:\n  bastionary operators roles -o json")]
    Roles,
}

fn path(id: &str, tail: &str) -> String {
    format!("/api/operators/{}{tail}", encoded(id))
}

impl Operators {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let (list, columns): (Option<(String, Option<u32>)>, &[&str]) = match &self.verb {
            Verb::List { limit } => (Some(("/api/operators".to_owned(), *limit)), &COLUMNS),
            Verb::Invitations { limit } => (Some((INVITATIONS.to_owned(), *limit)), &COLUMNS_OF_INVITATIONS),
            Verb::Sessions { id, limit } => (Some((path(id, "/sessions"), *limit)), &COLUMNS_OF_SESSIONS),
            Verb::Roles => (None, &COLUMNS_OF_ROLES),
            Verb::Invite { .. } => (None, &COLUMNS_OF_INVITATIONS),
            _ => (None, &COLUMNS),
        };
        if let Some((path, limit)) = list {
            let session = self.remote.session("operators:read").await?;
            print(&session.list(&path, &[], limit).await?, self.output, columns);
            return Ok(Exit::Done);
        }
        if matches!(self.verb, Verb::Roles) {
            let session = self.remote.session("operators:read").await?;
            let roles = session.call(Method::GET, "/api/operators/roles", None).await?;
            print(&roles.unwrap_or_default(), self.output, columns);
            return Ok(Exit::Done);
        }
        if let Verb::Delete { id, consent } = &self.verb {
            consent.obtain(&format!("removing the operator {id}"))?;
        }
        let scope = if matches!(self.verb, Verb::Get { .. }) { "operators:read" } else { "operators:write" };
        let (method, path, body) = request(self.verb)?;
        let session = self.remote.whole_session(scope).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            if let Some(address) = answer.get("address").and_then(Value::as_str) {
                terminal::words(&format!("Send this link to the person; it is shown this once:\n{address}"));
            }
            print(&answer, self.output, columns);
        }
        Ok(Exit::Done)
    }
}

/// What a verb that is no list sends.
fn request(verb: Verb) -> Result<(Method, String, Option<Value>), Failure> {
    Ok(match verb {
        Verb::Get { id } => (Method::GET, path(&id, ""), None),
        Verb::Invite { email, role } => {
            (Method::POST, INVITATIONS.to_owned(), Some(serde_json::json!({"email": email, "role": role})))
        }
        Verb::Withdraw { id } => (Method::DELETE, format!("{INVITATIONS}/{}", encoded(&id)), None),
        Verb::Update { id, name, role, file } => {
            let mut body = file.body()?;
            body.set("name", name);
            body.set("role", role);
            (Method::PATCH, path(&id, ""), Some(body.finish()))
        }
        Verb::Disable { id } => (Method::POST, path(&id, "/disable"), None),
        Verb::Enable { id } => (Method::POST, path(&id, "/enable"), None),
        Verb::Delete { id, .. } => (Method::DELETE, path(&id, ""), None),
        Verb::EndSessions { id, session: None } => (Method::DELETE, path(&id, "/sessions"), None),
        Verb::EndSessions { id, session: Some(session) } => {
            (Method::DELETE, path(&id, &format!("/sessions/{}", encoded(&session))), None)
        }
        Verb::List { .. } | Verb::Invitations { .. } | Verb::Sessions { .. } | Verb::Roles => {
            (Method::GET, "/api/operators".to_owned(), None)
        }
    })
}

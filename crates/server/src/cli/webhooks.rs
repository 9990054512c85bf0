//! `bastionary webhooks`: endpoints that events are posted to, and what became of each delivery.

use http::Method;
use serde_json::json;

use super::body::{Body, FromFile};
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 6] = ["id", "state", "url", "types", "last_success_at", "failing_since"];
const DELIVERY_COLUMNS: [&str; 7] = ["id", "type", "state", "attempt_count", "last_status", "last_error", "created_at"];

/// Webhook endpoints and their deliveries
#[derive(clap::Args)]
pub(crate) struct Webhooks {
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
    /// List endpoints
    #[command(after_help = "Example:\n  bastionary webhooks list")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show an endpoint, and how it fares
    #[command(after_help = "Example:\n  bastionary webhooks get whe_01j…")]
    Get {
        /// The endpoint
        id: String,
    },
    /// Create an endpoint; its secret is shown this once
    #[command(
        after_help = "Example:\n  bastionary webhooks create --url https://hooks.example.com/in --types 'client.*,token.revoked'"
    )]
    Create {
        #[command(flatten)]
        fields: Fields,
    },
    /// Change an endpoint; `none` removes a value
    #[command(after_help = "Example:\n  bastionary webhooks update whe_01j… --rate-per-second 50")]
    Update {
        /// The endpoint
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete an endpoint and cancel its open deliveries
    #[command(after_help = "Example:\n  bastionary webhooks delete whe_01j… --yes")]
    Delete {
        /// The endpoint
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Send a test
    #[command(after_help = "Example:\n  bastionary webhooks test whe_01j…")]
    Test {
        /// The endpoint
        id: String,
    },
    /// Let messages wait
    #[command(after_help = "Example:\n  bastionary webhooks pause whe_01j…")]
    Pause {
        /// The endpoint
        id: String,
    },
    /// Let messages go out again, a test first
    #[command(after_help = "Example:\n  bastionary webhooks resume whe_01j…")]
    Resume {
        /// The endpoint
        id: String,
    },
    /// Make new keys; the old ones sign as well for a while
    #[command(after_help = "Example:\n  bastionary webhooks roll-secret whe_01j… --overlap-seconds 86400")]
    RollSecret {
        /// The endpoint
        id: String,
        /// How long the old keys sign as well [default: 86400]
        #[arg(long, value_name = "SECONDS")]
        overlap_seconds: Option<i64>,
    },
    /// List deliveries, newest first, or show one with its attempts
    #[command(after_help = "Example:\n  bastionary webhooks deliveries whe_01j… --status failed")]
    Deliveries {
        /// The endpoint
        id: String,
        /// One delivery
        delivery: Option<String>,
        /// Those in this state: pending, delivered, failed or canceled
        #[arg(long)]
        status: Option<String>,
        /// Types of events between commas; `client.*` for all that begin so
        #[arg(long = "type", value_name = "TYPES")]
        kind: Option<String>,
        /// From this time on, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Before this time, RFC 3339
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Send a delivery again, or all ended ones of a time
    #[command(
        after_help = "Example:\n  bastionary webhooks resend whe_01j… --from 2027-01-31T09:00:00Z --to 2027-01-31T12:00:00Z --status failed --dry-run"
    )]
    Resend {
        /// The endpoint
        id: String,
        /// One delivery
        delivery: Option<String>,
        /// Those made from this time on, RFC 3339
        #[arg(long, value_name = "TIME", conflicts_with = "delivery")]
        from: Option<String>,
        /// Those made before this time, RFC 3339
        #[arg(long, value_name = "TIME", conflicts_with = "delivery")]
        to: Option<String>,
        /// Types of events between commas; `client.*` for all that begin so
        #[arg(long, conflicts_with = "delivery")]
        types: Option<String>,
        /// Those that are delivered, failed or canceled
        #[arg(long, conflicts_with = "delivery")]
        status: Option<String>,
        /// Count only
        #[arg(long, conflicts_with = "delivery")]
        dry_run: bool,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// Where events are posted
    #[arg(long)]
    url: Option<String>,
    /// Types of events between commas; `client.*` for all that begin so, `*` for every one
    #[arg(long)]
    types: Option<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// Signatures: v1, v1a or both
    #[arg(long)]
    signing: Option<String>,
    /// Most messages in a second, or `none`
    #[arg(long, value_name = "NUMBER")]
    rate_per_second: Option<String>,
    #[command(flatten)]
    file: FromFile,
}

impl Fields {
    fn body(self) -> Result<Body, Failure> {
        let mut body = self.file.body()?;
        body.set("url", self.url);
        body.set("types", self.types.as_deref().map(names));
        body.set("description", self.description);
        body.set("signing", self.signing);
        body.set_number_or_null("rate_per_second", self.rate_per_second);
        Ok(body)
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/webhooks/{}{rest}", encoded(id))
}

impl Webhooks {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let listed = match &self.verb {
            Verb::List { limit } => Some(("/api/webhooks".to_owned(), Vec::new(), *limit, COLUMNS.as_slice())),
            Verb::Deliveries { id, delivery: None, status, kind, from, to, limit } => {
                let pairs = [("status", status), ("type", kind), ("from", from), ("to", to)];
                let query = pairs.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
                Some((path(id, "/deliveries"), query, Some(*limit), DELIVERY_COLUMNS.as_slice()))
            }
            _ => None,
        };
        if let Some((path, query, limit, columns)) = listed {
            let session = self.remote.session("webhooks:read").await?;
            print(&session.list(&path, &query, limit).await?, self.output, columns);
            return Ok(Exit::Done);
        }
        let is_read = matches!(self.verb, Verb::Get { .. } | Verb::Deliveries { .. });
        let (method, path, body) = match self.verb {
            Verb::List { .. } => return Ok(Exit::Done),
            Verb::Get { id } => (Method::GET, path(&id, ""), None),
            Verb::Create { fields } => (Method::POST, "/api/webhooks".to_owned(), Some(fields.body()?.finish())),
            Verb::Update { id, fields } => (Method::PATCH, path(&id, ""), Some(fields.body()?.finish())),
            Verb::Delete { id, consent } => {
                consent.obtain(&format!("deleting the webhook endpoint {id}"))?;
                (Method::DELETE, path(&id, ""), None)
            }
            Verb::Test { id } => (Method::POST, path(&id, "/test"), None),
            Verb::Pause { id } => (Method::POST, path(&id, "/pause"), None),
            Verb::Resume { id } => (Method::POST, path(&id, "/resume"), None),
            Verb::RollSecret { id, overlap_seconds } => {
                let body = overlap_seconds.map_or_else(|| json!({}), |seconds| json!({"overlap_seconds": seconds}));
                (Method::POST, path(&id, "/roll-secret"), Some(body))
            }
            Verb::Deliveries { id, delivery, .. } => {
                let delivery = delivery.unwrap_or_default();
                (Method::GET, path(&id, &format!("/deliveries/{}", encoded(&delivery))), None)
            }
            Verb::Resend { id, delivery: Some(delivery), .. } => {
                (Method::POST, path(&id, &format!("/deliveries/{}/resend", encoded(&delivery))), None)
            }
            Verb::Resend { id, from, to, types, status, dry_run, .. } => {
                let mut body = FromFile::default().body()?;
                body.set("from", from);
                body.set("to", to);
                body.set("types", types.as_deref().map(names));
                body.set("status", status);
                let query = if dry_run { "/resend?dry_run=true" } else { "/resend" };
                (Method::POST, path(&id, query), Some(body.finish()))
            }
        };
        let session = self.remote.session(if is_read { "webhooks:read" } else { "webhooks:write" }).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

//! `bastionary subscriptions`: who has which plan, and what becomes of it.

use http::Method;
use serde_json::{Value, json};

use super::body::FromFile;
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 7] = ["id", "customer_id", "plan", "plan_version", "quantity", "status", "period_end"];

/// Subscriptions of customers to plans
#[derive(clap::Args)]
pub(crate) struct Subscriptions {
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
    /// List subscriptions, newest first
    #[command(after_help = "Example:\n  bastionary subscriptions list --customer crm-1042")]
    List {
        /// Those of this customer, by its id or external id
        #[arg(long, value_name = "CUSTOMER")]
        customer: Option<String>,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a subscription as it stands now
    #[command(after_help = "Example:\n  bastionary subscriptions get sub_01j…")]
    Get {
        /// The subscription
        id: String,
    },
    /// Subscribe a customer to a plan
    #[command(after_help = "Example:\n  bastionary subscriptions create --customer crm-1042 --plan pro --quantity 3")]
    Create {
        /// The customer, by its id or external id
        #[arg(long, value_name = "CUSTOMER")]
        customer: Option<String>,
        /// Key of the plan, or the id of a version
        #[arg(long)]
        plan: Option<String>,
        /// How many [default: 1]
        #[arg(long)]
        quantity: Option<i64>,
        /// immediate or on_payment [default: immediate]
        #[arg(long)]
        activation: Option<String>,
        /// When it ends by itself, RFC 3339
        #[arg(long, value_name = "TIME")]
        term_end: Option<String>,
        #[command(flatten)]
        file: FromFile,
    },
    /// Stop until resumed
    #[command(after_help = "Example:\n  bastionary subscriptions pause sub_01j…")]
    Pause {
        /// The subscription
        id: String,
    },
    /// Go on after a pause
    #[command(after_help = "Example:\n  bastionary subscriptions resume sub_01j… --anchor kept")]
    Resume {
        /// The subscription
        id: String,
        /// new: a new period begins; kept: periods are counted as before [default: new]
        #[arg(long)]
        anchor: Option<String>,
    },
    /// End, at once or with the period
    #[command(after_help = "Example:\n  bastionary subscriptions cancel sub_01j… --at period_end")]
    Cancel {
        /// The subscription
        id: String,
        /// now or period_end [default: now]
        #[arg(long)]
        at: Option<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Do not end with the period
    #[command(after_help = "Example:\n  bastionary subscriptions uncancel sub_01j…")]
    Uncancel {
        /// The subscription
        id: String,
    },
    /// Take another plan or quantity
    #[command(after_help = "Example:\n  bastionary subscriptions change sub_01j… --plan team --at period_end")]
    Change {
        /// The subscription
        id: String,
        /// Key of the plan, or the id of a version
        #[arg(long)]
        plan: Option<String>,
        /// How many
        #[arg(long)]
        quantity: Option<i64>,
        /// now or period_end [default: now]
        #[arg(long)]
        at: Option<String>,
    },
    /// Tell what was heard of a payment elsewhere
    #[command(
        after_help = "Example:\n  bastionary subscriptions payment-status sub_01j… --overdue-since 2027-01-31T00:00:00Z"
    )]
    PaymentStatus {
        /// The subscription
        id: String,
        /// Due date of the oldest invoice that is overdue, RFC 3339
        #[arg(long, value_name = "TIME")]
        overdue_since: Option<String>,
        /// When nothing was overdue any more, RFC 3339; also the first payment
        #[arg(long, value_name = "TIME")]
        settled_at: Option<String>,
        /// What the other system calls it
        #[arg(long)]
        reference: Option<String>,
    },
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/subscriptions/{}{rest}", encoded(id))
}

/// A body of the flags that were given.
fn given<const N: usize>(flags: [(&str, Option<Value>); N]) -> Value {
    Value::Object(flags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

impl Subscriptions {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let is_read = matches!(self.verb, Verb::Get { .. });
        let (method, path, body) = match self.verb {
            Verb::List { customer, limit } => {
                let query: Vec<_> = customer.map(|customer| ("customer_id", customer)).into_iter().collect();
                let session = self.remote.session("billing:read").await?;
                print(&session.list("/api/subscriptions", &query, limit).await?, self.output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Verb::Get { id } => (Method::GET, path(&id, ""), None),
            Verb::Create { customer, plan, quantity, activation, term_end, file } => {
                let mut body = file.body()?;
                body.set("customer_id", customer);
                body.set("plan", plan);
                body.set("quantity", quantity);
                body.set("activation", activation);
                body.set("term_end", term_end);
                (Method::POST, "/api/subscriptions".to_owned(), Some(body.finish()))
            }
            Verb::Pause { id } => (Method::POST, path(&id, "/pause"), None),
            Verb::Resume { id, anchor } => {
                (Method::POST, path(&id, "/resume"), Some(given([("anchor", anchor.map(Value::from))])))
            }
            Verb::Cancel { id, at, consent } => {
                // what ends with the period can be taken back until then
                if at.as_deref() != Some("period_end") {
                    consent.obtain(&format!("canceling the subscription {id}"))?;
                }
                (Method::POST, path(&id, "/cancel"), Some(given([("at", at.map(Value::from))])))
            }
            Verb::Uncancel { id } => (Method::POST, path(&id, "/uncancel"), None),
            Verb::Change { id, plan, quantity, at } => {
                let flags = [
                    ("plan", plan.map(Value::from)),
                    ("quantity", quantity.map(|n| json!(n))),
                    ("at", at.map(Value::from)),
                ];
                (Method::POST, path(&id, "/change"), Some(given(flags)))
            }
            Verb::PaymentStatus { id, overdue_since, settled_at, reference } => {
                let flags = [("overdue_since", overdue_since), ("settled_at", settled_at), ("reference", reference)];
                let body = given(flags.map(|(name, value)| (name, value.map(Value::from))));
                (Method::POST, path(&id, "/payment-status"), Some(body))
            }
        };
        let session = self.remote.session(if is_read { "billing:read" } else { "billing:write" }).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

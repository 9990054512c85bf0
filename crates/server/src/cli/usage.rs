//! `bastionary usage`: what was used, what is held, and what may be.

use std::path::PathBuf;

use http::{HeaderName, Method};
use serde_json::{Map, Value, json};

use super::backfill;
use super::remote::{Remote, read_text};
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const EVENT: [&str; 7] = ["sequence", "customer_id", "type", "source", "id", "time", "state"];
const REJECTION: [&str; 6] = ["received_at", "customer_id", "type", "event_id", "code", "detail"];
const QUANTITY: [&str; 4] = ["start", "end", "group", "value"];
const RESERVATION: [&str; 6] = ["id", "customer_id", "feature", "state", "quantity", "expires_at"];

/// Usage of metered features: report, query, correct, reserve and check
#[derive(clap::Args)]
pub(crate) struct Usage {
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
    /// Report one event, or a file of events
    #[command(
        after_help = "Example:\n  bastionary usage report --customer crm-1042 --type api.call --id call-1\n  bastionary usage report --file events.ndjson"
    )]
    Report {
        /// Events, one JSON object a line; `-` reads standard input
        #[arg(short, long, value_name = "FILE", conflicts_with_all = ["customer", "kind", "id", "source", "data", "time"])]
        file: Option<PathBuf>,
        /// The customer: its id, its external id, or the id of one of its clients
        #[arg(long, value_name = "CUSTOMER", required_unless_present = "file")]
        customer: Option<String>,
        /// Type of the event
        #[arg(long = "type", value_name = "TYPE", required_unless_present = "file")]
        kind: Option<String>,
        /// Id of the event; with the source, what counts once
        #[arg(long, required_unless_present = "file")]
        id: Option<String>,
        /// Where it comes from
        #[arg(long, default_value = "bastionary-cli")]
        source: String,
        /// JSON data of the event
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        /// When it happened, RFC 3339 [default: now]
        #[arg(long)]
        time: Option<String>,
        /// Store all events of the file or none
        #[arg(long, requires = "file")]
        atomic: bool,
    },
    /// List events, the newest first
    #[command(after_help = "Example:\n  bastionary usage events --limit 20")]
    Events {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// List events that were refused, the newest first
    #[command(after_help = "Example:\n  bastionary usage rejections --limit 20")]
    Rejections {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Let an event count something else, or nothing
    #[command(
        after_help = "Example:\n  bastionary usage correct --source gateway --id call-1 --void --reason \"Sent by a test\""
    )]
    Correct {
        /// Source of the event
        #[arg(long)]
        source: String,
        /// Id of the event
        #[arg(long)]
        id: String,
        /// What it counts from now on
        #[arg(long, conflicts_with = "void", required_unless_present = "void", allow_hyphen_values = true)]
        value: Option<String>,
        /// It counts nothing
        #[arg(long)]
        void: bool,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Bring usage of the past
    Backfill {
        #[command(subcommand)]
        verb: backfill::Verb,
    },
    /// Show how much a customer used of a meter
    #[command(
        after_help = "Example:\n  bastionary usage query --customer crm-1042 --meter api-calls --from 2027-01-01T00:00:00Z --to 2027-02-01T00:00:00Z --window day"
    )]
    Query {
        /// The customer, by its id or external id
        #[arg(long, value_name = "CUSTOMER")]
        customer: String,
        /// Key of the meter
        #[arg(long)]
        meter: String,
        /// From when, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: String,
        /// Until when, RFC 3339
        #[arg(long, value_name = "TIME")]
        to: String,
        /// minute, hour, day or month [default: one of the whole time]
        #[arg(long)]
        window: Option<String>,
        /// Zone of days and months [default: the customer's]
        #[arg(long)]
        timezone: Option<String>,
        /// Dimensions of the meter, between commas
        #[arg(long, value_name = "NAMES")]
        group_by: Option<String>,
    },
    /// Ask whether a customer may use a feature
    #[command(
        after_help = "Example:\n  bastionary usage check --customer crm-1042 --feature calls\n  bastionary usage check --client crm-worker --feature calls --quantity 3 --consume --key order-7"
    )]
    Check {
        /// The customer, by its id or external id
        #[arg(long, value_name = "CUSTOMER", conflicts_with = "client", required_unless_present = "client")]
        customer: Option<String>,
        /// A client that acts for it
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        /// Key of the feature; without one, whether the customer has access at all
        #[arg(long)]
        feature: Option<String>,
        /// A scope that must be covered
        #[arg(long)]
        scope: Option<String>,
        /// How much [default: 1]
        #[arg(long)]
        quantity: Option<String>,
        /// Count it when it is allowed
        #[arg(long, requires_all = ["feature", "key"])]
        consume: bool,
        /// With --consume: what counts once, however often this is repeated
        #[arg(long)]
        key: Option<String>,
    },
    /// Hold a quantity before it is used
    #[command(after_help = "Example:\n  bastionary usage reserve --customer crm-1042 --feature calls --quantity 5")]
    Reserve {
        /// The customer, by its id or external id
        #[arg(long, value_name = "CUSTOMER")]
        customer: String,
        /// Key of the feature
        #[arg(long)]
        feature: String,
        /// How much
        #[arg(long)]
        quantity: String,
        /// How long, in seconds [default: 60]
        #[arg(long)]
        ttl_seconds: Option<i64>,
    },
    /// Show a reservation
    #[command(after_help = "Example:\n  bastionary usage reservation rsv_01j…")]
    Reservation {
        /// The reservation
        id: String,
    },
    /// Count what was held, or less
    #[command(after_help = "Example:\n  bastionary usage commit rsv_01j… --quantity 3")]
    Commit {
        /// The reservation
        id: String,
        /// How much was used [default: all of it]
        #[arg(long)]
        quantity: Option<String>,
    },
    /// Free what was held
    #[command(after_help = "Example:\n  bastionary usage release rsv_01j…")]
    Release {
        /// The reservation
        id: String,
    },
}

/// A request as it is put together.
struct Call {
    scope: &'static str,
    method: Method,
    path: String,
    body: Option<(&'static str, Vec<u8>)>,
    fields: Vec<(HeaderName, String)>,
    columns: &'static [&'static str],
}

impl Call {
    fn of(scope: &'static str, method: Method, path: String, columns: &'static [&'static str]) -> Self {
        Self { scope, method, path, body: None, fields: Vec::new(), columns }
    }

    fn post(scope: &'static str, path: &str, body: &Value) -> Self {
        let body = Some(("application/json", body.to_string().into_bytes()));
        Self { body, ..Self::of(scope, Method::POST, path.to_owned(), &RESERVATION) }
    }
}

/// An object of the members that were given.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn reservation(id: &str, rest: &str) -> String {
    format!("/api/usage/reservations/{}{rest}", encoded(id))
}

fn json_of(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::new("the data of the event is not JSON", error, "Write it as `--data '{\"tokens\": 12}'`.")
            .exit(Exit::Usage)
    })
}

impl Usage {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let Self { remote, output, verb } = self;
        let is_check = matches!(verb, Verb::Check { .. });
        let call = match way(verb)? {
            Way::Call(call) => call,
            Way::List(path, limit, columns) => {
                let session = remote.session("billing:read").await?;
                print(&session.list(path, &[], limit).await?, output, columns);
                return Ok(Exit::Done);
            }
            Way::Backfill(verb) => return verb.carry_out(&remote, output).await,
        };
        let session = remote.session(call.scope).await?;
        let answer = session.send(call.method, &call.path, call.body, call.fields).await?.unwrap_or_default();
        print(&answer, output, call.columns);
        let is_refused = answer.get("rejected").and_then(Value::as_array).is_some_and(|rejected| !rejected.is_empty())
            || (is_check && answer.get("allowed") == Some(&Value::Bool(false)));
        Ok(if is_refused { Exit::Failed } else { Exit::Done })
    }
}

/// How a verb is carried out.
enum Way {
    /// By one request.
    Call(Call),
    /// By as many as the list at a path needs, for at most so many of its items.
    List(&'static str, Option<u32>, &'static [&'static str]),
    /// As a backfill does it.
    Backfill(backfill::Verb),
}

/// What a verb stands for.
fn way(verb: Verb) -> Result<Way, Failure> {
    let text = |text: Option<String>| text.map(Value::from);
    Ok(Way::Call(match verb {
        Verb::Events { limit } => return Ok(Way::List("/api/usage/events", limit, &EVENT)),
        Verb::Rejections { limit } => return Ok(Way::List("/api/usage/rejections", limit, &REJECTION)),
        Verb::Backfill { verb } => return Ok(Way::Backfill(verb)),
        Verb::Report { file: Some(file), atomic, .. } => {
            let path = format!("/api/usage/events{}", if atomic { "?atomic=true" } else { "" });
            let body = Some(("application/x-ndjson", read_text(&file, "events")?.into_bytes()));
            Call { body, ..Call::of("usage:write", Method::POST, path, &EVENT) }
        }
        Verb::Report { customer, kind, id, source, data, time, .. } => {
            let event = given([
                ("specversion", Some(json!("1.0"))),
                ("id", text(id)),
                ("source", Some(json!(source))),
                ("type", text(kind)),
                ("subject", text(customer)),
                ("time", text(time)),
                ("data", data.as_deref().map(json_of).transpose()?),
            ]);
            let body = Some(("application/cloudevents+json", event.to_string().into_bytes()));
            Call { body, ..Call::of("usage:write", Method::POST, "/api/usage/events".to_owned(), &EVENT) }
        }
        Verb::Correct { source, id, value, void, reason } => {
            let body = given([
                ("source", Some(json!(source))),
                ("id", Some(json!(id))),
                ("value", text(value)),
                ("void", void.then_some(json!(true))),
                ("reason", Some(json!(reason))),
            ]);
            Call::post("usage:write", "/api/usage/corrections", &body)
        }
        Verb::Query { customer, meter, from, to, window, timezone, group_by } => {
            let must = [("customer_id", customer), ("meter", meter), ("from", from), ("to", to)];
            let may = [("window", window), ("timezone", timezone), ("group_by", group_by)];
            let given = may.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let pairs: Vec<String> =
                must.into_iter().chain(given).map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
            let path = format!("/api/usage/query?{}", pairs.join("&"));
            Call::of("billing:read", Method::GET, path, &QUANTITY)
        }
        Verb::Check { customer, client, feature, scope, quantity, consume, key } => {
            let body = given([
                ("customer_id", text(customer)),
                ("client_id", text(client)),
                ("feature", text(feature)),
                ("scope", text(scope)),
                ("quantity", text(quantity)),
                ("mode", consume.then_some(json!("consume"))),
            ]);
            let needs = if consume { "entitlements:check usage:write" } else { "entitlements:check" };
            let fields = key.map(|key| (HeaderName::from_static("idempotency-key"), key)).into_iter().collect();
            Call { fields, ..Call::post(needs, "/api/check", &body) }
        }
        Verb::Reserve { customer, feature, quantity, ttl_seconds } => {
            let body = given([
                ("customer_id", Some(json!(customer))),
                ("feature", Some(json!(feature))),
                ("quantity", Some(json!(quantity))),
                ("ttl_seconds", ttl_seconds.map(Value::from)),
            ]);
            Call::post("usage:write", "/api/usage/reservations", &body)
        }
        Verb::Reservation { id } => Call::of("billing:read", Method::GET, reservation(&id, ""), &RESERVATION),
        Verb::Commit { id, quantity } => {
            Call::post("usage:write", &reservation(&id, "/commit"), &given([("quantity", text(quantity))]))
        }
        Verb::Release { id } => Call::of("usage:write", Method::POST, reservation(&id, "/release"), &RESERVATION),
    }))
}

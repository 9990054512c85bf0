//! `bastionary events`: what others hear of.

use http::Method;

use super::follow::{follow, line};
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;
use crate::terminal;

const COLUMNS: [&str; 5] = ["timestamp", "type", "customer_id", "sequence", "id"];

/// Events
#[derive(clap::Args)]
pub(crate) struct Events {
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
    /// List events, newest first
    #[command(after_help = "Example:\n  bastionary events list --types 'client.*,token.revoked' --limit 20")]
    List {
        /// Types between commas; `client.*` for all that begin so
        #[arg(long)]
        types: Option<String>,
        /// Events of this customer
        #[arg(long, value_name = "ID")]
        customer: Option<String>,
        /// Events about this object
        #[arg(long, value_name = "ID")]
        object: Option<String>,
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
    /// Follow events as they are committed, until interrupted
    #[command(after_help = "Example:\n  bastionary events tail --types 'client.*'")]
    Tail {
        /// Types between commas; `client.*` for all that begin so
        #[arg(long)]
        types: Option<String>,
    },
    /// Show an event
    #[command(after_help = "Example:\n  bastionary events get evt_06bs4x0d5j7p3q0z8m1r2t4w6y")]
    Get {
        /// The event
        id: String,
    },
}

impl Events {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        if let Verb::Tail { types } = &self.verb {
            return self.tail(types.as_deref()).await;
        }
        let session = self.remote.session("events:read").await?;
        match self.verb {
            Verb::Tail { .. } => {}
            Verb::List { types, customer, object, from, to, limit } => {
                let pairs =
                    [("types", types), ("customer_id", customer), ("object_id", object), ("from", from), ("to", to)];
                let query: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                print(&session.list("/api/events", &query, Some(limit)).await?, self.output, &COLUMNS);
            }
            Verb::Get { id } => {
                let answer = session.call(Method::GET, &format!("/api/events/{}", encoded(&id)), None).await?;
                print(&answer.unwrap_or_default(), self.output, &COLUMNS);
            }
        }
        Ok(Exit::Done)
    }

    async fn tail(&self, types: Option<&str>) -> Result<Exit, Failure> {
        let shape = self.output;
        follow(&self.remote, types, async |told| {
            match shape {
                Shape::Table => terminal::line(&line(&told)),
                // one object per line, so that a program can read it as it comes
                Shape::Json => terminal::line(&told.data),
                Shape::Yaml | Shape::Id => print(&serde_json::from_str(&told.data).unwrap_or_default(), shape, &[]),
            }
            Ok(())
        })
        .await?;
        Ok(Exit::Done)
    }
}

//! `bastionary migrate`: the versions of the store's schema.

use serde_json::{Value, json};

use super::onsite::Onsite;
use super::shape::{Shape, print};
use crate::boot::{House, schema};
use crate::data_dir::DataDir;
use crate::failure::{Exit, Failure};

/// Versions of the schema
#[derive(clap::Args)]
pub(crate) struct Migrate {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Shape,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List the versions, applied and not; nothing is changed
    #[command(after_help = "Example:\n  bastionary migrate status")]
    Status(Onsite),
    /// Bring the schema up to date, as a start of the server does
    #[command(after_help = "Example:\n  bastionary migrate up")]
    Up(Onsite),
}

impl Migrate {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let (onsite, is_up) = match &self.verb {
            Verb::Status(onsite) => (onsite, false),
            Verb::Up(onsite) => (onsite, true),
        };
        let config = onsite.config()?;
        if is_up {
            let dir = DataDir::hold(&config.data_dir)?;
            House::open(&config, dir, config.issuer_for(config.listen)).await?.close().await;
        }
        let versions = schema(&config).await?;
        let view = |version: &store::SchemaVersion| -> Value {
            let at = version.applied_at.map(|at| at.to_string());
            let state = if at.is_some() { "applied" } else { "pending" };
            json!({"version": version.version, "name": version.name, "state": state, "applied_at": at})
        };
        let data: Vec<Value> = versions.iter().map(view).collect();
        print(&json!({"data": data}), self.output, &["version", "name", "state", "applied_at"]);
        Ok(Exit::Done)
    }
}

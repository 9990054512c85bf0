//! The command line: what may be typed, and which part of the house carries it out.

mod admin;
mod apis;
mod audit;
mod backfill;
mod backup;
mod body;
mod clients;
mod clock;
mod consent;
mod customers;
mod doctor;
mod events;
mod features;
mod follow;
mod keys;
mod listen;
mod meters;
mod migrate;
mod onsite;
mod operators;
mod plans;
mod raw;
mod remote;
mod secrets;
mod shape;
mod subscriptions;
mod token;
mod trigger;
mod usage;
mod webhooks;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use shape::Shape;

use crate::config::Overrides;
use crate::failure::{Exit, Failure};
use crate::terminal;
use crate::{dev, serve};

/// Machine-to-machine authentication in one process.
#[derive(Parser)]
#[command(name = "bastionary", version, disable_help_subcommand = true, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a server for trying things out, with demo clients, a customer on a plan and lines to paste
    #[command(after_help = "Example:\n  bastionary dev --listen 127.0.0.1:0")]
    Dev {
        /// Address and port on loopback; port 0 takes a free one [default: 127.0.0.1:8080]
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
        /// Keep the data in this directory instead of a temporary one
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Start the server
    #[command(after_help = "Example:\n  bastionary serve --data-dir /var/lib/bastionary --listen 127.0.0.1:8080")]
    Serve(Serve),
    /// Get a token, look into a token
    #[command(subcommand)]
    Token(token::Token),
    /// Clients
    Clients(clients::Clients),
    /// Secrets of clients
    Secrets(secrets::Secrets),
    /// APIs and their scopes
    Apis(apis::Apis),
    /// Signing keys
    Keys(keys::Keys),
    /// People who sign in to the console
    Operators(operators::Operators),
    /// Send a request to the admin API
    Api(raw::Raw),
    /// What was changed, issued and refused
    #[command(subcommand)]
    Audit(audit::Audit),
    /// What others hear of
    Events(events::Events),
    Listen(listen::Listen),
    Trigger(trigger::Trigger),
    /// Endpoints that events are posted to, and their deliveries
    Webhooks(webhooks::Webhooks),
    /// Who pays, and what it may do
    Customers(customers::Customers),
    /// What plans grant
    Features(features::Features),
    /// How usage is counted
    Meters(meters::Meters),
    /// Plans and their versions
    Plans(plans::Plans),
    /// Who has which plan
    Subscriptions(subscriptions::Subscriptions),
    Usage(usage::Usage),
    /// The business time of a tenant
    Clock(clock::Clock),
    /// Backups
    Backup(backup::Backup),
    /// Versions of the schema
    Migrate(migrate::Migrate),
    /// Commands of the user who runs the server
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Look at an installation and name one remedy per finding
    Doctor(doctor::Doctor),
    /// Print the completion script for a shell
    #[command(after_help = "Example:\n  bastionary completion bash > /etc/bash_completion.d/bastionary")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the OpenAPI document of the admin API
    #[command(after_help = "Example:\n  bastionary openapi > bastionary.json")]
    Openapi {
        /// URL of the server in the document
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        issuer: String,
    },
    /// Print the version
    #[command(after_help = "Example:\n  bastionary version")]
    Version,
}

#[derive(clap::Args)]
struct Serve {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the store, the keys and the local socket [default: ./bastionary-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port of the public listener [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// PostgreSQL instead of the embedded store
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// URL under which clients reach the server
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

/// Reads the arguments, carries the command out and gives the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = Line::command().try_get_matches_from(arguments);
    let parsed = parsed.and_then(|matches| Ok((Line::from_arg_matches(&matches)?, is_json_asked(&matches))));
    let (line, is_json) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // What cannot be printed cannot be reported either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(Err(Failure::new("threads cannot be started", error, "")), is_json),
    };
    let outcome = runtime.block_on(carry_out(line.command));
    // A name look-up or a slow hash that hangs must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    end(outcome, is_json)
}

/// Whether the command that was given takes `--output` and was asked for JSON.
fn is_json_asked(matches: &ArgMatches) -> bool {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    matches!(innermost.try_get_one::<Shape>("output"), Ok(Some(Shape::Json)))
}

fn end(outcome: Result<Exit, Failure>, is_json: bool) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let text = if is_json { format!("{:#}", failure.to_json()) } else { format!("bastionary: {failure}") };
            terminal::words(&text);
            failure.exit.into()
        }
    }
}

async fn carry_out(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Dev { listen, data_dir } => dev::run(listen, data_dir).await.map(|()| Exit::Done),
        Command::Serve(Serve { config, data_dir, listen, database_url, issuer }) => {
            let overrides = Overrides { listen, data_dir, database_url, issuer };
            serve::run(config.as_deref(), overrides).await.map(|()| Exit::Done)
        }
        Command::Token(command) => token::carry_out(command).await,
        Command::Clients(command) => command.carry_out().await,
        Command::Secrets(command) => command.carry_out().await,
        Command::Apis(command) => command.carry_out().await,
        Command::Keys(command) => command.carry_out().await,
        Command::Operators(command) => command.carry_out().await,
        Command::Api(command) => command.carry_out().await,
        Command::Audit(command) => audit::carry_out(command).await,
        Command::Events(command) => command.carry_out().await,
        Command::Listen(command) => command.carry_out().await,
        Command::Trigger(command) => command.carry_out().await,
        Command::Webhooks(command) => command.carry_out().await,
        Command::Customers(command) => command.carry_out().await,
        Command::Features(command) => command.carry_out().await,
        Command::Meters(command) => command.carry_out().await,
        Command::Plans(command) => command.carry_out().await,
        Command::Subscriptions(command) => command.carry_out().await,
        Command::Usage(command) => command.carry_out().await,
        Command::Clock(command) => command.carry_out().await,
        Command::Backup(command) => command.carry_out().await,
        Command::Migrate(command) => command.carry_out().await,
        Command::Admin(command) => admin::carry_out(command).await,
        Command::Doctor(command) => command.carry_out().await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Line::command(), "bastionary", &mut script);
            terminal::data(&String::from_utf8_lossy(&script));
            Ok(Exit::Done)
        }
        Command::Openapi { issuer } => {
            terminal::line(&format!("{:#}", api::openapi::document(&issuer)));
            Ok(Exit::Done)
        }
        Command::Version => {
            terminal::line(concat!("bastionary ", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_can_be_built_and_shows_an_example() {
        let mut line = Line::command();
        line.build();
        line.clone().debug_assert();
        let mut open: Vec<&clap::Command> = line.get_subcommands().collect();
        while let Some(command) = open.pop() {
            let has_more = command.get_subcommands().next().is_some();
            open.extend(command.get_subcommands());
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(has_more || example.contains("Example:\n  "), "{}", command.get_name());
        }
    }
}

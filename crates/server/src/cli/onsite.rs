//! Commands on the server's own machine: through its socket, or on the store itself when no server runs.

use std::path::PathBuf;

use serde_json::Value;

use crate::boot::House;
use crate::config::{Config, Overrides};
use crate::data_dir::{Claim, DataDir, busy, socket};
use crate::environment;
use crate::failure::{Exit, Failure};
use crate::local;
use crate::operation::{Operation, perform};

/// Which installation.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Onsite {
    /// Configuration file of the server (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory of the server [env: BASTIONARY_DATA_DIR] [default: ./bastionary-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// PostgreSQL URL of the server, when it does not run and has one [env: BASTIONARY_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Onsite {
    /// The server's configuration.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let overrides = Overrides {
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            ..Overrides::default()
        };
        Ok(Config::load(self.config.as_deref(), &environment::ours(), overrides)?)
    }

    /// Has an operation carried out.
    pub(crate) async fn perform(&self, operation: Operation) -> Result<Value, Failure> {
        let config = self.config()?;
        let path = &config.data_dir;
        if !path.is_dir() {
            return Err(Failure::new(
                format!("there is no data directory {}", path.display()),
                "no server was started with it",
                "Name the directory with `--data-dir`, or start `bastionary serve` first.",
            )
            .exit(Exit::Missing));
        }
        // The socket first: a user who may not enter the directory hears so, and never touches the lock.
        let file = socket(path);
        match std::fs::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return local::call(&file, &operation).await;
            }
            _ => {}
        }
        match DataDir::claim(path)? {
            Claim::Busy(_) if file.exists() => local::call(&file, &operation).await,
            Claim::Busy(pid) => {
                let remedy = "It is starting, stopping, or another command; try again in a moment.";
                Err(Failure { remedy: remedy.to_owned(), ..busy(path, pid) })
            }
            Claim::Held(dir) => {
                let issuer = config.issuer_for(config.listen);
                let house = House::open(&config, dir, issuer).await?;
                let outcome = perform(&house.auth, operation, None).await;
                house.close().await;
                outcome
            }
        }
    }
}

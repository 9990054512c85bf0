//! `bastionary backup`: copies of the embedded store, and what to do after a restore of any.

use std::path::{Path, PathBuf};

use kernel::clock::Timestamp;

use super::onsite::Onsite;
use super::shape::{Shape, print};
use crate::backup;
use crate::boot::House;
use crate::data_dir::DataDir;
use crate::failure::{Exit, Failure};
use crate::operation::Operation;
use crate::terminal;

/// Backups
#[derive(clap::Args)]
pub(crate) struct Backup {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Shape,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Copy everything into a file while the server goes on; the master key is not in it
    #[command(after_help = "Example:\n  bastionary backup create /var/backups/bastionary-1.backup")]
    Create {
        /// A new file
        file: PathBuf,
        #[command(flatten)]
        onsite: Onsite,
    },
    /// Restore a backup to a scratch place, look at everything, and forget it
    #[command(after_help = "Example:\n  bastionary backup verify /var/backups/bastionary-1.backup")]
    Verify {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        onsite: Onsite,
    },
    /// Restore a backup into an empty data directory, in which only the master key is
    #[command(
        after_help = "Example:\n  bastionary backup restore /var/backups/bastionary-1.backup --data-dir /var/lib/bastionary"
    )]
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        onsite: Onsite,
        /// Answer for everything that was disabled or deleted after the backup, so that the server may start at once
        #[arg(long)]
        accept: bool,
    },
    /// Revoke what was issued before, after the database was restored by its own tools
    #[command(after_help = "Example:\n  bastionary backup restored --taken-at 2026-06-01T12:00:00Z")]
    Restored {
        /// The moment of the copy, RFC 3339
        #[arg(long, value_name = "TIME")]
        taken_at: String,
        #[command(flatten)]
        onsite: Onsite,
        /// Answer for everything that was disabled or deleted after it, so that the server may start at once
        #[arg(long)]
        accept: bool,
    },
}

impl Backup {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Create { file, onsite } => {
                // The server that makes it may stand in another directory.
                let file = std::path::absolute(&file).map_err(|error| unusable(&file, &error))?;
                print(&onsite.perform(Operation::CreateBackup { file }).await?, self.output, &[]);
            }
            Verb::Verify { file, onsite } => print(&backup::verify(onsite.config()?, &file).await?, self.output, &[]),
            Verb::Restore { file, onsite, accept } => {
                print(&backup::restore(onsite.config()?, &file, accept).await?, self.output, &[]);
                say_what_is_left(accept);
            }
            Verb::Restored { taken_at, onsite, accept } => {
                let taken_at = Timestamp::parse(&taken_at).map_err(|error| {
                    let remedy = "Write it as 2026-06-01T12:00:00Z.";
                    Failure::new("the moment of the copy cannot be read", error, remedy).exit(Exit::Usage)
                })?;
                let config = onsite.config()?;
                let dir = DataDir::hold(&config.data_dir)?;
                let house = House::open(&config, dir, config.issuer_for(config.listen)).await?;
                let settled = backup::settle(&house, taken_at, accept).await;
                house.close().await;
                settled?;
                say_what_is_left(accept);
            }
        }
        Ok(Exit::Done)
    }
}

fn unusable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be used", file.display()), error, "Name a file in a directory that exists.")
}

fn say_what_is_left(is_accepted: bool) {
    terminal::words(
        "Every access token, refresh token, session and link from before is revoked. What was disabled, deleted or removed after the backup is as it was before: do it again.",
    );
    if !is_accepted {
        terminal::words(
            "The server does not start until you have answered for that:\n\n  bastionary doctor accept restore_unconfirmed\n",
        );
    }
}

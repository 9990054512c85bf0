//! `bastionary admin`: what only the user who runs the server may do.

use super::onsite::Onsite;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::operation::Operation;
use crate::terminal;

/// Commands of the user who runs the server
#[derive(clap::Subcommand)]
pub(crate) enum Admin {
    /// Clients of administrators
    #[command(subcommand)]
    Client(AdminClient),
    /// Make a one-time link that sets up an owner of the console; it is good for an hour and voids the older one
    #[command(after_help = "Example:\n  bastionary admin setup-link --data-dir ./bastionary-data")]
    SetupLink {
        /// Slug of the tenant [default: default]
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        onsite: Onsite,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t)]
        output: Shape,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum AdminClient {
    /// Create a client that holds the scope `admin`; its secret is shown this once
    #[command(after_help = "Example:\n  bastionary admin client create --data-dir ./bastionary-data -o json")]
    Create {
        /// A chosen id
        #[arg(long)]
        client_id: Option<String>,
        #[command(flatten)]
        onsite: Onsite,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t)]
        output: Shape,
    },
}

pub(crate) async fn carry_out(command: Admin) -> Result<Exit, Failure> {
    match command {
        Admin::Client(AdminClient::Create { client_id, onsite, output }) => {
            let answer = onsite.perform(Operation::CreateAdminClient { client_id }).await?;
            print(&answer, output, &[]);
            if output == Shape::Table {
                terminal::words("The secret is not shown again. Tokens of this client need `scope=admin`.");
            }
        }
        Admin::SetupLink { tenant, onsite, output } => {
            let answer = onsite.perform(Operation::CreateSetupLink { tenant }).await?;
            print(&answer, output, &[]);
            if output == Shape::Table {
                terminal::words("The link works once, within an hour. An older link does not work any more.");
            }
        }
    }
    Ok(Exit::Done)
}

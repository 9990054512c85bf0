//! `bastionary customers`: who pays, and what it may do.

use http::Method;

use super::body::{Body, FromFile};
use super::consent::Consent;
use super::remote::Remote;
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 6] = ["id", "external_id", "name", "status", "access", "created_at"];

/// Customers
#[derive(clap::Args)]
pub(crate) struct Customers {
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
    /// List customers, newest first
    #[command(after_help = "Example:\n  bastionary customers list --q north")]
    List {
        /// Those whose name begins so, in any letter case
        #[arg(long)]
        q: Option<String>,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a customer
    #[command(after_help = "Example:\n  bastionary customers get crm-1042")]
    Get {
        /// Its id, or its external id
        id: String,
    },
    /// Create a customer
    #[command(
        after_help = "Example:\n  bastionary customers create --name 'Northwind Traders' --external-id crm-1042 --currency EUR --country DE"
    )]
    Create {
        #[command(flatten)]
        fields: Fields,
    },
    /// Change a customer; `none` removes a value
    #[command(after_help = "Example:\n  bastionary customers update crm-1042 --payment-terms-days 30")]
    Update {
        /// Its id, or its external id
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a customer whose subscriptions have ended
    #[command(after_help = "Example:\n  bastionary customers delete crm-1042 --yes")]
    Delete {
        /// Its id, or its external id
        id: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Suspend a customer, whatever it pays
    #[command(after_help = "Example:\n  bastionary customers suspend crm-1042")]
    Suspend {
        /// Its id, or its external id
        id: String,
    },
    /// Lift a suspension
    #[command(after_help = "Example:\n  bastionary customers reinstate crm-1042")]
    Reinstate {
        /// Its id, or its external id
        id: String,
    },
    /// Show what a customer may do now, and why
    #[command(after_help = "Example:\n  bastionary customers standing crm-1042 -o yaml")]
    Standing {
        /// Its id, or its external id
        id: String,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// Your own id, unique in the tenant; or `none`
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Where to write to, or `none`
    #[arg(long)]
    email: Option<String>,
    /// ISO 4217, for example EUR; or `none`
    #[arg(long)]
    currency: Option<String>,
    /// IANA name of a time zone
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Country of the address, ISO 3166-1; the whole address comes from a file
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// consumer, business or exempt
    #[arg(long)]
    tax_status: Option<String>,
    /// BCP 47, for example de; or `none`
    #[arg(long)]
    language: Option<String>,
    /// Days to pay an invoice, or `none`
    #[arg(long, value_name = "DAYS")]
    payment_terms_days: Option<String>,
    #[command(flatten)]
    file: FromFile,
}

impl Fields {
    fn body(self) -> Result<Body, Failure> {
        let mut body = self.file.body()?;
        body.set("name", self.name);
        body.set_or_null("external_id", self.external_id);
        body.set_or_null("email", self.email);
        body.set_or_null("currency", self.currency);
        body.set("timezone", self.timezone);
        body.set("address", self.country.map(|country| serde_json::json!({"country": country})));
        body.set("tax_status", self.tax_status);
        body.set_or_null("language", self.language);
        body.set_number_or_null("payment_terms_days", self.payment_terms_days);
        Ok(body)
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/customers/{}{rest}", encoded(id))
}

impl Customers {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let is_read = matches!(self.verb, Verb::Get { .. } | Verb::Standing { .. });
        let (method, path, body) = match self.verb {
            Verb::List { q, limit } => {
                let query: Vec<_> = q.map(|q| ("q", q)).into_iter().collect();
                let session = self.remote.session("customers:read").await?;
                print(&session.list("/api/customers", &query, limit).await?, self.output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Verb::Get { id } => (Method::GET, path(&id, ""), None),
            Verb::Standing { id } => (Method::GET, path(&id, "/standing"), None),
            Verb::Create { fields } => (Method::POST, "/api/customers".to_owned(), Some(fields.body()?.finish())),
            Verb::Update { id, fields } => (Method::PATCH, path(&id, ""), Some(fields.body()?.finish())),
            Verb::Delete { id, consent } => {
                consent.obtain(&format!("deleting the customer {id}"))?;
                (Method::DELETE, path(&id, ""), None)
            }
            Verb::Suspend { id } => (Method::POST, path(&id, "/suspend"), None),
            Verb::Reinstate { id } => (Method::POST, path(&id, "/reinstate"), None),
        };
        let session = self.remote.session(if is_read { "customers:read" } else { "customers:write" }).await?;
        if let Some(answer) = session.call(method, &path, body.as_ref()).await? {
            print(&answer, self.output, &COLUMNS);
        }
        Ok(Exit::Done)
    }
}

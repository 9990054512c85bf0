//! `bastionary api`: any request of the admin API, for what has no command of its own.

use http::Method;
use serde_json::Value;

use super::consent::Consent;
use super::remote::{Remote, read_text};
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};

/// Send a request to the admin API
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bastionary api get /api/limits")]
pub(crate) struct Raw {
    #[command(flatten)]
    remote: Remote,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Shape::Json)]
    output: Shape,
    /// Scope to ask a token for; without it, `admin`
    #[arg(long, default_value = "admin")]
    scope: String,
    /// JSON body
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    data: Option<String>,
    /// File with the JSON body; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    consent: Consent,
    /// The method
    #[arg(ignore_case = true)]
    method: Verb,
    /// Path below the issuer, query included
    path: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

impl Raw {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let refuse = |what: &str, why: String| {
            Failure::new(what.to_owned(), why, "The paths and their bodies are in /docs/api.").exit(Exit::Usage)
        };
        if !self.path.starts_with("/api/") {
            return Err(refuse(
                "this is not a path of the admin API",
                format!("{} does not begin with /api/", self.path),
            ));
        }
        let method = match self.method {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        if method == Method::DELETE {
            self.consent.obtain(&format!("deleting {}", self.path))?;
        }
        let text = match (self.data, &self.file) {
            (Some(text), _) => Some(text),
            (None, Some(file)) => Some(read_text(file, "body")?),
            (None, None) => None,
        };
        let body = text.map(|text| serde_json::from_str::<Value>(&text)).transpose();
        let body = body.map_err(|error| refuse("the body is not JSON", error.to_string()))?;
        let session = self.remote.session(&self.scope).await?;
        if let Some(answer) = session.call(method, &self.path, body.as_ref()).await? {
            print(&answer, self.output, &[]);
        }
        Ok(Exit::Done)
    }
}

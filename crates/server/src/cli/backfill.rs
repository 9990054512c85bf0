//! `bastionary usage backfill`: usage of the past.

use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use super::remote::{Remote, Session, read_text};
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;

const COLUMNS: [&str; 9] = ["id", "customer_id", "meter", "from", "to", "mode", "state", "events", "updated_at"];
const UPLOADED: [&str; 3] = ["backfill_id", "parts", "events"];
/// Most bytes of one part; a request takes 1 MiB.
const PART_BYTES: usize = 1_048_576;
/// Most events of one part.
const PART_EVENTS: usize = 10_000;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Begin a backfill
    #[command(
        after_help = "Example:\n  bastionary usage backfill create --customer crm-1042 --meter api-calls --from 2027-01-01T00:00:00Z --to 2027-02-01T00:00:00Z --mode replace"
    )]
    Create {
        /// The customer, by its id or external id
        #[arg(long, value_name = "CUSTOMER")]
        customer: String,
        /// Key of the meter
        #[arg(long)]
        meter: String,
        /// The first instant that it covers, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: String,
        /// The first instant after it, RFC 3339
        #[arg(long, value_name = "TIME")]
        to: String,
        /// Whether it adds to what is kept of this time, or replaces it
        #[arg(long, value_parser = ["add", "replace"])]
        mode: String,
    },
    /// Send events in parts; after a break, the same file goes on where it stopped
    #[command(after_help = "Example:\n  bastionary usage backfill upload bkf_01j… history.ndjson")]
    Upload {
        /// The backfill
        id: String,
        /// Events, one JSON object a line; `-` reads standard input
        file: PathBuf,
    },
    /// Let what was sent count
    #[command(after_help = "Example:\n  bastionary usage backfill complete bkf_01j…")]
    Complete {
        /// The backfill
        id: String,
    },
    /// Give a backfill up; nothing of it counts
    #[command(after_help = "Example:\n  bastionary usage backfill cancel bkf_01j…")]
    Cancel {
        /// The backfill
        id: String,
    },
    /// List backfills, the newest first
    #[command(after_help = "Example:\n  bastionary usage backfill list --limit 20")]
    List {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a backfill
    #[command(after_help = "Example:\n  bastionary usage backfill get bkf_01j…")]
    Get {
        /// The backfill
        id: String,
    },
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/usage/backfills/{}{rest}", encoded(id))
}

/// The lines of a file in as many parts as requests need, always the same for the same file.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut part, mut count) = (String::new(), 0_usize);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let bytes = part.len().saturating_add(line.len()).saturating_add(1);
        if count >= PART_EVENTS || (bytes > PART_BYTES && count > 0) {
            parts.push(std::mem::take(&mut part));
            count = 0;
        }
        part.push_str(line);
        part.push('\n');
        count = count.saturating_add(1);
    }
    parts.extend((count > 0).then_some(part));
    parts
}

/// Sends every part; those that came before change nothing.
async fn upload(session: &Session, id: &str, text: &str) -> Result<Value, Failure> {
    let (mut number, mut events) = (0_u64, 0_u64);
    for part in parts(text) {
        number = number.saturating_add(1);
        let body = Some(("application/x-ndjson", part.into_bytes()));
        let path = path(id, &format!("/parts?number={number}"));
        let answer = session.send(Method::POST, &path, body, Vec::new()).await;
        let answer =
            answer.map_err(|failure| Failure { what: format!("part {number}: {}", failure.what), ..failure })?;
        events = events.saturating_add(answer.unwrap_or_default().get("events").and_then(Value::as_u64).unwrap_or(0));
    }
    Ok(json!({"backfill_id": id, "parts": number, "events": events}))
}

impl Verb {
    pub(super) async fn carry_out(self, remote: &Remote, output: Shape) -> Result<Exit, Failure> {
        let (method, path, body) = match self {
            Self::List { limit } => {
                let session = remote.session("billing:read").await?;
                print(&session.list("/api/usage/backfills", &[], limit).await?, output, &COLUMNS);
                return Ok(Exit::Done);
            }
            Self::Upload { id, file } => {
                let text = read_text(&file, "events")?;
                let session = remote.session("usage:write").await?;
                print(&upload(&session, &id, &text).await?, output, &UPLOADED);
                return Ok(Exit::Done);
            }
            Self::Create { customer, meter, from, to, mode } => {
                let body = json!({"customer_id": customer, "meter": meter, "from": from, "to": to, "mode": mode});
                (Method::POST, "/api/usage/backfills".to_owned(), Some(body))
            }
            Self::Complete { id } => (Method::POST, path(&id, "/complete"), None),
            Self::Cancel { id } => (Method::POST, path(&id, "/cancel"), None),
            Self::Get { id } => (Method::GET, path(&id, ""), None),
        };
        let scope = if method == Method::GET { "billing:read" } else { "usage:write" };
        let answer = remote.session(scope).await?.call(method, &path, body.as_ref()).await?;
        print(&answer.unwrap_or_default(), output, &COLUMNS);
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_between_lines_and_always_in_the_same_places() {
        let lines = |count: usize, length: usize| format!("{}\n", "x".repeat(length)).repeat(count);
        let shape = |text: &str| parts(text).iter().map(|part| part.lines().count()).collect::<Vec<_>>();
        assert_eq!(shape(""), [0_usize; 0]);
        assert_eq!(shape("\n  \na\r\n\nb"), [2]);
        assert_eq!(shape(&lines(20_001, 5)), [10_000, 10_000, 1]);
        assert_eq!(shape(&lines(33, 65_535)), [16, 16, 1]);
        assert!(parts(&lines(33, 65_535)).iter().all(|part| part.len() <= PART_BYTES));
        // a line that no request takes is refused by the server, by its part
        assert_eq!(shape(&lines(3, PART_BYTES)), [1, 1, 1]);
    }
}

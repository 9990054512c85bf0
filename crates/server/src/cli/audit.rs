//! `bastionary audit`: the record of what was changed, issued and refused.

use std::path::PathBuf;

use serde_json::Value;

use super::onsite::Onsite;
use super::remote::{Remote, read_text};
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::operation::Operation;
use crate::terminal;

const RECORD_COLUMNS: [&str; 5] = ["at", "actor", "action", "object_kind", "object_id"];
const JOURNAL_COLUMNS: [&str; 7] = ["at", "client_id", "outcome", "reason", "count", "scope", "jti"];

/// What was changed, issued and refused
#[derive(clap::Subcommand)]
pub(crate) enum Audit {
    /// List what was changed, newest first; with `--journal`, what was issued and refused
    #[command(after_help = "Example:\n  bastionary audit list --action client.created --limit 20")]
    List(List),
    /// Recompute the audit trees and compare them with every checkpoint
    #[command(after_help = "Example:\n  bastionary audit verify --since checkpoint.txt")]
    Verify {
        /// A checkpoint that was kept elsewhere; may be repeated
        #[arg(long, value_name = "FILE")]
        since: Vec<PathBuf>,
        #[command(flatten)]
        onsite: Onsite,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t)]
        output: Shape,
    },
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    remote: Remote,
    /// The journal of tokens instead of the changes
    #[arg(long)]
    journal: bool,
    /// Who acted
    #[arg(long, conflicts_with = "journal")]
    actor: Option<String>,
    /// What was done
    #[arg(long, conflicts_with = "journal")]
    action: Option<String>,
    /// The client of journal entries
    #[arg(long, requires = "journal")]
    client_id: Option<String>,
    /// `issued` or `refused`
    #[arg(long, requires = "journal")]
    outcome: Option<String>,
    /// From this time on, RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time, RFC 3339
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Shape,
}

pub(crate) async fn carry_out(command: Audit) -> Result<Exit, Failure> {
    match command {
        Audit::List(list) => list.carry_out().await,
        Audit::Verify { since, onsite, output } => verify(&since, &onsite, output).await,
    }
}

impl List {
    async fn carry_out(self) -> Result<Exit, Failure> {
        let (path, columns): (_, &[&str]) = if self.journal {
            ("/api/audit/journal", &JOURNAL_COLUMNS)
        } else {
            ("/api/audit/records", &RECORD_COLUMNS)
        };
        let pairs = [
            ("actor", self.actor),
            ("action", self.action),
            ("client_id", self.client_id),
            ("outcome", self.outcome),
            ("from", self.from),
            ("to", self.to),
        ];
        let query: Vec<(&str, String)> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let session = self.remote.session("audit:read").await?;
        print(&session.list(path, &query, Some(self.limit)).await?, self.output, columns);
        Ok(Exit::Done)
    }
}

async fn verify(since: &[PathBuf], onsite: &Onsite, output: Shape) -> Result<Exit, Failure> {
    let known = since.iter().map(|file| read_text(file, "checkpoint")).collect::<Result<Vec<_>, _>>()?;
    let report = onsite.perform(Operation::VerifyAudit { known }).await?;
    let is_good = report.get("good").and_then(Value::as_bool).unwrap_or(false);
    if output == Shape::Table {
        for tree in report.get("trees").and_then(Value::as_array).into_iter().flatten() {
            terminal::data(&sentence(tree));
        }
    } else {
        print(&report, output, &[]);
    }
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

fn sentence(tree: &Value) -> String {
    let number = |name: &str| tree.get(name).and_then(Value::as_u64).unwrap_or(0);
    let text = |name: &str| tree.get(name).and_then(Value::as_str).unwrap_or("-");
    let findings: Vec<&str> =
        tree.get("findings").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let verdict = match tree.get("first_bad").and_then(Value::as_u64) {
        None => "good".to_owned(),
        Some(index) => format!("DOES NOT VERIFY, first bad index {index}"),
    };
    let mut out = format!(
        "tenant {}: {verdict}; {} leaves ({} records, {} blocks with {} entries), {} checkpoints compared, root {}; {} records and {} entries are newer than the last checkpoint\n",
        text("tenant"),
        number("size"),
        number("records"),
        number("blocks"),
        number("entries"),
        number("checkpoints"),
        text("root"),
        number("unsequenced_records"),
        number("unsequenced_entries"),
    );
    for finding in findings {
        out.push_str("  ");
        out.push_str(finding);
        out.push('\n');
    }
    out
}

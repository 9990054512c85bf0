//! `bastionary audit`: the record of what was changed, issued and refused.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use record::proof::{EntryProof, Proof, TokenProof};
use record::tree::Hash;
use record::{Checkpoint, Verifier};
use serde_json::{Value, json};

use super::onsite::Onsite;
use super::remote::{Remote, read_text};
use super::shape::{Shape, print};
use crate::failure::{Exit, Failure};
use crate::operation::Operation;
use crate::outbound::encoded;
use crate::terminal;

const RECORD_COLUMNS: [&str; 5] = ["at", "actor", "action", "object_kind", "object_id"];
const JOURNAL_COLUMNS: [&str; 7] = ["at", "client_id", "outcome", "reason", "count", "scope", "jti"];

/// What was changed, issued and refused
#[derive(clap::Subcommand)]
pub(crate) enum Audit {
    /// List what was changed, newest first; with `--journal`, what was issued and refused
    #[command(after_help = "Example:\n  bastionary audit list --action client.created --limit 20")]
    List(List),
    /// Print the proof that a token was issued, for `audit verify --proof` and for other tools
    #[command(after_help = "Example:\n  bastionary audit prove --jti \"$JTI\" > proof.json")]
    Prove(Prove),
    /// Recompute the audit trees and compare them with every checkpoint; with `--proof`, verify that alone
    #[command(
        after_help = "Example:\n  bastionary audit verify --since checkpoint.txt\n  bastionary audit verify --proof proof.json --key \"$VERIFIER_KEY\""
    )]
    Verify(Verify),
}

#[derive(clap::Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    remote: Remote,
    /// The claim `jti` of the token
    #[arg(long)]
    jti: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Shape::Json)]
    output: Shape,
}

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// A checkpoint that was kept elsewhere; may be repeated
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
    /// The proof of a token, verified without a server and without a store
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "since")]
    proof: Option<PathBuf>,
    /// A checkpoint key to believe, as `verifier_key` of `/api/keys` names it; may be repeated
    #[arg(long, value_name = "KEY", requires = "proof")]
    key: Vec<String>,
    #[command(flatten)]
    onsite: Onsite,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Shape,
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
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Shape,
}

pub(crate) async fn carry_out(command: Audit) -> Result<Exit, Failure> {
    match command {
        Audit::List(list) => list.carry_out().await,
        Audit::Prove(prove) => prove.carry_out().await,
        Audit::Verify(verify) => verify.carry_out().await,
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

impl Prove {
    async fn carry_out(self) -> Result<Exit, Failure> {
        let session = self.remote.session("audit:read").await?;
        let path = format!("/api/audit/proofs?jti={}", encoded(&self.jti));
        print(&session.call(Method::GET, &path, None).await?.unwrap_or_default(), self.output, &[]);
        Ok(Exit::Done)
    }
}

impl Verify {
    async fn carry_out(self) -> Result<Exit, Failure> {
        if let Some(file) = &self.proof {
            return proven(file, &self.key, self.output);
        }
        let known = self.since.iter().map(|file| read_text(file, "checkpoint")).collect::<Result<Vec<_>, _>>()?;
        let report = self.onsite.perform(Operation::VerifyAudit { known }).await?;
        let is_good = report.get("good").and_then(Value::as_bool).unwrap_or(false);
        if self.output == Shape::Table {
            for tree in report.get("trees").and_then(Value::as_array).into_iter().flatten() {
                terminal::data(&sentence(tree));
            }
        } else {
            print(&report, self.output, &[]);
        }
        Ok(if is_good { Exit::Done } else { Exit::Failed })
    }
}

/// Verifies the proof of a token with the keys alone.
fn proven(file: &Path, keys: &[String], output: Shape) -> Result<Exit, Failure> {
    let unreadable = |why: &str| {
        Failure::new("the proof cannot be read", why, "Give the answer of `bastionary audit prove`.").exit(Exit::Usage)
    };
    let keys = keys.iter().map(|key| Verifier::parse(key)).collect::<Result<Vec<_>, _>>().map_err(|error| {
        Failure::new("the key cannot be read", error, "`bastionary keys get` shows it as `verifier_key`.")
            .exit(Exit::Usage)
    })?;
    let text = read_text(file, "proof")?;
    let proof: Value = serde_json::from_str(&text).map_err(|error| unreadable(&error.to_string()))?;
    let proof = token_proof(&proof).ok_or_else(|| unreadable("it is not the proof of a token"))?;
    let (issued, checkpoint) = proof.verify(&keys).map_err(|error| {
        Failure::new("the proof does not hold", error, "What it says about the token must not be believed.")
    })?;
    let verdict = json!({
        "good": true, "jti": issued.jti(), "at": issued.at.to_string(), "client_id": &*issued.client_id,
        "credential": issued.credential.to_string(), "scope": &*issued.scope, "audience": &*issued.audience,
        "expires_at": issued.at.plus_seconds(i64::from(issued.lifetime_seconds)).to_string(),
        "leaf": proof.inclusion.leaf, "size": checkpoint.size, "origin": checkpoint.origin,
    });
    print(&verdict, output, &[]);
    Ok(Exit::Done)
}

/// The proof in an answer of the API; `None` when a member is missing or is something else.
fn token_proof(answer: &Value) -> Option<TokenProof> {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64);
    let bytes = |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok());
    let hash = |value: &Value| bytes(value).and_then(|bytes| Hash::try_from(bytes).ok());
    let path = |name: &str| answer.get(name)?.as_array()?.iter().map(hash).collect::<Option<Vec<_>>>();
    let block = bytes(answer.get("block")?)?;
    let (entries, root) = record::canonical::parse_block(&block)?;
    let entry = EntryProof {
        bytes: bytes(answer.get("entry")?)?,
        index: number("entry_index")?,
        entries,
        path: path("entry_path")?,
        root,
    };
    let inclusion = Proof {
        leaf: number("leaf")?,
        hash: hash(answer.get("hash")?)?,
        path: path("path")?,
        checkpoint: Checkpoint::parse(answer.get("checkpoint")?.as_str()?).ok()?,
    };
    Some(TokenProof { entry, block, inclusion })
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

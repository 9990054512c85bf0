//! `bastionary doctor`: looks at an installation and names one remedy per finding.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::onsite::Onsite;
use super::shape::{Shape, print};
use crate::config::Config;
use crate::data_dir::is_open_to_others;
use crate::failure::{Exit, Failure};
use crate::listen::tls::Certificates;
use crate::operation::Operation;
use crate::terminal;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  bastionary doctor --data-dir ./bastionary-data")]
pub(crate) struct Doctor {
    #[command(flatten)]
    onsite: Onsite,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: Shape,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Answer for a finding that only a person can judge
    #[command(after_help = "Example:\n  bastionary doctor accept restore_unconfirmed")]
    Accept {
        /// Which
        finding: Finding,
        #[command(flatten)]
        onsite: Onsite,
    },
}

/// Findings that can be accepted.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Finding {
    /// What was disabled, deleted or removed after the backup is not known to the restored store
    #[value(name = "restore_unconfirmed")]
    RestoreUnconfirmed,
}

impl Doctor {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        if let Some(Verb::Accept { finding: Finding::RestoreUnconfirmed, onsite }) = &self.verb {
            print(&onsite.perform(Operation::AcceptRestore).await?, self.output, &[]);
            return Ok(Exit::Done);
        }
        let mut findings = Vec::new();
        match self.onsite.config() {
            Err(failure) => {
                findings.push(finding("configuration", "critical", &failure.why, "Correct the keys that are named."));
            }
            Ok(config) => {
                findings.push(finding("configuration", "ok", "every key can be used", ""));
                findings.extend(edge(&config));
                findings.extend(modes(&config));
                match self.onsite.perform(Operation::Examine).await {
                    Ok(report) => {
                        let seen = report.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
                        // A running server knows where it listens; the configuration of this command may be another.
                        if seen.iter().any(is_listener) {
                            findings.retain(|finding| !is_listener(finding));
                        }
                        findings.extend(seen);
                    }
                    // Whoever may not look must not be told that something is broken.
                    Err(failure) if failure.exit == Exit::Denied => return Err(failure),
                    Err(failure) => {
                        let why = format!("{}: {}", failure.what, failure.why.replace('\n', "; "));
                        findings.push(finding("server", "critical", &why, &failure.remedy));
                    }
                }
            }
        }
        let is_critical = findings.iter().any(|f| f.get("level").and_then(Value::as_str) == Some("critical"));
        if self.output == Shape::Table {
            for finding in &findings {
                terminal::data(&line(finding));
            }
        } else {
            print(&json!({"data": findings}), self.output, &[]);
        }
        Ok(if is_critical { Exit::Failed } else { Exit::Done })
    }
}

fn is_listener(finding: &Value) -> bool {
    finding.get("check").and_then(Value::as_str) == Some("listener")
}

fn finding(check: &str, level: &str, detail: &str, remedy: &str) -> Value {
    json!({"check": check, "level": level, "detail": detail, "remedy": remedy})
}

fn line(finding: &Value) -> String {
    let text = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
    let remedy = text("remedy");
    let next = if remedy.is_empty() { String::new() } else { format!("          {remedy}\n") };
    format!("{:8}  {}: {}\n{next}", text("level"), text("check"), text("detail"))
}

/// What the public listener would refuse to start with.
fn edge(config: &Config) -> Vec<Value> {
    let mut findings = Vec::new();
    findings.push(match config.listen_guard() {
        Ok(()) => finding("listener", "ok", &format!("{}", config.listen), ""),
        Err(error) => finding("listener", "critical", &error.to_string(), "Choose one of the three ways out."),
    });
    if let Some(tls) = &config.tls {
        findings.push(match Certificates::load(tls) {
            Ok(_) => finding("tls", "ok", "certificate and key belong together", ""),
            Err(error) => finding("tls", "critical", &error.to_string(), "Correct the files."),
        });
    }
    findings
}

/// Files that other users must not reach.
fn modes(config: &Config) -> Vec<Value> {
    let dir = &config.data_dir;
    let key = config.master_key_file.clone().unwrap_or_else(|| dir.join("master.key"));
    let files = [(dir.clone(), "warning"), (key, "critical"), (dir.join("bastionary.db"), "warning")];
    files.iter().filter_map(|(file, level)| mode(file, level)).collect()
}

fn mode(file: &Path, level: &str) -> Option<Value> {
    let metadata = std::fs::metadata(file).ok()?;
    let mode = metadata.mode() & 0o777;
    let check = format!("mode of {}", file.display());
    if !is_open_to_others(mode) {
        return Some(finding(&check, "ok", &format!("{mode:04o}"), ""));
    }
    let right = if metadata.is_dir() { "700" } else { "600" };
    let remedy = format!("Run `chmod {right} {}`.", file.display());
    Some(finding(&check, level, &format!("{mode:04o} lets other users in"), &remedy))
}

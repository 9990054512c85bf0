//! `cargo xtask proof [name]`: the long runs, with what they found written down in `docs/proof.md`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::output::say;
use crate::{step, suite};

const DOCUMENT: &str = "docs/proof.md";

const HEAD: &str = "# Proof\n\nWhat the long runs found, each with its command and the machine it ran on.\n";

/// Runs the ignored tests whose names begin with `proof_<name>` and records the lines they print.
pub(crate) fn run(name: &str) -> Result<()> {
    let cluster = suite::cluster()?;
    let filter = format!("proof_{name}");
    packages(Path::new("crates"), &filter)?;
    // All crates with proofs in one build: a choice of them would have other features, and be built anew for each proof.
    let mut arguments = ["test", "--profile", "proof", "--lib", "--test", "it"].map(str::to_owned).to_vec();
    arguments
        .extend(packages(Path::new("crates"), "proof_")?.into_iter().flat_map(|name| ["--package".to_owned(), name]));
    arguments.extend(["--", "--ignored", "--nocapture", &filter].map(str::to_owned));
    let command = format!("cargo xtask proof {name}");
    say(&format!("==> BASTIONARY_PROOF=full cargo {}", arguments.join(" ")));
    let mut child = Command::new("cargo")
        .args(&arguments)
        .env("BASTIONARY_PROOF", "full")
        .env("INSTA_UPDATE", "no")
        .env(testkit::postgres::SOCKET_VARIABLE, cluster.sockets())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo did not start")?;
    let mut found = Vec::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("reading the output of the tests")?;
            say(&line);
            found.extend(finding(&line).map(ToOwned::to_owned));
        }
    }
    let status = child.wait().context("waiting for cargo")?;
    if !status.success() {
        bail!("the proof failed ({status}); {DOCUMENT} is unchanged");
    }
    if found.is_empty() {
        bail!("no test named `{filter}…` printed a finding");
    }
    note(command.trim_end(), &found)
}

/// The packages with a test whose name begins so, by their manifests.
fn packages(crates: &Path, filter: &str) -> Result<Vec<String>> {
    let mark = format!("fn {filter}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(crates).context("crates")? {
        let directory = entry?.path();
        let mut open = vec![directory.clone()];
        let mut holds = false;
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path)?.filter_map(|entry| Some(entry.ok()?.path())));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                holds |= std::fs::read_to_string(&path)?.contains(&mark);
            }
        }
        if holds {
            let manifest = std::fs::read_to_string(directory.join("Cargo.toml"))?;
            let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
            found.push(name.with_context(|| format!("{} has no name", directory.display()))?.to_owned());
        }
    }
    if found.is_empty() {
        bail!("no test is named `{filter}…`");
    }
    found.sort();
    Ok(found)
}

/// Writes down what a command found.
pub(crate) fn note(command: &str, found: &[String]) -> Result<()> {
    let section = section(command, &machine()?, found);
    let before = std::fs::read_to_string(DOCUMENT).unwrap_or_else(|_| HEAD.to_owned());
    std::fs::write(DOCUMENT, replaced(&before, &section)).with_context(|| format!("writing {DOCUMENT}"))
}

/// What follows the mark; the test harness may have written the test's name on the same line before it.
fn finding(line: &str) -> Option<&str> {
    let rest = if line.starts_with("test ") { line.split_once(" ... ")?.1 } else { line };
    rest.strip_prefix("PROOF ").map(str::trim)
}

fn section(command: &str, machine: &str, found: &[String]) -> String {
    format!("## `{command}`\n\n{machine}\n\n- {}\n", found.join("\n- "))
}

/// The document with this section in place of an older one of the same heading.
fn replaced(document: &str, section: &str) -> String {
    let mut parts = document.split("\n## ");
    let mut result = parts.next().unwrap_or_default().trim_end().to_owned();
    let heading = |text: &str| text.trim_start_matches("## ").lines().next().unwrap_or_default().to_owned();
    let mut sections: Vec<String> = parts.map(|part| format!("## {}", part.trim_end())).collect();
    let same = |old: &String| heading(old) == heading(section);
    match sections.iter_mut().find(|old| same(old)) {
        Some(old) => section.trim_end().clone_into(old),
        None => sections.push(section.trim_end().to_owned()),
    }
    for section in sections {
        result.push_str("\n\n");
        result.push_str(&section);
    }
    result.push('\n');
    result
}

/// The machine in one line: processors, model, system, and the commit that ran.
fn machine() -> Result<String> {
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = described
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, model)| model))
        .unwrap_or("unknown model");
    let system = step::output("uname", &["-sm"])?;
    let commit = step::output("git", &["-c", "safe.directory=*", "rev-parse", "--short", "HEAD"])?;
    Ok(format!("{processors} processors, {model}, {}, commit {}", system.trim(), commit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_that_begins_with_the_mark() {
        assert_eq!(finding("PROOF crash: 10000 kills, 0 lost"), Some("crash: 10000 kills, 0 lost"));
        assert_eq!(finding("test proof_crash ... PROOF crash: 1 kill"), Some("crash: 1 kill"));
        assert_eq!(finding("no PROOF here"), None);
        assert_eq!(finding("test proof_crash ... ok"), None);
    }

    #[test]
    fn a_proof_is_built_where_its_test_is_and_nowhere_else() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(packages(&crates, "proof_hostile_input").unwrap(), ["api"]);
        assert_eq!(packages(&crates, "proof_fuzz").unwrap(), ["bastionary", "billing"]);
        assert!(packages(&crates, "proof_").unwrap().len() > 1, "every proof");
        assert!(packages(&crates, &["proof_", "of_nothing"].concat()).is_err());
    }

    #[test]
    fn a_repeated_proof_replaces_its_own_section_and_no_other() {
        let one = section("cargo xtask proof one", "m", &["a".to_owned()]);
        let two = section("cargo xtask proof two", "m", &["b".to_owned()]);
        let again = section("cargo xtask proof one", "m", &["c".to_owned()]);
        let document = replaced(&replaced(&replaced(HEAD, &one), &two), &again);
        assert_eq!(document, replaced(&replaced(HEAD, &again), &two));
        assert!(document.starts_with(HEAD) && document.ends_with("- b\n"), "{document}");
        assert!(!document.contains("- a"));
    }
}

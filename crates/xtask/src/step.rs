//! Running other programs and passing on what they said.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::output::say;

/// A step under way; says how long it took when it ends, whichever way it ends.
pub(crate) struct Step(Instant);

/// Announces a step.
pub(crate) fn begin(heading: &str) -> Step {
    say(&format!("==> {heading}"));
    Step(Instant::now())
}

impl Drop for Step {
    fn drop(&mut self) {
        say(&format!("    took {:.1} s", self.0.elapsed().as_secs_f64()));
    }
}

/// Runs a program with inherited output; an error when it fails.
pub(crate) fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let mut words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    words.push(program.to_owned());
    words.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let shown = words.join(" ");
    let _step = begin(&shown);
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .status()
        .with_context(|| format!("{program} did not start"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// The standard output of a program; an error with what it complained about when it fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} did not start"))?;
    if !done.status.success() {
        bail!(
            "`{program} {}` failed ({}): {}",
            arguments.join(" "),
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
    }
    String::from_utf8(done.stdout).with_context(|| format!("{program} wrote something that is not UTF-8"))
}

/// Where cargo builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("the metadata of the workspace")?;
    let named = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    named.map(PathBuf::from).context("cargo named no target directory")
}

/// Whether a program is installed and answers to `--version`.
pub(crate) fn is_installed(program: &str) -> bool {
    let quiet = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_an_error_that_names_its_command_line() {
        let error = output("sh", &["-c", "echo wrong >&2; false"]).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("wrong"), "{error}");
        assert!(run("false", &[], &[]).is_err());
        assert_eq!(output("echo", &["fine"]).unwrap(), "fine\n");
    }
}

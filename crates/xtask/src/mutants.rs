//! The security mutants: each weakening of a guard must turn its test red and leave the happy path green.

mod list;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tree::{self, SourceFile};
use crate::{output, step};
use list::{ATTACKS, MUTANTS, Package};

/// What a weakened build contains and no other one.
const SWITCH: &[u8] = b"BASTIONARY_MUTANT";

/// Builds the tests of each package once with the weakenings inside, and runs each mutant's test under it; what was found.
pub(crate) fn run() -> Result<String> {
    let _step = step::begin("security mutants");
    let breaches = check(&tree::files()?);
    if !breaches.is_empty() {
        bail!("the list of mutants is not whole:\n{}", breaches.join("\n"));
    }
    let executables = build()?;
    let mut survivors = Vec::new();
    for (package, tests) in &executables {
        let outcome = Outcome::of(tests, "", &[package.happy()])?;
        if !outcome.passed(package.happy()) {
            bail!("`{}` of {} fails without a mutant", package.happy(), package.name());
        }
    }
    for mutant in MUTANTS {
        let (_, tests) = executables.iter().find(|(package, _)| *package == mutant.package).context("it was built")?;
        let happy = mutant.package.happy();
        let outcome = Outcome::of(tests, mutant.id, &[happy, mutant.test])?;
        if !outcome.passed(happy) {
            bail!("the mutant {} breaks the happy path, so it proves nothing", mutant.id);
        }
        let survived = outcome.passed(mutant.test);
        output::say(&format!("{}: {} ({})", mutant.id, if survived { "SURVIVED" } else { "killed" }, mutant.weakens));
        survivors.extend(survived.then_some(mutant.id));
    }
    if !survivors.is_empty() {
        bail!("these mutants survived: {}", survivors.join(", "));
    }
    let (count, rows) = (MUTANTS.len(), ATTACKS.len());
    let found = format!("mutants: {count} of {count} killed, for {rows} attacks and the requirements beside them");
    output::say(&format!("PROOF {found}"));
    Ok(found)
}

/// Whether every attack has a mutant, every guard in the code is listed, and every listed one is in the code.
pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let listed: Vec<&str> = MUTANTS.iter().map(|mutant| mutant.id).collect();
    let mut breaches: Vec<String> = ATTACKS
        .iter()
        .filter(|(row, _)| !listed.iter().any(|id| row_of(id) == *row))
        .map(|(row, what)| format!("the attack {row} ({what}) has no mutant"))
        .collect();
    for (at, id) in listed.iter().enumerate() {
        if listed.iter().skip(at.saturating_add(1)).any(|other| other == id) {
            breaches.push(format!("the mutant {id} is listed twice"));
        }
        if !is_requirement(row_of(id)) && !ATTACKS.iter().any(|(row, _)| *row == row_of(id)) {
            breaches.push(format!("the mutant {id} names no attack"));
        }
    }
    let guards: BTreeSet<&str> = files
        .iter()
        .filter(|file| file.source_of().is_some() && !file.path.starts_with("crates/xtask/"))
        .flat_map(|file| guards_in(&file.text))
        .collect();
    for id in &listed {
        if !guards.contains(id) {
            breaches.push(format!("no guard is weakened by the mutant {id}"));
        }
    }
    for id in guards {
        if !listed.contains(&id) {
            breaches.push(format!("the mutant {id} is in the code and not in the list"));
        }
    }
    breaches
}

/// The row before the last hyphen: `J10` of `J10-audience`, `S-04` of `S-04-widened`.
fn row_of(id: &str) -> &str {
    let skipped = if id.starts_with("S-") { 2 } else { 0 };
    let end = id.get(skipped..).and_then(|rest| rest.find('-')).map_or(id.len(), |at| at.saturating_add(skipped));
    id.get(..end).unwrap_or(id)
}

/// Whether a row is a requirement and not an attack.
fn is_requirement(row: &str) -> bool {
    row.strip_prefix("S-").is_some_and(|number| number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The ids that a source text asks for.
fn guards_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("mutant::is(\"").skip(1).filter_map(|rest| rest.split('"').next())
}

/// The test executables of all packages, built in one go.
fn build() -> Result<Vec<(Package, String)>> {
    let mut build = vec!["test", "--features", "kernel/mutants", "--test", "it", "--no-run"];
    for package in Package::ALL {
        build.extend(["-p", package.name()]);
    }
    step::run("cargo", &build, &[])?;
    build.push("--message-format=json");
    let messages = step::output("cargo", &build)?;
    Package::ALL
        .into_iter()
        .map(|package| {
            let found = executable(&messages, package.manifest());
            Ok((package, found.with_context(|| format!("cargo named no tests of {}", package.name()))?))
        })
        .collect()
}

/// The test executable of the package with this manifest that cargo names in its messages.
fn executable(messages: &str, manifest: &str) -> Option<String> {
    let of_package = |message: &Value| message.get("manifest_path")?.as_str().map(|path| path.ends_with(manifest));
    let is_test = |message: &Value| message.get("profile")?.get("test")?.as_bool();
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| of_package(message) == Some(true) && is_test(message) == Some(true))
        .filter_map(|message| message.get("executable")?.as_str().map(str::to_owned))
        .next_back()
}

/// What a run of some tests said.
struct Outcome(String);

impl Outcome {
    /// Runs tests under a mutant; an unknown test is an error, not a pass.
    fn of(executable: &str, mutant: &str, tests: &[&str]) -> Result<Self> {
        let run = std::process::Command::new(executable)
            .arg("--exact")
            .args(tests)
            .env("BASTIONARY_MUTANT", mutant)
            .env("INSTA_UPDATE", "no")
            .output()
            .with_context(|| format!("{executable} did not start"))?;
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let expected =
            if tests.len() == 1 { "running 1 test\n".to_owned() } else { format!("running {} tests\n", tests.len()) };
        if !text.contains(&expected) {
            bail!("one of these tests is not there: {}", tests.join(", "));
        }
        Ok(Self(text))
    }

    /// Whether a test passed; one that took the process down with it did not.
    fn passed(&self, test: &str) -> bool {
        self.0.lines().any(|line| line == format!("test {test} ... ok"))
    }
}

/// Whether a program that is no weakened build is free of the weakenings.
pub(crate) fn absent(program: &std::path::Path) -> Result<()> {
    let bytes = std::fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    if bytes.windows(SWITCH.len()).any(|window| window == SWITCH) {
        bail!("{} contains the security mutants", program.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_test_executable_of_the_package_is_its_tests() {
        let line = |manifest: &str, executable: &str, test: bool| {
            serde_json::json!({"manifest_path": manifest, "executable": executable, "profile": {"test": test}})
                .to_string()
        };
        let messages = [
            line("/r/crates/api/Cargo.toml", "/x/it-1", true),
            line("/r/crates/server/Cargo.toml", "/x/bastionary", false),
            line("/r/crates/server/Cargo.toml", "/x/it-2", true),
            "noise".to_owned(),
        ];
        let messages = messages.join("\n");
        assert_eq!(executable(&messages, Package::Api.manifest()).as_deref(), Some("/x/it-1"));
        assert_eq!(executable(&messages, Package::Server.manifest()).as_deref(), Some("/x/it-2"));
        assert_eq!(executable("noise", Package::Api.manifest()), None);
    }

    #[test]
    fn a_row_is_what_stands_before_the_guard() {
        assert_eq!(row_of("J10-audience"), "J10");
        assert_eq!(row_of("S-04-widened"), "S-04");
        assert_eq!(row_of("J07"), "J07");
        assert!(is_requirement("S-04") && !is_requirement("S04") && !is_requirement("S-4x"));
    }

    #[test]
    fn a_guard_without_a_mutant_and_a_mutant_without_a_guard_are_breaches() {
        let file = |text: &str| SourceFile { path: "crates/auth/src/x.rs".to_owned(), text: text.to_owned() };
        let all = MUTANTS.iter().map(|mutant| format!("mutant::is(\"{}\");\n", mutant.id)).collect::<Vec<_>>().concat();
        assert_eq!(check(&[file(&all)]), Vec::<String>::new());
        let more = check(&[file(&format!("{all}|| mutant::is(\"X99-new\")"))]);
        assert_eq!(more, ["the mutant X99-new is in the code and not in the list"]);
        assert_eq!(check(&[file("")]).len(), MUTANTS.len());
    }

    #[test]
    fn a_test_that_took_the_process_down_did_not_pass() {
        let outcome = Outcome("running 2 tests\ntest a::b ... ok\ntest c ... FAILED\n".to_owned());
        assert!(outcome.passed("a::b") && !outcome.passed("c") && !outcome.passed("d") && !outcome.passed("b"));
    }
}

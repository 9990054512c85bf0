//! The tasks of the house: `cargo xtask test | lint | proof [name] | bench | interop | e2e | openapi [--write]`.

mod arrows;
mod examples;
mod lint;
mod map;
mod mutants;
mod names;
mod notices;
mod openapi;
mod output;
mod packages;
mod proof;
mod reference;
mod size;
mod snapshots;
mod snippets;
mod statements;
mod step;
mod suite;
mod tree;
mod words;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
cargo xtask test               all tests on both engines, then the interoperability clients and the browser
cargo xtask lint [--full]      format, compiler lints, shape, documentation, dependencies; --full insists on cargo-deny
cargo xtask shape              the part of lint that needs no compiler
cargo xtask proof [name]       the long runs; what they found goes to docs/proof.md
cargo xtask mutants            each weakening of a guard must turn its test red
cargo xtask bench              a sitting of the load generator against the build that ships
cargo xtask interop            other people's clients against the binary
cargo xtask e2e                the console in a browser; E2E_SCREENSHOTS=1 also draws docs/images
cargo xtask examples           the examples of the README and of the book
cargo xtask openapi [--write]  compare or replace openapi/bastionary.json and docs/api.md
cargo xtask notices [--write]  compare or replace the list of packages that the binary is made of";

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    // Cargo starts tasks where the caller stands; every path in this crate is relative to the root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the crate has no workspace")?;
    std::env::set_current_dir(root).with_context(|| format!("entering {}", root.display()))?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test"] => suite::run(),
        ["lint"] => lint::run(lint::Tools::AsInstalled),
        ["lint", "--full"] => lint::run(lint::Tools::All),
        ["shape"] => lint::shape(),
        ["proof"] => proof::run(""),
        ["proof", "mutants"] => proof::note("cargo xtask proof mutants", &[mutants::run()?]),
        ["proof", "snippets"] => proof::note("cargo xtask proof snippets", &snippets::prove()?),
        ["proof", name] => proof::run(name),
        ["mutants"] => mutants::run().map(drop),
        ["bench"] => bench(),
        ["interop"] => suite::interop(),
        ["e2e"] => suite::browser(),
        ["examples"] => examples::run(),
        ["openapi"] => openapi::run(openapi::Mode::Compare),
        ["openapi", "--write"] => openapi::run(openapi::Mode::Write),
        ["notices"] => notices::run(openapi::Mode::Compare),
        ["notices", "--write"] => notices::run(openapi::Mode::Write),
        [] | ["help" | "--help" | "-h"] => {
            output::say(USAGE);
            Ok(())
        }
        _ => bail!("not a task. The tasks are:\n{USAGE}"),
    }
}

fn bench() -> Result<()> {
    step::run("cargo", &["build", "--profile", "dist", "-p", "bastionary"], &[])?;
    step::run("cargo", &["run", "--profile", "dist", "-p", "bench", "--", "sitting"], &[])
}

//! `cargo xtask lint`: format, compiler lints, the shape of the code, its documentation, its dependencies.

use anyhow::{Context, Result, bail};

use crate::output::say;
use crate::{arrows, map, mutants, names, notices, packages, size, statements, step, tree, words};

/// Which optional programs must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tools {
    /// Those that are installed are used.
    AsInstalled,
    /// One that is missing is a failure.
    All,
}

/// Runs every check in order; the first failing step ends it.
pub(crate) fn run(tools: Tools) -> Result<()> {
    step::run("cargo", &["fmt", "--all", "--check"], &[])?;
    step::run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    shape()?;
    step::run("cargo", &["doc", "--no-deps", "--workspace"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    if step::is_installed("cargo-deny") {
        step::run("cargo", &["deny", "check"], &[])?;
    } else if tools == Tools::All {
        bail!("cargo-deny is not installed: cargo install --locked cargo-deny");
    } else {
        say("cargo-deny is not installed; its bans and sources were checked, advisories were not");
    }
    Ok(())
}

/// The checks that need nothing but the files: all breaches are shown, not the first alone.
pub(crate) fn shape() -> Result<()> {
    let _step = step::begin("shape");
    let files = tree::files()?;
    let mut breaches = arrows::check(&step::output("cargo", &["metadata", "--no-deps", "--format-version", "1"])?)?;
    breaches.extend(names::check(&files));
    breaches.extend(size::check(&files));
    breaches.extend(statements::check(&files));
    breaches.extend(map::check(&files));
    breaches.extend(mutants::check(&files));
    breaches.extend(words::engines(&files));
    breaches.extend(words::marks(&files));
    breaches.extend(words::cryptography(&files));
    breaches.extend(words::connections(&files));
    breaches.extend(words::private_paths(&files));
    breaches.extend(notices::check()?);
    breaches.extend(packages::lock(&std::fs::read_to_string("Cargo.lock").context("reading Cargo.lock")?));
    let policy = packages::Policy::parse(&std::fs::read_to_string("deny.toml").context("reading deny.toml")?);
    let tree = |edges| {
        step::output("cargo", &["tree", "--workspace", "--edges", edges, "--target", "all", "--prefix", "none"])
    };
    breaches.extend(policy.built(&tree("normal,build")?));
    breaches.extend(policy.doubled(&tree("normal,build,dev")?));
    for breach in &breaches {
        say(breach);
    }
    match breaches.len() {
        0 => Ok(()),
        count => bail!("{count} breaches of the shape"),
    }
}

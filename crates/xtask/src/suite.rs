//! `cargo xtask test`: all tests on both engines with one throw-away PostgreSQL, then what drives the binary from
//! outside.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use testkit::TempDir;
use testkit::postgres::{self, Cluster, Durability};

use crate::output::say;
use crate::{examples, mutants, openapi, snapshots, step, tree};

const INTEROP: &str = "interop/run.sh";
const BROWSER: &str = "e2e/run.sh";

/// Runs the whole suite; the first failing step ends it.
pub(crate) fn run() -> Result<()> {
    let cluster = cluster()?;
    let sockets = cluster.sockets().display().to_string();
    let scratch = TempDir::new()?;
    let references = scratch.path().join("snapshots");
    let references_shown = references.display().to_string();
    let variables = [
        ("INSTA_UPDATE", "no"),
        (snapshots::REFERENCES, references_shown.as_str()),
        (postgres::SOCKET_VARIABLE, sockets.as_str()),
    ];
    // Documentation tests are part of this run.
    step::run("cargo", &["test", "--workspace", "--no-fail-fast"], &variables)?;
    let unreferenced = {
        let _step = step::begin("snapshots that no test uses");
        let paths: Vec<String> = tree::files()?.into_iter().map(|file| file.path).collect();
        snapshots::unreferenced(&paths, &std::fs::read_to_string(&references).unwrap_or_default(), &tree::root()?)
    };
    if !unreferenced.is_empty() {
        bail!("no test uses these snapshots; delete them:\n{}", unreferenced.join("\n"));
    }
    mutants::absent(&step::target_directory()?.join("debug/bastionary"))?;
    mutants::run()?;
    openapi::run(openapi::Mode::Compare)?;
    step::run("bash", &[INTEROP], &[(postgres::SOCKET_VARIABLE, sockets.as_str())])?;
    browser()?;
    examples::run()
}

/// Other people's clients against the binary.
pub(crate) fn interop() -> Result<()> {
    if !Path::new(INTEROP).exists() {
        bail!("there is no {INTEROP}");
    }
    let cluster = cluster()?;
    step::run("bash", &[INTEROP], &[(postgres::SOCKET_VARIABLE, cluster.sockets().display().to_string().as_str())])
}

/// The console in a browser.
pub(crate) fn browser() -> Result<()> {
    step::run("bash", &[BROWSER], &[])
}

/// A cluster for one run; PostgreSQL is installed first when it is missing and root may do so.
pub(crate) fn cluster() -> Result<Cluster> {
    if let Err(missing) = postgres::programs() {
        if step::output("id", &["-u"])?.trim() != "0" {
            bail!("{missing}");
        }
        say("PostgreSQL is missing; installing it");
        step::run("apt-get", &["update", "-q"], &[])?;
        let install = ["install", "-y", "-q", "--no-install-recommends", "postgresql"];
        step::run("apt-get", &install, &[("DEBIAN_FRONTEND", "noninteractive")])?;
    }
    Cluster::start(Durability::Functional).map_err(|error| anyhow!(error))
}

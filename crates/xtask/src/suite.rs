//! `cargo xtask test`: all tests on both engines with one throw-away PostgreSQL, then the interoperability clients.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use testkit::postgres::{self, Cluster, Durability};

use crate::output::say;
use crate::step;

const INTEROP: &str = "interop/run.sh";

/// Runs the whole suite.
pub(crate) fn run() -> Result<()> {
    let cluster = cluster()?;
    let sockets = cluster.sockets().display().to_string();
    let variables = [("INSTA_UPDATE", "no"), (postgres::SOCKET_VARIABLE, sockets.as_str())];
    step::run("cargo", &["test", "--workspace"], &variables)?;
    if Path::new(INTEROP).exists() {
        step::run("bash", &[INTEROP], &variables)?;
    }
    Ok(())
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

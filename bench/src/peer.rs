//! The peer of P2, from its registry: npm `oidc-provider` with signed JWTs, everything in memory.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::client::Connection;
use crate::floor;
use crate::process::{Process, SERVER_CORE, pinned};

/// Its one client; the peer keeps clients in a map, so that more of them would not make it faster.
pub(crate) const CLIENT: &str = "bench";

/// A running peer; `None`, with the reason, where it is not installed.
pub(crate) async fn start() -> Result<Result<Process, String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/oidc-provider");
    if !directory.join("node_modules/oidc-provider").is_dir() {
        return Ok(Err(format!("P2 is left out: run `npm ci` in {} to install the peer", directory.display())));
    }
    let Some(node) = node() else { return Ok(Err("P2 is left out: there is no `node` on the path".to_owned())) };
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = pinned(SERVER_CORE, &node);
    command.arg("server.mjs").args([&address.to_string(), CLIENT, floor::SECRET]).current_dir(directory);
    let process = Process::start(quiet(command), address)?;
    let begun = Instant::now();
    while Connection::open(address).await.is_err() {
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("the peer did not start");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Ok(process))
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Where `node` is.
fn node() -> Option<PathBuf> {
    let found = Command::new("sh").args(["-c", "command -v node"]).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    Some(path.trim()).filter(|path| !path.is_empty()).map(PathBuf::from)
}

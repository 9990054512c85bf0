//! Server processes pinned to a core, and what `/proc` says about them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// The core of the servers, and the core of the generator.
pub(crate) const SERVER_CORE: &str = "0";
/// See [`SERVER_CORE`].
pub(crate) const GENERATOR_CORE: &str = "1";

/// Clock ticks per second in `/proc/<pid>/stat`: the kernel's interface fixes `USER_HZ` at 100 on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server; dropping it ends it.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A program pinned to a core.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core).arg(program);
    command
}

impl Process {
    /// Starts a floor of this program and waits for the address it says.
    pub(crate) fn floor(kind: &str) -> Result<Self> {
        let mut command = pinned(SERVER_CORE, &std::env::current_exe()?);
        let mut child = command.args(["floor", kind]).stdout(Stdio::piped()).spawn().context("taskset")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the floor's output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening ").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            child.kill()?;
            anyhow::bail!("the floor {kind} did not start: {line}");
        };
        Ok(Self { child, address })
    }

    /// Starts a prepared command that will listen on the address.
    pub(crate) fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        Ok(Self { child: command.spawn().context("starting the server")?, address })
    }

    /// The process id; `taskset` replaced itself with the server, so it is the server's.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.id().to_string()]).status().context("kill")?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Seconds of processor time used so far, in user and kernel mode.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).context("/proc")?;
        // the name may hold spaces, so fields are counted from its closing parenthesis: state is the first
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
        Ok(fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND)
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).context("/proc")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // a process that has ended already needs no ending
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

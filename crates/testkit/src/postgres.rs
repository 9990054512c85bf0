//! Throw-away PostgreSQL: the system's own server on a Unix socket, one cluster per process.
//!
//! A shell supervises the server: it ends the server and removes its directory as soon as its standard input
//! closes, which happens however the test process ends. Parent-death signals alone would not do: they
//! fire when the *thread* that started the server ends, and a test's thread ends with the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::directory::TempDir;

/// Names the socket directory of a running cluster that tests use instead of starting their own.
pub const SOCKET_VARIABLE: &str = "BASTIONARY_TEST_POSTGRES";

const MISSING: &str = "PostgreSQL was not found under /usr/lib/postgresql: apt-get install -y postgresql";

/// `$1` is the directory to remove at the end, `$2` the log; the rest is the command of the server.
/// One line on standard input crashes the server, the next one starts it again, the end of input ends it.
const SUPERVISOR: &str = r#"
dir=$1; log=$2; shift 2
while :; do
  "$@" >>"$log" 2>&1 </dev/null & pid=$!
  echo started
  if ! read -r word; then kill -QUIT $pid; wait $pid; break; fi
  children=$(cat /proc/$pid/task/$pid/children 2>/dev/null)
  kill -KILL $pid $children 2>/dev/null; wait $pid
  for child in $children; do
    tries=0
    while kill -0 $child 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.02; tries=$((tries + 1)); done
  done
  echo crashed
  read -r word || break
done
rm -rf "$dir"
"#;

/// Whether a commit reaches the disk before it is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fsync` off: fast, for functional tests.
    Functional,
    /// `fsync` on: for tests that crash the server.
    Durable,
}

/// A running cluster; it ends and its files disappear on drop.
#[derive(Debug)]
pub struct Cluster {
    supervisor: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    programs: PathBuf,
    sockets: PathBuf,
    directory: TempDir,
}

impl Cluster {
    /// Makes a cluster and waits until it answers.
    ///
    /// # Errors
    /// A sentence with the apt line when PostgreSQL is absent, or the end of the server's log.
    pub fn start(durability: Durability) -> Result<Self, String> {
        let programs = programs()?;
        let directory = TempDir::new().map_err(|e| format!("no temporary directory: {e}"))?;
        let data = directory.path().join("data");
        let sockets = directory.path().to_path_buf();
        let as_root = is_root()?;
        if as_root {
            run(Command::new("chown").arg("postgres:postgres").arg(directory.path()))?;
        }
        // --no-sync concerns the empty cluster only; a durable server still syncs what it commits.
        run(unprivileged(as_root)
            .arg(programs.join("initdb"))
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data))?;
        let log = directory.path().join("log");
        let mut server = unprivileged(as_root);
        server.arg(programs.join("postgres")).arg("-D").arg(&data).arg("-k").arg(&sockets);
        server.args(["-c", "listen_addresses=", "-c", "max_connections=200"]);
        if durability == Durability::Functional {
            server.args(["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]);
        }
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(directory.path())
            .arg(&log)
            .arg(server.get_program())
            .args(server.get_args())
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("sh: {e}"))?;
        let orders = supervisor.stdin.take();
        let answers = supervisor.stdout.take().ok_or("the supervisor has no output")?;
        let mut cluster = Self { supervisor, orders, answers: BufReader::new(answers), programs, sockets, directory };
        cluster.expect("started")?;
        cluster.wait()?;
        Ok(cluster)
    }

    /// The directory of the server's Unix socket.
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// A new, empty database; answers with the connection string.
    ///
    /// # Errors
    /// What the server said.
    pub fn fresh_database(&self) -> Result<String, String> {
        create_database(&self.programs, &self.sockets)
    }

    /// Kills the server and all its processes as a power cut would, without any warning.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub fn crash(&mut self) -> Result<(), String> {
        self.order()?;
        self.expect("crashed")
    }

    /// Starts the server again after [`Cluster::crash`] and waits until its recovery is through.
    ///
    /// # Errors
    /// The end of the server's log.
    pub fn restart(&mut self) -> Result<(), String> {
        self.order()?;
        self.expect("started")?;
        self.wait()
    }

    fn order(&mut self) -> Result<(), String> {
        let orders = self.orders.as_mut().ok_or("the supervisor takes no orders")?;
        orders.write_all(b"next\n").and_then(|()| orders.flush()).map_err(|e| format!("the supervisor is gone: {e}"))
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|e| format!("the supervisor is gone: {e}"))?;
        if line.trim_end() == word { Ok(()) } else { Err(format!("the supervisor said `{line}`, not `{word}`")) }
    }

    fn wait(&self) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..1200 {
            match query(&self.programs, &self.sockets, "SELECT 1") {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        Err(format!("PostgreSQL did not answer within 60 s: {last}\n{log}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The end of its input tells the supervisor to end the server and to remove the directory.
        drop(self.orders.take());
        let _ = self.supervisor.wait();
    }
}

/// A new, empty database in the cluster that [`SOCKET_VARIABLE`] names, otherwise in this process's own.
///
/// # Errors
/// A sentence with the apt line when PostgreSQL is absent, or what the server said.
pub fn fresh_database() -> Result<String, String> {
    static OWN: OnceLock<Result<Cluster, String>> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the test run hands its cluster down to every test process")]
    let named = std::env::var(SOCKET_VARIABLE).ok().filter(|sockets| !sockets.is_empty());
    if let Some(sockets) = named {
        return create_database(&programs()?, Path::new(&sockets));
    }
    OWN.get_or_init(|| Cluster::start(Durability::Functional)).as_ref().map_err(Clone::clone)?.fresh_database()
}

/// A cluster of the caller's own with `fsync` on, for tests that crash it.
///
/// # Errors
/// As [`Cluster::start`].
pub fn durable_cluster() -> Result<Cluster, String> {
    Cluster::start(Durability::Durable)
}

/// The directory with the server's programs, the newest installed version.
///
/// # Errors
/// The apt line that installs it.
pub fn programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map_err(|_| MISSING.to_owned())?;
    versions
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file() && programs.join("postgres").is_file())
        .max()
        .map(|(_, programs)| programs)
        .ok_or_else(|| MISSING.to_owned())
}

fn create_database(programs: &Path, sockets: &Path) -> Result<String, String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match query(programs, sockets, &format!("CREATE DATABASE {name}")) {
            Ok(_) => return Ok(format!("host={} user=postgres dbname={name}", sockets.display())),
            // A cluster that outlives its test processes may meet a process id a second time.
            Err(error) if error.contains("already exists") => {}
            Err(error) => return Err(error),
        }
    }
}

fn query(programs: &Path, sockets: &Path, sql: &str) -> Result<String, String> {
    run(Command::new(programs.join("psql"))
        .arg("-h")
        .arg(sockets)
        .args(["-X", "-q", "-A", "-t", "-w", "-U", "postgres", "-d", "postgres", "-c", sql]))
}

/// PostgreSQL refuses to run as root, so root becomes the user `postgres` first.
fn unprivileged(as_root: bool) -> Command {
    let mut command = Command::new("setpriv");
    if as_root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    // Should the supervising shell itself be killed, the server ends at once instead of staying behind.
    command.args(["--pdeathsig", "QUIT", "--"]);
    command
}

fn is_root() -> Result<bool, String> {
    run(Command::new("id").arg("-u")).map(|id| id.trim() == "0")
}

fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.current_dir("/").stdin(Stdio::null()).output().map_err(|e| format!("{program} did not start: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(connection: &str, sql: &str) -> Result<String, String> {
        run(Command::new(programs().unwrap().join("psql")).args(["-X", "-q", "-A", "-t", "-d", connection, "-c", sql]))
    }

    #[test]
    fn two_fresh_databases_share_no_tables() {
        let (one, two) = (fresh_database().unwrap(), fresh_database().unwrap());
        ask(&one, "CREATE TABLE only_here (n int)").unwrap();
        assert!(ask(&one, "SELECT count(*) FROM only_here").is_ok());
        assert!(ask(&two, "SELECT count(*) FROM only_here").unwrap_err().contains("only_here"));
    }

    #[test]
    fn a_fresh_database_sorts_by_bytes_and_speaks_utf8() {
        let database = fresh_database().unwrap();
        assert_eq!(ask(&database, "SHOW server_encoding").unwrap().trim(), "UTF8");
        let sorted = ask(&database, "SELECT string_agg(t, '' ORDER BY t) FROM (VALUES ('a'), ('B'), ('ä')) AS v(t)");
        assert_eq!(sorted.unwrap().trim(), "Baä");
    }

    #[test]
    fn a_durable_cluster_keeps_a_committed_row_over_a_crash_and_leaves_nothing_behind() {
        let mut cluster = durable_cluster().unwrap();
        let database = cluster.fresh_database().unwrap();
        assert_eq!(ask(&database, "SHOW fsync").unwrap().trim(), "on");
        ask(&database, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)").unwrap();
        cluster.crash().unwrap();
        assert!(ask(&database, "SELECT n FROM kept").is_err(), "a crashed server must not answer");
        cluster.restart().unwrap();
        assert_eq!(ask(&database, "SELECT n FROM kept").unwrap().trim(), "42");
        let directory = cluster.sockets().to_path_buf();
        drop(cluster);
        assert!(!directory.exists());
    }
}

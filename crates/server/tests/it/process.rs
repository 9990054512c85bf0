//! The real binary as a child process, with an environment of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No test waits longer for a process that must say or do something.
const PATIENCE: Duration = Duration::from_mins(1);

/// The binary with nothing of the test's own environment but the path.
pub(crate) fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bastionary"));
    command.args(arguments).env_clear().env("BASTIONARY_MANAGEMENT_LISTEN", "off").stdin(Stdio::null());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    // A weakening chosen for this test process is meant for the binary.
    if let Some(mutant) = server::environment::given("BASTIONARY_MUTANT") {
        command.env("BASTIONARY_MUTANT", mutant);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// What a finished command said, for assertions that show it.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The JSON on a finished command's standard output.
pub(crate) fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

/// A server in a child process; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Everything read so far.
    pub(crate) text: String,
    /// Its URL, once it is ready.
    pub(crate) url: String,
}

impl Running {
    /// Starts a server whose standard output is read.
    pub(crate) fn start(mut command: Command, is_stdout: bool) -> Self {
        let (out, err) = if is_stdout { (Stdio::piped(), Stdio::inherit()) } else { (Stdio::null(), Stdio::piped()) };
        let mut child = command.stdout(out).stderr(err).spawn().unwrap();
        let pipe: Box<dyn Read + Send> = match (child.stdout.take(), child.stderr.take()) {
            (Some(out), _) => Box::new(out),
            (None, Some(err)) => Box::new(err),
            (None, None) => unreachable!("one of the two is piped"),
        };
        let (sender, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, text: String::new(), url: String::new() }
    }

    /// Starts `serve` on a data directory and a free port and waits until it is ready.
    pub(crate) fn serve(data: &Path, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = binary(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(data).env("BASTIONARY_LOG_FORMAT", "json");
        adjust(&mut command);
        let mut running = Self::start(command, false);
        let line = running.until("the server is ready");
        let line: Value = serde_json::from_str(&line).unwrap();
        running.url = format!("http://{}", line["address"].as_str().unwrap());
        running
    }

    /// Starts `serve` on a data directory and a free port: the server once it is ready, or what a refused start said.
    pub(crate) fn try_serve(data: &Path, adjust: impl FnOnce(&mut Command)) -> Result<Self, (Option<i32>, String)> {
        let mut command = binary(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(data).env("BASTIONARY_LOG_FORMAT", "json");
        adjust(&mut command);
        let mut running = Self::start(command, false);
        while let Ok(line) = running.lines.recv_timeout(PATIENCE) {
            running.text.push_str(&line);
            running.text.push('\n');
            if line.contains("the server is ready") {
                let line: Value = serde_json::from_str(&line).unwrap();
                running.url = format!("http://{}", line["address"].as_str().unwrap());
                return Ok(running);
            }
        }
        let code = running.wait().code();
        Err((code, std::mem::take(&mut running.text)))
    }

    /// Reads lines until one contains the text; that line.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.text.push_str(&line);
                    self.text.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{text:?} never came; got {}", self.text),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the process ended without {text:?}; it said {}", self.text)
                }
            }
        }
    }

    /// Reads what has been said so far: a pipe that nobody reads stops the writer.
    pub(crate) fn hear(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Reads what a process that has ended said until its last line.
    pub(crate) fn hear_out(&mut self) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the process did not end; it said {}", self.text);
    }

    /// Ends it without any warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a file readable for this user alone, or for others too.
pub(crate) fn chmod(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

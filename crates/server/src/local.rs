//! The local socket: commands of the same user on the same machine, one JSON line each way.
//!
//! The file's mode keeps other users out, and the peer's uid is asked for as well, because a mode can be changed.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auth::Auth;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::failure::{Exit, Failure};
use crate::operation::{Operation, perform};

/// Longest request, in bytes.
const REQUEST_MAX: u64 = 1 << 20;
/// A caller that says nothing for this long is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// Callers at once.
const CALLERS: usize = 16;

/// The listening socket; its file is removed on drop.
pub struct LocalSocket {
    file: PathBuf,
    serving: AbortHandle,
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        self.serving.abort();
        // A file that is gone already was removed by hand.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Listens on the socket's file, beside the public listener at `address`; whoever holds the data directory may replace what an earlier process left.
///
/// # Errors
/// When the file cannot be made.
pub fn listen(file: PathBuf, auth: &Arc<Auth>, address: SocketAddr) -> Result<LocalSocket, Failure> {
    let bound = bind(&file);
    let (listener, owner) = bound.map_err(|error| {
        Failure::new(
            format!("the local socket {} cannot be opened", file.display()),
            error,
            "The data directory must be on a file system with sockets, and its path shorter than 100 characters.",
        )
    })?;
    let auth = Arc::clone(auth);
    let serving = tokio::spawn(accept(listener, owner, auth, address)).abort_handle();
    Ok(LocalSocket { file, serving })
}

/// Binds under another name first, so that the socket never exists with a wider mode.
fn bind(file: &Path) -> io::Result<(UnixListener, u32)> {
    let fresh = file.with_extension("new");
    for old in [&fresh, &file.to_path_buf()] {
        match std::fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, file)?;
    let owner = std::fs::metadata(file)?.uid();
    Ok((listener, owner))
}

async fn accept(listener: UnixListener, owner: u32, auth: Arc<Auth>, address: SocketAddr) {
    let mut callers = JoinSet::new();
    loop {
        while callers.len() >= CALLERS {
            callers.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while callers.try_join_next().is_some() {}
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == owner => {
                let auth = Arc::clone(&auth);
                callers.spawn(async move {
                    if let Err(error) = answer(stream, &auth, address).await {
                        tracing::debug!(%error, "a local command was lost");
                    }
                });
            }
            Ok(peer) => tracing::warn!(uid = peer.uid(), "another user tried the local socket and was turned away"),
            Err(error) => tracing::warn!(%error, "the user of a local command is not known; it was turned away"),
        }
    }
}

async fn answer(mut stream: UnixStream, auth: &Arc<Auth>, address: SocketAddr) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(REQUEST_MAX));
    timeout(PATIENCE, read.read_line(&mut line)).await??;
    let outcome = match serde_json::from_str::<Operation>(&line) {
        Ok(operation) => perform(auth, operation, Some(address)).await,
        Err(error) => Err(Failure::new(
            "the running server does not know this command",
            error,
            "Use the command line of the same version as the server.",
        )),
    };
    let answer = match outcome {
        Ok(value) => json!({"ok": value}),
        Err(failure) => json!({"error": {
            "exit": failure.exit.code(), "what": failure.what, "why": failure.why, "remedy": failure.remedy,
        }}),
    };
    write.write_all(format!("{answer}\n").as_bytes()).await?;
    write.shutdown().await
}

/// Sends an operation to the server that listens on the socket.
///
/// # Errors
/// With the exit code for a refusal when the server or the system turns this user away; the server's own failures.
pub async fn call(file: &Path, operation: &Operation) -> Result<Value, Failure> {
    let denied = |why: String| {
        Failure::new(
            format!("the running server does not take commands of this user at {}", file.display()),
            why,
            "Run the command as the user that runs the server.",
        )
        .exit(Exit::Denied)
    };
    let lost = |error: io::Error| {
        let remedy = "Try again; when the server is just starting or stopping, a moment later.";
        Failure::new(format!("the running server does not answer at {}", file.display()), error, remedy)
    };
    let mut stream = UnixStream::connect(file).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => denied(error.to_string()),
        _ => lost(error),
    })?;
    let request = serde_json::to_string(operation).map_err(|error| lost(error.into()))?;
    let mut text = String::new();
    // A server that turns the caller away closes without reading, which may show while writing or while reading.
    let sent = stream.write_all(format!("{request}\n").as_bytes()).await;
    let read = stream.read_to_string(&mut text).await;
    if text.is_empty() {
        let is_broken = |r: io::Error| matches!(r.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        let is_closed = sent.err().is_none_or(is_broken) && read.err().is_none_or(is_broken);
        if is_closed {
            return Err(denied("it closed the connection without an answer".to_owned()));
        }
    }
    let mut answer: Value = serde_json::from_str(&text).map_err(|error| lost(error.into()))?;
    if let Some(value) = answer.get_mut("ok") {
        return Ok(value.take());
    }
    let part =
        |name: &str| answer.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let exit = Exit::of(answer.pointer("/error/exit").and_then(Value::as_u64).unwrap_or(1));
    Err(Failure { exit, what: part("what"), why: part("why"), remedy: part("remedy"), answer: None })
}

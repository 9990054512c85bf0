//! A TCP proxy on loopback in front of a PostgreSQL socket, which fails as networks and servers do.
//!
//! It reads what the client sends as message frames, so that it can cut a connection between a message and its answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often what is neither woken nor readable is looked at.
const TICK: Duration = Duration::from_millis(5);

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// Open connections end, and nobody listens.
    Refuse,
    /// Connections are accepted and stay open, but nothing passes either way until the mode changes.
    Silent,
    /// Everything passes this much later, each way.
    Delay(Duration),
}

/// What happens at the message that closes a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// It passes, and the connection ends in place of its answer.
    Cut,
    /// The same, and from then on connections are refused.
    CutAndRefuse,
    /// From this message on everything keeps silent, the message included.
    Hold,
}

struct State {
    mode: Mutex<Mode>,
    changed: Condvar,
    ended: AtomicBool,
    accepted: AtomicU32,
    trap: Mutex<Option<(Vec<Vec<u8>>, Trap)>>,
    left: AtomicU32,
}

impl State {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the mode demands; `false` when the connection must end.
    fn lets_pass(&self) -> bool {
        let mut mode = self.mode();
        while *mode == Mode::Silent && !self.ended.load(Ordering::SeqCst) {
            mode = self.changed.wait_timeout(mode, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        let seen = *mode;
        drop(mode);
        if let Mode::Delay(time) = seen {
            thread::sleep(time);
        }
        seen != Mode::Refuse && !self.ended.load(Ordering::SeqCst)
    }

    fn set(&self, mode: Mode) {
        *self.mode() = mode;
        self.changed.notify_all();
    }

    /// The trap that this message closes; `seen` counts the marks that its connection has met.
    fn trapped(&self, message: &[u8], seen: &mut usize) -> Option<Trap> {
        let guard = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        let (marks, trap) = guard.as_ref()?;
        let mark = marks.get(*seen)?;
        message.windows(mark.len()).find(|window| window == mark)?;
        *seen = seen.saturating_add(1);
        if *seen < marks.len() {
            return None;
        }
        *seen = 0;
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        taken.is_ok().then_some(*trap)
    }
}

/// A running proxy; it ends with its connections on drop.
pub struct Proxy {
    state: Arc<State>,
    address: SocketAddr,
    database: String,
}

impl Proxy {
    /// Listens on a free port of loopback in front of the database that [`fresh_database`] has named.
    ///
    /// # Errors
    /// When no port can be bound.
    ///
    /// [`fresh_database`]: crate::postgres::fresh_database
    pub fn start(database: &str) -> std::io::Result<Self> {
        let part = |name| database.split(' ').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        let (server, database) = (Path::new(part("host=")).join(".s.PGSQL.5432"), part("dbname=").to_owned());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            mode: Mutex::new(Mode::Pass),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
            accepted: AtomicU32::new(0),
            trap: Mutex::default(),
            left: AtomicU32::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&shared, &server, address, listener));
        Ok(Self { state, address, database })
    }

    /// The address of the database through the proxy, for this user.
    pub fn url(&self, user: &str) -> String {
        format!("postgres://{user}@{}/{}", self.address, self.database)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u32 {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Changes what happens from now on.
    pub fn set(&self, mode: Mode) {
        self.state.set(mode);
    }

    /// Sets a trap that closes once: when a connection has sent messages that hold these marks, one after the other.
    pub fn trap(&self, marks: &[&[u8]], trap: Trap) {
        let marks = marks.iter().map(|mark| mark.to_vec()).collect();
        *self.state.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some((marks, trap));
        self.state.left.store(1, Ordering::SeqCst);
    }

    /// Whether the trap has closed.
    pub fn has_trapped(&self) -> bool {
        self.state.left.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.state.changed.notify_all();
    }
}

fn accept(state: &Arc<State>, server: &Path, address: SocketAddr, listener: TcpListener) {
    let mut listener = Some(listener);
    while !state.ended.load(Ordering::SeqCst) {
        let refuses = *state.mode() == Mode::Refuse;
        match &listener {
            // A port that nobody listens on is refused by the system itself.
            Some(_) if refuses => listener = None,
            None if !refuses => listener = TcpListener::bind(address).ok(),
            Some(bound) if bound.set_nonblocking(true).is_ok() => {
                if let Ok((client, _)) = bound.accept() {
                    state.accepted.fetch_add(1, Ordering::SeqCst);
                    let (state, server) = (Arc::clone(state), server.to_owned());
                    thread::spawn(move || connect(&state, &client, &server));
                    continue;
                }
            }
            _ => {}
        }
        thread::sleep(TICK);
    }
}

fn connect(state: &Arc<State>, client: &TcpStream, server: &Path) {
    let opened = || -> std::io::Result<_> {
        client.set_nonblocking(false)?;
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(TICK))?;
        let server = UnixStream::connect(server)?;
        server.set_read_timeout(Some(TICK))?;
        Ok((client.try_clone()?, server.try_clone()?, server))
    };
    let Ok((back, answers, upstream)) = opened() else { return };
    let cut = Arc::new(Mutex::new(None));
    let down = {
        let (state, cut) = (Arc::clone(state), Arc::clone(&cut));
        thread::spawn(move || {
            pump(&state, answers, |bytes| {
                let cut = *cut.lock().unwrap_or_else(PoisonError::into_inner);
                if cut == Some(Trap::CutAndRefuse) {
                    state.set(Mode::Refuse);
                }
                cut.is_none() && (&back).write_all(bytes).is_ok()
            });
            let _ = back.shutdown(Shutdown::Both);
        })
    };
    let (mut frames, mut seen) = (Frames::default(), 0);
    pump(state, client, |bytes| {
        frames.pending.extend_from_slice(bytes);
        while let Some(message) = frames.next() {
            match state.trapped(&message, &mut seen) {
                Some(Trap::Hold) => {
                    state.set(Mode::Silent);
                    if !state.lets_pass() {
                        return false;
                    }
                }
                // Set before the message passes: its answer may come at once.
                Some(trap) => *cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap),
                None => {}
            }
            if (&upstream).write_all(&message).is_err() {
                return false;
            }
        }
        true
    });
    let _ = upstream.shutdown(Shutdown::Both);
    let _ = down.join();
    let _ = client.shutdown(Shutdown::Both);
}

/// Hands on what arrives until it ends or `take` says no. The end is held back like everything else: what a client
/// sent before it went away reaches the server later, as from a socket that the system keeps for a while.
fn pump(state: &State, mut from: impl Read, mut take: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 65_536];
    loop {
        if *state.mode() == Mode::Refuse || state.ended.load(Ordering::SeqCst) {
            return;
        }
        match from.read(&mut buffer) {
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                if !state.lets_pass() || bytes.is_empty() || !take(bytes) {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

/// The messages of a client: the first is a length and a body, every other one a type, a length and a body.
#[derive(Default)]
struct Frames {
    pending: Vec<u8>,
    is_started: bool,
}

impl Frames {
    fn next(&mut self) -> Option<Vec<u8>> {
        let kind = usize::from(self.is_started);
        let length = self.pending.get(kind..)?.first_chunk().copied().map(u32::from_be_bytes)?;
        let whole = usize::try_from(length).ok()?.checked_add(kind)?;
        if self.pending.len() < whole {
            return None;
        }
        self.is_started = true;
        Some(self.pending.drain(..whole).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_however_they_arrive() {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in [0, 0, 0, 5, 9, b'Q', 0, 0, 0, 6, b'a', b'b', b'S', 0, 0, 0, 4] {
            frames.pending.push(byte);
            found.extend(frames.next());
        }
        assert_eq!(found, [vec![0, 0, 0, 5, 9], vec![b'Q', 0, 0, 0, 6, b'a', b'b'], vec![b'S', 0, 0, 0, 4]]);
    }
}

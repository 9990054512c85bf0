//! The listener: an accept loop of our own on hyper, because `axum::serve` has no deadlines and no caps.
//!
//! A connection passes through admission (`registry`), an optional TLS handshake, a wait for its first byte, and then
//! HTTP/1 or HTTP/2 (`connection`) under a watchdog that reads the marks left in `activity`. A request passes the
//! header and proxy rules (`request`) before the router sees it. What a request means is decided in `api`.

mod accept;
mod activity;
mod body;
mod connection;
mod head;
mod registry;
mod request;
mod source;
mod stream;
pub mod tls;
mod validity;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use api::peer::Transport;
use api::refusal::Refusal;
use axum::Router;
use axum::response::Response;
use http::HeaderMap;
use kernel::network::Cidr;
use tokio::net::TcpListener;

use crate::config::Limits;

/// Makes the answer to a request that is refused before the router, from its path and fields as far as they were read.
pub type Refuse = Arc<dyn Fn(Refusal, &str, &HeaderMap, Transport) -> Response + Send + Sync>;

/// How one listener behaves.
#[derive(Clone)]
pub struct ListenOptions {
    /// Deadlines, sizes and caps.
    pub limits: Limits,
    /// Networks of the proxies whose `X-Forwarded-For` is believed and that are exempt from the cap per source.
    pub trusted: Vec<Cidr>,
    /// TLS; `None` serves plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Makes the answers of the listener itself.
    pub refuse: Refuse,
    /// Counted while serving; keep a clone to read it.
    pub stats: Arc<ListenStats>,
}

/// What the listener has met, for metrics and readiness.
#[derive(Debug, Default)]
pub struct ListenStats {
    accepted: AtomicU64,
    open: AtomicU64,
    refused: AtomicU64,
    refused_source: AtomicU64,
    evicted: AtomicU64,
    timed_out: AtomicU64,
    handshake_failed: AtomicU64,
    fd_exhausted: AtomicBool,
}

impl ListenStats {
    /// Connections accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections closed at once because the total cap was reached.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections closed at once because the cap of their source was reached.
    pub fn refused_source(&self) -> u64 {
        self.refused_source.load(Ordering::Relaxed)
    }

    /// Idle connections closed to make room for new ones.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Connections closed by one of the deadlines.
    pub fn timed_out(&self) -> u64 {
        self.timed_out.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed or did not end in time.
    pub fn handshake_failed(&self) -> u64 {
        self.handshake_failed.load(Ordering::Relaxed)
    }

    /// Whether the last accept failed for want of file descriptors.
    pub fn is_fd_exhausted(&self) -> bool {
        self.fd_exhausted.load(Ordering::Relaxed)
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves `app` until `shutdown` resolves, then lets requests in flight finish for at most `limits.drain`.
///
/// Every request carries an `api::peer::ClientAddress` and an `api::peer::Transport`. Dropping the future closes all
/// connections at once.
///
/// # Errors
/// When the listener's own address cannot be read; single failed accepts are survived.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: ListenOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    accept::run(listener, app, options, shutdown).await
}

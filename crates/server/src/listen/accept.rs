//! The accept loop: takes connections, survives a want of descriptors, and drains at the end.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::Order;
use super::connection::House;
use super::registry::Registry;
use super::{ListenOptions, ListenStats};

/// `EMFILE` and `ENFILE`: no descriptor left in this process, or on this machine.
const DESCRIPTORS_EXHAUSTED: [i32; 2] = [24, 23];
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Closes what is left when the future that serves is dropped.
struct EndOnDrop(Arc<Registry>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.order_all(Order::End);
    }
}

/// See [`super::serve`].
pub(super) async fn run(
    listener: TcpListener,
    app: Router,
    options: ListenOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let ListenOptions { limits, trusted, tls, refuse, stats } = options;
    let drain = limits.drain;
    let registry = Registry::new(&limits, trusted, Arc::clone(&stats));
    let end = EndOnDrop(Arc::clone(&registry));
    let tls = tls.map(TlsAcceptor::from);
    let house = Arc::new(House::new(app, Arc::new(limits), Arc::clone(&registry), tls, Arc::clone(&stats), refuse));

    let mut reserve = Reserve::open();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                reserve.recovered(&stats);
                ListenStats::count(&stats.accepted);
                let peer = peer.ip().to_canonical();
                if let Some(slot) = registry.admit(peer) {
                    tokio::spawn(Arc::clone(&house).serve(tcp, peer, slot));
                }
            }
            Err(error) => {
                let is_exhausted = error.raw_os_error().is_some_and(|code| DESCRIPTORS_EXHAUSTED.contains(&code));
                if is_exhausted {
                    reserve.sacrifice(&listener, &stats).await;
                } else {
                    tracing::debug!(%error, "a connection was lost before it was accepted");
                }
                // A peer that resets early is no reason to wait; what keeps failing must not spin.
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    tokio::select! {
                        () = shutdown.as_mut() => break,
                        () = sleep(reserve.next_pause()) => {}
                    }
                }
            }
        }
    }

    // Closing the socket first makes new peers go elsewhere at once.
    drop(listener);
    registry.order_all(Order::Finish);
    if timeout(drain, registry.empty()).await.is_err() {
        tracing::warn!(%address, open = stats.open(), "requests were still in flight after the drain time and were cut off");
        registry.order_all(Order::End);
        drop(timeout(Duration::from_secs(1), registry.empty()).await);
    }
    drop(end);
    Ok(())
}

/// One descriptor held back, so that a peer can be accepted and told to go when there is none left.
///
/// Without it the pending connection stays in the backlog, `accept` fails again at once, and the loop spins.
struct Reserve {
    spare: Option<File>,
    pause: Duration,
}

impl Reserve {
    fn open() -> Self {
        Self { spare: File::open("/dev/null").ok(), pause: FIRST_PAUSE }
    }

    async fn sacrifice(&mut self, listener: &TcpListener, stats: &ListenStats) {
        if !stats.fd_exhausted.swap(true, Ordering::Relaxed) {
            tracing::error!("no file descriptor is left; connections are refused until some close. Raise LimitNOFILE.");
        }
        self.spare = None;
        drop(timeout(Duration::ZERO, listener.accept()).await);
        self.spare = File::open("/dev/null").ok();
    }

    fn recovered(&mut self, stats: &ListenStats) {
        self.pause = FIRST_PAUSE;
        if stats.fd_exhausted.load(Ordering::Relaxed) {
            if self.spare.is_none() {
                self.spare = File::open("/dev/null").ok();
            }
            stats.fd_exhausted.store(false, Ordering::Relaxed);
            tracing::info!("file descriptors are available again");
        }
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_ten_milliseconds_to_one_second() {
        let mut reserve = Reserve::open();
        let pauses: Vec<u128> = (0..9).map(|_| reserve.next_pause().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        reserve.recovered(&ListenStats::default());
        assert_eq!(reserve.next_pause(), FIRST_PAUSE);
    }
}

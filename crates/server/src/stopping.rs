//! The wish to stop: from SIGTERM, SIGINT, or this process itself when it must not go on.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// Counts how often stopping was asked for: once drains, twice ends at once.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<u32>>);

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The terminal was closed.
    Stop,
    /// Files have changed; whoever reads files watches for it.
    Reload,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Stop {
    /// Counts SIGTERM and SIGINT from now on, and SIGHUP as it is told: a closed terminal ends what runs in it, while
    /// a service only hears that files have changed.
    ///
    /// # Errors
    /// When the system does not deliver signals to this process.
    pub fn on_signals(hangup: Hangup) -> Result<Self, Failure> {
        let broken = |error| Failure::new("signals cannot be received", error, "");
        let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
        // Also when it is not counted: the handler keeps the system from ending the process.
        let mut hung_up = signal(SignalKind::hangup()).map_err(broken)?;
        let stop = Self::default();
        let counted = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = terminate.recv() => {}
                    Some(()) = interrupt.recv() => {}
                    Some(()) = hung_up.recv() => {
                        if hangup == Hangup::Reload {
                            continue;
                        }
                    }
                    else => return,
                }
                counted.ask();
            }
        });
        Ok(stop)
    }

    /// Asks once more.
    pub fn ask(&self) {
        self.0.send_modify(|count| *count = count.saturating_add(1));
    }

    /// Resolves when stopping was asked for.
    pub async fn asked(&self) {
        self.reached(1).await;
    }

    /// Resolves when it was asked for a second time.
    pub async fn insisted(&self) {
        self.reached(2).await;
    }

    async fn reached(&self, times: u32) {
        // The sender lives in `self`, so waiting ends only with the count.
        let _ = self.0.subscribe().wait_for(|count| *count >= times).await;
    }
}

//! Looks at what the process stands on once a second, and reports what does not hold: commits that go on, descriptors,
//! space on the disk, the life of the certificate. The listener's figures leave from here, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::App;
use api::metrics::{Kind, Outside, Sample};
use api::readiness::Condition;

use crate::listen::ListenStats;
use crate::listen::tls::Certificates;

const EVERY: Duration = Duration::from_secs(1);
/// Looks between two at what changes slowly.
const SLOW: u32 = 5;
/// Looks without a commit, while work waits for one, after which the journal counts as stalled.
const STALLED: u32 = 5;
/// Who reports.
const REPORTER: &str = "vitals";

/// Reports until it is dropped.
pub async fn watch(app: App, listeners: [Arc<ListenStats>; 2], certificates: Option<Arc<Certificates>>) {
    let mut ticks = tokio::time::interval(EVERY);
    let (mut progress, mut round) = (Progress::default(), 0_u32);
    loop {
        ticks.tick().await;
        let (store, now) = (&app.auth.store, app.auth.clock.now());
        let report = |condition, holds| app.readiness.report(condition, REPORTER, holds, now);
        // A store that cannot be reached says so itself.
        let is_waiting = store.queue_depth() > 0 && store.troubles().is_empty();
        report(Condition::JournalStalled, progress.is_stalled(is_waiting, store.stats().groups));
        report(Condition::FdExhausted, listeners.iter().any(|stats| stats.is_fd_exhausted()));
        if round == 0 {
            if let Some(space) = store.space() {
                report(Condition::DiskLow, space.is_low());
                report(Condition::DiskFull, space.is_full);
            }
            if let Some(certificates) = &certificates {
                report(Condition::CertificateExpiring, certificates.is_expiring(now));
            }
        }
        round = round.saturating_add(1) % SLOW;
    }
}

/// What the process counts outside the router, for `/metrics`.
pub fn figures(stats: &Arc<ListenStats>, job_panics: &Arc<AtomicU64>) -> Outside {
    use Kind::{Counter, Gauge};
    let (stats, panics) = (Arc::clone(stats), Arc::clone(job_panics));
    Outside(Arc::new(move || {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        [
            ("panics_total", "{where=\"job\"}", Counter, panics.load(Ordering::Relaxed)),
            ("connections", "{state=\"open\"}", Gauge, stats.open()),
            ("connections_total", "{outcome=\"accepted\"}", Counter, stats.accepted()),
            ("connections_total", "{outcome=\"refused\"}", Counter, stats.refused()),
            ("connections_total", "{outcome=\"refused_source\"}", Counter, stats.refused_source()),
            ("connections_total", "{outcome=\"evicted\"}", Counter, stats.evicted()),
            ("connections_total", "{outcome=\"timed_out\"}", Counter, stats.timed_out()),
            ("connections_total", "{outcome=\"handshake_failed\"}", Counter, stats.handshake_failed()),
            ("open_fds", "", Gauge, u64::try_from(descriptors).unwrap_or(u64::MAX)),
        ]
        .map(|(name, labels, kind, value)| Sample { name, labels, kind, value })
        .to_vec()
    }))
}

/// Whether commits go on.
#[derive(Debug, Default)]
struct Progress {
    commits: u64,
    looks: u32,
}

impl Progress {
    /// Whether work has waited over many looks during which nothing was committed.
    fn is_stalled(&mut self, is_waiting: bool, commits: u64) -> bool {
        let is_still = is_waiting && commits == self.commits;
        self.looks = if is_still { self.looks.saturating_add(1) } else { 0 };
        self.commits = commits;
        self.looks >= STALLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_stalled_when_work_waits_and_nothing_is_committed_for_five_looks() {
        let mut progress = Progress::default();
        let mut look = |is_waiting, commits| progress.is_stalled(is_waiting, commits);
        for commits in 1..20 {
            assert!(!look(true, commits), "busy");
        }
        for _ in 0..20 {
            assert!(!look(false, 19), "idle");
        }
        let verdicts: Vec<bool> = (0..6).map(|_| look(true, 19)).collect();
        assert_eq!(verdicts, [false, false, false, false, true, true]);
        assert!(!look(true, 20), "one commit ends it");
    }
}

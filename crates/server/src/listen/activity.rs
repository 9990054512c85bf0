//! What one connection is doing, as marks in time that the socket, the service and the watchdog share.
//!
//! Marks are milliseconds since the listener started, plus one, so that zero means "not set". All are relaxed atomics:
//! they are read by the task that wrote them, or late by a few microseconds, which no deadline notices.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Limits;

/// How long a closed connection reads on so that the peer sees the answer before a reset.
const LINGER: Duration = Duration::from_secs(1);
/// HTTP/2 requests a peer may cancel within [`RESET_WINDOW`] before the connection is closed (CVE-2023-44487).
const RESETS: u32 = 200;
const RESET_WINDOW: Duration = Duration::from_secs(10);
/// Writes of HTTP/2 below this many bytes are control frames (a ping has 17), which keep nothing alive.
const DATA_WRITE: usize = 256;

/// What a connection has been told from outside; later values include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    /// Go on.
    Serve = 0,
    /// Finish what is in flight, then close.
    Finish = 1,
    /// Close now.
    End = 2,
}

/// What the deadlines say at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is overdue before this mark.
    Until(u64),
    /// The request head did not end in time.
    SlowHead,
    /// Nothing has been asked for too long.
    Idle,
    /// A write made no progress, or the peer cancels too much.
    Broken,
    /// The time after closing is over.
    Lingered,
}

/// The marks of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    is_h2: AtomicBool,
    /// Whether nothing was asked since all answers left; see `head`.
    is_settled: AtomicBool,
    in_flight: AtomicU32,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    closing_since: AtomicU64,
    reset_window: AtomicU64,
    resets: AtomicU32,
    next_stream: AtomicU64,
    /// HTTP/2 answers whose last frame is waiting for the peer's flow-control window.
    pushing: Mutex<BTreeMap<u64, u64>>,
    order: AtomicU8,
    ordered: Notify,
}

impl Activity {
    /// A connection accepted now, idle so far.
    pub(super) fn new(epoch: Instant) -> Arc<Self> {
        let activity = Self {
            epoch,
            is_h2: AtomicBool::new(false),
            is_settled: AtomicBool::new(true),
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            closing_since: AtomicU64::new(0),
            reset_window: AtomicU64::new(0),
            resets: AtomicU32::new(0),
            next_stream: AtomicU64::new(0),
            pushing: Mutex::new(BTreeMap::new()),
            order: AtomicU8::new(0),
            ordered: Notify::new(),
        };
        activity.idle_since.store(activity.now(), Ordering::Relaxed);
        Arc::new(activity)
    }

    /// The mark of this moment.
    pub(super) fn now(&self) -> u64 {
        millis(self.epoch.elapsed()).saturating_add(1)
    }

    /// The moment of a mark.
    pub(super) fn instant(&self, mark: u64) -> Instant {
        self.epoch.checked_add(Duration::from_millis(mark.saturating_sub(1))).unwrap_or(self.epoch)
    }

    /// From here on the connection speaks HTTP/2.
    pub(super) fn is_http2(&self) {
        self.is_h2.store(true, Ordering::Relaxed);
    }

    /// Bytes arrived: outside a request they are the beginning of a head.
    pub(super) fn read(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// What arrived so far was not a request head (a TLS handshake).
    pub(super) fn forget_head(&self) {
        self.head_since.store(0, Ordering::Relaxed);
    }

    /// The peer does not take what we write.
    pub(super) fn blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The peer took this many bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        if self.blocked_since.load(Ordering::Relaxed) != 0 {
            self.blocked_since.store(0, Ordering::Relaxed);
        }
        // The last frames of an HTTP/2 answer leave after its body was dropped: the connection is not idle yet.
        if bytes >= DATA_WRITE && self.is_h2.load(Ordering::Relaxed) {
            self.idle_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Our side is closed and the rest of the peer's bytes is being read away.
    pub(super) fn lingers(&self) {
        if self.closing_since.load(Ordering::Relaxed) == 0 {
            self.closing_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// All bytes of the answers so far were handed to the stream.
    pub(super) fn settle(&self) {
        if !self.is_busy() {
            self.is_settled.store(true, Ordering::Relaxed);
        }
    }

    /// Whether no request is open and all earlier answers have left.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Since when the connection could be closed without anyone missing an answer.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let quiet = !self.is_busy()
            && self.blocked_since.load(Ordering::Relaxed) == 0
            && (self.head_since.load(Ordering::Relaxed) == 0 || self.is_h2.load(Ordering::Relaxed))
            && self.order() == Order::Serve;
        quiet.then(|| self.idle_since.load(Ordering::Relaxed))
    }

    /// Tells the connection what to do; a weaker order than before changes nothing.
    pub(super) fn give(&self, order: Order) {
        let value = match order {
            Order::Serve => 0,
            Order::Finish => 1,
            Order::End => 2,
        };
        self.order.fetch_max(value, Ordering::Relaxed);
        self.ordered.notify_one();
    }

    /// The strongest order given.
    pub(super) fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            0 => Order::Serve,
            1 => Order::Finish,
            _ => Order::End,
        }
    }

    /// Resolves once an order stronger than `known` has been given. Only the connection's own task waits here.
    pub(super) async fn order_above(&self, known: Order) {
        while self.order() <= known {
            // `notify_one` leaves a permit, so an order given between the check and the wait is not missed.
            self.ordered.notified().await;
        }
    }

    fn pushing(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.pushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is overdue at the mark `now`.
    pub(super) fn verdict(&self, limits: &Limits, now: u64) -> Verdict {
        let mut until = u64::MAX;
        let mut overdue = |since: u64, limit: Duration| {
            let deadline = since.saturating_add(millis(limit));
            if since != 0 {
                until = until.min(deadline);
            }
            since != 0 && now >= deadline
        };
        if overdue(self.closing_since.load(Ordering::Relaxed), LINGER) {
            return Verdict::Lingered;
        }
        if overdue(self.blocked_since.load(Ordering::Relaxed), limits.write_stall) {
            return Verdict::Broken;
        }
        let is_h2 = self.is_h2.load(Ordering::Relaxed);
        if is_h2 {
            let oldest = self.pushing().values().min().copied().unwrap_or(0);
            if overdue(oldest, limits.write_stall) || self.resets.load(Ordering::Relaxed) > RESETS {
                return Verdict::Broken;
            }
        }
        if self.is_busy() {
            // Streams of HTTP/2 end in tasks of their own, which do not wake the watchdog: look again in time.
            overdue(now, limits.keepalive.min(limits.write_stall));
        } else if !is_h2 && self.head_since.load(Ordering::Relaxed) != 0 {
            if overdue(self.head_since.load(Ordering::Relaxed), limits.head) && !kernel::mutant::is("D02-head") {
                return Verdict::SlowHead;
            }
        } else if overdue(self.idle_since.load(Ordering::Relaxed), limits.keepalive) {
            return Verdict::Idle;
        }
        Verdict::Until(until.max(now.saturating_add(1)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One request being answered, from the end of its head to the end of its answer.
pub(super) struct Flight {
    activity: Arc<Activity>,
    stream: u64,
    is_answered: bool,
}

impl Flight {
    /// Counts a request whose head has arrived.
    pub(super) fn start(activity: &Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        activity.is_settled.store(false, Ordering::Relaxed);
        activity.head_since.store(0, Ordering::Relaxed);
        let stream = activity.next_stream.fetch_add(1, Ordering::Relaxed);
        Self { activity: Arc::clone(activity), stream, is_answered: false }
    }

    /// The answer has begun.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
    }

    /// A frame of the answer was handed to the connection.
    pub(super) fn pushed(&self) {
        if self.activity.is_h2.load(Ordering::Relaxed) {
            self.activity.pushing().insert(self.stream, self.activity.now());
        }
    }

    /// All frames were taken; the next one is being produced.
    pub(super) fn taken(&self) {
        if self.activity.is_h2.load(Ordering::Relaxed) {
            self.activity.pushing().remove(&self.stream);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let activity = &self.activity;
        let now = activity.now();
        if activity.is_h2.load(Ordering::Relaxed) {
            activity.pushing().remove(&self.stream);
            if !self.is_answered {
                let window = activity.reset_window.load(Ordering::Relaxed);
                if now.saturating_sub(window) > millis(RESET_WINDOW) {
                    activity.reset_window.store(now, Ordering::Relaxed);
                    activity.resets.store(0, Ordering::Relaxed);
                }
                activity.resets.fetch_add(1, Ordering::Relaxed);
            }
        }
        activity.idle_since.store(now, Ordering::Relaxed);
        activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    fn limits() -> Limits {
        Config::load(None, &std::collections::BTreeMap::new(), Overrides::default()).unwrap().limits
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_of_a_connection_has_its_own_deadline() {
        let limits = limits();
        let activity = Activity::new(Instant::now());
        let verdict_in =
            |seconds: u64, a: &Activity| a.verdict(&limits, a.now().saturating_add(seconds.saturating_mul(1000)));

        assert!(matches!(verdict_in(59, &activity), Verdict::Until(_)));
        assert_eq!(verdict_in(60, &activity), Verdict::Idle);
        activity.read();
        assert!(matches!(verdict_in(9, &activity), Verdict::Until(_)));
        assert_eq!(verdict_in(10, &activity), Verdict::SlowHead);
        let flight = Flight::start(&activity);
        assert!(matches!(verdict_in(1000, &activity), Verdict::Until(_)));
        activity.blocked();
        assert_eq!(verdict_in(20, &activity), Verdict::Broken);
        activity.wrote(1);
        assert!(matches!(verdict_in(20, &activity), Verdict::Until(_)));
        drop(flight);
        assert_eq!(verdict_in(60, &activity), Verdict::Idle);
        activity.lingers();
        assert_eq!(verdict_in(1, &activity), Verdict::Lingered);
    }

    #[tokio::test(start_paused = true)]
    async fn an_http2_answer_that_the_peer_never_takes_breaks_the_connection() {
        let limits = limits();
        let activity = Activity::new(Instant::now());
        activity.is_http2();
        let mut flight = Flight::start(&activity);
        flight.answered();
        flight.pushed();
        let later = activity.now().saturating_add(20_000);
        assert_eq!(activity.verdict(&limits, later), Verdict::Broken);
        flight.taken();
        assert!(matches!(activity.verdict(&limits, later), Verdict::Until(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_more_than_200_http2_requests_in_ten_seconds_breaks_the_connection() {
        let limits = limits();
        let activity = Activity::new(Instant::now());
        activity.is_http2();
        for _ in 0..RESETS {
            drop(Flight::start(&activity));
        }
        assert!(matches!(activity.verdict(&limits, activity.now()), Verdict::Until(_)));
        drop(Flight::start(&activity));
        assert_eq!(activity.verdict(&limits, activity.now()), Verdict::Broken);
        tokio::time::advance(Duration::from_secs(11)).await;
        drop(Flight::start(&activity));
        assert!(matches!(activity.verdict(&limits, activity.now()), Verdict::Until(_)));
    }
}

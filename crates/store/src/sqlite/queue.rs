//! The bounded queue in front of the writer thread, with a lane that narrowing changes cannot be kept out of.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kernel::audit::Entry;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::plan::Plan;

/// Jobs in the queue at most.
const BOUND: usize = 4096;
/// Jobs outside the reserved lane at most: an eighth of the bound is kept for it.
const OPEN_BOUND: usize = 3584;
/// Bytes in the queue at most.
const BYTES: usize = 64 << 20;
/// Jobs in one group at most.
const GROUP: usize = 512;

/// What the writer is asked to do.
pub(crate) enum Work {
    /// A batch.
    Batch(Box<Plan>),
    /// An entry of the journal.
    Journal(Entry),
}

/// Work with the place its answer goes.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reserved: bool,
    pub(crate) reply: oneshot::Sender<Result<u64, Error>>,
    pub(crate) since: Instant,
    bytes: usize,
}

#[derive(Default)]
struct Lanes {
    reserved: VecDeque<Job>,
    open: VecDeque<Job>,
    bytes: usize,
    idle: bool,
    closed: bool,
}

/// The queue.
#[derive(Default)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work; its answer arrives at the receiver.
    pub(crate) fn push(&self, work: Work, reserved: bool) -> Result<oneshot::Receiver<Result<u64, Error>>, Error> {
        let bytes = match &work {
            Work::Batch(plan) => plan.size(),
            Work::Journal(entry) => entry.bytes.len().saturating_add(128),
        };
        let (reply, answer) = oneshot::channel();
        let job = Job { work, reserved, reply, since: Instant::now(), bytes };
        let wake = {
            let mut lanes = self.lock();
            if lanes.closed {
                return Err(Error::Unavailable("the store is closed".into()));
            }
            let waiting = lanes.open.len().saturating_add(lanes.reserved.len());
            let total = lanes.bytes.saturating_add(bytes);
            let fits = if reserved { waiting < BOUND } else { lanes.open.len() < OPEN_BOUND && total <= BYTES };
            if !fits {
                return Err(Error::Full);
            }
            lanes.bytes = total;
            if reserved {
                lanes.reserved.push_back(job);
            } else {
                lanes.open.push_back(job);
            }
            std::mem::take(&mut lanes.idle)
        };
        if wake {
            self.filled.notify_one();
        }
        Ok(answer)
    }

    /// Waits for work and moves up to one group of it into `group`, the reserved lane first; `false` once closed and empty.
    pub(crate) fn take(&self, group: &mut Vec<Job>) -> bool {
        let mut lanes = self.lock();
        loop {
            while group.len() < GROUP {
                let Some(job) = lanes.reserved.pop_front().or_else(|| lanes.open.pop_front()) else { break };
                lanes.bytes = lanes.bytes.saturating_sub(job.bytes);
                // work whose caller has gone is dropped before it begins
                if !job.reply.is_closed() {
                    group.push(job);
                }
            }
            if !group.is_empty() {
                return true;
            }
            if lanes.closed {
                return false;
            }
            lanes.idle = true;
            lanes = self.filled.wait(lanes).unwrap_or_else(PoisonError::into_inner);
            drop(lanes);
            // whoever else is ready to run may have work to add; on one busy core a group would hold one job otherwise
            std::thread::yield_now();
            lanes = self.lock();
        }
    }

    /// How many jobs wait.
    pub(crate) fn depth(&self) -> usize {
        let lanes = self.lock();
        lanes.open.len().saturating_add(lanes.reserved.len())
    }

    /// Takes no more work; the writer finishes what is there and stops.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Takes no more work and drops what is there, whose callers learn that the outcome is unknown.
    pub(crate) fn abandon(&self) {
        let mut lanes = self.lock();
        lanes.closed = true;
        lanes.open.clear();
        lanes.reserved.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::clock::Timestamp;

    fn entry(size: usize) -> Work {
        Work::Journal(Entry { tenant: kernel::tenant::DEFAULT, at: Timestamp::default(), bytes: vec![0; size] })
    }

    #[test]
    fn a_full_queue_refuses_common_work_and_still_takes_reserved_work_which_is_served_first() {
        let queue = Queue::default();
        let mut answers: Vec<_> = (0..OPEN_BOUND).map(|_| queue.push(entry(1), false).unwrap()).collect();
        assert!(matches!(queue.push(entry(1), false), Err(Error::Full)));
        answers.extend((OPEN_BOUND..BOUND).map(|_| queue.push(entry(1), true).unwrap()));
        assert!(matches!(queue.push(entry(1), true), Err(Error::Full)));
        assert_eq!(queue.depth(), BOUND);
        let mut group = Vec::new();
        assert!(queue.take(&mut group));
        assert_eq!(group.len(), GROUP);
        assert!(group.iter().all(|job| job.reserved));
    }

    #[test]
    fn bytes_are_bounded_and_given_back() {
        let queue = Queue::default();
        let first = queue.push(entry(BYTES / 2), false).unwrap();
        assert!(matches!(queue.push(entry(BYTES / 2), false), Err(Error::Full)));
        queue.take(&mut Vec::new());
        let _second = queue.push(entry(BYTES / 2), false).unwrap();
        drop(first);
    }

    #[test]
    fn work_whose_caller_has_gone_is_dropped_and_a_closed_queue_ends() {
        let queue = Queue::default();
        drop(queue.push(entry(1), false).unwrap());
        let kept = queue.push(entry(1), false).unwrap();
        queue.close();
        let mut group = Vec::new();
        assert!(queue.take(&mut group));
        assert_eq!(group.len(), 1);
        group.clear();
        assert!(!queue.take(&mut group));
        assert!(queue.push(entry(1), true).is_err());
        drop(kept);
    }
}

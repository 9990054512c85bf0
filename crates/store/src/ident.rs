//! Commit ids that rise strictly within this process, so that segments sort in the order they were written.

use std::sync::{Arc, Mutex, PoisonError};

use kernel::clock::{Clock, Timestamp};
use kernel::id::{Commit, Entropy, Id, Kind};

struct Source {
    entropy: Box<dyn Entropy + Send>,
    last: u128,
}

/// The source of new ids, and of time.
pub(crate) struct Ids {
    source: Mutex<Source>,
    clock: Arc<dyn Clock>,
}

impl Ids {
    pub(crate) fn new(entropy: Box<dyn Entropy + Send>, clock: Arc<dyn Clock>) -> Self {
        Self { source: Mutex::new(Source { entropy, last: 0 }), clock }
    }

    /// The present machine time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id above every id given before: a reader that pages by id must not meet a late one behind it.
    pub(crate) fn commit(&self) -> Id<Commit> {
        let now = self.now();
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = u128::from_be_bytes(*Id::<Commit>::generate(now, &mut *source.entropy).as_bytes());
        source.last = fresh.max(source.last.saturating_add(1));
        Id::from_bytes(source.last.to_be_bytes())
    }

    /// An id of any kind that nobody sorts by.
    pub(crate) fn any<K: Kind>(&self) -> Id<K> {
        let now = self.now();
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        Id::generate(now, &mut *source.entropy)
    }

    /// A few random bits, for jitter.
    pub(crate) fn jitter(&self) -> u8 {
        let mut byte = [0_u8; 1];
        self.source.lock().unwrap_or_else(PoisonError::into_inner).entropy.fill(&mut byte);
        let [value] = byte;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Falling(u8);
    impl Entropy for Falling {
        fn fill(&mut self, buffer: &mut [u8]) {
            self.0 = self.0.wrapping_sub(1);
            buffer.fill(self.0);
        }
    }
    struct Still;
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_700_000_000)
        }
    }

    #[test]
    fn ids_rise_even_when_time_stands_still_and_the_random_bits_fall() {
        let ids = Ids::new(Box::new(Falling(0)), Arc::new(Still));
        let made: Vec<_> = (0..200).map(|_| ids.commit()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

//! What all products of one process stand on: the store, derived keys, machine time, randomness.

use std::sync::{Arc, Mutex, PoisonError};

use kernel::clock::Clock;
use kernel::id::{Entropy, Id};
use kernel::principal::{Principal, Subject};
use store::Store;
use store::keyring::Keyring;

use crate::tenant::Tenant;

/// The ground of a process.
pub struct Ground {
    /// The store.
    pub store: Store,
    /// Derived keys.
    pub keyring: Keyring,
    /// Machine time.
    pub clock: Arc<dyn Clock>,
    entropy: Mutex<Box<dyn Entropy>>,
}

/// A private stream of randomness, drawn from the process's own.
pub struct FreshEntropy<'a>(&'a Ground);

impl Entropy for FreshEntropy<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.0.with_entropy(|entropy| entropy.fill(buffer));
    }
}

impl Ground {
    /// The ground over a store.
    pub fn new(store: Store, keyring: Keyring, clock: Arc<dyn Clock>, entropy: Box<dyn Entropy>) -> Arc<Self> {
        Arc::new(Self { store, keyring, clock, entropy: Mutex::new(entropy) })
    }

    /// Uses the process's randomness.
    pub fn with_entropy<T>(&self, use_it: impl FnOnce(&mut dyn Entropy) -> T) -> T {
        let mut guard = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut **guard)
    }

    /// Randomness that can be kept across an await.
    pub const fn fresh_entropy(&self) -> FreshEntropy<'_> {
        FreshEntropy(self)
    }

    /// The process itself as a principal.
    pub fn system(&self, tenant: &Tenant, part: &'static str) -> Principal {
        let now = self.clock.now();
        Principal {
            tenant: tenant.id,
            subject: Subject::System(part),
            credential: None,
            scopes: Arc::from([]),
            source: None,
            request: self.with_entropy(|entropy| Id::generate(now, entropy)),
        }
    }
}

//! Test instruments: a clock that only moves when told, seeded randomness, temporary directories and databases, and a
//! proxy that breaks the way to one.

pub mod clock;
pub mod directory;
pub mod entropy;
pub mod postgres;
pub mod proxy;

pub use clock::FakeClock;
pub use directory::TempDir;
pub use entropy::SeededEntropy;
pub use proxy::{Mode, Proxy, Trap};

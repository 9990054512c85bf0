//! Test instruments: a clock that only moves when told, seeded randomness, temporary directories and databases.

pub mod clock;
pub mod directory;
pub mod entropy;
pub mod postgres;

pub use clock::FakeClock;
pub use directory::TempDir;
pub use entropy::SeededEntropy;

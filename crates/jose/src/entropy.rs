//! The operating system's randomness behind the house's entropy seam.

use kernel::id::Entropy;

/// Random bytes from the cryptographic library's generator, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl SystemEntropy {
    /// A handle to the process-wide generator.
    pub const fn new() -> Self {
        Self
    }
}

impl Entropy for SystemEntropy {
    /// Ends the process when the operating system gives no randomness: every id, nonce and secret made after that
    /// would be guessable, and no caller could do better.
    fn fill(&mut self, buffer: &mut [u8]) {
        if aws_lc_rs::rand::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}

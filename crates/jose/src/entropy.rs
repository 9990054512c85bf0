//! The operating system's randomness behind the house's entropy seam.

use kernel::id::Entropy;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes drawn at once by [`BufferedEntropy`].
const DRAWN: usize = 4_096;

/// [`SystemEntropy`] drawn in advance: asking the generator costs more than an id's 16 bytes are worth.
///
/// Every byte is handed out once and wiped where it was kept.
pub struct BufferedEntropy {
    drawn: Zeroizing<Vec<u8>>,
}

impl BufferedEntropy {
    /// Nothing is drawn yet.
    pub fn new() -> Self {
        Self { drawn: Zeroizing::new(Vec::with_capacity(DRAWN)) }
    }
}

impl Default for BufferedEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for BufferedEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        if buffer.len() > self.drawn.len() {
            if buffer.len() > DRAWN {
                SystemEntropy.fill(buffer);
                return;
            }
            self.drawn.resize(DRAWN, 0);
            SystemEntropy.fill(&mut self.drawn);
        }
        let kept = self.drawn.len().saturating_sub(buffer.len());
        if let Some(taken) = self.drawn.get_mut(kept..) {
            buffer.copy_from_slice(taken);
            taken.zeroize();
        }
        self.drawn.truncate(kept);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_bytes_are_handed_out_once_in_every_size() {
        let mut entropy = BufferedEntropy::new();
        let mut seen = std::collections::HashSet::new();
        for size in [16, 16, 32, 4_000, 100, 5_000, 4_096, 16] {
            let mut bytes = vec![0; size];
            entropy.fill(&mut bytes);
            for sixteen in bytes.chunks_exact(16) {
                assert!(seen.insert(sixteen.to_vec()), "repeated in {size} bytes");
            }
        }
        let mut none = [];
        entropy.fill(&mut none);
    }
}

//! SHA-256 (FIPS 180-4).

use aws_lc_rs::digest;

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SHA-256 over parts that arrive one after another.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// An empty hash.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes taken in.
    pub fn finish(self) -> [u8; 32] {
        fixed(self.0.finish().as_ref())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// The 32 bytes of an output whose length the algorithm fixes.
pub(crate) fn fixed(output: &[u8]) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    bytes.iter_mut().zip(output).for_each(|(to, from)| *to = *from);
    bytes
}

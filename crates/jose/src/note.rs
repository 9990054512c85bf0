//! Key ids of C2SP signed notes: what a checkpoint's signature line names its key by.

use crate::hash::Sha256;

/// The Ed25519 signature type of signed notes.
const ED25519: u8 = 0x01;

/// The four-byte key id: SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), cut to its first four bytes.
pub fn note_key_hash(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update(&[b'\n', ED25519]);
    hash.update(public_key);
    let [a, b, c, d, ..] = hash.finish();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    /// The verifier key that the Go checksum database publishes.
    #[test]
    fn the_key_id_is_the_one_that_the_go_checksum_database_publishes() {
        let key =
            base64::engine::general_purpose::STANDARD.decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").unwrap();
        assert_eq!(key[0], ED25519);
        assert_eq!(note_key_hash("sum.golang.org", key[1..].try_into().unwrap()), [0x03, 0x3d, 0xe0, 0xae]);
    }
}

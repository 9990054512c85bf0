//! Recovery codes: ten of 80 random bits, kept as keyed hashes, each good once.

use jose::mac::HmacKey;
use kernel::id::Entropy;
use kernel::secret::Secret;

/// Codes of a set.
pub const CODES: usize = 10;
/// Characters of a code without its hyphens: 16 of base32 are 80 bits.
const CHARACTERS: usize = 16;
/// Crockford's alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new set of codes, in groups of four: `7kq2-m0xd-…`.
pub fn generate(entropy: &mut dyn Entropy) -> Vec<Secret<String>> {
    let mut code = || {
        let mut bytes = [0_u8; CHARACTERS];
        entropy.fill(&mut bytes);
        let mut text = String::with_capacity(CHARACTERS.saturating_add(3));
        for (index, byte) in bytes.into_iter().enumerate() {
            if index > 0 && index.is_multiple_of(4) {
                text.push('-');
            }
            // 256 is a multiple of 32, so five bits of a byte are uniform.
            text.push(ALPHABET.get(usize::from(byte & 31)).copied().map_or('0', char::from));
        }
        Secret::new(text)
    };
    (0..CODES).map(|_| code()).collect()
}

/// The keyed hash of what a person typed; `None` when it cannot be a code.
pub fn hash(key: &HmacKey, typed: &str) -> Option<[u8; 32]> {
    let mut text = Secret::new(String::with_capacity(CHARACTERS));
    for character in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let read = match character.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        if !read.is_ascii() || !ALPHABET.iter().any(|b| char::from(*b) == read) || text.reveal().len() >= CHARACTERS {
            return None;
        }
        let longer = format!("{}{read}", text.reveal());
        text = Secret::new(longer);
    }
    (text.reveal().len() == CHARACTERS).then(|| key.tag(text.reveal().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::SeededEntropy;

    #[test]
    fn a_set_holds_ten_different_codes_that_are_read_as_people_write_them() {
        let key = HmacKey::new(&[7; 32]);
        let codes = generate(&mut SeededEntropy::new(5));
        let hashes: std::collections::BTreeSet<_> = codes.iter().filter_map(|c| hash(&key, c.reveal())).collect();
        assert_eq!(hashes.len(), CODES);
        let code = codes[0].reveal();
        assert_eq!(code.len(), 19);
        let sloppy = format!(" {} ", code.to_uppercase().replace('-', " "));
        assert_eq!(hash(&key, &sloppy), hash(&key, code));
        assert_eq!(hash(&key, "OOOO-IIII-LLLL-0000"), hash(&key, "0000111111110000"));
        for bad in ["", &code[..18], &format!("{code}0"), "uuuu-uuuu-uuuu-uuuu", "0000-0000-0000-000é"] {
            assert_eq!(hash(&key, bad), None, "{bad}");
        }
    }
}

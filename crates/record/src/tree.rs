//! The Merkle tree of RFC 6962 §2.1: roots, inclusion and consistency proofs, and their verification.
//!
//! Leaves and nodes are hashed in separate domains (0x00 and 0x01), so neither passes as the other.

use jose::hash::sha256;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf's bytes.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut input = Vec::with_capacity(data.len().saturating_add(1));
    input.push(0);
    input.extend_from_slice(data);
    sha256(&input)
}

/// The hash of a node over its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1_u8; 65];
    let (_, children) = input.split_at_mut(1);
    for (slot, byte) in children.iter_mut().zip(left.iter().chain(right)) {
        *slot = *byte;
    }
    sha256(&input)
}

/// The right edge of a growing tree: the roots of its full subtrees, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// An empty tree.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf on the right.
    pub fn push(&mut self, leaf: Hash) {
        let mut carry = leaf;
        // Each trailing one bit of the size is a full subtree as large as the one carried.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                carry = node_hash(&left, &carry);
            }
        }
        self.peaks.push(carry);
        self.size = self.size.saturating_add(1);
    }

    /// The root; of an empty tree the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sha256(&[]) };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

impl Extend<Hash> for Frontier {
    fn extend<I: IntoIterator<Item = Hash>>(&mut self, leaves: I) {
        for leaf in leaves {
            self.push(leaf);
        }
    }
}

/// The root of a tree over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    frontier.extend(leaves.iter().copied());
    frontier.root()
}

/// The largest power of two smaller than `size`, which is at least 2.
fn split_of(size: usize) -> usize {
    size.next_power_of_two() >> 1
}

/// The audit path of a leaf (RFC 6962 §2.1.1), from the leaf up; `None` when there is no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut rest, mut index) = (leaves, index);
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split_of(rest.len()));
        if index < left.len() {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            index = index.saturating_sub(left.len());
            rest = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// The proof that the tree over the first `first` leaves is a prefix of this one (RFC 6962 §2.1.2); `None`
/// when there are not that many leaves or `first` is 0.
pub fn consistency_proof(leaves: &[Hash], first: usize) -> Option<Vec<Hash>> {
    if first == 0 || first > leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut rest, mut first, mut whole) = (leaves, first, true);
    while first < rest.len() {
        let (left, right) = rest.split_at(split_of(rest.len()));
        if first <= left.len() {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            first = first.saturating_sub(left.len());
            rest = right;
            whole = false;
        }
    }
    if !whole {
        proof.push(root(rest));
    }
    proof.reverse();
    Some(proof)
}

/// Whether the proof leads from the leaf hash to the root (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for step in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// A tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Whether the proof shows that the older tree is a prefix of the newer one (RFC 9162 §2.1.4.2).
pub fn verify_consistency(older: &Head, newer: &Head, proof: &[Hash]) -> bool {
    if older.size == newer.size {
        return proof.is_empty() && older.root == newer.root;
    }
    if older.size == 0 || older.size > newer.size {
        return false;
    }
    let (mut node, mut last) = (older.size.saturating_sub(1), newer.size.saturating_sub(1));
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let mut steps = proof.iter();
    let seed = if older.size.is_power_of_two() { Some(&older.root) } else { steps.next() };
    let Some(seed) = seed else { return false };
    let (mut old, mut new) = (*seed, *seed);
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(step, &old);
            new = node_hash(step, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == older.root && new == newer.root
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        let bytes: Vec<u8> =
            (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
        bytes.try_into().unwrap()
    }

    /// The leaf inputs of the published Certificate Transparency vectors.
    fn leaves() -> Vec<Hash> {
        let sixteen: Vec<u8> = (0x60..=0x6f).collect();
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            &sixteen,
        ];
        inputs.iter().map(|input| leaf_hash(input)).collect()
    }

    #[test]
    fn roots_are_those_of_the_certificate_transparency_vectors() {
        let leaves = leaves();
        for (size, expected) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(root(&leaves[..size]), unhex::<32>(expected), "size {size}");
        }
    }

    #[test]
    fn the_proofs_of_the_vectors_have_the_published_paths() {
        let leaves = leaves();
        // Audit path of the first leaf in a tree of 8, and the step from 6 to 8 leaves.
        let path = inclusion_proof(&leaves, 0).unwrap();
        assert_eq!(
            path,
            [
                unhex::<32>("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
                unhex::<32>("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
                unhex::<32>("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
            ]
        );
        let step = consistency_proof(&leaves, 6).unwrap();
        assert_eq!(
            step,
            [
                unhex::<32>("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
                unhex::<32>("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                unhex::<32>("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            ]
        );
    }

    fn many(count: usize) -> Vec<Hash> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_nothing_else_is() {
        let all = many(40);
        for size in 1..=all.len() {
            let leaves = &all[..size];
            let top = root(leaves);
            let wide = u64::try_from(size).unwrap();
            for index in 0..size {
                let proof = inclusion_proof(leaves, index).unwrap();
                let at = u64::try_from(index).unwrap();
                assert!(verify_inclusion(&leaves[index], at, wide, &proof, &top));
                assert!(!verify_inclusion(&leaf_hash(b"other"), at, wide, &proof, &top), "another leaf");
                assert!(!verify_inclusion(&leaves[index], at, wide, &proof, &leaf_hash(b"root")), "another root");
                assert!(!verify_inclusion(&leaves[index], wide, wide, &proof, &top), "past the end");
                let mut longer = proof.clone();
                longer.push(top);
                assert!(!verify_inclusion(&leaves[index], at, wide, &longer, &top), "a longer proof");
                if size > 1 {
                    assert!(!verify_inclusion(&leaves[index], at ^ 1, wide, &proof, &top), "another place");
                    assert!(!verify_inclusion(&leaves[index], at, wide, &proof[1..], &top), "a shorter proof");
                }
            }
            assert_eq!(inclusion_proof(leaves, size), None);
        }
    }

    #[test]
    fn every_prefix_of_every_small_tree_is_consistent_and_no_other_tree_is() {
        let all = many(40);
        let head = |size: usize| Head { size: u64::try_from(size).unwrap(), root: root(&all[..size]) };
        for size in 1..=all.len() {
            for first in 1..=size {
                let proof = consistency_proof(&all[..size], first).unwrap();
                assert!(verify_consistency(&head(first), &head(size), &proof), "{first} of {size}");
                let forged = Head { root: leaf_hash(b"forged"), ..head(first) };
                assert!(!verify_consistency(&forged, &head(size), &proof), "a forged older root");
                let forged = Head { root: leaf_hash(b"forged"), ..head(size) };
                assert!(!verify_consistency(&head(first), &forged, &proof), "a forged newer root");
                if !proof.is_empty() {
                    assert!(!verify_consistency(&head(first), &head(size), &proof[1..]), "a shorter proof");
                }
            }
            assert_eq!(consistency_proof(&all[..size], 0), None);
            assert_eq!(consistency_proof(&all[..size], size + 1), None);
        }
    }
}

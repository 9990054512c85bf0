//! Proofs: that a record or a token is in the tree, and that the tree only grew.
//!
//! They are made from the store and believed without it: whoever has a proof and the public key of the checkpoints
//! needs nothing else.

use kernel::id::{Commit, Id};
use kernel::tenant::TenantId;
use store::{Store, params};

use crate::block;
use crate::canonical;
use crate::checkpoint::{Checkpoint, NoteError, Verifier};
use crate::entry::{self, Entry, FormatError, Issuance, Jti};
use crate::error::Error;
use crate::query::checkpoint;
use crate::segment;
use crate::sequence::{index, leaves, unsigned};
use crate::sql;
use crate::tree::{self, Hash};

/// Rows per read.
const PER_READ: usize = 200;

/// What leads from a leaf to a signed root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's index.
    pub leaf: u64,
    /// The leaf's hash.
    pub hash: Hash,
    /// The audit path (RFC 6962 §2.1.1), from the leaf up.
    pub path: Vec<Hash>,
    /// The checkpoint whose root the path leads to.
    pub checkpoint: Checkpoint,
}

/// The inclusion proof of a leaf under the newest checkpoint; `None` when there is no such leaf.
///
/// # Errors
/// [`Error::Broken`] when leaves are missing; store errors.
pub async fn inclusion(store: &Store, tenant: TenantId, leaf: u64) -> Result<Option<Proof>, Error> {
    let Some(checkpoint) = checkpoint(store, tenant).await? else { return Ok(None) };
    if leaf >= checkpoint.size {
        return Ok(None);
    }
    let hashes = leaves(store, tenant, Some(checkpoint.size)).await?;
    let at = usize::try_from(leaf).map_err(|_| Error::Broken)?;
    let hash = *hashes.get(at).ok_or(Error::Broken)?;
    Ok(tree::inclusion_proof(&hashes, at).map(|path| Proof { leaf, hash, path, checkpoint }))
}

/// The proof that an older checkpoint's tree is a prefix of the newest one's; `None` when no such sizes exist.
///
/// # Errors
/// [`Error::Broken`] when leaves are missing; store errors.
pub async fn consistency(
    store: &Store,
    tenant: TenantId,
    older: u64,
) -> Result<Option<(Vec<Hash>, Checkpoint)>, Error> {
    let Some(checkpoint) = checkpoint(store, tenant).await? else { return Ok(None) };
    if older > checkpoint.size {
        return Ok(None);
    }
    let hashes = leaves(store, tenant, Some(checkpoint.size)).await?;
    let older = usize::try_from(older).map_err(|_| Error::Broken)?;
    Ok(tree::consistency_proof(&hashes, older).map(|path| (path, checkpoint)))
}

/// One journal entry with its path to the root of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// The entry's own bytes.
    pub bytes: Vec<u8>,
    /// Its index in the block.
    pub index: u64,
    /// How many entries the block holds.
    pub entries: u64,
    /// The path from the entry to the block's root.
    pub path: Vec<Hash>,
    /// The block's root, which [`canonical::block`] puts into the bytes of a leaf.
    pub root: Hash,
}

/// A token's way into the tree: from its journal entry to the root of a block, and from the block's leaf to a signed
/// root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenProof {
    /// The entry in its block.
    pub entry: EntryProof,
    /// The bytes of the block's leaf: [`canonical::block`].
    pub block: Vec<u8>,
    /// The block's leaf in the tree.
    pub inclusion: Proof,
}

/// What is recorded of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Its block is in the tree.
    Proven(Box<TokenProof>),
    /// It is in the journal, and the next checkpoint will cover it.
    Waiting,
}

/// What is recorded of a token; `None` when no such token was issued.
///
/// # Errors
/// [`Error::Broken`] when leaves are missing; store and format errors.
pub async fn token(store: &Store, tenant: TenantId, jti: &Jti) -> Result<Option<Recorded>, Error> {
    // Segments first: what is folded in between is then met again in a block, and not lost.
    if is_in_a_segment(store, tenant, jti).await? {
        return Ok(Some(Recorded::Waiting));
    }
    let (from, to) = jti.recorded_between();
    let limit = i64::try_from(PER_READ).unwrap_or(i64::MAX);
    let mut place = (i64::MAX, i64::MAX);
    loop {
        let values = params![tenant, place.0, place.1, from, to, limit];
        let rows = store.read_all(&sql::BLOCKS_BEFORE, values).await?;
        for row in &rows {
            let leaf = unsigned(row, 0)?;
            place = (row.int(1)?, row.int(0)?);
            let Some(entry) = find(store, tenant, leaf, *jti).await? else { continue };
            let block = canonical::block(tenant, entry.entries, &entry.root);
            let inclusion = inclusion(store, tenant, leaf).await?.ok_or(Error::Broken)?;
            return Ok(Some(Recorded::Proven(Box::new(TokenProof { entry, block, inclusion }))));
        }
        if rows.len() < PER_READ {
            return Ok(None);
        }
    }
}

async fn is_in_a_segment(store: &Store, tenant: TenantId, jti: &Jti) -> Result<bool, Error> {
    let (from, to) = jti.recorded_between();
    let limit = i64::try_from(PER_READ).unwrap_or(i64::MAX);
    let mut before = Id::<Commit>::from_bytes([0xff; 16]);
    loop {
        let rows = store.read_all(&sql::SEGMENTS_BEFORE, params![tenant, before, from, to, limit]).await?;
        for row in &rows {
            before = row.id(0)?;
            for bytes in segment::entries(row.bytes(1)?) {
                if is_of(bytes?, jti) {
                    return Ok(true);
                }
            }
        }
        if rows.len() < PER_READ {
            return Ok(false);
        }
    }
}

/// An entry of a later version cannot be read by this program, and is not the one that is looked for.
fn is_of(bytes: &[u8], jti: &Jti) -> bool {
    entry::decode(bytes).is_ok_and(|entry| jti.names(&entry))
}

/// The token's entry in a block, with its path to the block's root.
async fn find(store: &Store, tenant: TenantId, leaf: u64, jti: Jti) -> Result<Option<EntryProof>, Error> {
    let Some(row) = store.read(&sql::BLOCK_BODY, params![tenant, index(leaf)?]).await? else { return Ok(None) };
    let body = row.bytes(1)?.to_vec();
    let search = tokio::task::spawn_blocking(move || -> Result<Option<EntryProof>, FormatError> {
        let entries = block::unfold(&body)?;
        let Some(at) = entries.iter().position(|bytes| is_of(bytes, &jti)) else { return Ok(None) };
        let hashes: Vec<Hash> = entries.iter().map(|bytes| tree::leaf_hash(bytes)).collect();
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let index = u64::try_from(at).unwrap_or(u64::MAX);
        let found = tree::inclusion_proof(&hashes, at).zip(entries.into_iter().nth(at));
        Ok(found.map(|(path, bytes)| EntryProof { bytes, index, entries: count, path, root: tree::root(&hashes) }))
    });
    Ok(search.await.map_err(|_| Error::Stopped)??)
}

/// Why the proof of a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Doubt {
    /// The checkpoint is not signed by a known key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The entry's bytes are not those of a journal entry.
    #[error("the entry cannot be read: {0}")]
    Format(#[from] FormatError),
    /// The entry is a refusal.
    #[error("the entry does not say that a token was issued")]
    NoIssuance,
    /// The path does not lead from the entry to the root of its block.
    #[error("the entry's path does not lead to the root of its block")]
    Entry,
    /// The leaf states another block.
    #[error("the leaf is not that of the entry's block")]
    Block,
    /// The path does not lead from the leaf to the root of the checkpoint.
    #[error("the leaf's path does not lead to the root that the checkpoint states")]
    Tree,
}

impl TokenProof {
    /// What the proof proves, when every step of it holds and a given key signed its checkpoint.
    ///
    /// # Errors
    /// [`Doubt`] with the first step that does not hold.
    pub fn verify(&self, keys: &[Verifier]) -> Result<(Issuance, Checkpoint), Doubt> {
        let Self { entry, block, inclusion } = self;
        let checkpoint = Checkpoint::verify(&inclusion.checkpoint.note, keys)?;
        let leaf = tree::leaf_hash(block);
        if !tree::verify_inclusion(&leaf, inclusion.leaf, checkpoint.size, &inclusion.path, &checkpoint.root) {
            return Err(Doubt::Tree);
        }
        if canonical::parse_block(block) != Some((entry.entries, entry.root)) {
            return Err(Doubt::Block);
        }
        let hash = tree::leaf_hash(&entry.bytes);
        if !tree::verify_inclusion(&hash, entry.index, entry.entries, &entry.path, &entry.root) {
            return Err(Doubt::Entry);
        }
        match entry::decode(&entry.bytes)? {
            Entry::Issuance(issued) => Ok((issued, checkpoint)),
            Entry::Refusal(_) => Err(Doubt::NoIssuance),
        }
    }
}

//! Verification: recomputes a tenant's tree from its records and blocks and compares it with every checkpoint.
//!
//! Nothing stored is trusted: leaves are hashed anew from what they stand for, and the roots over them are
//! compared with signed checkpoints, those in the store and those kept elsewhere. Only the latter show a tail
//! that was cut together with its checkpoints.

use std::fmt;

use kernel::id::{Commit, Id};
use kernel::tenant::TenantId;
use store::{Row, Store, params};

use crate::block;
use crate::canonical::{AuditView, block_leaf_hash};
use crate::checkpoint::{Checkpoint, Verifier};
use crate::error::Error;
use crate::sequence::{hash_of_row, head_of_row, index, unsigned};
use crate::sql;
use crate::tree::{Frontier, Hash, Head};

/// Rows per read.
const PER_READ: usize = 1_000;
/// Most findings that a report lists.
const FINDINGS_MAX: usize = 100;

/// One way in which the store differs from what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// What stands at the index is not what was put there.
    Changed,
    /// Nothing stands at the index: its record or block is gone.
    Removed,
    /// A record or block that was never signed stands at the index, or a second one does.
    Inserted,
    /// The leaf hash of the index is missing.
    LeafMissing,
    /// A block at the index cannot be read.
    Unreadable,
    /// The root differs from that of the stored checkpoint of this size. When no single leaf shows why, the index
    /// is the first one past the last good checkpoint.
    Root(u64),
    /// The root differs from that of the given checkpoint of this size.
    GivenRoot(u64),
    /// A given checkpoint has more leaves than the tree: the tail was cut.
    Cut(u64),
    /// The stored checkpoint of this size has no good signature of a known key, or states something else.
    Signature(u64),
}

/// A problem and the first index it may concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The leaf index.
    pub index: u64,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leaf {}: ", self.index)?;
        match &self.problem {
            Problem::Changed => write!(f, "the record or block was changed"),
            Problem::Removed => write!(f, "the record or block was removed"),
            Problem::Inserted => write!(f, "a record or block was inserted"),
            Problem::LeafMissing => write!(f, "the leaf hash is missing"),
            Problem::Unreadable => write!(f, "the block cannot be read"),
            Problem::Root(size) => write!(f, "the tree differs from its checkpoint of size {size}"),
            Problem::GivenRoot(size) => write!(f, "the tree differs from the given checkpoint of size {size}"),
            Problem::Cut(size) => write!(f, "the tail up to the given checkpoint of size {size} is missing"),
            Problem::Signature(size) => write!(f, "the checkpoint of size {size} is not signed by a known key"),
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many leaves the last checkpoint states.
    pub size: u64,
    /// The root over what the records and blocks recompute to.
    pub root: Hash,
    /// Audit records in the tree.
    pub records: u64,
    /// Blocks in the tree.
    pub blocks: u64,
    /// Journal entries in those blocks.
    pub entries: u64,
    /// Checkpoints compared, stored and given.
    pub checkpoints: u64,
    /// Records that wait for the sequencer.
    pub unsequenced_records: u64,
    /// Segments that wait for the sequencer.
    pub unsequenced_segments: u64,
    /// Journal entries in those segments.
    pub unsequenced_entries: u64,
    /// What is wrong, in the order of the index; at most 100.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    /// The first index at which something is wrong.
    pub fn first_bad(&self) -> Option<u64> {
        self.findings.iter().map(|finding| finding.index).min()
    }
}

/// The tree as it is rebuilt, and what is wrong with it.
struct Rebuilt {
    tenant: TenantId,
    /// By index: the hash recomputed from the record or block that claims it.
    hashes: Vec<Option<Hash>>,
    records: u64,
    blocks: u64,
    entries: u64,
    /// Records and blocks that claim an index past the tree as it was read first.
    beyond: Vec<u64>,
    findings: Vec<Finding>,
}

impl Rebuilt {
    fn find(&mut self, index: u64, problem: Problem) {
        self.findings.push(Finding { index, problem });
    }

    /// The first index of a range at which something was found.
    fn first_between(&self, from: u64, to: u64) -> Option<u64> {
        self.findings.iter().map(|finding| finding.index).filter(|index| (from..to).contains(index)).min()
    }

    /// Puts a recomputed hash at the index that a row claims.
    fn place(&mut self, leaf: u64, hash: Hash) {
        let slot = usize::try_from(leaf).ok().and_then(|at| self.hashes.get_mut(at));
        match slot {
            None => self.beyond.push(leaf),
            Some(Some(_)) => self.find(leaf, Problem::Inserted),
            Some(empty) => *empty = Some(hash),
        }
    }
}

/// Verifies a tenant's tree against its stored checkpoints and those given. With no keys, the signatures of
/// stored checkpoints are not looked at; given checkpoints are believed as they are, see [`Checkpoint::verify`].
///
/// It may run beside a sequencer: what is sequenced after it began is not looked at.
///
/// # Errors
/// Store errors; damage is never an error but a finding.
pub async fn verify(
    store: &Store,
    tenant: TenantId,
    known: &[Checkpoint],
    public_keys: &[Verifier],
) -> Result<Report, Error> {
    let size = last_size(store, tenant).await?;
    let stored = checkpoints(store, tenant).await?;
    let mut tree = Rebuilt {
        tenant,
        hashes: vec![None; usize::try_from(size).map_err(|_| Error::Broken)?],
        records: 0,
        blocks: 0,
        entries: 0,
        beyond: Vec::new(),
        findings: Vec::new(),
    };
    records(store, &mut tree).await?;
    blocks(store, &mut tree).await?;
    compare_leaves(store, &mut tree).await?;

    let last_leaf = match store.read(&sql::LAST_LEAF, params![tenant]).await? {
        Some(row) => Some(unsigned(&row, 0)?),
        None => None,
    };
    // What another sequencer signed in the meantime is not an insertion; what nobody signed is.
    let signed = last_size(store, tenant).await?.max(size);
    let beyond = std::mem::take(&mut tree.beyond);
    for leaf in beyond.into_iter().chain(last_leaf).filter(|leaf| *leaf >= signed) {
        tree.find(leaf, Problem::Inserted);
    }

    let (root, compared) = compare_roots(&mut tree, size, stored, known, public_keys);
    let pending = |row: Option<Row>, column: usize| row.map_or(Ok(0), |row| unsigned(&row, column));
    let segments = store.read(&sql::SEGMENTS_COUNT, params![tenant]).await?;
    let mut findings = tree.findings;
    findings.sort_by_key(|finding| finding.index);
    findings.dedup();
    findings.truncate(FINDINGS_MAX);
    Ok(Report {
        size,
        root,
        records: tree.records,
        blocks: tree.blocks,
        entries: tree.entries,
        checkpoints: compared,
        unsequenced_records: pending(store.read(&sql::UNSEQUENCED_COUNT, params![tenant]).await?, 0)?,
        unsequenced_segments: pending(segments.clone(), 0)?,
        unsequenced_entries: pending(segments, 1)?,
        findings,
    })
}

async fn last_size(store: &Store, tenant: TenantId) -> Result<u64, Error> {
    let row = store.read(&sql::LAST_CHECKPOINT, params![tenant]).await?;
    Ok(row.map_or(Ok(0), |row| unsigned(&row, 0))?)
}

/// Size, root and note of every stored checkpoint, oldest first.
async fn checkpoints(store: &Store, tenant: TenantId) -> Result<Vec<(Head, String)>, Error> {
    let limit = i64::try_from(PER_READ).unwrap_or(i64::MAX);
    let mut found: Vec<(Head, String)> = Vec::new();
    loop {
        let after = found.last().map_or(Ok(-1), |(head, _)| index(head.size))?;
        let rows = store.read_all(&sql::CHECKPOINTS_AFTER, params![tenant, after, limit]).await?;
        for row in &rows {
            found.push((head_of_row(row)?, row.text(2)?.to_owned()));
        }
        if rows.len() < PER_READ {
            return Ok(found);
        }
    }
}

async fn records(store: &Store, tree: &mut Rebuilt) -> Result<(), Error> {
    let limit = i64::try_from(PER_READ).unwrap_or(i64::MAX);
    let mut after = Id::<Commit>::from_bytes([0; 16]);
    loop {
        let rows = store.read_all(&sql::RECORDS_AFTER, params![tree.tenant, after, limit]).await?;
        for row in &rows {
            let record = AuditView::of_row(row)?;
            after = record.commit;
            if let Some(leaf) = record.leaf {
                tree.records = tree.records.saturating_add(1);
                tree.place(leaf, record.leaf_hash(tree.tenant));
            }
        }
        if rows.len() < PER_READ {
            return Ok(());
        }
    }
}

async fn blocks(store: &Store, tree: &mut Rebuilt) -> Result<(), Error> {
    let limit = i64::try_from(PER_READ).unwrap_or(i64::MAX);
    let mut after = -1_i64;
    loop {
        let rows = store.read_all(&sql::BLOCKS_AFTER, params![tree.tenant, after, limit]).await?;
        for row in &rows {
            after = row.int(0)?;
            let leaf = unsigned(row, 0)?;
            let Some(body) = store.read(&sql::BLOCK_BODY, params![tree.tenant, after]).await? else { continue };
            let (stated, body) = (unsigned(&body, 0)?, body.bytes(1)?.to_vec());
            let read = tokio::task::spawn_blocking(move || {
                block::unfold(&body).map(|entries| (entries.len(), block::root(&entries)))
            });
            let Ok((entries, root)) = read.await.map_err(|_| Error::Stopped)? else {
                tree.place(leaf, [0; 32]);
                tree.find(leaf, Problem::Unreadable);
                continue;
            };
            let entries = u64::try_from(entries).unwrap_or(u64::MAX);
            tree.blocks = tree.blocks.saturating_add(1);
            tree.entries = tree.entries.saturating_add(entries);
            if entries != stated {
                tree.find(leaf, Problem::Changed);
            }
            tree.place(leaf, block_leaf_hash(tree.tenant, entries, &root));
        }
        if rows.len() < PER_READ {
            return Ok(());
        }
    }
}

/// Compares the recomputed hashes with the stored leaves, index by index.
async fn compare_leaves(store: &Store, tree: &mut Rebuilt) -> Result<(), Error> {
    let limit = i64::try_from(PER_READ).unwrap_or(i64::MAX);
    let size = u64::try_from(tree.hashes.len()).unwrap_or(u64::MAX);
    let mut next = 0_u64;
    while next < size {
        let rows = store.read_all(&sql::LEAVES_FROM, params![tree.tenant, index(next)?, limit]).await?;
        for row in &rows {
            let at = unsigned(row, 0)?;
            while next < at.min(size) {
                tree.find(next, Problem::LeafMissing);
                next = next.saturating_add(1);
            }
            if next >= size {
                return Ok(());
            }
            let stored = hash_of_row(row, 1)?;
            let slot = usize::try_from(at).ok().and_then(|at| tree.hashes.get_mut(at));
            match slot.copied().flatten() {
                Some(hash) if hash == stored => {}
                Some(_) => tree.find(at, Problem::Changed),
                None => tree.find(at, Problem::Removed),
            }
            next = at.saturating_add(1);
        }
        if rows.len() < PER_READ {
            while next < size {
                tree.find(next, Problem::LeafMissing);
                next = next.saturating_add(1);
            }
        }
    }
    Ok(())
}

/// Compares the roots over the recomputed hashes with every checkpoint; gives the last root and how many
/// checkpoints were compared.
fn compare_roots(
    tree: &mut Rebuilt,
    size: u64,
    stored: Vec<(Head, String)>,
    known: &[Checkpoint],
    keys: &[Verifier],
) -> (Hash, u64) {
    let mut heads: Vec<(Head, Option<String>)> =
        stored.into_iter().filter(|(head, _)| head.size <= size).map(|(head, note)| (head, Some(note))).collect();
    heads.extend(known.iter().map(|checkpoint| (checkpoint.head(), None)));
    heads.sort_by_key(|(head, note)| (head.size, note.is_none()));
    let mut compared = 0_u64;
    let mut frontier = Frontier::new();
    let mut last_good = 0;
    let mut hashes = std::mem::take(&mut tree.hashes).into_iter();
    for (head, note) in heads {
        compared = compared.saturating_add(1);
        if head.size > size {
            tree.find(size, Problem::Cut(head.size));
            continue;
        }
        while frontier.size() < head.size {
            // A missing record has no hash; zero bytes make every root past it differ, as it must.
            frontier.push(hashes.next().flatten().unwrap_or([0; 32]));
        }
        let same = frontier.root() == head.root;
        let first_bad = tree.first_between(last_good, head.size).unwrap_or(last_good);
        match &note {
            Some(note) => {
                if !states(note, &head, keys) {
                    tree.find(last_good, Problem::Signature(head.size));
                }
                if !same {
                    tree.find(first_bad, Problem::Root(head.size));
                }
            }
            None if !same => tree.find(first_bad, Problem::GivenRoot(head.size)),
            None => {}
        }
        if same {
            last_good = head.size;
        }
    }
    (frontier.root(), compared)
}

/// Whether a stored note states the row's size and root and, with keys, is signed by one.
fn states(note: &str, head: &Head, keys: &[Verifier]) -> bool {
    let read = if keys.is_empty() { Checkpoint::parse(note) } else { Checkpoint::verify(note, keys) };
    read.is_ok_and(|checkpoint| checkpoint.head() == *head)
}

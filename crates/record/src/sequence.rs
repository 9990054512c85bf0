//! The sequencer: folds segments into blocks, gives records and blocks their leaves, signs a checkpoint.
//!
//! One run at a time per tenant is the rule (a lease); the guards make a second one harmless, because it
//! conflicts on the leaf index. A run commits in bounded rounds, each of which leaves a signed tree behind, so
//! dropping the future between two rounds is safe.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use kernel::clock::Timestamp;
use kernel::id::{Commit, Id, Secret};
use kernel::tenant::TenantId;
use store::{Batch, Row, Store, Upkeep, params};

use crate::block::{Block, Folding};
use crate::canonical::{AuditView, block_leaf_hash};
use crate::checkpoint::{Checkpoint, CheckpointSigner};
use crate::error::Error;
use crate::segment;
use crate::sql;
use crate::tree::{Frontier, Hash, Head};

/// Most records that one round numbers.
const RECORDS_PER_ROUND: usize = 500;
/// A round takes no further segment once it holds this many entries.
pub const ENTRIES_PER_ROUND: usize = 10_000;
/// A round takes no further segment once it holds this many bytes of them.
const BYTES_PER_ROUND: usize = 16 << 20;
/// Segments per read.
const SEGMENTS_PER_READ: usize = 64;
/// Leaf hashes per read.
pub(crate) const LEAVES_PER_READ: usize = 10_000;
/// Credentials per batch of last uses: each is a page to write, and the batches of requests wait for this one.
const CREDENTIALS_PER_BATCH: usize = 100;
/// Seconds within which a later use of a credential is not written again: a row for each round would cost more than
/// the tokens themselves.
const LAST_USE_SECONDS: i64 = 60;
/// Credentials whose written use is kept; past this many all are forgotten.
const LAST_USES_MAX: usize = 100_000;
/// How often a round is tried again after another commit came first.
const ATTEMPTS: u32 = 5;
/// Trees whose right edge is kept; past this many all are forgotten and read again.
const FRONTIERS_MAX: usize = 10_000;

/// Sequences the trees of many tenants and remembers their right edges, so that a run reads only what is new.
#[derive(Debug, Default)]
pub struct Sequencer {
    frontiers: Mutex<HashMap<TenantId, Frontier>>,
    /// The last use of credentials as this process wrote it.
    last_uses: Mutex<HashMap<(TenantId, Id<Secret>), Timestamp>>,
}

/// How much of what is new a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Everything,
    /// What fills whole rounds: the rest would make a small block, which stores each entry in more bytes.
    WholeRounds,
}

/// Sequences what is new in a tenant's tree; see [`Sequencer::sequence`].
///
/// # Errors
/// As [`Sequencer::sequence`].
pub async fn sequence(
    store: &Store,
    tenant: TenantId,
    now: Timestamp,
    signer: &dyn CheckpointSigner,
) -> Result<Option<Checkpoint>, Error> {
    Sequencer::default().sequence(store, tenant, Extent::Everything, now, signer).await
}

/// What one round found to do.
struct Round {
    records: Vec<AuditView>,
    segments: Vec<(Id<Commit>, Vec<u8>)>,
    /// Whether more is left for another round.
    full: bool,
}

impl Sequencer {
    /// An empty sequencer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds segments, numbers records and signs a checkpoint over the new tree; `None` when nothing of that extent was
    /// new.
    ///
    /// # Errors
    /// [`Error::Broken`] when the stored leaves are not what the last checkpoint signed; store, format and
    /// signature errors.
    pub async fn sequence(
        &self,
        store: &Store,
        tenant: TenantId,
        extent: Extent,
        now: Timestamp,
        signer: &dyn CheckpointSigner,
    ) -> Result<Option<Checkpoint>, Error> {
        let mut last = None;
        let mut attempts = ATTEMPTS;
        loop {
            match self.round(store, tenant, extent, now, signer).await {
                Ok(None) => return Ok(last),
                Ok(Some((checkpoint, full))) => {
                    last = Some(checkpoint);
                    if !full {
                        return Ok(last);
                    }
                    attempts = ATTEMPTS;
                }
                // A segment came in between the read and the delete, or another sequencer was first.
                Err(Error::Store(store::Error::Conflict(guard))) => {
                    self.forget(tenant);
                    attempts = attempts.saturating_sub(1);
                    if attempts == 0 {
                        return Err(Error::Store(store::Error::Conflict(guard)));
                    }
                }
                Err(error) => {
                    self.forget(tenant);
                    return Err(error);
                }
            }
        }
    }

    async fn round(
        &self,
        store: &Store,
        tenant: TenantId,
        extent: Extent,
        now: Timestamp,
        signer: &dyn CheckpointSigner,
    ) -> Result<Option<(Checkpoint, bool)>, Error> {
        let found = find(store, tenant).await?;
        let is_empty = found.records.is_empty() && found.segments.is_empty();
        if is_empty || (extent == Extent::WholeRounds && !found.full) {
            return Ok(None);
        }
        let mut frontier = self.frontier(store, tenant).await?;
        let mut batch = Batch::new();
        for record in &found.records {
            let (leaf, hash) = (frontier.size(), record.leaf_hash(tenant));
            let place = index(leaf)?;
            batch = batch.expect(1, &sql::NUMBER_RECORD, params![tenant, record.commit, place]);
            batch = add_leaf(batch, tenant, &mut frontier, hash)?;
        }
        let bounds = found.segments.first().zip(found.segments.last()).map(|((first, _), (last, _))| (*first, *last));
        let count = u64::try_from(found.segments.len()).unwrap_or(u64::MAX);
        let segments = found.segments;
        let folded = in_background(move || fold(segments)).await??;
        if let Some(folded) = folded {
            self.touch(store, tenant, &folded.last_used).await?;
            batch = add_block(batch, tenant, &frontier, &folded)?;
            let hash = block_leaf_hash(tenant, folded.entries, &folded.root);
            batch = add_leaf(batch, tenant, &mut frontier, hash)?;
        }
        if let Some((first, last)) = bounds {
            // The count guards the range: a segment that came in late with an earlier id must not be lost.
            batch = batch.expect(count, &sql::DELETE_SEGMENTS, params![tenant, first, last]);
        }
        let head = Head { size: frontier.size(), root: frontier.root() };
        let checkpoint = Checkpoint::sign(head, signer)?;
        batch = batch.expect(
            1,
            &sql::INSERT_CHECKPOINT,
            params![tenant, index(head.size)?, &head.root[..], checkpoint.note.as_str(), now],
        );
        store.upkeep(Upkeep::Fold, batch).await?;
        self.remember(tenant, frontier);
        Ok(Some((checkpoint, found.full)))
    }

    /// The right edge of the stored tree, checked against the last checkpoint.
    async fn frontier(&self, store: &Store, tenant: TenantId) -> Result<Frontier, Error> {
        let signed = match store.read(&sql::LAST_CHECKPOINT, params![tenant]).await? {
            Some(row) => head_of_row(&row)?,
            None => Head { size: 0, root: Frontier::new().root() },
        };
        let kept = self.frontiers.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        if let Some(frontier) = kept
            && frontier.size() == signed.size
            && frontier.root() == signed.root
        {
            return Ok(frontier);
        }
        let mut frontier = Frontier::new();
        frontier.extend(leaves(store, tenant, None).await?);
        if frontier.size() == signed.size && frontier.root() == signed.root {
            return Ok(frontier);
        }
        // Another sequencer may have committed between the two reads; that is a race, not damage.
        let again = match store.read(&sql::LAST_CHECKPOINT, params![tenant]).await? {
            Some(row) => head_of_row(&row)?,
            None => signed,
        };
        if again == signed { Err(Error::Broken) } else { Err(store::Error::Conflict("LAST_CHECKPOINT").into()) }
    }

    /// Writes the last uses before the fold, so that a crash between the two repeats them instead of losing them.
    async fn touch(
        &self,
        store: &Store,
        tenant: TenantId,
        last_used: &BTreeMap<Id<Secret>, Timestamp>,
    ) -> Result<(), Error> {
        let due: Vec<_> = {
            let written = self.last_uses.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = |credential: &Id<Secret>, at: Timestamp| {
                let before = written.get(&(tenant, *credential));
                before.is_none_or(|before| at.micros_since(*before) >= LAST_USE_SECONDS.saturating_mul(1_000_000))
            };
            last_used.iter().filter(|(credential, at)| is_due(credential, **at)).collect()
        };
        for part in due.chunks(CREDENTIALS_PER_BATCH) {
            let mut batch = Batch::new();
            for (credential, at) in part {
                batch = batch.run(&sql::TOUCH_CREDENTIAL, params![tenant, **credential, **at]);
            }
            store.upkeep(Upkeep::LastUsed, batch).await?;
            let mut written = self.last_uses.lock().unwrap_or_else(PoisonError::into_inner);
            if written.len() >= LAST_USES_MAX {
                written.clear();
            }
            written.extend(part.iter().map(|(credential, at)| ((tenant, **credential), **at)));
        }
        Ok(())
    }

    fn remember(&self, tenant: TenantId, frontier: Frontier) {
        let mut frontiers = self.frontiers.lock().unwrap_or_else(PoisonError::into_inner);
        if frontiers.len() >= FRONTIERS_MAX {
            frontiers.clear();
        }
        frontiers.insert(tenant, frontier);
    }

    fn forget(&self, tenant: TenantId) {
        self.frontiers.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }
}

/// Records and journal segments that no checkpoint covers yet.
///
/// # Errors
/// The store's.
pub async fn unsigned_leaves(store: &Store, tenant: TenantId) -> Result<u64, Error> {
    let mut waiting = 0_u64;
    for stmt in [&sql::UNSEQUENCED_COUNT, &sql::SEGMENTS_COUNT] {
        let row = store.read(stmt, params![tenant]).await?;
        waiting = waiting.saturating_add(row.map_or(Ok(0), |row| unsigned(&row, 0))?);
    }
    Ok(waiting)
}

/// A count or index as a column holds it.
pub(crate) fn index(value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::Broken)
}

/// Size and root in a row of a checkpoint.
pub(crate) fn head_of_row(row: &Row) -> Result<Head, Error> {
    Ok(Head { size: unsigned(row, 0)?, root: hash_of_row(row, 1)? })
}

/// A count or index in a column.
pub(crate) fn unsigned(row: &Row, column: usize) -> Result<u64, store::Error> {
    u64::try_from(row.int(column)?).map_err(|_| store::Error::RowCorrupt)
}

/// A hash in a column.
pub(crate) fn hash_of_row(row: &Row, column: usize) -> Result<Hash, store::Error> {
    Hash::try_from(row.bytes(column)?).map_err(|_| store::Error::RowCorrupt)
}

/// The stored leaf hashes from the first on, up to a size when one is given.
///
/// # Errors
/// [`Error::Broken`] when one is missing.
pub(crate) async fn leaves(store: &Store, tenant: TenantId, size: Option<u64>) -> Result<Vec<Hash>, Error> {
    let mut hashes: Vec<Hash> = Vec::new();
    let limit = i64::try_from(LEAVES_PER_READ).unwrap_or(i64::MAX);
    let end = size.unwrap_or(u64::MAX);
    loop {
        let from = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
        let rows = store.read_all(&sql::LEAVES_FROM, params![tenant, index(from)?, limit]).await?;
        for row in &rows {
            let at = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
            if at >= end {
                return Ok(hashes);
            }
            if unsigned(row, 0)? != at {
                return Err(Error::Broken);
            }
            hashes.push(hash_of_row(row, 1)?);
        }
        if rows.len() < LEAVES_PER_READ {
            let found = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
            return if size.is_some_and(|size| found < size) { Err(Error::Broken) } else { Ok(hashes) };
        }
    }
}

async fn find(store: &Store, tenant: TenantId) -> Result<Round, Error> {
    let limit = i64::try_from(RECORDS_PER_ROUND).unwrap_or(i64::MAX);
    let rows = store.read_all(&sql::UNSEQUENCED_RECORDS, params![tenant, limit]).await?;
    let records: Vec<AuditView> = rows.iter().map(AuditView::of_row).collect::<Result<_, _>>()?;
    let mut full = records.len() >= RECORDS_PER_ROUND;
    let mut segments = Vec::new();
    let mut after = Id::<Commit>::from_bytes([0; 16]);
    let (mut entries, mut bytes) = (0_usize, 0_usize);
    let limit = i64::try_from(SEGMENTS_PER_READ).unwrap_or(i64::MAX);
    'reads: loop {
        let rows = store.read_all(&sql::SEGMENTS_AFTER, params![tenant, after, limit]).await?;
        for row in &rows {
            let body = row.bytes(2)?;
            let held = usize::try_from(row.int(1)?).unwrap_or(usize::MAX);
            let next = (entries.saturating_add(held), bytes.saturating_add(body.len()));
            if !segments.is_empty() && (next.0 > ENTRIES_PER_ROUND || next.1 > BYTES_PER_ROUND) {
                full = true;
                break 'reads;
            }
            (entries, bytes) = next;
            after = row.id(0)?;
            segments.push((after, body.to_vec()));
        }
        if rows.len() < SEGMENTS_PER_READ {
            break;
        }
    }
    Ok(Round { records, segments, full })
}

/// Each segment's bytes are given back as soon as they are read.
fn fold(segments: Vec<(Id<Commit>, Vec<u8>)>) -> Result<Option<Block>, Error> {
    let mut folding = Folding::default();
    let mut is_empty = true;
    for (_, body) in segments {
        for entry in segment::entries(&body) {
            folding.add(entry?)?;
            is_empty = false;
        }
    }
    if is_empty { Ok(None) } else { Ok(Some(folding.finish()?)) }
}

/// What a thread's share of a busy core is lowered by: a tenth of that of a thread that serves requests.
const NICENESS: i32 = 10;

/// Runs what takes milliseconds of a whole core and can wait, on a thread that gives way to those that serve requests.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let started = std::thread::Builder::new().name("record-fold".into()).spawn(move || {
        // On Linux this concerns the thread alone; elsewhere it would be the whole process.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICENESS);
        let _ = reply.send(work());
    });
    started.map_err(|_| Error::Stopped)?;
    answer.await.map_err(|_| Error::Stopped)
}

fn add_leaf(batch: Batch, tenant: TenantId, frontier: &mut Frontier, hash: Hash) -> Result<Batch, Error> {
    let place = index(frontier.size())?;
    frontier.push(hash);
    Ok(batch.expect(1, &sql::INSERT_LEAF, params![tenant, place, &hash[..]]))
}

fn add_block(batch: Batch, tenant: TenantId, frontier: &Frontier, block: &Block) -> Result<Batch, Error> {
    let values = params![
        tenant,
        index(frontier.size())?,
        block.first_at,
        block.last_at,
        index(block.entries)?,
        &block.members[..],
        &block.body[..],
    ];
    Ok(batch.expect(1, &sql::INSERT_BLOCK, values))
}

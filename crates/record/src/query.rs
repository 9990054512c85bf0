//! Reading: the audit log, the journal across segments and blocks, and checkpoints; `proof` proves them.
//!
//! Lists are newest first and go on from a key, so what is folded or added between two pages neither repeats
//! nor hides an entry.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use kernel::clock::Timestamp;
use kernel::id::{Commit, Id};
use kernel::page::{MAX_LIMIT, Page};
use kernel::tenant::TenantId;
use store::{Store, params};

use crate::block::{self, Members};
pub use crate::canonical::AuditView;
use crate::checkpoint::Checkpoint;
use crate::entry::{self, Entry, Jti};
use crate::error::Error;
use crate::segment;
use crate::sequence::index;
use crate::sql;
use crate::tree::{self, Hash};

/// Which audit records to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Who acted.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// The kind of object.
    pub object_kind: Option<String>,
    /// The object's public id.
    pub object_id: Option<String>,
    /// Machine time from which on.
    pub from: Option<Timestamp>,
    /// Machine time before which.
    pub to: Option<Timestamp>,
    /// How many at most: 1 ..= 200.
    pub limit: u32,
    /// The last record of the page before.
    pub after: Option<Id<Commit>>,
}

/// Lists audit records, newest first.
///
/// # Errors
/// Store errors.
pub async fn audit(store: &Store, tenant: TenantId, filter: &AuditFilter) -> Result<Vec<AuditView>, Error> {
    let any = |text: &Option<String>| text.clone().unwrap_or_default();
    let stmt = match (&filter.object_kind, &filter.object_id) {
        (Some(_), Some(_)) => &sql::RECORDS_OF_OBJECT,
        _ => &sql::RECORDS_BEFORE,
    };
    let values = params![
        tenant,
        filter.after.unwrap_or(Id::from_bytes([0xff; 16])),
        filter.from.map_or(i64::MIN, Timestamp::as_micros),
        filter.to.map_or(i64::MAX, Timestamp::as_micros),
        any(&filter.actor),
        any(&filter.action),
        any(&filter.object_kind),
        any(&filter.object_id),
        i64::from(filter.limit.clamp(1, MAX_LIMIT)),
    ];
    let rows = store.read_all(stmt, values).await?;
    Ok(rows.iter().map(AuditView::of_row).collect::<Result<_, _>>()?)
}

/// What became of a request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// The request was refused.
    Refused,
}

/// Which journal entries to list.
#[derive(Debug, Clone, Default)]
pub struct JournalFilter {
    /// The client's public id, or the id that a refused request presented.
    pub client_id: Option<String>,
    /// Machine time from which on.
    pub from: Option<Timestamp>,
    /// Machine time before which.
    pub to: Option<Timestamp>,
    /// Issued or refused.
    pub outcome: Option<Outcome>,
    /// The one token.
    pub jti: Option<Jti>,
    /// How many at most: 1 ..= 200.
    pub limit: u32,
    /// [`Page::next`] of the page before.
    pub cursor: Option<Vec<u8>>,
}

/// The order of journal entries: by time, then by the hash of their bytes. An entry that is read twice, from
/// a segment and from the block it was folded into meanwhile, has one key.
type Key = (Timestamp, Hash);

/// Segments per read.
const SEGMENTS_PER_READ: usize = 64;
/// Block heads per read.
const BLOCKS_PER_READ: usize = 200;
/// Most blocks that one page unpacks; past it the page ends early and the next one goes on.
const UNFOLDED_PER_PAGE: u32 = 64;

/// A filter with its bounds worked out.
struct Search<'a> {
    filter: &'a JournalFilter,
    from: Timestamp,
    to: Timestamp,
    /// Only entries with a smaller key are listed.
    before: Key,
    limit: usize,
    found: BTreeMap<Reverse<Key>, Entry>,
}

impl<'a> Search<'a> {
    fn new(filter: &'a JournalFilter) -> Result<Self, Error> {
        let mut from = filter.from.unwrap_or(Timestamp::from_micros(i64::MIN));
        let mut to = filter.to.unwrap_or(Timestamp::from_micros(i64::MAX));
        if let Some(jti) = &filter.jti {
            let (earliest, latest) = jti.recorded_between();
            (from, to) = (from.max(earliest), to.min(latest));
        }
        let before = match &filter.cursor {
            Some(cursor) => read_cursor(cursor)?,
            None => (Timestamp::from_micros(i64::MAX), [0xff; 32]),
        };
        let limit = usize::try_from(filter.limit.clamp(1, MAX_LIMIT)).unwrap_or(1);
        Ok(Self { filter, from, to, before, limit, found: BTreeMap::new() })
    }

    /// The latest time an entry may have.
    fn latest(&self) -> Timestamp {
        self.to.min(self.before.0)
    }

    fn take(&mut self, bytes: &[u8]) {
        // An entry of a later version cannot be shown by this program; the tree holds it all the same.
        let Ok(entry) = entry::decode(bytes) else { return };
        let at = entry.at();
        let key = (at, tree::leaf_hash(bytes));
        if at < self.from || at >= self.to || key >= self.before || !self.matches(&entry) {
            return;
        }
        self.found.insert(Reverse(key), entry);
        if self.found.len() > self.limit.saturating_add(1) {
            self.found.pop_last();
        }
    }

    fn matches(&self, entry: &Entry) -> bool {
        let client = self.filter.client_id.as_deref().is_none_or(|id| entry.client_id() == Some(id));
        let outcome = self.filter.outcome.is_none_or(|outcome| {
            outcome == if matches!(entry, Entry::Issuance(_)) { Outcome::Issued } else { Outcome::Refused }
        });
        let jti = self.filter.jti.as_ref().is_none_or(|jti| jti.names(entry));
        client && outcome && jti
    }

    /// Whether a block may hold what is asked for; an index that cannot be read passes over nothing.
    fn may_match(&self, members: &[u8]) -> bool {
        let Ok(members) = Members::decode(members) else { return true };
        let client = self.filter.client_id.as_deref().is_none_or(|id| members.may_hold_client(id));
        let outcome = if self.filter.jti.is_some() { Some(Outcome::Issued) } else { self.filter.outcome };
        client
            && match outcome {
                None => true,
                Some(Outcome::Issued) => members.may_hold_issuances(),
                Some(Outcome::Refused) => members.may_hold_refusals(),
            }
    }

    /// Whether the page is full of entries later than anything a block can hold that ended at this time.
    fn is_settled(&self, block_ended: Timestamp) -> bool {
        self.found.len() > self.limit
            && self.found.last_key_value().is_some_and(|(Reverse((at, _)), _)| *at > block_ended)
    }

    fn page(mut self) -> Page<Entry> {
        let more = self.found.len() > self.limit;
        if more {
            self.found.pop_last();
        }
        let next = self.found.last_key_value().filter(|_| more).map(|(Reverse(key), _)| write_cursor(key));
        Page { items: self.found.into_values().collect(), next }
    }

    /// A page that ends early: blocks that ended at this time or before were not read.
    fn partial(mut self, unread: Timestamp) -> Page<Entry> {
        let bound = (unread, [0xff; 32]);
        self.found.retain(|Reverse(key), _| *key > bound);
        if self.found.len() > self.limit {
            return self.page();
        }
        Page { items: self.found.into_values().collect(), next: Some(write_cursor(&bound)) }
    }
}

fn write_cursor((at, hash): &Key) -> Vec<u8> {
    let mut cursor = at.as_micros().to_be_bytes().to_vec();
    cursor.extend_from_slice(hash);
    cursor
}

/// The cursor with which a list goes on after an entry.
pub(crate) fn cursor_after(entry: &Entry) -> Vec<u8> {
    write_cursor(&(entry.at(), tree::leaf_hash(&entry.encode())))
}

fn read_cursor(cursor: &[u8]) -> Result<Key, Error> {
    let (at, hash) = cursor.split_first_chunk::<8>().ok_or(Error::Cursor)?;
    let hash = Hash::try_from(hash).map_err(|_| Error::Cursor)?;
    Ok((Timestamp::from_micros(i64::from_be_bytes(*at)), hash))
}

/// Lists journal entries, newest first. A page may hold fewer entries than asked for and still have a next one.
///
/// # Errors
/// [`Error::Cursor`] for a cursor that no page gave; store and format errors.
pub async fn journal(store: &Store, tenant: TenantId, filter: &JournalFilter) -> Result<Page<Entry>, Error> {
    let mut search = Search::new(filter)?;
    // Segments first: what is folded in between is then met again in a block, and not lost.
    let limit = i64::try_from(SEGMENTS_PER_READ).unwrap_or(i64::MAX);
    let mut before = Id::<Commit>::from_bytes([0xff; 16]);
    loop {
        let values = params![tenant, before, search.from, search.latest(), limit];
        let rows = store.read_all(&sql::SEGMENTS_BEFORE, values).await?;
        for row in &rows {
            before = row.id(0)?;
            for bytes in segment::entries(row.bytes(1)?) {
                search.take(bytes?);
            }
        }
        if rows.len() < SEGMENTS_PER_READ {
            break;
        }
    }
    let limit = i64::try_from(BLOCKS_PER_READ).unwrap_or(i64::MAX);
    let mut place = (i64::MAX, i64::MAX);
    let mut unfolded = 0;
    loop {
        let values = params![tenant, place.0, place.1, search.from, search.latest(), limit];
        let rows = store.read_all(&sql::BLOCKS_BEFORE, values).await?;
        for row in &rows {
            let (leaf, ended) = (row.int(0)?, row.time(1)?);
            place = (ended.as_micros(), leaf);
            if search.is_settled(ended) {
                return Ok(search.page());
            }
            if !search.may_match(row.bytes(2)?) {
                continue;
            }
            // Not within the page's own latest time: that page could never end.
            if unfolded >= UNFOLDED_PER_PAGE && ended < search.latest() {
                return Ok(search.partial(ended));
            }
            unfolded = unfolded.saturating_add(1);
            let Some(row) = store.read(&sql::BLOCK_BODY, params![tenant, leaf]).await? else { continue };
            let body = row.bytes(1)?.to_vec();
            let unfold = tokio::task::spawn_blocking(move || block::unfold(&body));
            for bytes in unfold.await.map_err(|_| Error::Stopped)?? {
                search.take(&bytes);
            }
        }
        if rows.len() < BLOCKS_PER_READ {
            return Ok(search.page());
        }
    }
}

/// The newest checkpoint of a tenant's tree; `None` before the first.
///
/// # Errors
/// Store errors; [`Error::Note`] when the stored note cannot be read.
pub async fn checkpoint(store: &Store, tenant: TenantId) -> Result<Option<Checkpoint>, Error> {
    let row = store.read(&sql::LAST_CHECKPOINT, params![tenant]).await?;
    row.map(|row| Ok(Checkpoint::parse(row.text(2)?)?)).transpose()
}

/// When the newest checkpoint was signed; `None` before the first.
///
/// # Errors
/// Store errors.
pub async fn checkpoint_at(store: &Store, tenant: TenantId) -> Result<Option<Timestamp>, Error> {
    let row = store.read(&sql::LAST_CHECKPOINT, params![tenant]).await?;
    Ok(row.map(|row| row.time(3)).transpose()?)
}

/// Checkpoints past a size, oldest first, at most 200.
///
/// # Errors
/// As [`checkpoint`].
pub async fn checkpoints(store: &Store, tenant: TenantId, past_size: u64) -> Result<Vec<Checkpoint>, Error> {
    let values = params![tenant, index(past_size)?, i64::from(MAX_LIMIT)];
    let rows = store.read_all(&sql::CHECKPOINTS_AFTER, values).await?;
    rows.iter().map(|row| Ok(Checkpoint::parse(row.text(2)?)?)).collect()
}

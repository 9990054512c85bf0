//! All that happened, newest first: what was changed and what was issued and refused, in one list.
//!
//! The two sources keep their own places in the cursor. A source that has more to show than it was asked for holds back
//! what is older in the other, so that no page shows a later line after an earlier one.

use std::collections::VecDeque;

use kernel::clock::Timestamp;
use kernel::id::{Commit, Id};
use kernel::page::{MAX_LIMIT, Page};
use kernel::tenant::TenantId;
use store::{Store, params};

use crate::canonical::AuditView;
use crate::entry::{Entry, Jti};
use crate::error::Error;
use crate::query::{self, AuditFilter, JournalFilter, Outcome, cursor_after};
use crate::sql;

/// Rounds of reading in which a page is filled when its filters pass little: then it ends early, and the next goes on.
const ROUNDS: usize = 10;
/// Bytes of a commit id, with which a cursor begins.
const COMMIT_BYTES: usize = 16;

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was changed.
    Changed,
    /// A token was issued.
    Issued,
    /// A request was refused.
    Refused,
}

/// Which lines to list.
#[derive(Debug, Clone, Default)]
pub struct ActivityFilter {
    /// The kind of object and its id. Issuances and refusals belong to a client, an issuance to its token too.
    pub object: Option<(String, String)>,
    /// Who acted, as records write it; a person without the way in which they signed in. Issuances and refusals are acts
    /// of a client, `client:` and its id.
    pub actor: Option<String>,
    /// The address it came from.
    pub source: Option<String>,
    /// What became of it.
    pub kind: Option<Kind>,
    /// How many at most: 1 ..= 200.
    pub limit: u32,
    /// [`Page::next`] of the page before.
    pub cursor: Option<Vec<u8>>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A change.
    Change(AuditView),
    /// An issuance or counted refusals.
    Entry(Entry),
}

impl Line {
    /// Machine time.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Change(record) => record.at,
            Self::Entry(entry) => entry.at(),
        }
    }

    /// Whether it is what the parts of a filter ask for that the sources themselves do not know.
    fn fits(&self, filter: &ActivityFilter) -> bool {
        let actor = match (self, &filter.actor) {
            (Self::Change(record), Some(wanted)) => {
                let rest = record.actor.strip_prefix(wanted.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
            }
            (Self::Change(_), None) | (Self::Entry(_), _) => true,
        };
        actor && (filter.source.is_none() || self.source() == filter.source)
    }

    fn source(&self) -> Option<String> {
        match self {
            Self::Change(record) => record.source.clone(),
            Self::Entry(Entry::Issuance(issued)) => issued.source.map(|address| address.to_string()),
            Self::Entry(Entry::Refusal(refused)) => refused.source.map(|address| address.to_string()),
        }
    }
}

/// Where each source stands: what came before is listed.
#[derive(Debug, Clone, Default)]
struct Place {
    commit: Option<Id<Commit>>,
    journal: Option<Vec<u8>>,
}

impl Place {
    fn read(cursor: &[u8]) -> Result<Self, Error> {
        let (commit, journal) = cursor.split_first_chunk::<COMMIT_BYTES>().ok_or(Error::Cursor)?;
        let commit = (*commit != [0xff; COMMIT_BYTES]).then(|| Id::from_bytes(*commit));
        Ok(Self { commit, journal: (!journal.is_empty()).then(|| journal.to_vec()) })
    }

    fn write(&self) -> Vec<u8> {
        let mut cursor = self.commit.map_or([0xff; COMMIT_BYTES], |id| *id.as_bytes()).to_vec();
        cursor.extend_from_slice(self.journal.as_deref().unwrap_or_default());
        cursor
    }
}

/// A filter as the two sources understand it; `None` for a source that it leaves out.
struct Search {
    records: Option<AuditFilter>,
    entries: Option<JournalFilter>,
}

impl Search {
    fn new(filter: &ActivityFilter) -> Self {
        let (object_kind, object_id) = filter.object.clone().unzip();
        let records = AuditFilter {
            // the method of a person's sign-in is a part of the record's text
            actor: filter.actor.clone().filter(|actor| !actor.starts_with("operator:")),
            object_kind: object_kind.clone(),
            object_id: object_id.clone(),
            limit: filter.limit,
            ..AuditFilter::default()
        };
        let outcome = match filter.kind {
            Some(Kind::Issued) => Some(Outcome::Issued),
            Some(Kind::Refused) => Some(Outcome::Refused),
            Some(Kind::Changed) | None => None,
        };
        let mut entries = JournalFilter { outcome, limit: filter.limit, ..JournalFilter::default() };
        let mut has_entries = filter.kind != Some(Kind::Changed);
        match (object_kind.as_deref(), object_id) {
            (None, _) => {}
            (Some("client"), id) => entries.client_id = id,
            (Some("token"), Some(id)) => {
                entries.jti = Jti::parse(&id);
                has_entries &= entries.jti.is_some();
            }
            (Some(_), _) => has_entries = false,
        }
        if let Some(actor) = &filter.actor {
            match (actor.strip_prefix("client:"), &entries.client_id) {
                (Some(id), known) if known.as_deref().is_none_or(|known| known == id) => {
                    entries.client_id = Some(id.to_owned());
                }
                _ => has_entries = false,
            }
        }
        let has_records = matches!(filter.kind, None | Some(Kind::Changed));
        Self { records: has_records.then_some(records), entries: has_entries.then_some(entries) }
    }
}

/// Lists what happened, newest first. A page may hold fewer lines than asked for and still have a next one.
///
/// # Errors
/// [`Error::Cursor`] for a cursor that no page gave; store and format errors.
pub async fn activity(store: &Store, tenant: TenantId, filter: &ActivityFilter) -> Result<Page<Line>, Error> {
    let limit = usize::try_from(filter.limit.clamp(1, MAX_LIMIT)).unwrap_or(1);
    let mut place = filter.cursor.as_deref().map_or(Ok(Place::default()), Place::read)?;
    let mut search = Search::new(filter);
    let mut items = Vec::new();
    for _ in 0..ROUNDS {
        if search.records.is_none() && search.entries.is_none() {
            return Ok(Page { items, next: None });
        }
        let mut records = VecDeque::new();
        let mut records_go_on = false;
        if let Some(asked) = &mut search.records {
            asked.after = place.commit;
            records.extend(query::audit(store, tenant, asked).await?);
            records_go_on = records.len() >= limit;
        }
        let mut entries = VecDeque::new();
        let mut entries_end = None;
        if let Some(asked) = &mut search.entries {
            asked.cursor.clone_from(&place.journal);
            let page = query::journal(store, tenant, asked).await?;
            entries.extend(page.items);
            entries_end = page.next;
        }
        loop {
            let is_record = match (records.front(), entries.front()) {
                (Some(record), Some(entry)) => record.at >= entry.at(),
                // what the exhausted source has not shown yet may be newer
                (Some(_), None) if entries_end.is_none() => true,
                (None, Some(_)) if !records_go_on => false,
                _ => break,
            };
            let line =
                if is_record { records.pop_front().map(Line::Change) } else { entries.pop_front().map(Line::Entry) };
            let Some(line) = line else { break };
            match &line {
                Line::Change(record) => place.commit = Some(record.commit),
                Line::Entry(entry) => place.journal = Some(cursor_after(entry)),
            }
            if line.fits(filter) {
                items.push(line);
            }
            if items.len() >= limit {
                let has_more = !records.is_empty() || !entries.is_empty() || records_go_on || entries_end.is_some();
                return Ok(Page { items, next: has_more.then(|| place.write()) });
            }
        }
        if entries.is_empty() {
            match entries_end {
                Some(end) => place.journal = Some(end),
                None => search.entries = None,
            }
        }
        if records.is_empty() && !records_go_on {
            search.records = None;
        }
    }
    Ok(Page { items, next: Some(place.write()) })
}

/// Microseconds of a minute.
const MINUTE_MICROS: i64 = 60_000_000;
/// Blocks that the pace of an hour is read from: one a minute is usual.
const BLOCKS_MOST: i64 = 500;

/// How many entries the journal got in each of the last minutes, the oldest first and the present one last.
///
/// It costs one row for each block: what came between the first and the last entry of a block is spread evenly over the
/// time between them, which is a minute at most while folding keeps up.
///
/// # Errors
/// Store errors.
pub async fn pace(store: &Store, tenant: TenantId, now: Timestamp, minutes: usize) -> Result<Vec<u64>, Error> {
    let length = i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(MINUTE_MICROS);
    let present = now.as_micros().div_euclid(MINUTE_MICROS).saturating_add(1).saturating_mul(MINUTE_MICROS);
    let start = present.saturating_sub(length);
    let values = params![tenant, start, BLOCKS_MOST];
    let mut rows = store.read_all(&sql::BLOCKS_SINCE, values).await?;
    rows.extend(store.read(&sql::SEGMENTS_SPAN, params![tenant]).await?);
    let mut counts = vec![0_u64; minutes];
    for row in &rows {
        spread(&mut counts, start, (row.int(0)?, row.int(1)?), row.int(2)?);
    }
    Ok(counts)
}

/// Adds entries to the minutes between their first and their last.
fn spread(counts: &mut [u64], start: i64, (first, last): (i64, i64), entries: i64) {
    let minute = |at: i64| at.saturating_sub(start).div_euclid(MINUTE_MICROS);
    let (from, to) = (minute(first), minute(last.max(first)));
    let spans = to.saturating_sub(from).saturating_add(1);
    let (each, rest) = (entries.div_euclid(spans), entries.rem_euclid(spans));
    for (place, count) in (0_i64..).zip(counts.iter_mut()) {
        if (from..=to).contains(&place) {
            // what does not divide belongs to the last minutes
            let more = i64::from(to.saturating_sub(place) < rest);
            *count = count.saturating_add(u64::try_from(each.saturating_add(more)).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_spread_over_the_minutes_between_their_first_and_their_last() {
        let mut counts = vec![0; 5];
        spread(&mut counts, 0, (0, 10), 7);
        spread(&mut counts, 0, (MINUTE_MICROS, 3 * MINUTE_MICROS + 5), 10);
        assert_eq!(counts, [7, 3, 3, 4, 0]);
        spread(&mut counts, 0, (-3 * MINUTE_MICROS, 0), 8);
        assert_eq!(counts, [9, 3, 3, 4, 0], "what lies before the first minute is left out");
        spread(&mut counts, 0, (9 * MINUTE_MICROS, 9 * MINUTE_MICROS), 8);
        assert_eq!(counts.iter().sum::<u64>(), 19);
    }

    #[test]
    fn a_place_is_read_back_and_nothing_shorter_is() {
        for (commit, journal) in
            [(None, None), (Some([7; 16]), None), (None, Some(vec![1; 40])), (Some([7; 16]), Some(vec![1; 40]))]
        {
            let place = Place { commit: commit.map(Id::from_bytes), journal };
            let read = Place::read(&place.write()).unwrap();
            assert_eq!((read.commit, read.journal), (place.commit, place.journal));
        }
        assert!(matches!(Place::read(&[1; 15]), Err(Error::Cursor)));
    }

    #[test]
    fn a_filter_leaves_out_the_source_that_cannot_have_it() {
        let has = |filter: ActivityFilter| {
            let search = Search::new(&filter);
            (search.records.is_some(), search.entries.is_some())
        };
        let object = |kind: &str| Some((kind.to_owned(), "x".to_owned()));
        let base = ActivityFilter::default;
        assert_eq!(has(base()), (true, true));
        assert_eq!(has(ActivityFilter { object: object("client"), ..base() }), (true, true));
        assert_eq!(has(ActivityFilter { object: object("key"), ..base() }), (true, false));
        assert_eq!(has(ActivityFilter { object: object("token"), ..base() }), (true, false), "x is no token id");
        assert_eq!(has(ActivityFilter { kind: Some(Kind::Issued), ..base() }), (false, true));
        assert_eq!(has(ActivityFilter { kind: Some(Kind::Changed), ..base() }), (true, false));
        assert_eq!(has(ActivityFilter { actor: Some("system:keys".to_owned()), ..base() }), (true, false));
        let other = ActivityFilter { actor: Some("client:y".to_owned()), object: object("client"), ..base() };
        assert_eq!(has(other), (true, false), "another client's acts");
    }
}

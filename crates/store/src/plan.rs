//! A batch and its record as the list of statements that one transaction runs, the same on both engines.

use kernel::audit::{Entry, Record};
use kernel::clock::Timestamp;
use kernel::event::Event;
use kernel::tenant::TenantId;

use crate::batch::{Batch, Change, ChangeKind, Step, Upkeep};
use crate::error::Error;
use crate::feed;
use crate::sql;
use crate::value::Value;

/// An entry of the journal above this size is a defect of the caller.
pub(crate) const MAX_ENTRY: usize = 1 << 20;

/// What one commit runs, in order.
pub(crate) struct Plan {
    /// Statements of the decision.
    pub(crate) steps: Vec<Step>,
    /// The audit record's row; `None` for an issuance and for upkeep.
    pub(crate) record: Option<Step>,
    /// Outbox rows.
    pub(crate) events: Vec<Step>,
    /// The shard whose next feed number the commit takes, with what follows from it.
    pub(crate) stamp: Option<Stamp>,
    /// The journal entry of an issuance.
    pub(crate) entry: Option<Entry>,
    /// The shard of the record's tenant.
    pub(crate) shard: Option<i64>,
}

/// What is written and delivered under a feed number.
pub(crate) struct Stamp {
    /// The shard.
    pub(crate) shard: i64,
    /// Change rows, then statements that read the number.
    pub(crate) steps: Vec<Step>,
    tenant: TenantId,
    lines: Vec<(ChangeKind, String, i64)>,
}

impl Stamp {
    /// The changes as listeners hear them.
    pub(crate) fn changes(&self, seq: u64) -> Vec<Change> {
        self.lines
            .iter()
            .map(|(kind, key, until)| Change { seq, tenant: self.tenant, kind: *kind, key: key.clone(), until: *until })
            .collect()
    }
}

impl Plan {
    /// Whether an event is among what it writes.
    pub(crate) fn tells(&self) -> bool {
        let is_event = |step: &Step| step.stmt.name == sql::EVENT_INSERT.name;
        !self.events.is_empty() || self.steps.iter().any(is_event)
    }

    /// The plan of a commit.
    pub(crate) fn commit(batch: Batch, record: Record, now: Timestamp) -> Result<Self, Error> {
        let tenant = record.tenant();
        let (record, entry) = match record {
            Record::Change(change) => (Some(record_step(change)), None),
            Record::Issued(entry) => (None, Some(checked(entry)?)),
        };
        let events = batch.events.into_iter().flat_map(|event| event_steps(tenant, event)).collect();
        let shard = feed::shard(tenant);
        let stamp = if batch.changes.is_empty() {
            if !batch.stamped.is_empty() {
                return Err(Error::Defect("a stamped statement needs a change to take a feed number for", None));
            }
            None
        } else {
            let rows = batch.changes.iter().zip(0_i64..).map(|((kind, key, until), part)| Step {
                stmt: &sql::CHANGE_INSERT,
                params: vec![
                    shard.into(),
                    part.into(),
                    tenant.into(),
                    kind.name().into(),
                    key.as_str().into(),
                    (*until).into(),
                    now.into(),
                ],
                expect_rows: Some(1),
            });
            let steps = rows.chain(batch.stamped).collect();
            Some(Stamp { shard, steps, tenant, lines: batch.changes })
        };
        Ok(Self { steps: batch.steps, record, events, stamp, entry, shard: Some(shard) })
    }

    /// The plan of upkeep: statements alone, each writing a table of the kind.
    pub(crate) fn upkeep(kind: Upkeep, batch: Batch) -> Result<Self, Error> {
        if !batch.stamped.is_empty() || !batch.changes.is_empty() || !batch.events.is_empty() {
            return Err(Error::Defect("upkeep writes no feed and no events", None));
        }
        for step in &batch.steps {
            if !target(step.stmt.sql).is_some_and(|table| kind.tables().contains(&table)) {
                return Err(Error::Defect(step.stmt.name, None));
            }
        }
        Ok(Self { steps: batch.steps, record: None, events: Vec::new(), stamp: None, entry: None, shard: None })
    }

    /// Every statement that runs before the feed number is taken.
    pub(crate) fn before(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.record).chain(&self.events)
    }

    /// About how much memory it holds.
    pub(crate) fn size(&self) -> usize {
        let steps = self.before().chain(self.stamp.iter().flat_map(|stamp| &stamp.steps));
        let entry = self.entry.as_ref().map_or(0, |entry| entry.bytes.len());
        steps.flat_map(|step| &step.params).map(weight).fold(entry.saturating_add(256), usize::saturating_add)
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Int(_) => 32,
        Value::Text(text) => text.len().saturating_add(32),
        Value::Bytes(bytes) => bytes.len().saturating_add(32),
    }
}

/// The statements that write an event under the next numbers of its lines.
pub(crate) fn event_steps(tenant: TenantId, event: Event) -> [Step; 3] {
    let line = event.customer.as_deref().map_or_else(|| "tenant".to_owned(), |customer| format!("customer {customer}"));
    let number =
        |line: &str| Step { stmt: &sql::EVENT_NUMBER, params: vec![tenant.into(), line.into()], expect_rows: Some(1) };
    let row = Step {
        stmt: &sql::EVENT_INSERT,
        params: vec![
            tenant.into(),
            event.id.into(),
            event.customer.into(),
            event.kind.name().into(),
            event.object_id.into(),
            event.at.into(),
            event.data.into(),
            line.as_str().into(),
        ],
        expect_rows: Some(1),
    };
    [number("position"), number(&line), row]
}

/// Refuses an entry too large for its place.
pub(crate) fn checked(entry: Entry) -> Result<Entry, Error> {
    if entry.bytes.len() > MAX_ENTRY {
        return Err(Error::Defect("a journal entry above 1 MiB", None));
    }
    Ok(entry)
}

fn record_step(change: kernel::audit::Change) -> Step {
    Step {
        stmt: &sql::RECORD_INSERT,
        params: vec![
            change.tenant.into(),
            change.commit.into(),
            change.actor.into(),
            change.credential.into(),
            change.action.into(),
            change.object_kind.into(),
            change.object_id.into(),
            change.before.into(),
            change.after.into(),
            change.at.into(),
            Value::Int(change.business_at.as_micros()),
            change.source.map(|source| source.to_string()).into(),
            change.request.into(),
        ],
        expect_rows: Some(1),
    }
}

/// The table a statement writes; `None` when it is no plain INSERT, UPDATE or DELETE.
fn target(sql: &str) -> Option<&str> {
    let mut words = sql.split(|c: char| c.is_ascii_whitespace() || c == '(').filter(|word| !word.is_empty());
    let mut word = || words.next();
    match word()? {
        verb if verb.eq_ignore_ascii_case("UPDATE") => word(),
        verb if verb.eq_ignore_ascii_case("INSERT") => word().filter(|w| w.eq_ignore_ascii_case("INTO")).and(word()),
        verb if verb.eq_ignore_ascii_case("DELETE") => word().filter(|w| w.eq_ignore_ascii_case("FROM")).and(word()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn the_written_table_is_found_in_the_three_plain_forms_and_nowhere_else() {
        assert_eq!(target("INSERT INTO lease(name) VALUES (?1)"), Some("lease"));
        assert_eq!(target("  update\n quota SET used = 1"), Some("quota"));
        assert_eq!(target("DELETE FROM change WHERE at < ?1"), Some("change"));
        for other in [
            "",
            "SELECT 1",
            "INSERT OR REPLACE INTO lease",
            "WITH x AS (SELECT 1) DELETE FROM lease",
            "DROP TABLE lease",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}

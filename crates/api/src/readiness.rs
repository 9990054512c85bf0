//! What `/readyz` says: a closed list of conditions, since when each holds, and the page that says what to do.
//!
//! What the store finds about itself ([`store::Store::troubles`]) stands beside them. Nothing here names a host or a
//! path.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode, Uri};
use kernel::clock::Timestamp;
use serde_json::{Map, Value, json};

use crate::App;

/// Seconds for which a refused request or an unreadable row counts after the last one of its kind.
const REFUSED_SECONDS: i64 = 60;
const UNREADABLE_SECONDS: i64 = 3_600;

/// Marks the answer to a request that met a stored row which cannot be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowCorrupt;

/// A condition that somebody beside the store reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The process is stopping.
    Draining,
    /// A tenant has no active key for one of the purposes.
    NoActiveKey,
    /// The store has taken on work and commits none of it.
    JournalStalled,
    /// A request met a row that does not decode.
    RowCorrupt,
    /// Little space is left for the embedded store.
    DiskLow,
    /// No space is left for it.
    DiskFull,
    /// An active key should have been replaced.
    KeyOverdue,
    /// A tenant's newest records are not signed, because signing failed.
    AuditCheckpointLate,
    /// The last accept failed for want of descriptors.
    FdExhausted,
    /// Requests were refused because too many are being carried out.
    Shedding,
    /// Events wait too long before they become messages to the endpoints that ask for them.
    OutboxBacklog,
    /// An endpoint was paused because nothing arrived for days.
    WebhookPaused,
    /// A job has failed many times in a row.
    JobParked,
    /// The served certificate ends soon.
    CertificateExpiring,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Draining,
        Self::NoActiveKey,
        Self::JournalStalled,
        Self::RowCorrupt,
        Self::DiskLow,
        Self::DiskFull,
        Self::KeyOverdue,
        Self::AuditCheckpointLate,
        Self::FdExhausted,
        Self::Shedding,
        Self::OutboxBacklog,
        Self::WebhookPaused,
        Self::JobParked,
        Self::CertificateExpiring,
    ];

    /// The stable code; its page is `/errors/{code}`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::NoActiveKey => "no_active_key",
            Self::JournalStalled => "journal_stalled",
            Self::RowCorrupt => "row_corrupt",
            Self::DiskLow => "disk_low",
            Self::DiskFull => "disk_full",
            Self::KeyOverdue => "key_overdue",
            Self::AuditCheckpointLate => "audit_checkpoint_late",
            Self::FdExhausted => "fd_exhausted",
            Self::Shedding => "shedding",
            Self::OutboxBacklog => "outbox_backlog",
            Self::WebhookPaused => "webhook_paused",
            Self::JobParked => "job_parked",
            Self::CertificateExpiring => "certificate_expiring",
        }
    }

    /// Whether requests should go elsewhere; the others only degrade.
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::Draining | Self::NoActiveKey | Self::JournalStalled)
    }
}

/// Since when a condition holds, and until when at most.
#[derive(Debug, Clone, Copy)]
struct Spell {
    since: Timestamp,
    until: Option<Timestamp>,
}

impl Spell {
    fn holds(self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The conditions that hold, by who reports them.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<BTreeMap<(Condition, &'static str), Spell>>);

impl Readiness {
    fn spells(&self) -> MutexGuard<'_, BTreeMap<(Condition, &'static str), Spell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who looks again and again reports whether a condition holds.
    pub fn report(&self, condition: Condition, reporter: &'static str, holds: bool, now: Timestamp) {
        let mut spells = self.spells();
        let key = (condition, reporter);
        if !holds {
            if spells.remove(&key).is_some() {
                tracing::info!(code = condition.code(), reporter, "over");
            }
        } else if let Entry::Vacant(place) = spells.entry(key) {
            place.insert(Spell { since: now, until: None });
            let effect = if condition.is_fatal() { "not ready" } else { "degraded" };
            tracing::warn!(code = condition.code(), reporter, "{effect}; the page of the code says what to do");
        }
    }

    /// The process takes no new work from now on.
    pub fn drain(&self, now: Timestamp) {
        self.spells().entry((Condition::Draining, "")).or_insert(Spell { since: now, until: None });
    }

    /// A request was refused because too many are being carried out.
    pub(crate) fn shed(&self, now: Timestamp) {
        self.happened(Condition::Shedding, REFUSED_SECONDS, now);
    }

    /// A request met a row that cannot be read.
    pub(crate) fn met_corrupt_row(&self, now: Timestamp) {
        self.happened(Condition::RowCorrupt, UNREADABLE_SECONDS, now);
    }

    fn happened(&self, condition: Condition, seconds: i64, now: Timestamp) {
        let until = Some(now.plus_seconds(seconds));
        let mut spells = self.spells();
        let spell = spells.entry((condition, "")).or_insert(Spell { since: now, until });
        *spell = if spell.holds(now) { Spell { until, ..*spell } } else { Spell { since: now, until } };
    }

    /// What holds now, and since when.
    pub fn holding(&self, now: Timestamp) -> Vec<(Condition, Timestamp)> {
        let mut found: BTreeMap<Condition, Timestamp> = BTreeMap::new();
        for ((condition, _), spell) in self.spells().iter().filter(|(_, spell)| spell.holds(now)) {
            let since = found.entry(*condition).or_insert(spell.since);
            *since = spell.since.min(*since);
        }
        found.into_iter().collect()
    }
}

fn check(code: &str, reason: Option<&str>, since: Timestamp) -> Value {
    let members = [
        ("code", Some(code.to_owned())),
        ("reason", reason.map(str::to_owned)),
        ("since", Some(since.to_string())),
        ("runbook", Some(format!("/errors/{code}"))),
    ];
    Value::Object(
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect::<Map<_, _>>(),
    )
}

/// `GET /readyz`; the checks are listed when the query says `verbose`.
pub(crate) async fn ready(State(app): State<App>, uri: Uri) -> Response {
    let now = app.auth.clock.now();
    let holding = app.readiness.holding(now);
    let troubles = app.auth.store.troubles();
    let is_silent = troubles.is_empty() && app.auth.store.ping().await.is_err();
    let mut checks: Vec<Value> = troubles.iter().map(|t| check(t.code, t.reason, t.since)).collect();
    if is_silent {
        checks.push(check("store_unreachable", None, now));
    }
    checks.extend(holding.iter().map(|(condition, since)| check(condition.code(), None, *since)));
    let is_fatal = is_silent || !troubles.is_empty() || holding.iter().any(|(condition, _)| condition.is_fatal());
    let (status, word) = match (is_fatal, checks.is_empty()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        (false, false) => (StatusCode::OK, "degraded"),
        (false, true) => (StatusCode::OK, "ready"),
    };
    let is_verbose =
        uri.query().is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    let body = if is_verbose { json!({"status": word, "checks": checks}) } else { json!({"status": word}) };
    let mut answer = (status, Json(body)).into_response();
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_condition_holds_while_anyone_reports_it_since_the_first_report() {
        let readiness = Readiness::default();
        assert_eq!(readiness.holding(at(0)), []);
        readiness.report(Condition::JobParked, "keys", true, at(1));
        readiness.report(Condition::JobParked, "record", true, at(2));
        readiness.report(Condition::JobParked, "keys", true, at(3));
        assert_eq!(readiness.holding(at(3)), [(Condition::JobParked, at(1))]);
        readiness.report(Condition::JobParked, "keys", false, at(4));
        assert_eq!(readiness.holding(at(4)), [(Condition::JobParked, at(2))]);
        readiness.report(Condition::JobParked, "record", false, at(5));
        assert_eq!(readiness.holding(at(5)), []);
    }

    #[test]
    fn what_happened_counts_for_a_while_after_the_last_time() {
        let readiness = Readiness::default();
        readiness.shed(at(10));
        readiness.shed(at(60));
        assert_eq!(readiness.holding(at(119)), [(Condition::Shedding, at(10))]);
        assert_eq!(readiness.holding(at(120)), []);
        readiness.shed(at(200));
        assert_eq!(readiness.holding(at(200)), [(Condition::Shedding, at(200))]);
        readiness.met_corrupt_row(at(0));
        assert_eq!(readiness.holding(at(3_599)).len(), 1);
        assert_eq!(readiness.holding(at(3_600)).len(), 0);
    }

    #[test]
    fn every_code_has_a_page_that_agrees_on_what_it_means() {
        for condition in Condition::ALL {
            let page = console::error_page(condition.code()).unwrap_or_else(|| panic!("{condition:?}"));
            let expected = if condition.is_fatal() { console::Surface::NotReady } else { console::Surface::Degraded };
            assert_eq!(page.surface, expected, "{condition:?}");
        }
        // The others are those of the store, of this process's own files or of its lease.
        let of_store = ["store_unreachable", "store_corrupt", "store_rolled_back", "lease_lost"];
        for page in console::error_pages() {
            let is_health = matches!(page.surface, console::Surface::NotReady | console::Surface::Degraded);
            let is_sent = of_store.contains(&page.code) || Condition::ALL.iter().any(|c| c.code() == page.code);
            assert_eq!(is_health, is_sent, "{}", page.code);
        }
    }
}

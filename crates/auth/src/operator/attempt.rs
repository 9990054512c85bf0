//! Failed sign-ins: counted per account and place before the outcome is known, slowed down, in the end refused.
//!
//! Whether an address belongs to an account changes nothing here: unknown ones are counted, slowed and recorded alike.

use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use record::action;
use serde_json::json;
use store::{Batch, Upkeep, params};

use super::browser::{Browser, Pair};
use super::error::OperatorError;
use super::sql;
use crate::directory::Auth;
use record::plan::{change_record, event};
use record::tenant::Tenant;

/// Failures in a row after which passphrases and codes are not looked at any more.
pub const MOST_FAILURES: i64 = 100;
/// Failures that cost nothing but the typing.
const FREE_FAILURES: i64 = 3;
/// Longest delay, in seconds.
const LONGEST_DELAY: i64 = 900;
/// How often repeated failures of one pair make a record, in seconds.
const RECORD_SECONDS: i64 = 3_600;
/// How long failures are remembered, in seconds.
pub const MEMORY_SECONDS: i64 = 30 * 86_400;
/// How often a count that moved between reading and writing is decided again.
const ROUNDS: usize = 4;

/// What an attempt is told before anything is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is looked at.
    Go,
    /// It came too early; seconds until the next one.
    Wait(i64),
    /// A hundred failures in a row.
    Off,
}

/// Seconds after a number of failures in a row before the next attempt is looked at: none after the first three, then
/// 1, 2, 4 and so on, up to a quarter of an hour.
pub fn delay_seconds(failures: i64) -> i64 {
    if failures < FREE_FAILURES {
        return 0;
    }
    let doublings = u32::try_from(failures.saturating_sub(FREE_FAILURES)).unwrap_or(u32::MAX).min(30);
    (1_i64 << doublings).min(LONGEST_DELAY)
}

/// Decides whether an attempt is looked at.
pub fn admit(failures: i64, next_at: Timestamp, now: Timestamp) -> Admission {
    if failures >= MOST_FAILURES {
        Admission::Off
    } else if next_at > now {
        Admission::Wait(next_at.micros_since(now).saturating_add(999_999) / 1_000_000)
    } else {
        Admission::Go
    }
}

impl Auth {
    /// Counts an attempt before its outcome is known, so that a thousand at once are a thousand.
    pub(crate) async fn count_attempt(&self, tenant: &Tenant, pair: &Pair, detail: &str) -> Result<(), OperatorError> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let key = params![tenant.id, pair.account.as_slice(), pair.place.as_slice()];
            let row = self.store.read(&sql::ATTEMPT_READ, key.clone()).await?;
            let batch = match row {
                None => Batch::new().expect(1, &sql::ATTEMPT_FIRST, [key, params![now, detail]].concat()),
                Some(row) => {
                    let failures = row.int(0)?;
                    match admit(failures, row.time(1)?, now) {
                        Admission::Off => return Err(OperatorError::PassphraseOff),
                        Admission::Wait(seconds) => {
                            let retry_after_seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
                            return Err(OperatorError::Wait { retry_after_seconds });
                        }
                        Admission::Go => {}
                    }
                    let next_at = now.plus_seconds(delay_seconds(failures.saturating_add(1)));
                    let more = params![failures, now, next_at, detail];
                    Batch::new().expect(1, &sql::ATTEMPT_NEXT, [key, more].concat())
                }
            };
            match self.store.upkeep(Upkeep::SignIn, batch).await {
                Ok(()) => return Ok(()),
                // Another attempt of the pair was counted first.
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(OperatorError::Wait { retry_after_seconds: 1 })
    }

    /// Takes an attempt back that was right as far as it went.
    pub(crate) async fn take_attempt_back(&self, tenant: &Tenant, pair: &Pair) -> Result<(), store::Error> {
        let now = self.clock.now();
        let key = params![tenant.id, pair.account.as_slice(), pair.place.as_slice(), now];
        self.store.upkeep(Upkeep::SignIn, Batch::new().run(&sql::ATTEMPT_TAKE_BACK, key)).await
    }

    /// Records a failure: the first of an hour at once, the others as one record with their number. `account` is whose
    /// passphrase or code was looked at and wrong; the failure that ends this for the place is told as an event.
    pub(crate) async fn note_failure(
        &self,
        tenant: &Tenant,
        pair: &Pair,
        detail: &str,
        account: Option<Id<id::Operator>>,
        browser: &Browser,
    ) -> Result<(), OperatorError> {
        let key = params![tenant.id, pair.account.as_slice(), pair.place.as_slice()];
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let Some(row) = self.store.read(&sql::ATTEMPT_READ, key.clone()).await? else { return Ok(()) };
            let (failures, unrecorded, recorded_at) = (row.int(0)?, row.int(2)?, row.time(3)?);
            let blocked = account.filter(|_| failures == MOST_FAILURES);
            let outcome = if blocked.is_none() && recorded_at.plus_seconds(RECORD_SECONDS) > now {
                self.store.upkeep(Upkeep::SignIn, Batch::new().run(&sql::ATTEMPT_UNRECORDED, key.clone())).await
            } else {
                let more = params![unrecorded, now, recorded_at];
                let mut batch = Batch::new().expect(1, &sql::ATTEMPT_RECORDED, [key.clone(), more].concat());
                if let Some(id) = blocked {
                    let facts = json!({"failures": failures, "source": browser.source.map(|s| s.to_string())});
                    batch = batch.event(event(self, Type::OperatorSigninBlocked, ("operator", &id.to_string()), facts));
                }
                let after = json!({"attempts": unrecorded.saturating_add(1), "failures_in_a_row": failures});
                let who = browser.visitor(tenant);
                let object = ("operator", detail);
                let record = change_record(self, &who, tenant, action::SIGN_IN_FAILED, object, (None, Some(after)));
                self.store.commit(batch, record).await.map(|_| ())
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes the records of repeated failures whose hour is over; returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn record_failed_sign_ins(&self, tenant: &Tenant) -> Result<usize, store::Error> {
        let now = self.clock.now();
        let who = self.system(tenant, "sign-in");
        let due = params![tenant.id, now.plus_seconds(-RECORD_SECONDS)];
        let mut written = 0_usize;
        for row in self.store.read_all(&sql::ATTEMPTS_DUE, due).await? {
            let (unrecorded, recorded_at, detail) = (row.int(2)?, row.time(3)?, row.text(4)?);
            let key = params![tenant.id, row.bytes(0)?, row.bytes(1)?, unrecorded, now, recorded_at];
            let batch = Batch::new().expect(1, &sql::ATTEMPT_RECORDED, key);
            let after = json!({"attempts": unrecorded});
            let object = ("operator", detail);
            let record = change_record(self, &who, tenant, action::SIGN_IN_FAILED, object, (None, Some(after)));
            match self.store.commit(batch, record).await {
                Ok(_) => written = written.saturating_add(1),
                // Counted further meanwhile; the next round writes it.
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_from_nothing_to_a_quarter_of_an_hour() {
        let delays: Vec<i64> = (0..16).map(delay_seconds).collect();
        assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(delay_seconds(i64::MAX), 900);
    }

    #[test]
    fn a_hundred_failures_end_it_and_time_does_not_bring_it_back() {
        let now = Timestamp::from_seconds(1_000);
        assert_eq!(admit(0, Timestamp::default(), now), Admission::Go);
        assert_eq!(admit(99, now, now), Admission::Go);
        assert_eq!(admit(5, now.plus_seconds(3), now), Admission::Wait(3));
        assert_eq!(admit(5, Timestamp::from_micros(now.as_micros() + 1), now), Admission::Wait(1));
        assert_eq!(admit(100, Timestamp::default(), now.plus_seconds(1_000_000)), Admission::Off);
    }
}

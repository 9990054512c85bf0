//! The schema's versions: forward only, each file one transaction, each file's SHA-256 kept beside it.

use std::fmt::Write as _;

use kernel::clock::Timestamp;

use crate::error::Error;
use crate::rewrite::{Dialect, Use, expand};

/// One released change of the schema.
pub(crate) struct Migration {
    /// Its number; the schema's version once it has run.
    pub(crate) version: i64,
    /// What it is for.
    pub(crate) name: &'static str,
    /// The oldest version of the schema a program must know to run on the result.
    pub(crate) min_reader: i64,
    sql: &'static str,
}

/// All migrations, in order.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "initial", min_reader: 1, sql: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, name: "operators", min_reader: 1, sql: include_str!("../migrations/0002_operators.sql") },
    Migration { version: 3, name: "reused", min_reader: 1, sql: include_str!("../migrations/0003_reused.sql") },
    // an older program would leave the keys as they are when it changes a client
    Migration {
        version: 4,
        name: "client lists",
        min_reader: 4,
        sql: include_str!("../migrations/0004_client_lists.sql"),
    },
    Migration { version: 5, name: "events", min_reader: 5, sql: include_str!("../migrations/0005_events.sql") },
    Migration { version: 6, name: "webhooks", min_reader: 5, sql: include_str!("../migrations/0006_webhooks.sql") },
    // an older program would leave the key of the limits as it is when it changes a client
    Migration {
        version: 7,
        name: "client reads",
        min_reader: 7,
        sql: include_str!("../migrations/0007_client_reads.sql"),
    },
    Migration {
        version: 8,
        name: "operator scopes",
        min_reader: 7,
        sql: include_str!("../migrations/0008_operator_scopes.sql"),
    },
    Migration { version: 9, name: "billing", min_reader: 9, sql: include_str!("../migrations/0009_billing.sql") },
    // an older program would issue tokens without asking for the customer's standing
    Migration {
        version: 10,
        name: "client customer",
        min_reader: 10,
        sql: include_str!("../migrations/0010_client_customer.sql"),
    },
    Migration { version: 11, name: "usage", min_reader: 10, sql: include_str!("../migrations/0011_usage.sql") },
    // an older program would count what was replaced
    Migration {
        version: 12,
        name: "usage backfills",
        min_reader: 12,
        sql: include_str!("../migrations/0012_usage_backfills.sql"),
    },
];

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
  version {int} NOT NULL PRIMARY KEY,
  name {text} NOT NULL,
  sha256 {text} NOT NULL,
  min_reader {int} NOT NULL,
  applied_at {int} NOT NULL
) {table};";

/// What ran before, as the database tells it.
pub(crate) struct Applied {
    /// Its number.
    pub(crate) version: i64,
    /// SHA-256 of the file that ran.
    pub(crate) sha256: String,
    /// The oldest version a program must know.
    pub(crate) min_reader: i64,
    /// When it ran, in microseconds of machine time.
    pub(crate) at: i64,
}

/// What ran, in order.
pub(crate) const APPLIED: &str =
    "SELECT version, sha256, min_reader, applied_at FROM schema_migration ORDER BY version";

/// One version of the schema in the light of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// Its number.
    pub version: i64,
    /// What it is for; empty for one that this program does not know.
    pub name: &'static str,
    /// When it was applied; `None` while it is not.
    pub applied_at: Option<Timestamp>,
}

/// Every version that either the program or the database knows, in order.
///
/// # Errors
/// As [`pending`].
pub(crate) fn versions(applied: &[Applied]) -> Result<Vec<SchemaVersion>, Error> {
    pending(applied)?;
    let name = |version| MIGRATIONS.iter().find(|m| m.version == version).map_or("", |m| m.name);
    let last = applied.iter().map(|row| row.version).max().unwrap_or(0);
    let done = applied.iter().map(|row| SchemaVersion {
        version: row.version,
        name: name(row.version),
        applied_at: Some(Timestamp::from_micros(row.at)),
    });
    let left = MIGRATIONS.iter().filter(|m| m.version > last);
    let left = left.map(|m| SchemaVersion { version: m.version, name: m.name, applied_at: None });
    Ok(done.chain(left).collect())
}

impl Migration {
    /// The statements for an engine.
    pub(crate) fn text(&self, dialect: Dialect) -> String {
        expand(self.sql, dialect, Use::Schema)
    }

    /// SHA-256 of the file, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        jose::hash::sha256(self.sql.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
            // writing to a String cannot fail
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// The table that lists what ran.
pub(crate) fn history(dialect: Dialect) -> String {
    expand(HISTORY, dialect, Use::Schema)
}

/// The newest version this program knows.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// What is left to run.
///
/// # Errors
/// [`Error::Refused`] when the database was written by a newer program that this one cannot follow, or by other files.
pub(crate) fn pending(applied: &[Applied]) -> Result<Vec<&'static Migration>, Error> {
    let needed = applied.iter().map(|row| row.min_reader).max().unwrap_or(0);
    if needed > newest() {
        let known = newest();
        return Err(Error::Refused(format!(
            "the database needs a program that knows schema version {needed}, this one knows version {known}: \
             install the newer release or restore a backup made before the upgrade"
        )));
    }
    for row in applied {
        let known = MIGRATIONS.iter().find(|migration| migration.version == row.version);
        if known.is_some_and(|migration| migration.sha256() != row.sha256) {
            return Err(Error::Refused(format!(
                "schema version {} of the database was made by another file than the one this program carries",
                row.version
            )));
        }
    }
    let last = applied.iter().map(|row| row.version).max().unwrap_or(0);
    Ok(MIGRATIONS.iter().filter(|migration| migration.version > last).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(version: i64, min_reader: i64) -> Applied {
        let sha256 = MIGRATIONS.iter().find(|m| m.version == version).map_or(String::new(), Migration::sha256);
        Applied { version, sha256, min_reader, at: 0 }
    }

    #[test]
    fn versions_are_those_of_the_database_and_then_those_of_the_program() {
        let states = |applied: &[Applied]| -> Vec<(i64, &str, bool)> {
            let versions = versions(applied).unwrap();
            versions.iter().map(|v| (v.version, v.name, v.applied_at.is_some())).collect()
        };
        let known = |done: i64| -> Vec<(i64, &str, bool)> {
            MIGRATIONS.iter().map(|m| (m.version, m.name, m.version <= done)).collect()
        };
        assert_eq!(states(&[]), known(0));
        assert_eq!(states(&[applied(1, 1)]), known(1));
        let mut newer: Vec<Applied> = MIGRATIONS.iter().map(|m| applied(m.version, 1)).collect();
        newer.push(applied(newest() + 1, 1));
        assert_eq!(states(&newer), [known(newest()), vec![(newest() + 1, "", true)]].concat());
    }

    #[test]
    fn a_newer_schema_is_followed_exactly_as_far_as_it_allows() {
        assert_eq!(pending(&[]).unwrap().len(), MIGRATIONS.len());
        assert_eq!(pending(&[applied(1, 1)]).unwrap().len(), MIGRATIONS.len() - 1);
        assert!(pending(&[applied(newest(), 1)]).unwrap().is_empty());
        assert!(pending(&[applied(newest(), 1), applied(newest() + 1, 1)]).unwrap().is_empty());
        let refused = pending(&[applied(newest() + 1, newest() + 1)]).err().unwrap();
        assert!(matches!(refused, Error::Refused(_)));
    }

    #[test]
    fn a_released_file_that_changed_is_refused() {
        let other = Applied { version: 1, sha256: "00".to_owned(), min_reader: 1, at: 0 };
        assert!(matches!(pending(&[other]), Err(Error::Refused(_))));
    }

    /// The expansions are kept beside the migrations, so that a change of either is seen in review.
    #[test]
    fn both_expansions_are_the_ones_on_file() {
        let [first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth] = MIGRATIONS
        else {
            panic!("add the expansion of the new migration here")
        };
        assert_eq!(first.text(Dialect::Sqlite), include_str!("../tests/expanded/0001_sqlite.sql"));
        assert_eq!(first.text(Dialect::Postgres), include_str!("../tests/expanded/0001_postgres.sql"));
        assert_eq!(second.text(Dialect::Sqlite), include_str!("../tests/expanded/0002_sqlite.sql"));
        assert_eq!(second.text(Dialect::Postgres), include_str!("../tests/expanded/0002_postgres.sql"));
        assert_eq!(third.text(Dialect::Sqlite), include_str!("../tests/expanded/0003_sqlite.sql"));
        assert_eq!(third.text(Dialect::Postgres), include_str!("../tests/expanded/0003_postgres.sql"));
        assert_eq!(fourth.text(Dialect::Sqlite), include_str!("../tests/expanded/0004_sqlite.sql"));
        assert_eq!(fourth.text(Dialect::Postgres), include_str!("../tests/expanded/0004_postgres.sql"));
        assert_eq!(fifth.text(Dialect::Sqlite), include_str!("../tests/expanded/0005_sqlite.sql"));
        assert_eq!(fifth.text(Dialect::Postgres), include_str!("../tests/expanded/0005_postgres.sql"));
        assert_eq!(sixth.text(Dialect::Sqlite), include_str!("../tests/expanded/0006_sqlite.sql"));
        assert_eq!(sixth.text(Dialect::Postgres), include_str!("../tests/expanded/0006_postgres.sql"));
        assert_eq!(seventh.text(Dialect::Sqlite), include_str!("../tests/expanded/0007_sqlite.sql"));
        assert_eq!(seventh.text(Dialect::Postgres), include_str!("../tests/expanded/0007_postgres.sql"));
        assert_eq!(eighth.text(Dialect::Sqlite), include_str!("../tests/expanded/0008_sqlite.sql"));
        assert_eq!(eighth.text(Dialect::Postgres), include_str!("../tests/expanded/0008_postgres.sql"));
        assert_eq!(ninth.text(Dialect::Sqlite), include_str!("../tests/expanded/0009_sqlite.sql"));
        assert_eq!(ninth.text(Dialect::Postgres), include_str!("../tests/expanded/0009_postgres.sql"));
        assert_eq!(tenth.text(Dialect::Sqlite), include_str!("../tests/expanded/0010_sqlite.sql"));
        assert_eq!(tenth.text(Dialect::Postgres), include_str!("../tests/expanded/0010_postgres.sql"));
        assert_eq!(eleventh.text(Dialect::Sqlite), include_str!("../tests/expanded/0011_sqlite.sql"));
        assert_eq!(eleventh.text(Dialect::Postgres), include_str!("../tests/expanded/0011_postgres.sql"));
        assert_eq!(twelfth.text(Dialect::Sqlite), include_str!("../tests/expanded/0012_sqlite.sql"));
        assert_eq!(twelfth.text(Dialect::Postgres), include_str!("../tests/expanded/0012_postgres.sql"));
    }
}

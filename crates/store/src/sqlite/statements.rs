//! Prepared statements of one SQLite connection, found by the address of their declaration.

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement, ToSql, ffi};

use crate::error::Error;
use crate::rewrite::{Dialect, Use, expand};
use crate::stmt::Stmt;
use crate::value::{Row, Value};

/// The statements that were prepared on a connection; they live as long as its thread.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    prepared: HashMap<usize, Statement<'c>>,
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl<'c> Statements<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { connection, prepared: HashMap::with_capacity(128) }
    }

    /// The connection.
    pub(crate) const fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Prepares a statement without running it; one that stays in its tenant must find its rows by an index.
    pub(crate) fn prepare(&mut self, stmt: &'static Stmt) -> Result<(), Error> {
        self.get(stmt)?;
        if stmt.by_key && stmt.sql.contains('{') {
            return Err(Error::Refused(format!("the statement {} finds a key with words of one engine", stmt.name)));
        }
        if stmt.across_tenants.is_some() {
            return Ok(());
        }
        let failed = |error| failure(stmt.name, error);
        let sql = format!("EXPLAIN QUERY PLAN {}", expand(stmt.sql, Dialect::Sqlite, Use::Statement));
        let mut plan = self.connection.prepare(&sql).map_err(failed)?;
        let mut lines = plan.raw_query();
        let mut searches = 0_usize;
        // what a subquery made is read whole; how it was made has lines of its own
        let mut made: Vec<String> = Vec::new();
        while let Some(line) = lines.next().map_err(failed)? {
            let detail: String = line.get(3).map_err(failed)?;
            searches = searches.saturating_add(1);
            if stmt.by_key && (searches > 1 || !detail.starts_with("SEARCH ") || detail.contains(['<', '>'])) {
                return Err(Error::Refused(format!("the statement {} looks further than a key: {detail}", stmt.name)));
            }
            made.extend(
                ["CO-ROUTINE ", "MATERIALIZE "].iter().find_map(|start| detail.strip_prefix(start)).map(str::to_owned),
            );
            let Some(read) = detail.strip_prefix("SCAN ") else { continue };
            if !read.starts_with("CONSTANT") && !read.starts_with('(') && !made.iter().any(|name| name == read) {
                return Err(Error::Refused(format!("the statement {} reads a whole table: {detail}", stmt.name)));
            }
        }
        Ok(())
    }

    /// All rows of a query.
    pub(crate) fn query(&mut self, stmt: &'static Stmt, params: &[Value]) -> Result<Vec<Row>, Error> {
        rows(self.bound(stmt, params)?, stmt)
    }

    /// Runs a statement: the number of rows it wrote or, when it answers rows, how many those are.
    pub(crate) fn execute(&mut self, stmt: &'static Stmt, params: &[Value]) -> Result<u64, Error> {
        let statement = self.bound(stmt, params)?;
        if statement.column_count() == 0 {
            let rows = statement.raw_execute().map_err(|error| failure(stmt.name, error))?;
            return Ok(u64::try_from(rows).unwrap_or(u64::MAX));
        }
        let mut rows = statement.raw_query();
        let mut count = 0_u64;
        while rows.next().map_err(|error| failure(stmt.name, error))?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    fn bound(&mut self, stmt: &'static Stmt, params: &[Value]) -> Result<&mut Statement<'c>, Error> {
        let statement = self.get(stmt)?;
        bind(statement, stmt, params)?;
        Ok(statement)
    }

    fn get(&mut self, stmt: &'static Stmt) -> Result<&mut Statement<'c>, Error> {
        use std::collections::hash_map::Entry;
        match self.prepared.entry(std::ptr::from_ref(stmt).addr()) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let sql = expand(stmt.sql, Dialect::Sqlite, Use::Statement);
                let statement = self.connection.prepare(&sql).map_err(|error| failure(stmt.name, error))?;
                Ok(place.insert(statement))
            }
        }
    }
}

/// The rows of a lookup by key on a connection that nobody else uses meanwhile.
pub(crate) fn look_up(connection: &Connection, stmt: &'static Stmt, params: &[Value]) -> Result<Vec<Row>, Error> {
    let mut statement = connection.prepare_cached(stmt.sql).map_err(|error| failure(stmt.name, error))?;
    bind(&mut statement, stmt, params)?;
    rows(&mut statement, stmt)
}

fn bind(statement: &mut Statement<'_>, stmt: &'static Stmt, params: &[Value]) -> Result<(), Error> {
    if statement.parameter_count() != params.len() {
        return Err(Error::Defect(stmt.name, None));
    }
    for (index, value) in (1_usize..).zip(params) {
        statement.raw_bind_parameter(index, value).map_err(|error| failure(stmt.name, error))?;
    }
    Ok(())
}

fn rows(statement: &mut Statement<'_>, stmt: &'static Stmt) -> Result<Vec<Row>, Error> {
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(|error| failure(stmt.name, error))? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column).map_err(|error| failure(stmt.name, error))? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).map_err(|_| Error::RowCorrupt)?),
                ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
                ValueRef::Real(_) => return Err(Error::RowCorrupt),
            });
        }
        found.push(Row(values));
    }
    Ok(found)
}

/// What an error of the engine means to the caller.
pub(crate) fn failure(name: &'static str, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let rusqlite::Error::SqliteFailure(inner, _) = &error else { return Error::Defect(name, Some(Box::new(error))) };
    match (inner.code, inner.extended_code) {
        (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Error::Conflict(name),
        (Code::DiskFull, _) => Error::NoSpace,
        (
            Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::SystemIoFailure
            | Code::CannotOpen
            | Code::ReadOnly
            | Code::PermissionDenied
            | Code::OutOfMemory
            | Code::DatabaseCorrupt
            | Code::NotADatabase,
            _,
        ) => Error::Unavailable(Box::new(error)),
        _ => Error::Defect(name, Some(Box::new(error))),
    }
}

/// Ends the process when the error is a failed write or sync: what the disk holds is no longer known, and a second
/// sync of the same pages would report success without having written them.
pub(crate) fn stop_on_io_failure(error: &rusqlite::Error) {
    if let rusqlite::Error::SqliteFailure(inner, _) = error
        && inner.code == rusqlite::ErrorCode::SystemIoFailure
    {
        tracing::error!(
            code = "store_sync_failed",
            sqlite = inner.extended_code,
            "the disk refused a write of the store; the process ends so that nothing in doubt is acknowledged"
        );
        std::process::abort();
    }
}

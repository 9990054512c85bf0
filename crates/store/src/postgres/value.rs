//! Values on PostgreSQL's wire, and what its errors mean.

use std::error::Error as StdError;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::Error;
use crate::value::{Row, Value};

type Boxed = Box<dyn StdError + Sync + Send>;

/// A value sent as a parameter of whatever type the server deduced.
#[derive(Debug)]
pub(crate) struct Param<'a>(pub(crate) &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Value::Int(value) if *ty == Type::INT2 => i16::try_from(*value)?.to_sql(ty, out),
            Value::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Value::Text(value) if <&str as ToSql>::accepts(ty) => value.as_str().to_sql(ty, out),
            Value::Bytes(value) if *ty == Type::BYTEA => value.as_slice().to_sql(ty, out),
            _ => Err(format!("a parameter of another type than {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

struct Column(Value);

impl<'a> FromSql<'a> for Column {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            _ => Value::Text(String::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::INT2 | Type::BYTEA) || <String as FromSql<'_>>::accepts(ty)
    }
}

/// A row of the server as a row of the store.
pub(crate) fn row(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let columns = 0..row.len();
    let values = columns.map(|column| row.try_get::<_, Column>(column).map(|column| column.0));
    values.collect::<Result<_, _>>().map(Row).map_err(|_| Error::RowCorrupt)
}

/// What an error of a statement means.
pub(crate) enum Verdict {
    /// A unique key of this constraint was taken.
    Taken(String),
    /// Another transaction was in the way; the same batch may succeed at once.
    Again,
    /// The connection ended.
    Lost,
    /// The server has no space.
    NoSpace,
    /// The server is starting, stopping or out of connections; a later try can succeed.
    Unavailable,
    /// The statement is wrong.
    Defect,
}

/// Reads an error.
pub(crate) fn verdict(error: &tokio_postgres::Error) -> Verdict {
    let Some(state) = error.as_db_error() else {
        // what the server did not say is of the connection, or of a parameter that could not be written
        let local = error.to_string().contains("serializing parameter");
        return if local { Verdict::Defect } else { Verdict::Lost };
    };
    let code = state.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        return Verdict::Taken(state.constraint().unwrap_or_default().to_owned());
    }
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        return Verdict::Again;
    }
    if *code == SqlState::DISK_FULL {
        return Verdict::NoSpace;
    }
    // connection exception, invalid authorization, insufficient resources, operator intervention, system error,
    // read-only transaction, lock not available
    let class = code.code().get(..2).unwrap_or_default();
    let transient = ["08", "28", "53", "57", "58"].contains(&class)
        || [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::LOCK_NOT_AVAILABLE].contains(code);
    if transient { Verdict::Unavailable } else { Verdict::Defect }
}

/// The store's error for a statement that failed and is not tried again.
pub(crate) fn failure(name: &'static str, error: tokio_postgres::Error) -> Error {
    match verdict(&error) {
        Verdict::Taken(_) => Error::Conflict(name),
        Verdict::NoSpace => Error::NoSpace,
        Verdict::Again | Verdict::Lost | Verdict::Unavailable => Error::Unavailable(Box::new(error)),
        Verdict::Defect => Error::Defect(name, Some(Box::new(error))),
    }
}

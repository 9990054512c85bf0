//! Values in and rows out, the same for both engines.

use kernel::clock::Timestamp;
use kernel::id::{Id, Kind};

use crate::error::Error;

/// One parameter or column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer: counts, microseconds, flags.
    Int(i64),
    /// UTF-8 text without U+0000.
    Text(String),
    /// Bytes: ids, hashes, sealed values.
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}
impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_micros())
    }
}
impl<K: Kind> From<Id<K>> for Value {
    fn from(value: Id<K>) -> Self {
        Self::Bytes(value.as_bytes().to_vec())
    }
}
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Builds a parameter list from values of different types.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The integer in a column (0-based).
    ///
    /// # Errors
    /// [`Error::RowCorrupt`] when the column is absent, NULL or of another type; likewise below.
    pub fn int(&self, column: usize) -> Result<i64, Error> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(Error::RowCorrupt),
        }
    }

    /// The integer in a column that may be NULL.
    pub fn int_opt(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.int(column).map(Some),
        }
    }

    /// The instant in a column.
    pub fn time(&self, column: usize) -> Result<Timestamp, Error> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// The instant in a column that may be NULL.
    pub fn time_opt(&self, column: usize) -> Result<Option<Timestamp>, Error> {
        Ok(self.int_opt(column)?.map(Timestamp::from_micros))
    }

    /// The text in a column.
    pub fn text(&self, column: usize) -> Result<&str, Error> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(Error::RowCorrupt),
        }
    }

    /// The text in a column that may be NULL.
    pub fn text_opt(&self, column: usize) -> Result<Option<&str>, Error> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// The bytes in a column.
    pub fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        match self.0.get(column) {
            Some(Value::Bytes(value)) => Ok(value),
            _ => Err(Error::RowCorrupt),
        }
    }

    /// The bytes in a column that may be NULL.
    pub fn bytes_opt(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.bytes(column).map(Some),
        }
    }

    /// The id in a column.
    pub fn id<K: Kind>(&self, column: usize) -> Result<Id<K>, Error> {
        <[u8; 16]>::try_from(self.bytes(column)?).map(Id::from_bytes).map_err(|_| Error::RowCorrupt)
    }

    /// The id in a column that may be NULL.
    pub fn id_opt<K: Kind>(&self, column: usize) -> Result<Option<Id<K>>, Error> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.id(column).map(Some),
        }
    }
}

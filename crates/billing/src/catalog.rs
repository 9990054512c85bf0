//! Features: what plans grant, by their keys.

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use serde_json::{Value, json};
use store::Row;

use crate::standing::Combine;

/// Whether a text is the key of a feature, a meter or a plan: `[a-z0-9][a-z0-9._-]{0,63}`.
pub fn is_key(text: &str) -> bool {
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(|b| first(b) || b"._-".contains(&b))
}

/// What a right to a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// There, or not.
    Boolean,
    /// A setting.
    Static,
    /// So much of what a meter counts.
    Metered,
}

impl FeatureKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Boolean, Self::Static, Self::Metered];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Static => "static",
            Self::Metered => "metered",
        }
    }

    /// Reads [`FeatureKind::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Combine {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Largest => "largest",
            Self::Sum => "sum",
        }
    }

    /// Reads [`Combine::name`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Largest, Self::Sum].into_iter().find(|combine| combine.name() == name)
    }
}

/// A named ability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its id.
    pub id: Id<id::Feature>,
    /// The key by which plans, tokens and programs name it; never changed.
    pub key: String,
    /// What a right to it is; never changed.
    pub kind: FeatureKind,
    /// For people.
    pub name: String,
    /// The key of the meter that counts it, for a metered one.
    pub meter: Option<String>,
    /// How the rights of several subscriptions become one.
    pub combine: Combine,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Guard for concurrent changes.
    pub version: i64,
}

impl Feature {
    /// Reads a row of [`crate::sql::FEATURE_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no feature.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            key: row.text(1)?.to_owned(),
            kind: FeatureKind::parse(row.text(2)?).ok_or(store::Error::RowCorrupt)?,
            name: row.text(3)?.to_owned(),
            meter: row.text_opt(4)?.map(str::to_owned),
            combine: Combine::parse(row.text(5)?).ok_or(store::Error::RowCorrupt)?,
            created_at: row.time(6)?,
            updated_at: row.time(7)?,
            version: row.int(8)?,
        })
    }

    /// The members of its answer that say what it is.
    pub fn view(&self) -> Value {
        json!({
            "key": self.key, "kind": self.kind.name(), "name": self.name, "meter": self.meter,
            "combine": self.combine.name(),
        })
    }
}

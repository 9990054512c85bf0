//! Changes as merge patches say them (RFC 7396).

/// A field of a merge-patch (RFC 7396): not there, removed, or given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Not in the body.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// A value.
    Value(T),
}

impl<T> Field<T> {
    /// The value, where one was given.
    pub fn given(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Makes the change to a field that may be empty.
    pub fn apply_optional(self, slot: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *slot = None,
            Self::Value(value) => *slot = Some(value),
        }
    }

    /// Makes the change to a field that `null` sets back.
    pub fn apply_or(self, slot: &mut T, default: T) {
        match self {
            Self::Absent => {}
            Self::Null => *slot = default,
            Self::Value(value) => *slot = value,
        }
    }
}

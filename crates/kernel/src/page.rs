//! Bounds of a list answer.

/// Default number of items of a list.
pub const DEFAULT_LIMIT: u32 = 50;
/// Largest number of items of a list.
pub const MAX_LIMIT: u32 = 200;

/// One page of a list in key order.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<Vec<u8>>,
}

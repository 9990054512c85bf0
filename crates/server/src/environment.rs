//! The process's environment variables, read here alone.

use std::collections::BTreeMap;

/// What the names of all our variables begin with.
pub const PREFIX: &str = "BASTIONARY_";

/// The variable's value; `None` when it is not set or not UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// [`variable`] without the empty ones.
pub fn given(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

/// All variables whose names begin with [`PREFIX`]; a value that is not UTF-8 counts as empty.
pub fn ours() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().unwrap_or_default())))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

//! The process's environment variables, read here alone.

/// The variable's value; `None` when it is not set or not UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// [`variable`] without the empty ones.
pub fn given(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

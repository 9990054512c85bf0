//! One-line weakenings of our own guards, chosen at run time, that prove the security tests can fail.
//!
//! Only a build with the feature `mutants` has them; every other build is compiled as if the guard stood alone.

/// The variable that chooses a weakening, in builds that have them.
#[cfg(feature = "mutants")]
pub const VARIABLE: Option<&str> = Some("BASTIONARY_MUTANT");

/// No variable chooses anything in this build.
#[cfg(not(feature = "mutants"))]
pub const VARIABLE: Option<&str> = None;

/// Whether the weakening with this id is chosen by [`VARIABLE`].
#[cfg(feature = "mutants")]
pub fn is(id: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the test runner chooses a weakening for the whole process")]
    let chosen = CHOSEN.get_or_init(|| VARIABLE.and_then(|name| std::env::var(name).ok()));
    chosen.as_deref() == Some(id)
}

/// No weakening exists in this build.
#[cfg(not(feature = "mutants"))]
pub const fn is(_: &str) -> bool {
    false
}

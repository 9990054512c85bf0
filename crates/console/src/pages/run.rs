//! What came of getting a token from the console, beside the programs that do the same.

/// A token as a page shows it: never whole.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its first and last characters.
    pub masked: String,
    /// Its claims as JSON, or a sentence about a token that has none to decode.
    pub claims: String,
    /// Seconds it lives.
    pub expires_in: u32,
}

/// Why there is no token, in the words of the token endpoint.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The code, which has a page at `/errors/{code}`.
    pub code: &'static str,
    /// The sentence.
    pub description: String,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What came.
    pub outcome: Result<Shown, Failure>,
    /// Microseconds from the question to the answer, the way through the network not counted.
    pub micros: i64,
}

impl Ran {
    /// How long it took, as people read it.
    pub(crate) fn took(&self) -> String {
        let tenths = self.micros.max(0).saturating_add(50) / 100;
        format!("{}.{} ms", tenths / 10, tenths % 10)
    }
}

/// A token with its middle left out.
pub(crate) fn masked(token: &str) -> String {
    let (first, last) = (token.get(..10), token.len().checked_sub(4).and_then(|at| token.get(at..)));
    format!("{}…{}", first.unwrap_or_default(), last.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_by_its_ends_and_a_time_by_its_tenths() {
        assert_eq!(masked("eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"), "eyJhbGciOi…dXJl");
        assert_eq!(masked("short"), "…hort");
        let took = |micros| Ran { outcome: Err(Failure { code: "x", description: String::new() }), micros }.took();
        assert_eq!((took(1_449), took(49), took(120_000)), ("1.4 ms".into(), "0.0 ms".into(), "120.0 ms".into()));
    }
}

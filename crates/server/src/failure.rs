//! How a command ends: the exit code, and the sentences for the person who started it.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: not authenticated, or not allowed.
    Denied,
    /// 4: not found.
    Missing,
    /// 5: conflict with the present state.
    Conflict,
    /// 6: rate limited.
    Limited,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Missing => 4,
            Self::Conflict => 5,
            Self::Limited => 6,
        }
    }

    /// The exit with this number; unknown numbers are failures.
    pub const fn of(code: u64) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Denied,
            4 => Self::Missing,
            5 => Self::Conflict,
            6 => Self::Limited,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked, in three parts. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened.
    pub what: String,
    /// Why; may be empty when the first part says it all.
    pub why: String,
    /// What to do next; may be empty.
    pub remedy: String,
    /// The server's own answer, when it is what refused.
    pub answer: Option<Box<Value>>,
}

impl Failure {
    /// A failure with the exit code 1.
    pub fn new(what: impl Into<String>, why: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, what: what.into(), why: why.to_string(), remedy: remedy.into(), answer: None }
    }

    /// The same with another exit code.
    #[must_use]
    pub const fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl Failure {
    /// For programs: the server's answer as it came, else the three parts as a problem document (RFC 9457).
    pub fn to_json(&self) -> Value {
        self.answer.as_deref().cloned().unwrap_or_else(|| {
            json!({
                "type": "about:blank", "title": self.what, "detail": self.why, "remedy": self.remedy,
                "exit_code": self.exit.code(),
            })
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for part in [&self.why, &self.remedy] {
            for line in part.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new("the configuration cannot be used", error, "").exit(Exit::Usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_parts_stand_on_their_own_lines_and_empty_ones_are_left_out() {
        assert_eq!(Failure::new("a", "b", "c").to_string(), "a\n  b\n  c");
        assert_eq!(Failure::new("a", "", "c").to_string(), "a\n  c");
    }

    #[test]
    fn every_exit_survives_its_number() {
        for code in 0..7 {
            assert_eq!(u64::from(Exit::of(code).code()), code);
        }
        assert_eq!(Exit::of(99), Exit::Failed);
    }
}

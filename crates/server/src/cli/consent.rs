//! Asking before something is destroyed: on a terminal by a question, elsewhere by the flag `--yes`.

use std::io::IsTerminal as _;

use crate::failure::{Exit, Failure};
use crate::terminal;

/// The flag that answers the question beforehand.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Consent {
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Lets the command go on, or ends it with the exit code of a wrong command line.
    pub(crate) fn obtain(self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                format!("{what} needs `--yes`"),
                "it cannot be undone, and there is no terminal to ask on",
                "Repeat the command with `--yes`.",
            )
            .exit(Exit::Usage));
        }
        terminal::words(&format!("{what}? It cannot be undone. Type `yes` to go on:"));
        let mut answer = String::new();
        // No answer is no consent.
        let _ = std::io::stdin().read_line(&mut answer);
        if answer.trim() == "yes" {
            Ok(())
        } else {
            Err(Failure::new("nothing was done", "the answer was not `yes`", ""))
        }
    }
}

//! `cargo xtask openapi [--write]`: the checked-in description of the API is the one the binary prints, and the chapter on
//! its operations says the same.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{reference, step};

const DOCUMENT: &str = "openapi/bastionary.json";

/// What to do with the description that the binary prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Fail when the checked-in file differs.
    Compare,
    /// Replace the checked-in file.
    Write,
}

/// Compares the checked-in file with what the binary prints, or replaces it.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let printed = step::output("cargo", &["run", "-q", "-p", "bastionary", "--", "openapi"])?;
    apply(Path::new(DOCUMENT), &printed, mode)?;
    let document = serde_json::from_str(&printed).context("the description is not JSON")?;
    apply(Path::new(reference::CHAPTER), &reference::chapter(&document)?, mode)
}

fn apply(document: &Path, printed: &str, mode: Mode) -> Result<()> {
    let shown = document.display();
    if mode == Mode::Write {
        if let Some(folder) = document.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        return std::fs::write(document, printed).with_context(|| format!("writing {shown}"));
    }
    let kept = std::fs::read_to_string(document).with_context(|| format!("reading {shown}"))?;
    if kept == printed {
        return Ok(());
    }
    let line = kept.lines().zip(printed.lines()).take_while(|(kept, printed)| kept == printed).count();
    bail!("{shown} differs from line {}; `cargo xtask openapi --write` brings it up to date", line.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_is_out_of_date_fails_until_it_is_written() {
        let directory = testkit::TempDir::new().unwrap();
        let document = directory.path().join("openapi/described.json");
        assert!(apply(&document, "{\n}\n", Mode::Compare).is_err(), "an absent file is out of date");
        apply(&document, "{\n}\n", Mode::Write).unwrap();
        apply(&document, "{\n}\n", Mode::Compare).unwrap();
        let error = apply(&document, "{\n\"a\": 1}\n", Mode::Compare).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}

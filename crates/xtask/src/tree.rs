//! The files of the repository as the checks see them.

use anyhow::{Context, Result};

use crate::step;

/// One text file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// The path from the root, with forward slashes.
    pub(crate) path: String,
    /// The whole text; bytes that are not UTF-8 are replaced.
    pub(crate) text: String,
}

/// Every file that is tracked, or would be after `git add`.
pub(crate) fn files() -> Result<Vec<SourceFile>> {
    // A build machine may own the checkout under another user, and non-ASCII names come quoted otherwise.
    let settings = ["-c", "safe.directory=*", "-c", "core.quotePath=off"];
    let question = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = step::output("git", &[settings.as_slice(), question.as_slice()].concat())?;
    let mut paths: Vec<&str> = listed.lines().filter(|path| std::path::Path::new(path).is_file()).collect();
    paths.sort_unstable();
    paths.dedup();
    let read = |path: &str| {
        let bytes = std::fs::read(path).with_context(|| format!("reading {path}"))?;
        Ok(SourceFile { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
    };
    paths.into_iter().map(read).collect()
}

/// The root of the repository, where every task stands.
pub(crate) fn root() -> Result<std::path::PathBuf> {
    std::env::current_dir().context("finding the root of the repository")
}

impl SourceFile {
    /// The file's name ends with this extension.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// A file that holds tests, examples or snapshots only.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/').rev();
        let name = parts.next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        stem == "tests" || stem.ends_with("_tests") || parts.any(|folder| matches!(folder, "tests" | "snapshots"))
    }

    /// The crate's folder name when this is a Rust file below `crates/<name>/src`.
    pub(crate) fn source_of(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        (rest.starts_with("src/") && self.has_extension("rs")).then_some(name)
    }

    /// The lines that ship, numbered from one: without the test modules of the file.
    pub(crate) fn shipped(&self) -> Vec<(usize, &str)> {
        let mut shipped = Vec::new();
        if self.is_test() {
            return shipped;
        }
        let mut lines = (1_usize..).zip(self.text.lines()).peekable();
        while let Some((number, line)) = lines.next() {
            let opens = line == "#[cfg(test)]"
                && lines.peek().is_some_and(|(_, next)| next.starts_with("mod ") || next.starts_with("pub mod "));
            if !opens {
                shipped.push((number, line));
                continue;
            }
            let inline = lines.next().is_some_and(|(_, declaration)| declaration.trim_end().ends_with('{'));
            if inline {
                // rustfmt puts the closing brace of a top-level module in the first column.
                for (_, inner) in lines.by_ref() {
                    if inner == "}" {
                        break;
                    }
                }
            }
        }
        shipped
    }
}

/// The part of a line of Rust before its comment; `//` after a colon belongs to an address.
pub(crate) fn code(line: &str) -> &str {
    let comment = line.match_indices("//").map(|(at, _)| at).find(|at| {
        let before = line.get(..*at).unwrap_or_default();
        !before.ends_with(':')
    });
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// Whether a word stands in the text with no letter, digit or underscore beside it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|rest| rest.chars().next_back());
        let after = text.get(at.saturating_add(found.len())..).and_then(|rest| rest.chars().next());
        !joins(before) && !joins(after)
    })
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_do_not_count_as_shipped_lines() {
        let inline = file("crates/a/src/lib.rs", "one\n#[cfg(test)]\nmod tests {\n    two\n}\nthree\n");
        assert_eq!(inline.shipped(), [(1, "one"), (6, "three")]);
        let outside = file("crates/a/src/lib.rs", "one\n#[cfg(test)]\nmod tests;\nthree\n");
        assert_eq!(outside.shipped(), [(1, "one"), (4, "three")]);
        assert!(file("crates/a/src/key/tests.rs", "one\n").shipped().is_empty());
        assert!(file("crates/a/tests/it/main.rs", "one\n").shipped().is_empty());
    }

    #[test]
    fn comments_are_no_code_but_addresses_are() {
        assert_eq!(code("let a = 1; // why"), "let a = 1; ");
        assert_eq!(code("//! about"), "");
        assert_eq!(code("let a = \"https://x\";"), "let a = \"https://x\";");
    }

    #[test]
    fn a_word_is_found_only_when_it_stands_alone() {
        assert!(has_word("a mark, here", "mark"));
        assert!(!has_word("remarkable marks", "mark"));
    }
}

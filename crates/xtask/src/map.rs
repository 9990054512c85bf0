//! ARCHITECTURE.md names only what exists: each path in it, and each function named after a path.

use crate::tree::{SourceFile, has_word};

const MAP: &str = "ARCHITECTURE.md";

/// First parts of what counts as a path between back-ticks.
const ROOTS: &[&str] = &["crates/", "docs/", "bench/", "interop/", "openapi/"];

/// Every path or function in the map that is not in the tree.
pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        return vec![format!("{MAP} is missing")];
    };
    let mut breaches = Vec::new();
    let mut place: Option<&str> = None;
    for (number, line) in (1_usize..).zip(map.text.lines()) {
        for word in line.split('`').skip(1).step_by(2) {
            if ROOTS.iter().any(|root| word.starts_with(root)) {
                place = Some(word);
                if !exists(files, word) {
                    breaches.push(format!("{MAP}:{number}: there is no `{word}`"));
                }
            } else if let (Some(path), Some(function)) = (place, word.strip_suffix("()"))
                && !defines(files, path, function)
            {
                breaches.push(format!("{MAP}:{number}: `{path}` has no function `{function}`"));
            }
        }
    }
    breaches
}

fn exists(files: &[SourceFile], path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

fn defines(files: &[SourceFile], path: &str, function: &str) -> bool {
    let needle = format!("fn {function}");
    files.iter().filter(|file| file.path == path).any(|file| has_word(&file.text, &needle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::file;

    fn breaches(map: &str) -> usize {
        check(&[file(MAP, map), file("crates/auth/src/grant.rs", "pub async fn token<T>() {}\n")]).len()
    }

    #[test]
    fn a_path_or_a_function_that_is_not_there_is_refused() {
        assert_eq!(breaches("see `crates/auth/src/gone.rs`"), 1);
        assert_eq!(breaches("`crates/auth/src/grant.rs`: `tok()`"), 1, "a part of a name is not the name");
        assert_eq!(breaches("`crates/auth/src/grant.rs`:\n`gone()`"), 1, "the path holds on to the next line");
        assert_eq!(check(&[]).len(), 1, "and so is a missing map");
    }

    #[test]
    fn paths_folders_and_functions_that_exist_are_accepted() {
        assert_eq!(breaches("`crates/auth`, `crates/auth/src/grant.rs`: `token()` answers `POST /oauth2/token`"), 0);
    }
}

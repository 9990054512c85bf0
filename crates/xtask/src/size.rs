//! Limits on files and crates, tests excluded: what outgrows them is two concepts.

use std::collections::BTreeMap;

use crate::tree::SourceFile;

/// Lines of one source file.
const FILE: usize = 800;
/// Lines of one crate without a limit of its own.
const CRATE: usize = 15_000;
/// Crates with a limit of their own.
const NARROW: &[(&str, usize)] = &[("kernel", 3_000), ("store", 6_000)];

/// Every file and crate above its limit.
pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut crates: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files {
        let Some(name) = file.source_of() else { continue };
        let lines = file.shipped().len();
        let total = crates.entry(name).or_default();
        *total = total.saturating_add(lines);
        if lines > FILE {
            breaches.push(format!("{}: {lines} lines, at most {FILE}; split it by concept", file.path));
        }
    }
    for (name, lines) in crates {
        let limit = NARROW.iter().find(|(narrow, _)| *narrow == name).map_or(CRATE, |(_, limit)| *limit);
        if lines > limit {
            breaches.push(format!("crates/{name}: {lines} lines, at most {limit}; split it by concept"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::file;

    #[test]
    fn a_file_of_801_lines_is_refused_and_one_of_800_is_not() {
        assert_eq!(check(&[file("crates/auth/src/grant.rs", &"x\n".repeat(801))]).len(), 1);
        assert!(check(&[file("crates/auth/src/grant.rs", &"x\n".repeat(800))]).is_empty());
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(700), "    y\n".repeat(700));
        assert!(check(&[file("crates/auth/src/grant.rs", &tested)]).is_empty(), "tests do not count");
        assert!(check(&[file("crates/auth/tests/it/main.rs", &"x\n".repeat(900))]).is_empty());
    }

    #[test]
    fn kernel_and_store_have_narrower_limits_than_other_crates() {
        let crate_of = |name: &str, files: usize| -> Vec<SourceFile> {
            (0..files).map(|n| file(&format!("crates/{name}/src/f{n}.rs"), &"x\n".repeat(800))).collect()
        };
        assert_eq!(check(&crate_of("kernel", 4)).len(), 1);
        assert_eq!(check(&crate_of("store", 8)).len(), 1);
        assert!(check(&crate_of("auth", 8)).is_empty());
        assert_eq!(check(&crate_of("auth", 19)).len(), 1);
    }
}

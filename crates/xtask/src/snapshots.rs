//! Snapshots that no test looks at any more: they would claim a behavior that nothing checks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Names the file to which the snapshot library appends each snapshot that a test looks at.
pub(crate) const REFERENCES: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// The snapshots among these paths that do not stand in the text of the references file.
pub(crate) fn unreferenced(paths: &[String], references: &str, root: &Path) -> Vec<String> {
    let used: BTreeSet<PathBuf> = references.lines().map(|line| normal(&root.join(line))).collect();
    let is_snapshot = |path: &&String| {
        let path = Path::new(path.as_str());
        path.extension().is_some_and(|found| found == "snap")
            && path.components().any(|part| part.as_os_str() == "snapshots")
    };
    paths.iter().filter(is_snapshot).filter(|path| !used.contains(&normal(&root.join(path)))).cloned().collect()
}

/// The path without `.` and `..`, which references written by tests contain.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_no_test_looked_at_is_found() {
        let paths = ["crates/api/src/snapshots/a.snap", "crates/api/tests/it/snapshots/b.snap", "docs/c.snap"];
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let references = "/root/crates/api/src/../src/snapshots/a.snap\n";
        assert_eq!(unreferenced(&paths, references, Path::new("/root")), ["crates/api/tests/it/snapshots/b.snap"]);
        let both = format!("{references}crates/api/tests/it/snapshots/b.snap\n");
        assert!(unreferenced(&paths, &both, Path::new("/root")).is_empty(), "relative to the root is fine, too");
    }
}

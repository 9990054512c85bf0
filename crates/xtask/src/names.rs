//! Names that say nothing are refused: a folder, file or module is called after the thing it holds.

use crate::tree::{SourceFile, code};

/// Names that could hold anything, and therefore do.
const REFUSED: &[&str] = &[
    "util",
    "utils",
    "utility",
    "utilities",
    "common",
    "commons",
    "helper",
    "helpers",
    "misc",
    "manager",
    "managers",
    "core",
    "cores",
    "types",
    "base",
    "bases",
    "shared",
    "stuff",
    "stuffs",
];

/// Every folder, file and `mod` with a refused name.
pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files {
        for part in file.path.split('/') {
            let stem = part.trim_start_matches('.').split('.').next().unwrap_or_default();
            if is_refused(stem) {
                breaches.push(format!("{}: `{part}` says nothing; name it after what it holds", file.path));
            }
        }
        if !file.has_extension("rs") {
            continue;
        }
        for (number, line) in (1_usize..).zip(file.text.lines()) {
            if let Some(name) = declared(code(line)).filter(|name| is_refused(name)) {
                breaches
                    .push(format!("{}:{number}: `mod {name}` says nothing; name it after what it holds", file.path));
            }
        }
    }
    breaches
}

/// The name in a line that declares a module.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    if word == "pub" || word.starts_with("pub(") {
        word = words.next()?;
    }
    if word != "mod" {
        return None;
    }
    words.next().map(|name| name.trim_end_matches([';', '{', '}']))
}

fn is_refused(stem: &str) -> bool {
    REFUSED.iter().any(|refused| stem.eq_ignore_ascii_case(refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::file;

    #[test]
    fn a_grab_bag_name_of_a_folder_a_file_or_a_module_is_refused() {
        let refused = [
            file("crates/auth/src/utils.rs", ""),
            file("crates/common/src/lib.rs", ""),
            file("interop/helpers/run.py", ""),
            file("docs/Types.md", ""),
            file("crates/auth/src/lib.rs", "pub(crate) mod managers;\n"),
            file("crates/auth/src/lib.rs", "pub mod shared {\n}\n"),
            file("crates/auth/src/utilities.rs", ""),
        ];
        for breach in refused {
            assert_eq!(check(std::slice::from_ref(&breach)).len(), 1, "{}", breach.path);
        }
    }

    #[test]
    fn a_noun_of_the_field_is_allowed() {
        let allowed = [
            file("crates/auth/src/credential.rs", "mod client;\n// mod utils;\n"),
            file("crates/store/src/database.rs", "pub mod statement;\nuse core::fmt;\n"),
        ];
        assert_eq!(check(&allowed), Vec::<String>::new());
    }
}

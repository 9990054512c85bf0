//! Which packages may be built, how many, and where they come from.

/// Packages in the lock file, development dependencies included.
const LIMIT: usize = 450;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Unsound, unmaintained, or a second library for what the house already has one for.
const BANNED: &[&str] = &[
    "openssl",
    "openssl-sys",
    "native-tls",
    "ring",
    "rsa",
    "jsonwebtoken",
    "reqwest",
    "chrono",
    "wasmtime",
    "bincode",
    "paste",
    "ttf-parser",
    "serde_yml",
    "proc-macro-error",
    "derivative",
    "instant",
    "backoff",
];

/// Every banned package in the output of `cargo tree --prefix none --format {p}`, which lists what is really built:
/// the lock file also names packages behind features nobody turns on.
pub(crate) fn banned(tree: &str) -> Vec<String> {
    let mut found: Vec<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| BANNED.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|name| format!("package `{name}` is banned; `cargo tree -i {name}` shows who asks")).collect()
}

/// Breaches in the text of `Cargo.lock`: too many packages, or one from anywhere but the default registry.
pub(crate) fn lock(lock: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    if count > LIMIT {
        breaches.push(format!("Cargo.lock names {count} packages, at most {LIMIT}; a decision record raises it"));
    }
    for line in lock.lines() {
        let source = line.strip_prefix("source = ").map(|source| source.trim_matches('"'));
        if let Some(other) = source.filter(|source| *source != REGISTRY) {
            breaches.push(format!("Cargo.lock: source `{other}`; only the default registry is allowed"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_package_in_the_built_graph_is_refused_once() {
        assert_eq!(banned("tokio v1.54.0\nring v0.17.14\nring v0.17.14 (*)\n").len(), 1);
        assert!(banned("tokio v1.54.0\nstring v0.1.0\npastey v0.1.0\n").is_empty());
    }

    #[test]
    fn the_451st_package_is_refused() {
        assert!(lock(&"[[package]]\n".repeat(450)).is_empty());
        assert_eq!(lock(&"[[package]]\n".repeat(451)).len(), 1);
    }

    #[test]
    fn a_package_from_git_is_refused() {
        assert_eq!(lock("source = \"git+https://example.org/x\"\n").len(), 1);
        assert!(lock(&format!("source = \"{REGISTRY}\"\n")).is_empty());
    }
}

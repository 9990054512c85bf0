//! Which packages may be built, how many, in which versions, and where they come from.
//!
//! `deny.toml` is the one list of bans, minimum versions and permitted duplicates; these checks read it, so that they
//! hold on a machine without cargo-deny as well.

use std::collections::{BTreeMap, BTreeSet};

/// Packages in the lock file, development dependencies included.
const LIMIT: usize = 450;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What `deny.toml` says about packages.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    banned: BTreeSet<String>,
    /// Package and the version below which it is refused.
    minimum: Vec<(String, Vec<u64>)>,
    /// Package and the beginning of the version that may exist beside another.
    duplicates: Vec<(String, Vec<u64>)>,
}

impl Policy {
    /// Reads the lists `deny` and `skip`, one entry on each line.
    pub(crate) fn parse(deny_toml: &str) -> Self {
        let mut policy = Self::default();
        let mut list = "";
        for line in deny_toml.lines().map(str::trim) {
            if let Some((name, "[")) = line.split_once(" = ") {
                list = name;
            } else if line == "]" {
                list = "";
            }
            let Some(entry) = line.strip_prefix("{ crate = \"").and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            match (list, entry.split_once('@')) {
                ("deny", None) => {
                    policy.banned.insert(entry.to_owned());
                }
                ("deny", Some((name, version))) => {
                    policy.minimum.push((name.to_owned(), numbers(version.trim_start_matches('<'))));
                }
                ("skip", Some((name, version))) => policy.duplicates.push((name.to_owned(), numbers(version))),
                _ => {}
            }
        }
        policy
    }

    /// Every breach in the output of `cargo tree --prefix none`, which lists what is really built: the lock file also
    /// names packages behind features that nobody turns on.
    pub(crate) fn built(&self, tree: &str) -> Vec<String> {
        let mut breaches: Vec<String> = packages(tree)
            .into_iter()
            .filter(|(name, _)| self.banned.contains(*name))
            .map(|(name, _)| format!("package `{name}` is banned; `cargo tree -i {name}` shows who asks"))
            .collect();
        breaches.dedup();
        for (name, version) in packages(tree) {
            let too_old = |(banned, minimum): &&(String, Vec<u64>)| banned == name && numbers(version) < *minimum;
            if self.minimum.iter().any(|entry| too_old(&entry)) {
                breaches.push(format!("package `{name}` {version} has a known weakness; deny.toml says which"));
            }
        }
        breaches
    }

    /// Every package in the output of `cargo tree --prefix none` that is there in two versions without a reason.
    pub(crate) fn doubled(&self, tree: &str) -> Vec<String> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, version) in packages(tree) {
            if !self.duplicates.iter().any(|(skip, start)| skip == name && numbers(version).starts_with(start)) {
                versions.entry(name).or_default().insert(version);
            }
        }
        let doubled = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        doubled
            .map(|(name, versions)| {
                let versions: Vec<&str> = versions.into_iter().collect();
                format!("package `{name}` is there twice ({}); deny.toml lists no reason", versions.join(", "))
            })
            .collect()
    }
}

/// Name and version of each package, once.
fn packages(tree: &str) -> BTreeSet<(&str, &str)> {
    let package = |line| {
        let mut words = str::split_whitespace(line);
        Some((words.next()?, words.next()?.strip_prefix('v')?))
    };
    tree.lines().filter_map(package).collect()
}

/// The numbers of a version, without what follows a hyphen or a plus.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').filter_map(|part| part.parse().ok()).collect()
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

    fn policy() -> Policy {
        Policy::parse(
            "deny = [\n  { crate = \"ring\", reason = \"r\" },\n  { crate = \"h2@<0.4.16\", reason = \"r\" },\n]\n\
             skip = [\n  { crate = \"syn@2\", reason = \"r\" },\n]\n",
        )
    }

    #[test]
    fn a_banned_package_in_the_built_graph_is_refused_once() {
        assert_eq!(policy().built("tokio v1.54.0\nring v0.17.14\nring v0.17.14 (*)\n").len(), 1);
        assert!(policy().built("tokio v1.54.0\nstring v0.1.0\nringbuffer v0.1.0\n").is_empty());
    }

    #[test]
    fn a_version_below_the_fixed_one_is_refused() {
        assert_eq!(policy().built("h2 v0.4.9\n").len(), 1, "9 is less than 16");
        assert!(policy().built("h2 v0.4.16\nh2 v0.5.0\n").is_empty());
    }

    #[test]
    fn a_second_version_needs_a_reason() {
        assert_eq!(policy().doubled("http v0.2.12\nhttp v1.3.1\nhttp v1.3.1 (*)\n").len(), 1);
        assert!(policy().doubled("syn v2.0.119\nsyn v3.0.10\nhttp v1.3.1\nhttp v1.3.1 (*)\n").is_empty());
    }

    #[test]
    fn the_list_that_ships_bans_what_it_must() {
        let policy = Policy::parse(include_str!("../../../deny.toml"));
        for name in ["openssl", "openssl-sys", "native-tls", "ring", "rsa", "jsonwebtoken", "reqwest", "chrono"] {
            assert!(policy.banned.contains(name), "{name}");
        }
        assert!(policy.minimum.len() >= 5 && !policy.duplicates.is_empty());
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

//! Which crate may use which: arrows run down only, and the products never import one another.

use anyhow::{Context, Result};
use serde_json::Value;

/// From the bottom to the top; the crates of one row never use each other.
const ROWS: &[&[&str]] = &[
    &["kernel", "codes"],
    &["jose"],
    &["store"],
    &["record"],
    &["auth", "billing", "licensing", "flags"],
    &["access"],
    &["webhook"],
    // The router mounts the pages and assets of the console, never the other way round.
    &["console"],
    &["api"],
    &["bastionary"],
];

/// Tools of the house: they may use anything, and nothing that ships uses them.
const TOOLS: &[&str] = &["testkit", "xtask", "bench"];

/// The breaches in the output of `cargo metadata --no-deps`.
pub(crate) fn check(metadata: &str) -> Result<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata wrote no JSON")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata lists no packages")?;
    let mut breaches = Vec::new();
    for package in packages {
        let name = text(package, "name");
        if TOOLS.contains(&name) {
            continue;
        }
        let Some(row) = row(name) else {
            breaches.push(format!("crate `{name}` has no place in the order of crates; give it one in xtask::arrows"));
            continue;
        };
        let dependencies = package.get("dependencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        // `kind` is null for what ships; a development dependency may point anywhere.
        let ours = dependencies.iter().filter(|d| d.get("path").is_some_and(Value::is_string));
        for dependency in ours.filter(|d| text(d, "kind") != "dev") {
            let used = text(dependency, "name");
            if row_below(used, row) {
                continue;
            }
            breaches.push(format!("crate `{name}` must not use `{used}`: arrows run down only ({})", order()));
        }
    }
    Ok(breaches)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn row(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

fn row_below(name: &str, limit: usize) -> bool {
    row(name).is_some_and(|found| found < limit)
}

fn order() -> String {
    let rows: Vec<String> = ROWS.iter().rev().map(|row| row.join(", ")).collect();
    rows.join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(name: &str, used: &str, kind: Option<&str>) -> String {
        let dependency = serde_json::json!({"name": used, "kind": kind, "path": format!("/src/{used}")});
        serde_json::json!({"packages": [{"name": name, "dependencies": [dependency]}]}).to_string()
    }

    fn breaches(name: &str, used: &str, kind: Option<&str>) -> usize {
        check(&metadata(name, used, kind)).unwrap().len()
    }

    #[test]
    fn an_arrow_that_runs_up_or_sideways_is_refused() {
        assert_eq!(breaches("kernel", "store", None), 1);
        assert_eq!(breaches("auth", "billing", None), 1, "products never import one another");
        assert_eq!(breaches("console", "api", None), 1);
        assert_eq!(breaches("store", "testkit", None), 1, "no tool in what ships");
        assert_eq!(breaches("store", "record", Some("build")), 1);
    }

    #[test]
    fn an_arrow_that_runs_down_and_any_development_dependency_are_allowed() {
        assert_eq!(breaches("auth", "kernel", None), 0);
        assert_eq!(breaches("access", "billing", None), 0);
        assert_eq!(breaches("kernel", "testkit", Some("dev")), 0);
        assert_eq!(breaches("bench", "bastionary", None), 0);
    }

    #[test]
    fn a_crate_without_a_place_in_the_order_is_refused() {
        assert_eq!(breaches("surprise", "kernel", None), 1);
    }
}

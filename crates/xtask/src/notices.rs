//! `cargo xtask notices [--write]`: whose work the binary is made of, and under which licenses.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::openapi::Mode;
use crate::step;

const LIST: &str = "crates/console/notices.txt";
const ADVICE: &str = "crates/console/notices.txt does not name what is built in; `cargo xtask notices --write` does";

/// A line for each package of others in the binary: name, version, license, place, with tabs between them.
fn list() -> Result<String> {
    let format = "{p}\t{l}\t{r}";
    let edges = ["tree", "-p", "bastionary", "--edges", "normal", "--target", "x86_64-unknown-linux-gnu"];
    let rest = ["--prefix", "none", "--format", format];
    Ok(read(&step::output("cargo", &[edges.as_slice(), rest.as_slice()].concat())?))
}

fn read(tree: &str) -> String {
    let line = |line: &str| {
        let mut parts = line.split('\t');
        let package = parts.next()?;
        // our own crates have their path behind them
        if package.contains("(/") || package.contains("(file:") {
            return None;
        }
        let mut words = package.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.trim_start_matches('v'));
        let license = parts.next()?.trim();
        let place = parts.next().unwrap_or_default().trim_end_matches(" (*)").trim();
        Some(format!("{name}\t{version}\t{license}\t{place}\n"))
    };
    tree.lines().filter_map(line).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Compares the checked-in list with what is built in, or replaces it.
pub(crate) fn run(mode: Mode) -> Result<()> {
    match mode {
        Mode::Write => std::fs::write(LIST, list()?).context(LIST),
        Mode::Compare => check()?.map_or(Ok(()), |breach| bail!(breach)),
    }
}

/// The breach, when the checked-in list is another one.
pub(crate) fn check() -> Result<Option<String>> {
    let kept = std::fs::read_to_string(LIST).context(LIST)?;
    Ok((kept != list()?).then(|| ADVICE.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_others_are_listed_once_and_our_own_are_not() {
        let tree = "bastionary v1.0.0 (/somewhere/crates/server)\tApache-2.0\t\n\
                    axum v0.8.9\tMIT\thttps://example.com/axum\n\
                    serde_derive v1.0.229 (proc-macro)\tMIT OR Apache-2.0\thttps://example.com/serde (*)\n\
                    axum v0.8.9\tMIT\thttps://example.com/axum (*)\n";
        assert_eq!(
            read(tree),
            "axum\t0.8.9\tMIT\thttps://example.com/axum\n\
             serde_derive\t1.0.229\tMIT OR Apache-2.0\thttps://example.com/serde\n"
        );
    }
}

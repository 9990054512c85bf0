//! `--name value` pairs of a command line.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

/// The pairs, by name without dashes.
pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads pairs until the end.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut pairs = BTreeMap::new();
        for pair in words.chunks(2) {
            match pair {
                [name, value] if name.starts_with("--") => {
                    pairs.insert(name.trim_start_matches('-').to_owned(), (*value).to_owned());
                }
                _ => bail!("`{}` is not a `--name value` pair", pair.join(" ")),
            }
        }
        Ok(Self(pairs))
    }

    /// The text of a pair.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text of a pair that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        self.text(name).with_context(|| format!("--{name} is missing"))
    }

    /// The value of a pair, or what stands for it.
    pub(crate) fn value<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().with_context(|| format!("--{name}: `{text}` is not a valid value"))
    }
}

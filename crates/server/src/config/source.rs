//! Where configuration values come from, and the sentences about values that cannot be used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use kernel::secret::Secret;
use toml::{Table, Value};

use super::stray;
use crate::environment::PREFIX;

/// One key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key as written in the file, `section.key`.
    pub key: String,
    /// What is wrong with it; continues the sentence that begins with the key.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Why the configuration was refused: every problem found, not only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "`{}` {}. {}", problem.key, problem.what, problem.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A value and the place it was set in, for the error sentence.
struct Found {
    value: Value,
    place: String,
}

/// The layers of values, the keys that were asked for, and the problems met so far.
pub(super) struct Source<'a> {
    file: Table,
    env: &'a BTreeMap<String, String>,
    overrides: BTreeMap<&'static str, (&'static str, String)>,
    asked: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    /// Reads the file, if one is named.
    pub(super) fn open(file: Option<&Path>, env: &'a BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let file = match file {
            None => Table::new(),
            Some(path) => read(path)?,
        };
        Ok(Self { file, env, overrides: BTreeMap::new(), asked: BTreeSet::new(), problems: Vec::new() })
    }

    /// Puts a value of the command line over all others.
    pub(super) fn set(&mut self, key: &'static str, flag: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.overrides.insert(key, (flag, value));
        }
    }

    /// Adds a problem.
    pub(super) fn report(&mut self, key: &str, what: String, hint: &str) {
        self.problems.push(Problem { key: key.to_owned(), what, hint: hint.to_owned() });
    }

    /// Whether a problem with this key is already known.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.problems.iter().any(|p| p.key == key)
    }

    fn find(&mut self, key: &str) -> Option<Found> {
        self.asked.insert(key.to_owned());
        if let Some((flag, value)) = self.overrides.get(key) {
            return Some(Found { value: Value::String(value.clone()), place: (*flag).to_owned() });
        }
        let variable = variable(key);
        if let Some(value) = self.env.get(&variable).filter(|v| !v.is_empty()) {
            return Some(Found { value: Value::String(value.clone()), place: variable });
        }
        let value = match key.split_once('.') {
            None => self.file.get(key),
            Some((section, name)) => self.file.get(section).and_then(|s| s.get(name)),
        };
        value.map(|value| Found { value: value.clone(), place: "the configuration file".to_owned() })
    }

    fn refuse(&mut self, key: &str, found: &Found, form: &str) {
        let shown = shown(&found.value);
        let hint = format!("Accepted: {form}. The variable is {}.", variable(key));
        self.report(key, format!("= {shown} (from {}) cannot be used", found.place), &hint);
    }

    /// A text, `None` when it is not set.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.checked_text(key, "a text that is not empty", |t| !t.is_empty())
    }

    /// A text that must pass `check`.
    pub(super) fn checked_text(&mut self, key: &str, form: &str, check: impl Fn(&str) -> bool) -> Option<String> {
        let found = self.find(key)?;
        match found.value.as_str() {
            Some(text) if check(text) => Some(text.to_owned()),
            _ => {
                self.refuse(key, &found, form);
                None
            }
        }
    }

    /// A text that no error sentence may show.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret<String>> {
        let found = self.find(key)?;
        match found.value {
            Value::String(text) if !text.is_empty() => Some(Secret::new(text)),
            _ => {
                let hint = format!("Accepted: a text that is not empty. The variable is {}.", variable(key));
                self.report(key, format!("(from {}) is not a text", found.place), &hint);
                None
            }
        }
    }

    /// A value parsed from text, or the default.
    pub(super) fn parsed<T>(&mut self, key: &str, default: T, form: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(found) = self.find(key) else { return default };
        found.value.as_str().and_then(parse).unwrap_or_else(|| {
            self.refuse(key, &found, form);
            default
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(found) = self.find(key) else { return default };
        let value = match &found.value {
            Value::Boolean(value) => Some(*value),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        value.unwrap_or_else(|| {
            self.refuse(key, &found, "`true` or `false`");
            default
        })
    }

    /// A whole number within the range.
    pub(super) fn number(&mut self, key: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let Some(found) = self.find(key) else { return default };
        let value = match &found.value {
            Value::Integer(value) => u32::try_from(*value).ok(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        value.filter(|v| range.contains(v)).unwrap_or_else(|| {
            let form = format!("a whole number from {} to {}", range.start(), range.end());
            self.refuse(key, &found, &form);
            default
        })
    }

    /// A duration in whole seconds within the range.
    pub(super) fn seconds(&mut self, key: &str, default: u32, range: RangeInclusive<u32>) -> Duration {
        Duration::from_secs(u64::from(self.number(key, default, range)))
    }

    /// A list of texts or whole numbers; in a variable they are separated by commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Some(found) = self.find(key) else { return Vec::new() };
        let texts = match &found.value {
            Value::String(text) => {
                Some(text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect())
            }
            Value::Array(values) => values.iter().map(item).collect(),
            _ => None,
        };
        texts.unwrap_or_else(|| {
            self.refuse(key, &found, "a list; in a variable, texts separated by commas");
            Vec::new()
        })
    }

    /// Refuses keys of the file and variables that nothing asked for, and ends with all problems found.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        self.refuse_stray_variables();
        let mut unknown = Vec::new();
        for (name, value) in &self.file {
            let is_section = self.asked.iter().any(|k| k.split_once('.').is_some_and(|(s, _)| s == name));
            match value {
                Value::Table(table) if is_section => {
                    let keys = table.keys().map(|key| format!("{name}.{key}"));
                    unknown.extend(keys.filter(|key| !self.asked.contains(key)));
                }
                _ if is_section => unknown.push(name.clone()),
                _ if !self.asked.contains(name) => unknown.push(name.clone()),
                _ => {}
            }
        }
        for key in unknown {
            let section = key.split_once('.').map(|(section, _)| section.to_owned());
            let known = self
                .asked
                .iter()
                .filter(|k| k.split_once('.').map(|(s, _)| s) == section.as_deref())
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ");
            self.report(&key, "is not a known key".to_owned(), &format!("Known here: {known}."));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }

    /// A variable with a misspelled name would otherwise leave a default in force without a word.
    fn refuse_stray_variables(&mut self) {
        let known: BTreeSet<String> = self.asked.iter().map(|key| variable(key)).collect();
        let is_stray = |name: &str, value: &str| {
            let bare = name.strip_prefix(PREFIX);
            !known.contains(name) && bare.is_some_and(|bare| !stray::is_foreign(bare, value))
        };
        let env = self.env;
        for name in env.iter().filter(|(name, value)| is_stray(name, value)).map(|(name, _)| name) {
            let nearest = stray::nearest(name, known.iter()).map_or("", String::as_str);
            let hint = format!("The nearest known one is {nearest}. Correct the name, or remove the variable.");
            self.report(name, "is not a variable of the configuration".to_owned(), &hint);
        }
    }
}

/// An item of a list as text; `None` for what is neither text nor a whole number.
fn item(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_integer().map(|number| number.to_string()))
}

/// A value as it would be written in the file.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(_) => "a section".to_owned(),
    }
}

/// `limits.head_seconds` is `BASTIONARY_LIMITS_HEAD_SECONDS`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Problem {
        key: "--config".to_owned(),
        what: format!("names {shown}, which cannot be read: {error}"),
        hint: "Check the path and its permissions.".to_owned(),
    })?;
    // Only message and position: the parser's own display quotes the line, which may hold a secret.
    text.parse::<Table>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|b| *b == b'\n').count().saturating_add(1);
        ConfigError::from(Problem {
            key: "--config".to_owned(),
            what: format!("names {shown}, which is not TOML at line {line}: {}", error.message()),
            hint: "Correct that line; keys are `name = value`, sections are `[name]`.".to_owned(),
        })
    })
}

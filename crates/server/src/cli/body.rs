//! Bodies of requests: a JSON document from a file, with the flags that were given on top.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::remote::read_text;
use crate::failure::{Exit, Failure};

/// A body in a file.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct FromFile {
    /// JSON body of the request; `-` reads standard input; flags win over its members
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The body of a request as it is put together.
pub(crate) struct Body(Map<String, Value>);

impl FromFile {
    /// The members of the file, none without one.
    pub(crate) fn body(&self) -> Result<Body, Failure> {
        let Some(file) = &self.file else { return Ok(Body(Map::new())) };
        let text = read_text(file, "body")?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => Ok(Body(members)),
            Ok(_) => Err(not_object(file, &"it holds another kind of value")),
            Err(error) => Err(not_object(file, &error)),
        }
    }
}

fn not_object(file: &std::path::Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        format!("{} is not a JSON object", file.display()),
        why,
        "The members are those of the API; see /docs/api.",
    )
    .exit(Exit::Usage)
}

impl Body {
    /// Sets a member when the flag was given.
    pub(crate) fn set(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    /// Sets a member that `null` removes: the text `none` stands for it.
    pub(crate) fn set_or_null(&mut self, name: &str, value: Option<String>) {
        self.set(name, value.map(|text| if text == "none" { Value::Null } else { Value::String(text) }));
    }

    /// The same for a number; a word that is no number is the server's to refuse.
    pub(crate) fn set_number_or_null(&mut self, name: &str, value: Option<String>) {
        match value.as_deref().map(str::parse::<i64>) {
            Some(Ok(number)) => self.set(name, Some(number)),
            Some(Err(_)) => self.set_or_null(name, value),
            None => {}
        }
    }

    /// Sets a list from a repeated flag whose values may also be separated by spaces.
    pub(crate) fn set_list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            let items: Vec<Value> = values.iter().flat_map(|v| v.split_whitespace()).map(Value::from).collect();
            self.0.insert(name.to_owned(), items.into());
        }
    }

    /// The finished body.
    pub(crate) fn finish(self) -> Value {
        Value::Object(self.0)
    }
}

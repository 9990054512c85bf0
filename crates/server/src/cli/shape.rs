//! The four forms of output: a table for people, JSON, YAML, and bare ids for other commands.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::Value;

use crate::terminal;

/// The form of what a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Columns for people
    #[default]
    Table,
    /// The JSON of the API
    Json,
    /// The same as YAML
    Yaml,
    /// Ids only, one per line
    Id,
}

/// Members that name an object, the first one present wins.
const IDS: [&str; 7] = ["client_id", "id", "kid", "name", "slug", "tenant", "check"];

/// Prints an answer; a list is `{"data": […]}`.
pub(crate) fn print(value: &Value, shape: Shape, columns: &[&str]) {
    terminal::data(&render(value, shape, columns));
}

fn render(value: &Value, shape: Shape, columns: &[&str]) -> String {
    let items: Option<&Vec<Value>> = value.get("data").and_then(Value::as_array);
    match shape {
        Shape::Json => format!("{value:#}\n"),
        Shape::Yaml => {
            let mut out = String::new();
            yaml(value, 0, &mut out);
            out
        }
        Shape::Id => {
            let ids = items.map_or_else(|| vec![id(value)], |items| items.iter().map(id).collect());
            ids.into_iter().fold(String::new(), |out, id| {
                out + &id
                    + "
"
            })
        }
        Shape::Table => items.map_or_else(|| pairs(value), |items| table(items, columns)),
    }
}

/// The id of an object; a secret is found by its own id and not by that of its client.
fn id(value: &Value) -> String {
    let own =
        value.get("id").filter(|id| id.as_str().is_some_and(|id| id.starts_with("sec_") || id.starts_with("fam_")));
    own.or_else(|| IDS.iter().find_map(|name| value.get(name))).map(cell).unwrap_or_default()
}

/// A value in one cell: text as it is, lists by spaces, control characters made visible.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn table(items: &[Value], columns: &[&str]) -> String {
    let head: Vec<String> = columns.iter().map(|name| name.to_uppercase()).collect();
    let mut rows = vec![head];
    rows.extend(items.iter().map(|item| {
        columns.iter().map(|name| item.get(name).map_or_else(|| "-".to_owned(), cell)).collect::<Vec<_>>()
    }));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn pairs(value: &Value) -> String {
    let Value::Object(members) = value else { return format!("{}\n", cell(value)) };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in members {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "{name:width$}  {}", cell(value));
    }
    out
}

fn yaml(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let _ = write!(out, "{indent}{}:", scalar_text(name));
                nested(member, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "{indent}-");
                nested(item, depth, out);
            }
        }
        other => {
            let _ = writeln!(out, "{indent}{}", scalar(other));
        }
    }
}

fn nested(value: &Value, depth: usize, out: &mut String) {
    let is_block = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        yaml(value, depth.saturating_add(1), out);
    } else {
        let _ = writeln!(out, " {}", scalar(value));
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        // Empty lists and objects, numbers, true, false and null are the same in JSON and YAML.
        other => other.to_string(),
    }
}

/// Text without quotes only where no reader of YAML could take it for anything else.
fn scalar_text(text: &str) -> String {
    let is_plain = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    // A JSON string is a YAML double-quoted scalar.
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list() -> Value {
        json!({"data": [{"client_id": "a", "scopes": ["x", "y"], "name": "é\u{1b}[31m"}, {"client_id": "long"}],
               "has_more": false, "next_cursor": null})
    }

    #[test]
    fn a_table_aligns_its_columns_and_a_name_cannot_drive_the_terminal() {
        assert_eq!(
            render(&list(), Shape::Table, &["client_id", "name", "scopes"]),
            "CLIENT_ID  NAME    SCOPES\na          é\u{fffd}[31m  x y\nlong       -       -\n"
        );
    }

    #[test]
    fn ids_stand_alone_on_their_lines_and_a_secret_goes_by_its_own() {
        assert_eq!(render(&list(), Shape::Id, &[]), "a\nlong\n");
        assert_eq!(render(&json!({"client_id": "a", "id": "sec_1"}), Shape::Id, &[]), "sec_1\n");
        assert_eq!(render(&json!({"data": []}), Shape::Id, &[]), "");
    }

    #[test]
    fn yaml_quotes_whatever_could_be_read_as_something_else() {
        let value =
            json!({"a": {"b": [1, {"c": "no"}], "empty": {}}, "t": "2026-01-01T00:00:00Z", "n": null, "s": "x: y"});
        assert_eq!(
            render(&value, Shape::Yaml, &[]),
            "a:\n  b:\n    - 1\n    -\n      c: \"no\"\n  empty: {}\nt: \"2026-01-01T00:00:00Z\"\n\"n\": null\ns: \"x: y\"\n"
        );
    }
}

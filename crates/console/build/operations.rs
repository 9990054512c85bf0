//! The operations of the API, from its OpenAPI document, as a table that pages read.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::render::slug;

/// The text of the table.
///
/// # Errors
/// A sentence when the document is not one of OpenAPI.
pub(crate) fn table(document: &str) -> Result<String, Box<dyn std::error::Error>> {
    let document: Value = serde_json::from_str(document)?;
    let paths = document.get("paths").and_then(Value::as_object).ok_or("the OpenAPI document has no paths")?;
    let mut out = String::from("/// The operations of the API.\npub(crate) const OPERATIONS: &[Operation] = &[\n");
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap_or(&Map::new()) {
            let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
            let body = operation.pointer("/requestBody/content/application~1json/example");
            writeln!(out, "    Operation {{")?;
            writeln!(out, "        id: {:?},", text("operationId"))?;
            writeln!(out, "        method: {:?},", method.to_uppercase())?;
            writeln!(out, "        path: {path:?},")?;
            writeln!(out, "        summary: {:?},", text("summary"))?;
            writeln!(out, "        scope: {:?},", scope(operation))?;
            writeln!(out, "        command: {:?},", text("x-cli"))?;
            writeln!(out, "        body: {:?},", body.map(ToString::to_string))?;
            writeln!(out, "        anchor: {:?},", slug(text("summary")))?;
            writeln!(out, "    }},")?;
        }
    }
    out.push_str("];\n");
    Ok(out)
}

/// The scope that a token needs, empty for none.
fn scope(operation: &Value) -> &str {
    operation.pointer("/security/0/oauth2/0").and_then(Value::as_str).unwrap_or_default()
}

//! The chapter on the operations of the API, written from its OpenAPI document: what a reader, `mdbook` and the server
//! have in one form.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Where the chapter is.
pub(crate) const CHAPTER: &str = "docs/api.md";

/// What begins the chapter.
const HEAD: &str = "\
# Admin API operations

Paths are those of the tenant `default`; other tenants have the prefix `/t/{tenant}`. The rules that all operations \
share are in [Admin API conventions](api-conventions.md): bodies, lists, `Idempotency-Key`, entity tags, limits. For \
machines the same is at `GET /api/openapi.json`.

The scope `admin` includes all others. `TOKEN` is an access token with the scope of the operation. The command line \
takes its credentials from the [environment](cli.md#how-commands-reach-the-server). An error names its code, and each \
code has a [page](error-codes.md).
";

/// Chapters that say more about the operations of a tag.
const MORE: [(&str, &str); 15] = [
    (
        "oauth",
        "[Client credentials](client-credentials.md), [Refresh tokens](refresh-tokens.md), [Revocation and introspection](revocation-introspection.md)",
    ),
    ("metadata", "[Client authentication](client-authentication.md), [Verify tokens in your API](verify-tokens.md)"),
    ("clients", "[Clients](clients.md), [Refresh tokens](refresh-tokens.md#see-and-end-families)"),
    ("secrets", "[Secrets and rotation](secrets.md)"),
    ("apis", "[APIs and scopes](apis-scopes.md)"),
    ("keys", "[Signing keys](keys.md)"),
    ("tenants", "[Tenants](tenants.md)"),
    ("limits", "[Rate limits and quotas](limits.md)"),
    ("audit", "[Audit log](audit.md)"),
    ("webhooks", "[Webhooks](webhooks.md)"),
    ("customers", "[Customers](customers.md)"),
    ("features", "[Plans](plans.md#features)"),
    ("meters", "[Plans](plans.md#meters)"),
    ("plans", "[Plans](plans.md)"),
    ("subscriptions", "[Subscriptions](subscriptions.md)"),
];

/// Parameters that the head of the chapter speaks of.
const SHARED: [&str; 4] = ["Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id"];

/// The chapter for a document.
///
/// # Errors
/// When the document is not one of OpenAPI with what this server puts into it.
pub(crate) fn chapter(document: &Value) -> Result<String> {
    let mut out = HEAD.to_owned();
    let tags = document.get("tags").and_then(Value::as_array).context("the document has no tags")?;
    for tag in tags {
        let name = text(tag, "name");
        let _ = write!(out, "\n## {}\n\n{}.", titled(name), text(tag, "description"));
        if let Some((_, more)) = MORE.iter().find(|(known, _)| *known == name) {
            let _ = write!(out, " More: {more}.");
        }
        out.push('\n');
        for (path, item) in members(document.get("paths")) {
            for (method, operation) in members(Some(item)) {
                if operation.pointer("/tags/0").and_then(Value::as_str) == Some(name) {
                    write_operation(&mut out, document, (path.as_str(), method.as_str()), operation)?;
                }
            }
        }
    }
    write_objects(&mut out, document);
    Ok(out)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn titled(name: &str) -> String {
    match name {
        "oauth" => "OAuth".to_owned(),
        "apis" => "APIs and scopes".to_owned(),
        "about" => "About the server".to_owned(),
        other => {
            let mut letters = other.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

/// What a `$ref` names, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn name_of(value: &Value) -> Option<&str> {
    value.get("$ref").and_then(Value::as_str).and_then(|target| target.rsplit('/').next())
}

fn write_operation(out: &mut String, document: &Value, (path, method): (&str, &str), operation: &Value) -> Result<()> {
    let summary = operation.get("summary").and_then(Value::as_str).context("an operation has no summary")?;
    let method = method.to_uppercase();
    let _ = writeln!(out, "\n### {summary}\n\n`{method} {path}` · {}\n", needs(operation));
    let described = text(operation, "description");
    if !described.is_empty() {
        let _ = writeln!(out, "{described}\n");
    }
    let all = operation.get("parameters").and_then(Value::as_array);
    let all: Vec<&Value> = all.into_iter().flatten().map(|parameter| resolved(document, parameter)).collect();
    let own: Vec<&Value> = all.iter().copied().filter(|one| !SHARED.contains(&text(one, "name"))).collect();
    if !own.is_empty() {
        out.push_str("| Parameter | In | What |\n|---|---|---|\n");
        for one in own {
            let _ = writeln!(out, "| `{}` | {} | {} |", text(one, "name"), text(one, "in"), text(one, "description"));
        }
        out.push('\n');
    }
    let takes: Vec<String> = all
        .iter()
        .map(|one| text(one, "name"))
        .filter(|name| SHARED.contains(name) && *name != "X-Request-Id")
        .map(|name| format!("`{name}`"))
        .collect();
    if !takes.is_empty() {
        let _ = writeln!(out, "Takes {}.\n", takes.join(" and "));
    }
    write_body(out, document, operation);
    out.push_str("<!-- not run: the suite sends every example with objects that exist -->\n```sh\n");
    let query: Vec<String> =
        all.iter().filter_map(|one| Some(format!("{}={}", text(one, "name"), one.get("example")?))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    out.push_str(&curl(&method, &format!("{path}{query}"), operation));
    out.push_str("\n```\n");
    let command = text(operation, "x-cli");
    if !command.is_empty() {
        let _ = writeln!(out, "\n```text\n{command}\n```");
    }
    write_answers(out, document, operation);
    Ok(())
}

/// How a caller of the operation authenticates.
fn needs(operation: &Value) -> String {
    let first = operation.pointer("/security/0");
    match first.and_then(|way| way.get("oauth2")).and_then(|scopes| scopes.get(0)).and_then(Value::as_str) {
        Some(scope) => format!("scope `{scope}`"),
        None if first.is_some_and(|way| way.get("oauth2").is_some()) => "any token".to_owned(),
        None if first.is_some_and(|way| way.get("basic").is_some()) => "the client's credentials".to_owned(),
        None => "no token".to_owned(),
    }
}

/// The first medium of the body and what it holds.
fn media(operation: &Value) -> Option<(&String, &Value)> {
    members(operation.pointer("/requestBody/content")).next()
}

fn write_body(out: &mut String, document: &Value, operation: &Value) {
    let Some((_, media)) = media(operation) else { return };
    let Some(schema) = media.get("schema").map(|schema| resolved(document, schema)) else { return };
    write_fields(out, document, schema, &required(schema));
    out.push('\n');
}

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The fields of an object as a table; the fields of `must` are marked as required.
fn write_fields(out: &mut String, document: &Value, schema: &Value, must: &[&str]) {
    out.push_str("| Field | Type | What |\n|---|---|---|\n");
    for (name, field) in members(schema.get("properties")) {
        let mark = if must.contains(&name.as_str()) { "Required. " } else { "" };
        let what = format!("{mark}{}", text(field, "description"));
        let _ = writeln!(out, "| `{name}` | {} | {} |", kind(document, field), what.trim());
    }
}

/// A link to the table of an object, or of what a list holds.
fn object(name: &str) -> String {
    match name.strip_suffix("List") {
        Some(item) => format!("list of {}", object(item)),
        None => format!("[{name}](#{}-object)", name.to_lowercase()),
    }
}

/// The type of a field in words.
fn kind(document: &Value, schema: &Value) -> String {
    if let Some(name) = name_of(schema) {
        return match resolved(document, schema).get("enum") {
            Some(_) => kind(document, resolved(document, schema)),
            None => object(name),
        };
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        return choices.iter().map(|choice| kind(document, choice)).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let base = text(schema, "type");
    match base {
        "array" => format!("list of {}", schema.get("items").map(|items| kind(document, items)).unwrap_or_default()),
        "string" if text(schema, "format") == "date-time" => "time".to_owned(),
        "string" => "text".to_owned(),
        "integer" => match (schema.get("minimum"), schema.get("maximum")) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            (Some(low), None) => format!("integer from {low}"),
            _ => "integer".to_owned(),
        },
        other => other.to_owned(),
    }
}

fn curl(method: &str, path: &str, operation: &Value) -> String {
    let mut out = format!("curl -s http://127.0.0.1:8080{path}");
    match (method, media(operation).is_some()) {
        ("GET", _) | ("POST", true) => {}
        _ => {
            let _ = write!(out, " -X {method}");
        }
    }
    match needs(operation).as_str() {
        "no token" => {}
        "the client's credentials" => out.push_str(" \\\n  -u \"$CLIENT_ID:$CLIENT_SECRET\""),
        _ => out.push_str(" \\\n  -H \"Authorization: Bearer $TOKEN\""),
    }
    if let Some((kind, media)) = media(operation) {
        let example = media.get("example").unwrap_or(&Value::Null);
        if kind == "application/x-www-form-urlencoded" {
            for (name, value) in members(Some(example)) {
                let _ = write!(out, " \\\n  -d {name}={}", value.as_str().unwrap_or_default());
            }
        } else {
            let _ = write!(out, " \\\n  -H 'Content-Type: application/json' -d '{example}'");
        }
    }
    out
}

fn write_answers(out: &mut String, document: &Value, operation: &Value) {
    let mut good = Vec::new();
    // Statuses that come with the same codes stand together.
    let mut refused: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (status, answer) in members(operation.get("responses")) {
        let answer = resolved(document, answer);
        if status.starts_with(['4', '5']) {
            let codes = answer.get("x-codes").and_then(Value::as_array).into_iter().flatten();
            let codes: Vec<String> =
                codes.filter_map(Value::as_str).map(|code| format!("[`{code}`](/errors/{code})")).collect();
            match refused.iter_mut().find(|(_, known)| *known == codes) {
                Some((statuses, _)) => statuses.push(status),
                None => refused.push((vec![status], codes)),
            }
            continue;
        }
        let schema = members(answer.get("content")).next().and_then(|(_, media)| media.get("schema"));
        let object = schema.and_then(name_of).map(|name| format!(", {}", object(name)));
        let what = text(answer, "description").trim_end_matches('.');
        good.push(format!("{status}: {what}{}", object.unwrap_or_default()));
    }
    let refused: Vec<String> =
        refused.iter().map(|(statuses, codes)| format!("{} {}", statuses.join(" or "), codes.join(", "))).collect();
    let _ = writeln!(out, "\nAnswers {}.\n\nRefusals: {}.", good.join("; "), refused.join("; "));
}

fn write_objects(out: &mut String, document: &Value) {
    out.push_str("\n## Objects\n\nA list is `data`, `has_more` and `next_cursor`.\n");
    let bodies: Vec<&str> = members(document.get("paths"))
        .flat_map(|(_, item)| members(Some(item)))
        .filter_map(|(_, operation)| media(operation)?.1.get("schema").and_then(name_of))
        .collect();
    let is_listed = |name: &str| !name.ends_with("List") && !bodies.contains(&name);
    for (name, schema) in members(document.pointer("/components/schemas")).filter(|(name, _)| is_listed(name)) {
        if schema.get("enum").is_some() {
            continue;
        }
        let _ = writeln!(out, "\n### {name} object\n");
        if schema.get("properties").is_some() {
            // In an answer every field is there; what a request may leave out is worth a word.
            let is_sent = schema.get("additionalProperties").is_some();
            write_fields(out, document, schema, if is_sent { required(schema) } else { Vec::new() }.as_slice());
        } else {
            let described = text(schema, "description");
            let _ =
                writeln!(out, "{}", if described.is_empty() { kind(document, schema) } else { described.to_owned() });
        }
    }
}

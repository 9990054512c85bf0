//! The OpenAPI 3.1 document of the server, built from the list of routes and from schemas written by hand.
//!
//! The schemas describe the wire and not our structs, so a renamed field in the code never renames one outside.

mod component;
mod example;
mod oauth;
mod people;
mod schema;

use serde_json::{Map, Value, json};

use crate::route::{ROUTES, Route};

/// The document for an issuer without a trailing slash; paths are below it.
pub fn document(issuer: &str) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        add(&mut paths, route.path, route.method.key(), operation(route));
    }
    oauth::add_paths(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bastionary",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "OAuth 2.0 client credentials and their administration",
            "description": "Every tenant but `default` has the same paths below `/t/{tenant}`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "servers": [{"url": issuer}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schema::all(),
            "parameters": component::parameters(),
            "headers": component::headers(),
            "responses": component::responses(),
            "securitySchemes": component::security_schemes(issuer)
        }
    })
}

fn tags() -> Value {
    json!([
        {"name": "oauth", "description": "Tokens: issue, introspect, revoke"},
        {"name": "metadata", "description": "Documents for clients and resource servers"},
        {"name": "clients", "description": "Clients, their secrets and their tokens"},
        {"name": "secrets", "description": "Secrets of all clients"},
        {"name": "apis", "description": "APIs and their scopes"},
        {"name": "keys", "description": "Signing keys"},
        {"name": "tenants", "description": "Tenants, at the tenant `default` alone"},
        {"name": "operators", "description": "People who sign in to the console, their sessions and invitations"},
        {"name": "limits", "description": "Limits of requests"},
        {"name": "clock", "description": "The business time of a tenant, which a sandbox moves forward"},
        {"name": "audit", "description": "What was changed, issued and refused, with proofs"},
        {"name": "events", "description": "What others hear of"},
        {"name": "webhooks", "description": "Endpoints that events are posted to, and their deliveries"},
        {"name": "customers", "description": "Who pays, and what it may do"},
        {"name": "features", "description": "What plans grant"},
        {"name": "meters", "description": "How usage is counted"},
        {"name": "plans", "description": "Versions of plans: terms, prices, what they grant"},
        {"name": "subscriptions", "description": "Who has which plan, and what became of it"},
        {"name": "usage", "description": "What was used, what is held, and what may be"},
        {"name": "about", "description": "The server about itself"}
    ])
}

fn add(paths: &mut Map<String, Value>, path: &str, key: &str, operation: Value) {
    let item = paths.entry(path.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(item) = item {
        item.insert(key.to_owned(), operation);
    }
}

/// The tag of a route: the segment after `/api`.
fn tag(route: &Route) -> &'static str {
    const TAGS: [&str; 17] = [
        "clients",
        "secrets",
        "apis",
        "keys",
        "tenants",
        "operators",
        "limits",
        "clock",
        "audit",
        "events",
        "webhooks",
        "customers",
        "features",
        "meters",
        "plans",
        "subscriptions",
        "usage",
    ];
    if ["/api/check", "/api/v1/events"].contains(&route.path) {
        return "usage";
    }
    route.path.split('/').nth(2).filter(|segment| TAGS.contains(segment)).unwrap_or("about")
}

fn operation(route: &Route) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), route.operation_id.into());
    operation.insert("summary".to_owned(), route.summary.into());
    if route.default_tenant_only {
        operation.insert("description".to_owned(), "Exists at the tenant `default` alone.".into());
    }
    operation.insert("tags".to_owned(), json!([tag(route)]));
    operation.insert("x-cli".to_owned(), example::command(route).into());
    operation.insert("security".to_owned(), security(route));
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(schema) = route.request {
        let kind = if schema.ends_with("Patch") { "application/merge-patch+json" } else { "application/json" };
        let reference = format!("#/components/schemas/{schema}");
        let media = json!({"schema": {"$ref": reference}, "example": example::body(route.operation_id)});
        let mut content = Map::new();
        if route.raw {
            let batch = json!({"schema": {"type": "array", "items": {"$ref": reference}, "maxItems": 10_000}});
            let lines = json!({"schema": {"type": "string", "description": "One event on each line."}});
            content.insert("application/json".to_owned(), media.clone());
            content.insert("application/cloudevents+json".to_owned(), media);
            content.insert("application/cloudevents-batch+json".to_owned(), batch);
            content.insert("application/x-ndjson".to_owned(), lines);
        } else {
            content.insert("application/json".to_owned(), media.clone());
            content.insert(kind.to_owned(), media);
        }
        // Every field of a creation is optional, and so is the body of an operation that has only options.
        operation.insert("requestBody".to_owned(), json!({"required": false, "content": content}));
    }
    operation.insert("responses".to_owned(), responses(route));
    Value::Object(operation)
}

fn security(route: &Route) -> Value {
    match (route.public, route.scope) {
        (true, _) => json!([]),
        (false, Some(scope)) => json!([{"oauth2": [scope]}, {"bearer": []}]),
        (false, None) => json!([{"oauth2": []}, {"bearer": []}]),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut list: Vec<Value> =
        route.path_parameters().map(|name| component::path_parameter(route.path, name)).collect();
    let reference = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    // one name, another list of states
    let of_delivery = |name: &str| name == "status" && route.operation_id == "listDeliveries";
    list.extend(route.query.iter().map(|name| reference(if of_delivery(name) { "delivery_status" } else { name })));
    if route.idempotent {
        list.push(reference("Idempotency-Key"));
    }
    if route.conditional {
        list.push(reference(if route.idempotent { "If-Match" } else { "If-None-Match" }));
    }
    if route.response == Some("EventStream") {
        list.push(reference("Last-Event-ID"));
    }
    list.push(reference("X-Request-Id"));
    list
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let description = match route.status {
        201 => "Created.",
        202 => "Taken on; it is done in the background.",
        204 => "Done; the answer has no body.",
        _ => "Done.",
    };
    responses.insert(route.status.to_string(), success(route, description));
    if route.operation_id == "rotateKey" {
        let description = "The staged key does not sign yet; `promotes_at` says when it will.";
        responses.insert("202".to_owned(), success(route, description));
    }
    if route.operation_id == "resendDeliveries" {
        let description = "How many it would be; the answer to a dry run.";
        responses.insert("200".to_owned(), success(route, description));
    }
    if route.conditional && !route.idempotent {
        responses.insert("304".to_owned(), json!({"description": "The object has not changed."}));
    }
    let mut refuse = |status: u16, when: bool| {
        if when {
            let name = format!("#/components/responses/{status}");
            responses.insert(status.to_string(), json!({"$ref": name}));
        }
    };
    let in_path = route.path.contains('{');
    // A query, a header or a body that is not taken can come with any operation.
    refuse(400, true);
    refuse(401, !route.public);
    refuse(403, route.scope.is_some());
    // The query of a proof names a leaf or a size, and others a customer, as a path names an object.
    let names_object = [
        "getAuditProof",
        "check",
        "correctUsage",
        "reserveUsage",
        "listUsageEvents",
        "listUsageRejections",
        "listBackfills",
        "createBackfill",
    ]
    .contains(&route.operation_id)
        || route.query.contains(&"customer_id");
    refuse(404, in_path || route.default_tenant_only || names_object);
    refuse(409, route.idempotent);
    refuse(412, route.conditional && route.idempotent);
    refuse(413, route.request.is_some());
    refuse(415, route.request.is_some());
    refuse(422, route.request.is_some() || route.idempotent);
    refuse(429, true);
    refuse(503, true);
    Value::Object(responses)
}

fn success(route: &Route, description: &str) -> Value {
    let header = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    let mut headers = Map::new();
    for name in ["X-Request-Id", "RateLimit", "RateLimit-Policy"] {
        headers.insert(name.to_owned(), header(name));
    }
    if route.status == 201 {
        headers.insert("Location".to_owned(), header("Location"));
    }
    // these say more than their version does, and are never left out of an answer for it
    let is_tagged = ["getWebhook", "getCustomer", "getSubscription"].contains(&route.operation_id);
    if (route.conditional || is_tagged) && route.response.is_some() {
        headers.insert("ETag".to_owned(), header("ETag"));
    }
    if route.idempotent {
        headers.insert("Idempotent-Replayed".to_owned(), header("Idempotent-Replayed"));
    }
    if route.query.contains(&"cursor") {
        headers.insert("Link".to_owned(), header("Link"));
    }
    let mut response = Map::new();
    response.insert("description".to_owned(), description.into());
    response.insert("headers".to_owned(), headers.into());
    if let Some(schema) = route.response {
        let media = if schema == "EventStream" { "text/event-stream" } else { "application/json" };
        response.insert("content".to_owned(), content(media, schema));
    }
    Value::Object(response)
}

/// A body of one media type and schema.
fn content(media: &str, schema: &str) -> Value {
    json!({media: {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

#[cfg(test)]
mod tests;

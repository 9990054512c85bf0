use std::collections::HashSet;

use super::*;

fn built() -> Value {
    document("https://id.example")
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut list = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            list.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    list
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                found.push(target.clone());
            }
            members.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves() {
    let document = built();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} is not in the document");
    }
}

#[test]
fn every_component_is_used() {
    let document = built();
    let mut found = Vec::new();
    references(&document, &mut found);
    let used: HashSet<_> = found.into_iter().collect();
    for kind in ["schemas", "parameters", "headers", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "{kind}/{name} is not used");
        }
    }
}

#[test]
fn every_route_has_its_operation_and_its_scope() {
    let document = built();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.key()];
        assert_eq!(operation["operationId"], route.operation_id);
        if let Some(scope) = route.scope {
            assert_eq!(operation["security"][0]["oauth2"][0], scope);
            assert!(operation["responses"]["403"].is_object());
        }
        let success = &operation["responses"][route.status.to_string()];
        assert_eq!(success["content"].is_object(), route.response.is_some(), "{}", route.operation_id);
        let statuses = operation["responses"].as_object().unwrap();
        assert_eq!(statuses.contains_key("401"), !route.public);
        assert_eq!(statuses.contains_key("413"), route.request.is_some());
    }
}

#[test]
fn operation_ids_are_unique_and_tags_are_declared() {
    let document = built();
    let tags: HashSet<_> = document["tags"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
    let mut seen = HashSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(seen.insert(operation["operationId"].clone()), "{method} {path}");
        assert!(tags.contains(&operation["tags"][0]), "{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{method} {path}");
    }
    for path in ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"] {
        assert!(document["paths"][path]["post"].is_object(), "{path}");
    }
}

#[test]
fn the_parameters_of_a_path_are_those_in_its_braces() {
    let document = built();
    for (path, method, operation) in operations(&document) {
        let declared: Vec<_> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p["in"] == "path")
            .map(|p| p["name"].as_str().unwrap().to_owned())
            .collect();
        let in_path: Vec<_> = path
            .split('/')
            .filter_map(|s| s.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')))
            .map(str::to_owned)
            .collect();
        assert_eq!(declared, in_path, "{method} {path}");
    }
}

#[test]
fn the_schema_of_a_request_refuses_unknown_fields_and_required_fields_exist() {
    let document = built();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (route, name) in ROUTES.iter().filter_map(|route| Some((route, route.request?))) {
        // what another specification owns keeps what it does not list
        assert_eq!(schemas[name]["additionalProperties"], route.raw, "{name}");
    }
    for (name, schema) in schemas {
        for field in schema["required"].as_array().into_iter().flatten() {
            let field = field.as_str().unwrap();
            assert!(!schema["properties"][field].is_null(), "{name}.{field}");
        }
    }
}

#[test]
fn a_client_is_described_with_the_fields_that_were_promised() {
    let document = built();
    let fields = |name: &str| document["components"]["schemas"][name]["properties"].as_object().unwrap().clone();
    let create = fields("ClientCreate");
    for field in ["client_id", "client_secret", "scopes", "expiry", "name", "grant_types", "introspects", "metadata"] {
        assert!(create.contains_key(field), "{field}");
    }
    for later in ["jwks", "jwks_uri", "assertion_audience", "require_dpop", "profile"] {
        assert!(!create.contains_key(later), "{later}");
    }
    assert!(!fields("Client").contains_key("client_secret"));
    assert!(fields("ClientCreated").contains_key("client_secret"));
    let patch = fields("ClientPatch");
    assert!(!patch.contains_key("client_id") && !patch.contains_key("client_secret"));
    for field in patch.keys() {
        assert!(create.contains_key(field), "{field}");
    }
}

#[test]
fn the_document_names_its_issuer() {
    let document = built();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "https://id.example");
    let flow = &document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"];
    assert_eq!(flow["tokenUrl"], "https://id.example/oauth2/token");
    assert_eq!(flow["scopes"].as_object().unwrap().len(), auth::catalog::MANAGEMENT_SCOPES.len());
}

//! The OAuth endpoints and metadata documents, which are no part of the list of routes.

use serde_json::{Map, Value, json};

use super::{add, content};

/// Adds the paths.
pub(super) fn add_paths(paths: &mut Map<String, Value>) {
    let token = endpoint(
        ("issueToken", "Issue an access token"),
        &json!({
            "type": "object",
            "required": ["grant_type"],
            "properties": {
                "grant_type": {"type": "string", "enum": ["client_credentials", "refresh_token"]},
                "scope": {"type": "string", "description": "Scopes, separated by spaces."},
                "resource": {"type": "array", "items": {"type": "string", "format": "uri"}},
                "refresh_token": {"type": "string"},
                "client_id": {"type": "string"},
                "client_secret": {"type": "string", "format": "password"}
            }
        }),
        Some("TokenAnswer"),
    );
    add(paths, "/oauth2/token", "post", token);
    let one_token = json!({
        "type": "object",
        "required": ["token"],
        "properties": {
            "token": {"type": "string"},
            "token_type_hint": {"type": "string", "enum": ["access_token", "refresh_token"]},
            "client_id": {"type": "string"},
            "client_secret": {"type": "string", "format": "password"}
        }
    });
    let revoke = endpoint(("revokeToken", "Revoke a token (RFC 7009)"), &one_token, None);
    add(paths, "/oauth2/revoke", "post", revoke);
    let introspect =
        endpoint(("introspectToken", "Tell what a token is (RFC 7662)"), &one_token, Some("IntrospectionAnswer"));
    add(paths, "/oauth2/introspect", "post", introspect);
    for (path, operation_id, summary, schema) in [
        (
            "/.well-known/oauth-authorization-server",
            "getAuthorizationServerMetadata",
            "Read the metadata of the issuer (RFC 8414)",
            "AuthorizationServerMetadata",
        ),
        (
            "/.well-known/openid-configuration",
            "getOpenidConfiguration",
            "Read the same metadata at the path that OpenID Connect clients know",
            "AuthorizationServerMetadata",
        ),
        ("/.well-known/jwks.json", "getJwks", "Read the public signing keys (RFC 7517)", "JwkSet"),
        (
            "/.well-known/oauth-protected-resource/api",
            "getApiMetadata",
            "Read the metadata of the admin API (RFC 9728)",
            "ProtectedResourceMetadata",
        ),
    ] {
        let media = if schema == "JwkSet" { "application/jwk-set+json" } else { "application/json" };
        let parameter = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
        let header = |name: &str| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
        let (mut parameters, mut headers) = (vec![parameter("X-Request-Id")], vec![header("X-Request-Id")]);
        let mut responses = Map::new();
        // The keys are fetched again and again, so they alone have a version.
        if schema == "JwkSet" {
            parameters.push(parameter("If-None-Match"));
            headers.push(header("ETag"));
            responses.insert("304".to_owned(), json!({"description": "The keys have not changed."}));
        }
        let headers: Map<_, _> = headers.into_iter().collect();
        let done = json!({"description": "Done.", "headers": headers, "content": content(media, schema)});
        responses.insert("200".to_owned(), done);
        responses.insert("503".to_owned(), json!({"$ref": "#/components/responses/503"}));
        let operation = json!({
            "operationId": operation_id,
            "summary": summary,
            "tags": ["metadata"],
            "security": [],
            "parameters": parameters,
            "responses": responses
        });
        add(paths, path, "get", operation);
    }
}

fn endpoint((operation_id, summary): (&str, &str), form: &Value, answer: Option<&str>) -> Value {
    // The empty requirement: the client id and secret may stand in the body instead.
    let mut security = vec![json!({"basic": []}), json!({})];
    if operation_id == "introspectToken" {
        security.extend([json!({"oauth2": ["tokens:introspect"]}), json!({"bearer": []})]);
    }
    let mut done = Map::new();
    done.insert("description".to_owned(), "Done.".into());
    let header = |name: &str| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    let headers: Map<_, _> = ["X-Request-Id", "RateLimit", "RateLimit-Policy"].into_iter().map(header).collect();
    done.insert("headers".to_owned(), headers.into());
    if let Some(schema) = answer {
        done.insert("content".to_owned(), content("application/json", schema));
    }
    let example = match operation_id {
        "issueToken" => json!({"grant_type": "client_credentials", "scope": "invoices:read"}),
        _ => json!({"token": "ACCESS_TOKEN"}),
    };
    let mut operation = json!({
        "operationId": operation_id,
        "summary": summary,
        "tags": ["oauth"],
        "security": security,
        "parameters": [{"$ref": "#/components/parameters/X-Request-Id"}],
        "requestBody": {
            "required": true,
            "content": {"application/x-www-form-urlencoded": {"schema": form, "example": example}}
        },
        "responses": {
            "200": done,
            "400": {"$ref": "#/components/responses/OauthError"},
            "401": {"$ref": "#/components/responses/OauthUnauthorized"},
            "413": {"$ref": "#/components/responses/OauthError"},
            "429": {"$ref": "#/components/responses/OauthBusy"},
            "503": {"$ref": "#/components/responses/OauthBusy"}
        }
    });
    if let (Value::Object(members), "issueToken") = (&mut operation, operation_id) {
        members.insert("x-cli".to_owned(), "bastionary token get --scope invoices:read".into());
    }
    operation
}

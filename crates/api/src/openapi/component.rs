//! Parameters, headers, refusals and security schemes that operations refer to.

use billing::usage::backfill::MAX_PARTS;
use billing::window::Size;
use serde_json::{Map, Value, json};

use super::schema::{integer, one_of, ranged, text, time};

fn parameter(place: &str, name: &str, description: &str, schema: Value) -> (String, Value) {
    let mut parameter = Map::new();
    parameter.insert("name".to_owned(), name.into());
    parameter.insert("in".to_owned(), place.into());
    parameter.insert("description".to_owned(), description.into());
    parameter.insert("schema".to_owned(), schema);
    (name.to_owned(), Value::Object(parameter))
}

fn query(name: &str, description: &str, schema: Value) -> (String, Value) {
    parameter("query", name, description, schema)
}

/// The same with the value that examples send, for a query without which an operation means nothing.
fn with_example((name, mut parameter): (String, Value), value: impl Into<Value>) -> (String, Value) {
    if let Value::Object(members) = &mut parameter {
        members.insert("example".to_owned(), value.into());
    }
    (name, parameter)
}

fn header(name: &str, description: &str, schema: Value) -> (String, Value) {
    parameter("header", name, description, schema)
}

/// A parameter of the path.
pub(super) fn path_parameter(path: &str, name: &str) -> Value {
    let (description, schema) = match name {
        "client_id" => ("Public id of the client.", json!({"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,128}$"})),
        "slug" => ("Slug of the tenant.", json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"})),
        "kid" => ("RFC 7638 thumbprint of the key.", text()),
        "name" => ("Name of the scope, percent-encoded.", text()),
        "event_id" => ("Id of the event.", id("evt")),
        "webhook_id" => ("Id of the endpoint.", id("whe")),
        "delivery_id" => ("Id of the delivery.", id("dlv")),
        "customer_id" => ("Id of the customer, or the `external_id` that it was given.", text()),
        "feature_id" => ("Id of the feature.", id("fea")),
        "meter_id" => ("Id of the version of the meter.", id("mtr")),
        "plan_id" => ("Id of the version of the plan.", id("pln")),
        "subscription_id" => ("Id of the subscription.", id("sub")),
        "backfill_id" => ("Id of the backfill.", id("bkf")),
        "reservation_id" => ("Id of the reservation.", id("rsv")),
        "operator_id" => ("Id of the operator.", id("op")),
        _ if path.contains("/sessions/") => ("Id of the session.", id("ses")),
        _ if path.contains("/invitations/") => ("Id of the invitation.", id("lnk")),
        _ if path.contains("/secrets/") => ("Id of the secret.", id("sec")),
        _ if path.contains("/token-families/") => ("Id of the refresh family.", id("fam")),
        _ => ("Id of the API.", id("api")),
    };
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
}

/// The schema of a generated id.
pub(super) fn id(prefix: &str) -> Value {
    json!({"type": "string", "pattern": format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$")})
}

/// Parameters by name.
pub(super) fn parameters() -> Value {
    let list = [
        query("limit", "Items of a page.", json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50})),
        query("cursor", "`next_cursor` of the page before.", text()),
        query(
            "sort",
            "Order, with `-` in front for the last first.",
            json!({"type": "string", "pattern": "^-?(created_at|name|status|expiry)$", "default": "-created_at"}),
        ),
        query("status", "Clients in this state.", json!({"type": "string", "enum": ["active", "expired", "disabled"]})),
        query("scope", "Clients that may request this scope.", text()),
        query("q", "Beginning of a name, of a client an id too, in any letter case.", text()),
        query("unused_since", "Secrets that were not used since then.", time()),
        query("revoke_tokens", "Whether the tokens it got end too.", json!({"type": "boolean", "default": false})),
        query("actor", "Who acted, for example `client:ops`.", text()),
        query("action", "What was done, for example `client.created`.", text()),
        query("object_kind", "Kind of the object, for example `client`.", text()),
        query("object_id", "Public id of the object.", text()),
        query("from", "Not before.", time()),
        query("to", "Before.", time()),
        query("client_id", "Entries of this client.", text()),
        query("jti", "The entry of this token.", text()),
        query("outcome", "Issued or refused.", json!({"type": "string", "enum": ["issued", "refused"]})),
        query("types", "Types of events between commas; `client.*` for all that begin so.", text()),
        query("customer_id", "What concerns this customer.", text()),
        (
            "delivery_status".to_owned(),
            query("status", "Deliveries in this state.", one_of(&["pending", "delivered", "failed", "canceled"])).1,
        ),
        query("type", "Deliveries of these types of events, between commas; `client.*` for all that begin so.", text()),
        query("dry_run", "Only count.", json!({"type": "boolean", "default": false})),
        query("after", "Begin after this event, as with Last-Event-ID.", id("evt")),
        with_example(query("leaf", "Index of a leaf of the tree.", integer(0)), 0),
        query(
            "atomic",
            "Whether one event that is refused keeps all from being stored.",
            json!({"type": "boolean", "default": false}),
        ),
        with_example(query("meter", "Key of the meter.", text()), "api-calls"),
        query(
            "window",
            "Length of the windows; without it, one of the whole time.",
            one_of(&Size::ALL.map(Size::name)),
        ),
        query("timezone", "IANA name of the zone of days and months; the customer's when not given.", text()),
        with_example(query("number", "Which part of the backfill this is.", ranged(1, MAX_PARTS)), 1),
        query("group_by", "Dimensions of the meter, between commas.", text()),
        query("from_size", "Size of an older tree.", integer(0)),
        header(
            "Idempotency-Key",
            "A repeat within 24 hours with the same key and body gets the same answer.",
            json!({"type": "string", "minLength": 1, "maxLength": 255}),
        ),
        header("Last-Event-ID", "Go on after this event.", id("evt")),
        header("If-Match", "Change only this version; otherwise 412.", text()),
        header("If-None-Match", "Answer 304 when this is still the version.", text()),
        header(
            "X-Request-Id",
            "Comes back with the answer, as `traceparent` does.",
            json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
        ),
    ];
    Value::Object(list.into_iter().collect())
}

/// Headers of answers by name.
pub(super) fn headers() -> Value {
    json!({
        "X-Request-Id": {"description": "The id of the request.", "schema": {"type": "string"}},
        "Location": {"description": "Path of the new object.", "schema": {"type": "string"}},
        "ETag": {"description": "The version of the object, strong.", "schema": {"type": "string"}},
        "Idempotent-Replayed": {"description": "`true` when this is the kept answer of an earlier request.", "schema": {"const": "true"}},
        "Link": {"description": "The next page of the list (RFC 8288), when there is one.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
        "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
        "RateLimit-Policy": {"description": "The limits that hold for the caller.", "schema": {"type": "string"}},
        "RateLimit": {"description": "What is left of them.", "schema": {"type": "string"}}
    })
}

/// Refusals by status.
pub(super) fn responses() -> Value {
    let list = [
        (400, "The request is malformed: JSON, cursor, query or header.", None),
        (401, "There is no valid token for this API.", Some("WWW-Authenticate")),
        (403, "The token lacks the scope.", Some("WWW-Authenticate")),
        (404, "There is no such object in this tenant.", None),
        (409, "The id is taken, a limit is reached, or the same request is running.", None),
        (412, "The object has changed meanwhile.", None),
        (413, "The body is larger than 1 MiB.", None),
        (415, "The body is not JSON.", None),
        (422, "Fields are not valid; `errors` points at each of them.", None),
        (429, "There were too many requests.", Some("Retry-After")),
        (503, "The store does not answer or the server is full.", Some("Retry-After")),
    ];
    let mut responses = Map::new();
    for (status, description, own) in list {
        let mut headers = Map::new();
        for name in ["X-Request-Id"].into_iter().chain(own) {
            headers.insert(name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
        }
        responses.insert(
            status.to_string(),
            json!({
                "description": description,
                "headers": headers,
                "x-codes": codes(console::Surface::Admin, status),
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            }),
        );
    }
    for (name, status) in [("OauthError", "400"), ("OauthUnauthorized", "401"), ("OauthBusy", "503")] {
        let description = match status {
            "401" => "Client authentication failed.",
            "503" => "The store does not answer or the server is full.",
            _ => "The request is refused (RFC 6749 §5.2).",
        };
        let own = match status {
            "401" => Some("WWW-Authenticate"),
            "503" => Some("Retry-After"),
            _ => None,
        };
        let headers: Map<_, _> = ["X-Request-Id"]
            .into_iter()
            .chain(own)
            .map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
            .collect();
        responses.insert(
            name.to_owned(),
            json!({
                "description": description,
                "headers": headers,
                "x-codes": oauth_codes(status),
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OauthError"}}}
            }),
        );
    }
    Value::Object(responses)
}

/// The codes of a surface that come with a status; each has a page.
fn codes(surface: console::Surface, status: u16) -> Vec<&'static str> {
    let of = |page: &console::ErrorPage| page.surface == surface && page.status == Some(status);
    console::error_pages().filter(|page| of(page)).map(|page| page.code).collect()
}

/// The codes of one of the three refusals at the OAuth endpoints; the last stands for 429 and for 503.
fn oauth_codes(status: &str) -> Vec<&'static str> {
    let statuses: &[u16] = match status {
        "401" => &[401],
        "503" => &[429, 503],
        _ => &[400],
    };
    statuses.iter().flat_map(|status| codes(console::Surface::OAuth, *status)).collect()
}

/// How a caller authenticates.
pub(super) fn security_schemes(issuer: &str) -> Value {
    let scopes: Map<String, Value> = auth::catalog::MANAGEMENT_SCOPES
        .iter()
        .map(|(name, description)| ((*name).to_owned(), (*description).into()))
        .collect();
    json!({
        "oauth2": {
            "type": "oauth2",
            "description": "An access token with the audience `<issuer>/api`; the scope `admin` implies all others.",
            "flows": {"clientCredentials": {"tokenUrl": format!("{issuer}/oauth2/token"), "scopes": scopes}}
        },
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same token, got elsewhere."},
        "basic": {"type": "http", "scheme": "basic", "description": "Client id and secret (RFC 6749 §2.3.1)."}
    })
}

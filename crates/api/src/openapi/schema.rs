//! The schemas of bodies, by hand: one function per family of objects.

use serde_json::{Map, Value, json};

use super::component::id;

mod billing;
mod usage;
mod webhook;

/// A text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// An RFC 3339 date and time.
pub(super) fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// An integer not below a bound.
pub(super) fn integer(minimum: i64) -> Value {
    json!({"type": "integer", "minimum": minimum})
}

pub(super) fn ranged(minimum: i64, maximum: i64) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn texts() -> Value {
    json!({"type": "array", "items": text()})
}

/// One of these words.
pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn free() -> Value {
    json!({"type": "object", "additionalProperties": true})
}

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema, or null.
pub(super) fn or_null(schema: Value) -> Value {
    json!({"anyOf": Value::Array(vec![schema, json!({"type": "null"})])})
}

pub(super) fn described(mut schema: Value, description: &str) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), description.into());
    }
    schema
}

pub(super) type Field = (&'static str, Value);
type Fields = Vec<Field>;

/// An object of an answer: these fields are always there, others may come.
pub(super) fn answer(fields: &[Field], optional: &[Field]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// An object of a request: unknown fields are refused.
pub(super) fn request(required: &[&str], fields: Fields) -> Value {
    let properties: Map<String, Value> = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

/// A page of items.
fn list(item: &str) -> Value {
    answer(
        &[
            ("data", json!({"type": "array", "items": refer(item)})),
            ("has_more", flag()),
            ("next_cursor", described(or_null(text()), "The `cursor` of the next page.")),
        ],
        &[],
    )
}

/// Every schema by name.
pub(super) fn all() -> Value {
    let mut schemas = Map::new();
    for (name, schema) in clients()
        .into_iter()
        .chain(secrets())
        .chain(apis())
        .chain(keys())
        .chain(tenants())
        .chain(super::people::schemas())
        .chain(limits())
        .chain(tokens())
        .chain(records())
        .chain(webhook::all())
        .chain(billing::all())
        .chain(usage::all())
        .chain(errors())
        .chain(documents())
    {
        schemas.insert(name.to_owned(), schema);
    }
    for item in [
        "Client",
        "Secret",
        "Api",
        "Scope",
        "Key",
        "Tenant",
        "Operator",
        "OperatorSession",
        "Invitation",
        "Role",
        "TokenFamily",
        "IssuanceRecord",
        "AuditRecord",
        "Checkpoint",
        "Event",
        "Webhook",
        "Delivery",
        "Customer",
        "Feature",
        "Meter",
        "Plan",
        "Subscription",
        "UsageEventRecord",
        "UsageRejection",
        "Backfill",
    ] {
        schemas.insert(format!("{item}List"), list(item));
    }
    let window = "Only when the filters looked at so many rows and there are more of them.";
    if let Some(Value::Object(members)) = schemas.get_mut("ClientList").and_then(|list| list.get_mut("properties")) {
        members.insert("window".to_owned(), described(integer(0), window));
    }
    Value::Object(schemas)
}

/// What an administrator decides about a client; `scopes` and the rest have one shape in requests and answers.
fn client_settings() -> Fields {
    vec![
        ("name", json!({"type": "string", "maxLength": 200})),
        ("grant_types", json!({"type": "array", "items": one_of(&["client_credentials", "refresh_token"])})),
        ("token_endpoint_auth_method", one_of(&["client_secret_basic", "client_secret_post", "none"])),
        ("default_scopes", described(texts(), "What a request without `scope` gets.")),
        (
            "audiences",
            described(texts(), "APIs it may ask for; empty: those that own its scopes, else the default API."),
        ),
        ("multi_audience", described(flag(), "Whether one token may name several APIs.")),
        ("introspects", described(texts(), "Audiences whose tokens it may introspect.")),
        ("static_claims", described(free(), "Claims added to its tokens.")),
        ("customer_id", described(or_null(id("cus")), "The customer that it acts for; null: internal.")),
        (
            "claims",
            described(
                json!({"type": "array", "items": one_of(&["plan", "ent", "ent_ver", "sub_status"])}),
                "What its tokens say about its customer.",
            ),
        ),
        ("signing_alg", or_null(refer("Algorithm"))),
        ("access_token_ttl_seconds", or_null(ranged(60, 86_400))),
        ("access_token_format", one_of(&["jwt", "opaque"])),
        ("refresh_token_ttl_seconds", or_null(ranged(60, 2_592_000))),
        ("refresh_token_idle_seconds", or_null(ranged(60, 2_592_000))),
        ("refresh_reuse_window_seconds", or_null(ranged(0, 60))),
        ("rate_limit", or_null(refer("RateLimit"))),
        ("token_quota", or_null(refer("TokenQuota"))),
        ("metadata", described(free(), "Free pairs for the administrator.")),
    ]
}

fn scopes_in() -> Value {
    described(json!({"anyOf": [texts(), text()]}), "Scopes it may request: an array, or one text with spaces.")
}

fn expiry() -> Value {
    described(or_null(time()), "When it ends; null: never.")
}

fn clients() -> Vec<(&'static str, Value)> {
    let mut create = vec![
        ("client_id", json!({"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,128}$"})),
        ("client_secret", json!({"type": "string", "format": "password", "minLength": 12, "maxLength": 1024})),
        ("scopes", scopes_in()),
        ("expiry", expiry()),
    ];
    create.extend(client_settings());
    let mut patch = vec![("scopes", or_null(scopes_in())), ("expiry", expiry())];
    // In a merge patch null brings a field back to its default (RFC 7396).
    patch.extend(client_settings().into_iter().map(|(name, schema)| (name, nullable(schema))));
    let shown = || {
        let mut fields = vec![
            ("client_id", text()),
            ("scopes", texts()),
            ("expiry", expiry()),
            ("status", one_of(&["active", "expired", "disabled"])),
        ];
        fields.extend(client_settings());
        fields.extend([("created_at", time()), ("updated_at", time())]);
        fields
    };
    let warnings = || json!({"type": "array", "items": refer("Warning")});
    let mut created = shown();
    created.push(("warnings", warnings()));
    let secret = described(text(), "Only when it was generated, and only in this answer.");
    let ends = described(integer(0), "Seconds since 1970, or 0: it does not end (RFC 7591 §3.2.1).");
    vec![
        ("ClientCreate", request(&[], create)),
        ("ClientPatch", request(&[], patch)),
        ("Client", answer(&shown(), &[("warnings", described(warnings(), "Only in the answer to a change."))])),
        ("ClientCreated", answer(&created, &[("client_secret", secret), ("client_secret_expires_at", ends)])),
        (
            "ClientCount",
            answer(
                &[
                    ("count", described(ranged(0, 10_000), "At most 10000.")),
                    ("is_capped", described(flag(), "Whether there may be more.")),
                ],
                &[],
            ),
        ),
        ("Warning", answer(&[("code", text()), ("detail", text())], &[])),
        (
            "RateLimit",
            request(
                &["limit"],
                vec![
                    ("limit", described(ranged(0, 1_000_000_000), "Requests per window; 0: no limit.")),
                    ("window_s", described(ranged(1, 86_400), "Window in seconds.")),
                    (
                        "burst",
                        described(ranged(0, 1_000_000_000), "Requests that may come at once; 0 with no limit only."),
                    ),
                    ("enforce", described(flag(), "false: count and tell, refuse nothing.")),
                ],
            ),
        ),
        (
            "TokenQuota",
            request(
                &[],
                vec![
                    ("per_hour", or_null(ranged(0, 1_000_000_000))),
                    ("per_day", or_null(ranged(0, 1_000_000_000))),
                    ("enforce", described(flag(), "false: count and tell, refuse nothing.")),
                ],
            ),
        ),
        ("Algorithm", one_of(&["ES256", "ES384", "EdDSA", "PS256", "RS256"])),
    ]
}

fn nullable(schema: Value) -> Value {
    if schema.get("anyOf").is_some() { schema } else { or_null(schema) }
}

fn secrets() -> Vec<(&'static str, Value)> {
    let shown = || {
        vec![
            ("id", id("sec")),
            ("client_id", text()),
            ("label", text()),
            ("kind", one_of(&["generated", "chosen"])),
            ("hint", described(text(), "The last four characters.")),
            ("status", one_of(&["pending", "active", "expired", "revoked"])),
            ("scopes", described(or_null(texts()), "A narrower set of scopes, where it has one.")),
            ("not_before", time()),
            ("expires_at", or_null(time())),
            ("last_used_at", or_null(time())),
            ("created_at", time()),
        ]
    };
    let mut created = shown();
    created.push(("client_secret", described(text(), "The secret, shown only here.")));
    vec![
        (
            "SecretCreate",
            request(
                &[],
                vec![
                    ("label", json!({"type": "string", "maxLength": 200})),
                    ("not_before", or_null(time())),
                    ("expires_at", or_null(time())),
                    ("scopes", or_null(scopes_in())),
                    (
                        "expire_others_in_seconds",
                        described(ranged(0, 2_592_000), "When the other live secrets end; left out: unchanged."),
                    ),
                ],
            ),
        ),
        ("Secret", answer(&shown(), &[])),
        ("SecretCreated", answer(&created, &[])),
    ]
}

fn apis() -> Vec<(&'static str, Value)> {
    let identifier =
        || described(json!({"type": "string", "format": "uri"}), "Absolute URI without fragment; the audience.");
    let decided = || {
        vec![
            ("name", json!({"type": "string", "maxLength": 200})),
            ("token_ttl_seconds", or_null(ranged(60, 86_400))),
            ("signing_alg", or_null(refer("Algorithm"))),
        ]
    };
    let mut create = vec![("identifier", identifier())];
    create.extend(decided());
    let mut shown = vec![("id", id("api")), ("identifier", identifier())];
    shown.extend(decided());
    shown.extend([
        ("builtin", or_null(one_of(&["default", "management"]))),
        ("created_at", time()),
        ("updated_at", time()),
    ]);
    let description = || json!({"type": "string", "maxLength": 1000});
    let feature = || {
        let key = json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"});
        described(or_null(key), "The feature that a customer needs for its clients to get it.")
    };
    vec![
        ("ApiCreate", request(&["identifier"], create)),
        ("ApiPatch", request(&[], decided().into_iter().map(|(name, schema)| (name, nullable(schema))).collect())),
        ("Api", answer(&shown, &[])),
        (
            "ScopeCreate",
            request(
                &["name"],
                vec![
                    ("name", json!({"type": "string", "pattern": "^[!#-\\[\\]-~]{1,256}$"})),
                    ("description", description()),
                    ("requires_feature", feature()),
                ],
            ),
        ),
        ("ScopePatch", request(&[], vec![("description", or_null(description())), ("requires_feature", feature())])),
        (
            "Scope",
            answer(
                &[
                    ("name", text()),
                    ("api_id", id("api")),
                    ("description", text()),
                    ("requires_feature", feature()),
                    ("created_at", time()),
                ],
                &[],
            ),
        ),
    ]
}

fn keys() -> Vec<(&'static str, Value)> {
    let purpose = || one_of(&["token", "introspection", "checkpoint"]);
    vec![
        (
            "KeyRotate",
            request(
                &[],
                vec![
                    ("alg", refer("Algorithm")),
                    ("purpose", purpose()),
                    ("force", described(flag(), "Promote now, although resource servers may not know the key yet.")),
                    ("at", described(time(), "Promote at this time, or later when the staged key is too young then.")),
                ],
            ),
        ),
        (
            "KeyRotation",
            answer(
                &[
                    ("kid", described(text(), "The key that signs now.")),
                    ("promotes_at", described(or_null(time()), "When the staged key will sign, if not yet.")),
                ],
                &[],
            ),
        ),
        (
            "Key",
            answer(
                &[
                    ("kid", described(text(), "RFC 7638 thumbprint.")),
                    ("purpose", purpose()),
                    ("alg", refer("Algorithm")),
                    ("state", one_of(&["staged", "active", "retiring", "destroyed"])),
                    ("public_jwk", free()),
                    ("created_at", time()),
                    ("promote_after", time()),
                    ("promoted_at", or_null(time())),
                    ("retired_at", or_null(time())),
                    ("remove_after", or_null(time())),
                    ("replace_at", or_null(time())),
                    (
                        "verifier_key",
                        described(
                            or_null(text()),
                            "What verifies checkpoints, for a checkpoint key: name, hash and key.",
                        ),
                    ),
                ],
                &[],
            ),
        ),
    ]
}

fn tenants() -> Vec<(&'static str, Value)> {
    let name = || json!({"type": "string", "maxLength": 200});
    let shown = || {
        vec![
            ("slug", text()),
            ("id", id("ten")),
            ("name", name()),
            ("kind", one_of(&["live", "sandbox"])),
            ("issuer", json!({"type": "string", "format": "uri"})),
            ("disabled", flag()),
            ("created_at", time()),
            ("updated_at", time()),
        ]
    };
    let mut created = shown();
    created.push(("admin_client", described(refer("ClientCreated"), "Its secret is shown only here.")));
    vec![
        (
            "TenantCreate",
            request(
                &["slug"],
                vec![
                    ("slug", json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"})),
                    ("name", name()),
                    ("kind", one_of(&["live", "sandbox"])),
                ],
            ),
        ),
        (
            "TenantPatch",
            request(
                &[],
                vec![("name", or_null(name())), ("disabled", described(flag(), "Whether it issues nothing."))],
            ),
        ),
        ("Tenant", answer(&shown(), &[])),
        ("TenantCreated", answer(&created, &[])),
        (
            "Clock",
            answer(
                &[
                    ("kind", one_of(&["live", "sandbox"])),
                    ("business_time", described(time(), "By which subscriptions go.")),
                    ("machine_time", described(time(), "By which tokens, limits and the audit log go; never moved.")),
                    ("ahead_seconds", described(integer(0), "How far business time stands ahead.")),
                ],
                &[],
            ),
        ),
        (
            "ClockAdvance",
            request(
                &[],
                vec![
                    ("to", described(time(), "Later than now, up to ten years ahead.")),
                    ("by_seconds", described(integer(1), "Instead of `to`: so many seconds on.")),
                ],
            ),
        ),
    ]
}

fn limits() -> Vec<(&'static str, Value)> {
    let client = |schema| ("client", described(schema, "Per client that has no limit of its own."));
    let all = [
        client(refer("Limit")),
        ("source", described(refer("Limit"), "Per source address.")),
        (
            "authentication_failures_per_client_and_source",
            described(refer("Limit"), "Failed authentications that cost a slow hash."),
        ),
        ("authentication_failures_per_source", described(refer("Limit"), "The same over all clients.")),
    ];
    let members =
        vec![("limit", ranged(0, 1_000_000_000)), ("window_s", ranged(1, 86_400)), ("burst", ranged(1, 1_000_000_000))];
    vec![
        ("Limit", request(&[], members)),
        ("Limits", answer(&all, &[])),
        ("LimitsPatch", request(&[], vec![client(or_null(refer("Limit")))])),
    ]
}

fn tokens() -> Vec<(&'static str, Value)> {
    vec![
        (
            "TokenFamily",
            answer(
                &[
                    ("id", id("fam")),
                    ("secret_id", described(id("sec"), "The secret that started it.")),
                    ("scope", text()),
                    ("audience", texts()),
                    ("generation", integer(0)),
                    ("last_rotated_at", or_null(time())),
                    ("created_at", time()),
                    ("idle_deadline", time()),
                    ("absolute_deadline", time()),
                ],
                &[],
            ),
        ),
        (
            "TokenAnswer",
            answer(
                &[("access_token", text()), ("token_type", one_of(&["Bearer"])), ("expires_in", integer(0))],
                &[("scope", text()), ("refresh_token", text())],
            ),
        ),
        (
            "IntrospectionAnswer",
            answer(
                &[("active", flag())],
                &[
                    ("iss", text()),
                    ("sub", text()),
                    ("client_id", text()),
                    ("aud", json!({"anyOf": [text(), texts()]})),
                    ("exp", integer(0)),
                    ("iat", integer(0)),
                    ("nbf", integer(0)),
                    ("jti", text()),
                    ("scope", text()),
                    ("token_type", text()),
                    ("tenant", text()),
                    ("plan", described(text(), "The plan of the client's customer, when the token tells it.")),
                    ("ent", described(free(), "Its features, when the token tells them.")),
                    ("ent_ver", described(integer(0), "The version of its standing, when the token tells it.")),
                    ("sub_status", described(text(), "Its status, when the token tells it or an invoice is overdue.")),
                ],
            ),
        ),
        (
            "Whoami",
            answer(
                &[
                    ("actor", text()),
                    ("tenant", text()),
                    ("tenant_kind", json!({"type": "string", "enum": ["live", "sandbox"]})),
                    ("issuer", json!({"type": "string", "format": "uri"})),
                    ("scopes", texts()),
                    ("credential", or_null(id("sec"))),
                    ("request_id", id("req")),
                ],
                &[],
            ),
        ),
    ]
}

fn records() -> Vec<(&'static str, Value)> {
    let bytes = || json!({"type": "string", "contentEncoding": "base64"});
    let hashes = || json!({"type": "array", "items": bytes()});
    vec![
        (
            "AuditRecord",
            answer(
                &[
                    ("id", id("cmt")),
                    ("actor", text()),
                    ("credential", or_null(id("sec"))),
                    ("action", text()),
                    ("object_kind", text()),
                    ("object_id", text()),
                    ("before", or_null(free())),
                    ("after", or_null(free())),
                    ("at", time()),
                    ("business_at", time()),
                    ("source", or_null(text())),
                    ("request_id", or_null(id("req"))),
                    ("leaf", described(or_null(integer(0)), "Its place in the tree; null until it is sequenced.")),
                ],
                &[],
            ),
        ),
        (
            "IssuanceRecord",
            answer(
                &[
                    ("outcome", one_of(&["issued", "refused"])),
                    ("at", time()),
                    ("client_id", or_null(text())),
                    ("source", or_null(text())),
                    ("request_id", id("req")),
                ],
                &[
                    ("jti", text()),
                    ("credential", id("sec")),
                    ("grant_type", one_of(&["client_credentials", "refresh_token"])),
                    ("scope", text()),
                    ("audience", texts()),
                    ("expires_at", time()),
                    ("generation", or_null(integer(0))),
                    ("reason", described(text(), "Why it was refused.")),
                    ("count", described(integer(1), "Equal refusals that this record stands for.")),
                ],
            ),
        ),
        (
            "Event",
            answer(
                &[
                    ("id", id("evt")),
                    ("type", described(text(), "`object.past_participle`, never renamed; more types may come.")),
                    ("timestamp", time()),
                    ("tenant", text()),
                    ("customer_id", or_null(text())),
                    (
                        "sequence",
                        described(integer(1), "Rises by 1 per customer, or per tenant for events without one."),
                    ),
                    ("data", described(free(), "`object`, `id` and the facts that a receiver decides on.")),
                ],
                &[],
            ),
        ),
        (
            "EventStream",
            described(
                text(),
                "Server-sent events: `id` is the event's id, `event` its type, `data` an Event. `stream.gap` tells that \
                 events are missing, with `oldest_id`, the oldest one that is kept. A comment comes every 15 s.",
            ),
        ),
        (
            "Checkpoint",
            answer(
                &[
                    ("origin", text()),
                    ("size", integer(0)),
                    ("root", bytes()),
                    ("note", described(text(), "The signed note.")),
                ],
                &[],
            ),
        ),
        (
            "AuditProof",
            answer(
                &[
                    ("kind", one_of(&["token", "inclusion", "consistency"])),
                    ("path", described(hashes(), "Hashes from the leaf to the root.")),
                    ("checkpoint", described(text(), "The signed note that the proof leads to.")),
                ],
                &[
                    ("entry", described(bytes(), "The token's journal entry.")),
                    ("entry_index", described(integer(0), "Its place in its block.")),
                    ("entry_path", described(hashes(), "Hashes from the entry to the root of its block.")),
                    ("block", described(bytes(), "What the leaf stands for; it ends in the root of the block.")),
                    ("leaf", integer(0)),
                    ("hash", bytes()),
                    ("from_size", integer(0)),
                ],
            ),
        ),
    ]
}

fn errors() -> Vec<(&'static str, Value)> {
    vec![
        (
            "Problem",
            answer(
                &[
                    (
                        "type",
                        described(json!({"type": "string", "format": "uri"}), "The page of the code on this server."),
                    ),
                    ("title", text()),
                    ("status", ranged(400, 599)),
                ],
                &[
                    ("code", text()),
                    ("detail", text()),
                    ("instance", described(text(), "The path that was asked.")),
                    (
                        "request_id",
                        described(text(), "The name under which the log and the audit log know the request."),
                    ),
                    ("errors", json!({"type": "array", "items": refer("FieldError")})),
                    ("from", described(text(), "With `illegal_transition`: where the object stands.")),
                    ("event", described(text(), "What was asked of it.")),
                    ("allowed", described(texts(), "What may follow.")),
                    (
                        "rejected",
                        described(
                            json!({"type": "array", "items": refer("RejectedEvent")}),
                            "With `events_rejected`: the events that are refused.",
                        ),
                    ),
                    ("limit", described(text(), "With `quota_exceeded`: the most in the window; a decimal number.")),
                    ("used", described(text(), "What is used of it.")),
                    ("remaining", described(text(), "What is left.")),
                    ("resets_at", described(or_null(time()), "When the window ends.")),
                    ("feature", described(json!({}), "What may be used of the feature.")),
                ],
            ),
        ),
        (
            "FieldError",
            answer(
                &[("code", text()), ("detail", text())],
                &[
                    (
                        "pointer",
                        described(json!({"type": "string", "format": "json-pointer"}), "The field of the body."),
                    ),
                    ("parameter", described(text(), "The parameter of the query, or the header in its place.")),
                ],
            ),
        ),
        (
            "OauthError",
            answer(
                &[("error", text())],
                &[("error_description", text()), ("error_uri", json!({"type": "string", "format": "uri-reference"}))],
            ),
        ),
    ]
}

fn documents() -> Vec<(&'static str, Value)> {
    let uri = || json!({"type": "string", "format": "uri"});
    vec![
        (
            "AuthorizationServerMetadata",
            answer(
                &[
                    ("issuer", uri()),
                    ("authorization_endpoint", described(uri(), "For SDKs that insist; it offers no response type.")),
                    ("token_endpoint", uri()),
                    ("revocation_endpoint", uri()),
                    ("introspection_endpoint", uri()),
                    ("jwks_uri", uri()),
                    ("scopes_supported", texts()),
                    ("grant_types_supported", texts()),
                    ("response_types_supported", texts()),
                    ("token_endpoint_auth_methods_supported", texts()),
                    ("revocation_endpoint_auth_methods_supported", texts()),
                    ("introspection_endpoint_auth_methods_supported", texts()),
                    ("introspection_signing_alg_values_supported", texts()),
                    ("code_challenge_methods_supported", texts()),
                    ("protected_resources", texts()),
                    ("service_documentation", uri()),
                ],
                &[],
            ),
        ),
        (
            "ProtectedResourceMetadata",
            answer(
                &[
                    ("resource", uri()),
                    ("authorization_servers", json!({"type": "array", "items": uri()})),
                    ("scopes_supported", texts()),
                    ("bearer_methods_supported", texts()),
                ],
                &[],
            ),
        ),
        ("JwkSet", answer(&[("keys", json!({"type": "array", "items": free()}))], &[])),
        ("OpenapiDocument", free()),
    ]
}

//! The schemas of webhook endpoints and their deliveries.

use serde_json::{Value, json};

use super::{answer, described, flag, id, integer, one_of, or_null, ranged, refer, request, text, texts, time};

fn url() -> Value {
    described(
        json!({"type": "string", "format": "uri", "maxLength": 2048}),
        "Where events are posted: `https`, a public address; in a sandbox plain `http` too.",
    )
}

fn types() -> Value {
    described(
        json!({"type": "array", "items": text(), "minItems": 1, "maxItems": 100}),
        "Types of events; `client.*` for all that begin so, `*` for every one.",
    )
}

fn settings() -> Vec<(&'static str, Value)> {
    vec![
        ("url", url()),
        ("types", types()),
        ("description", json!({"type": "string", "maxLength": 200})),
        (
            "signing",
            described(
                json!({"type": "string", "enum": ["v1", "v1a", "both"], "default": "v1"}),
                "`v1`: HMAC-SHA-256 with a shared secret. `v1a`: Ed25519.",
            ),
        ),
        ("rate_per_second", described(or_null(ranged(1, 1_000)), "Most messages in a second; null: no bound.")),
    ]
}

fn shown() -> Vec<(&'static str, Value)> {
    let mut fields = vec![("id", id("whe"))];
    fields.extend(settings());
    fields.extend([
        ("state", one_of(&["enabled", "paused", "disabled"])),
        (
            "reason",
            described(or_null(one_of(&["requested", "failing", "gone"])), "Why messages do not go out; null: they do."),
        ),
        ("state_since", time()),
        ("public_key", described(or_null(text()), "`whpk_…` to verify `v1a`; null with `v1` alone.")),
        ("old_public_key", described(or_null(text()), "The one before the last roll, while it still signs.")),
        ("overlap_ends_at", described(or_null(time()), "Until when the keys before the last roll sign as well.")),
        ("last_success_at", or_null(time())),
        ("failing_since", or_null(time())),
        ("created_at", time()),
        ("updated_at", time()),
    ]);
    fields
}

fn delivery() -> Vec<(&'static str, Value)> {
    vec![
        ("id", id("dlv")),
        ("webhook_id", id("whe")),
        ("event_id", described(id("evt"), "The `webhook-id` of every attempt.")),
        ("type", text()),
        ("state", one_of(&["pending", "delivered", "failed", "canceled"])),
        ("attempt_count", integer(0)),
        ("last_status", or_null(integer(100))),
        ("last_error", or_null(text())),
        (
            "next_at",
            described(or_null(time()), "When it is tried next; null: it has ended, or its endpoint is paused."),
        ),
        ("created_at", time()),
        ("ended_at", or_null(time())),
    ]
}

/// Every schema by name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    let secret = described(text(), "`whsec_…`, only when this change made one, and only in this answer.");
    let list_of = |item: &str| json!({"type": "array", "items": refer(item)});
    let with = |mut fields: Vec<(&'static str, Value)>, more: Vec<(&'static str, Value)>| {
        fields.extend(more);
        answer(&fields, &[])
    };
    vec![
        ("WebhookCreate", request(&["url", "types"], settings())),
        ("WebhookPatch", request(&[], settings())),
        ("Webhook", answer(&shown(), &[])),
        ("WebhookSaved", answer(&shown(), &[("secret", secret)])),
        ("WebhookDetail", with(shown(), vec![("health", refer("WebhookHealth"))])),
        ("WebhookResumed", with(shown(), vec![("test", refer("WebhookTest"))])),
        (
            "WebhookHealth",
            answer(
                &[
                    ("backlog", described(ranged(0, 10_000), "Open deliveries, counted up to 10,000.")),
                    ("is_backlog_capped", described(flag(), "Whether there are more.")),
                    ("attempts", described(integer(0), "Attempts of the last day; the latest thousand at most.")),
                    ("succeeded", described(integer(0), "How many of them delivered.")),
                    ("p95_ms", described(or_null(integer(0)), "What 95 of a hundred of them took at most.")),
                ],
                &[],
            ),
        ),
        ("WebhookTest", answer(&[("event_id", id("evt")), ("delivery_id", id("dlv"))], &[])),
        (
            "WebhookRoll",
            request(
                &[],
                vec![(
                    "overlap_seconds",
                    described(
                        json!({"type": "integer", "minimum": 0, "maximum": 604_800, "default": 86_400}),
                        "How long the old keys sign as well.",
                    ),
                )],
            ),
        ),
        ("Delivery", answer(&delivery(), &[])),
        (
            "DeliveryDetail",
            with(
                delivery(),
                vec![
                    ("attempts", described(list_of("Attempt"), "The latest 200, the first one first.")),
                    ("event", described(or_null(refer("Event")), "null: it is not kept any more.")),
                ],
            ),
        ),
        (
            "Attempt",
            answer(
                &[
                    ("number", integer(1)),
                    ("at", time()),
                    ("duration_ms", integer(0)),
                    ("status", described(or_null(integer(100)), "Of the answer; null: none came.")),
                    ("error", described(or_null(text()), "Why it failed; null: it delivered.")),
                    ("node", described(text(), "The process that made it.")),
                ],
                &[],
            ),
        ),
        (
            "WebhookResend",
            request(
                &["from", "to"],
                vec![
                    ("from", described(time(), "Deliveries made then or later.")),
                    ("to", described(time(), "Deliveries made before.")),
                    ("types", described(texts(), "Only these types of events.")),
                    (
                        "status",
                        described(one_of(&["delivered", "failed", "canceled"]), "Only these; all three when absent."),
                    ),
                ],
            ),
        ),
        ("ResendCount", answer(&[("count", ranged(0, 10_000))], &[])),
    ]
}

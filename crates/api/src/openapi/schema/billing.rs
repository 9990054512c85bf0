//! The schemas of customers, of what is sold, and of subscriptions.

use billing::catalog::FeatureKind;
use billing::meter::Aggregation;
use billing::plan::PlanState;
use billing::price::Model;
use billing::subscription::EventKind;
use kernel::standing::{Overage, Reset, Status};
use serde_json::{Value, json};

use super::{
    Fields, answer, described, flag, free, id, integer, nullable, one_of, or_null, ranged, refer, request, text, texts,
    time,
};

pub(super) fn short() -> Value {
    json!({"type": "string", "maxLength": 200})
}

pub(super) fn key() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"})
}

pub(super) fn decimal() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{1,18}(\\.[0-9]{1,12})?$"})
}

fn path() -> Value {
    described(short(), "A path of JSONPath into `data`, such as `$.tokens`.")
}

pub(super) fn array(item: &Value) -> Value {
    json!({"type": "array", "items": item})
}

pub(super) fn statuses() -> Value {
    one_of(&Status::ALL.map(Status::name))
}

fn accesses() -> Value {
    one_of(&["none", "restricted", "full"])
}

fn made() -> Fields {
    vec![("created_at", time()), ("updated_at", time())]
}

fn with(first: Fields, more: impl IntoIterator<Item = Fields>) -> Value {
    answer(
        &more.into_iter().fold(first, |mut all, more| {
            all.extend(more);
            all
        }),
        &[],
    )
}

fn patch(fields: Fields) -> Value {
    request(&[], fields.into_iter().map(|(name, schema)| (name, nullable(schema))).collect())
}

fn customer() -> Fields {
    vec![
        ("external_id", described(or_null(short()), "The operator's own id, unique in the tenant.")),
        ("name", json!({"type": "string", "minLength": 1, "maxLength": 200})),
        ("email", or_null(short())),
        ("currency", described(or_null(text()), "ISO 4217, for example `EUR`.")),
        ("timezone", described(text(), "IANA name of the zone in which periods are counted; `UTC` when not given.")),
        ("address", or_null(refer("Address"))),
        ("tax_ids", json!({"type": "array", "items": short(), "maxItems": 10})),
        ("tax_status", one_of(&["consumer", "business", "exempt"])),
        ("language", described(or_null(text()), "BCP 47, for example `de`.")),
        (
            "payment_terms_days",
            described(
                or_null(ranged(0, 365)),
                "Days to pay an invoice; null: nothing is agreed, and a trial does not become a paid period.",
            ),
        ),
        ("metadata", described(free(), "Free pairs for the administrator.")),
    ]
}

fn customers() -> Vec<(&'static str, Value)> {
    let line = || json!({"type": "string", "maxLength": 200, "default": ""});
    let status = || described(or_null(statuses()), "That of the best subscription; null: there is none.");
    vec![
        (
            "CustomerCreate",
            request(
                &["name"],
                customer().into_iter().map(|(name, schema)| (name, nullable_but(name, schema))).collect(),
            ),
        ),
        ("CustomerPatch", patch(customer())),
        (
            "Customer",
            with(
                vec![("id", id("cus"))],
                [
                    customer(),
                    vec![("status", status()), ("access", accesses()), ("suspended_at", or_null(time()))],
                    made(),
                ],
            ),
        ),
        (
            "Address",
            request(
                &["country"],
                vec![
                    ("line1", line()),
                    ("line2", line()),
                    ("city", line()),
                    ("region", line()),
                    ("postal_code", line()),
                    ("country", described(json!({"type": "string", "pattern": "^[A-Z]{2}$"}), "ISO 3166-1 alpha-2.")),
                ],
            ),
        ),
        (
            "Standing",
            answer(
                &[
                    ("customer_id", id("cus")),
                    ("version", described(integer(1), "Rises with each change that is recorded.")),
                    ("status", status()),
                    ("access", accesses()),
                    ("plans", described(texts(), "Keys of the plans that grant something, the best first.")),
                    ("suspended_at", or_null(time())),
                    ("entitlements", array(&refer("EntitlementHeld"))),
                    ("restricted_scopes", texts()),
                    ("not_before", described(or_null(time()), "Tokens issued before are void.")),
                    ("access_until", or_null(time())),
                    ("paid_through", or_null(time())),
                    ("refusal", described(or_null(text()), "Why it may do nothing, and what helps.")),
                ],
                &[],
            ),
        ),
        (
            "EntitlementHeld",
            answer(
                &[("feature", key()), ("kind", one_of(&FeatureKind::ALL.map(FeatureKind::name)))],
                &[
                    ("value", setting()),
                    ("limit", or_null(decimal())),
                    ("reset", one_of(&Reset::ALL.map(Reset::name))),
                    ("overage", one_of(&Overage::ALL.map(Overage::name))),
                    ("used", described(text(), "What is used in the present window; a decimal number.")),
                    ("reserved", decimal()),
                    ("remaining", described(or_null(decimal()), "null: no limit.")),
                    ("resets_at", or_null(time())),
                ],
            ),
        ),
    ]
}

/// `name` is the one member of a new customer that is never null.
fn nullable_but(name: &str, schema: Value) -> Value {
    if name == "name" { schema } else { nullable(schema) }
}

fn setting() -> Value {
    described(json!({"type": ["boolean", "integer", "string"]}), "`true`, a whole number, or a text.")
}

fn catalog() -> Vec<(&'static str, Value)> {
    let combine = || {
        described(
            json!({"type": "string", "enum": ["largest", "sum"], "default": "largest"}),
            "What the rights of several subscriptions are together.",
        )
    };
    let feature = || {
        vec![
            ("key", key()),
            ("kind", one_of(&FeatureKind::ALL.map(FeatureKind::name))),
            ("name", short()),
            ("meter", described(or_null(key()), "The key of the meter that counts it, for a metered one.")),
            ("combine", combine()),
        ]
    };
    let required = || {
        vec![("key", key()), ("event_type", short()), ("aggregation", one_of(&Aggregation::ALL.map(Aggregation::name)))]
    };
    let optional = || {
        vec![
            ("value_path", described(path(), "What is added up, in `data` of an event; not for `count`.")),
            (
                "group_by",
                described(json!({"type": "object", "additionalProperties": text()}), "Dimensions, each with its path."),
            ),
            ("filter", described(array(&refer("MeterCondition")), "Only events that fulfil every one of these.")),
            ("unit", json!({"type": "string", "maxLength": 64})),
            ("rounding", refer("MeterRounding")),
            ("carry_over", described(flag(), "Whether a period begins with what the last one ended with.")),
            ("allow_negative", flag()),
            ("operation_path", described(path(), "Where an event of `unique` says `add` or `remove`.")),
        ]
    };
    let shown = [
        vec![("id", id("mtr")), ("version", integer(1)), ("state", one_of(&["active", "archived"]))],
        required(),
        made(),
    ]
    .concat();
    vec![
        ("FeatureCreate", request(&["key", "kind"], feature())),
        ("FeaturePatch", request(&[], vec![("name", short()), ("combine", or_null(combine()))])),
        ("Feature", with(vec![("id", id("fea"))], [feature(), made()])),
        (
            "MeterCreate",
            request(
                &["key", "event_type", "aggregation"],
                [required(), optional().into_iter().map(|(name, schema)| (name, nullable(schema))).collect()].concat(),
            ),
        ),
        ("Meter", answer(&shown, &optional())),
        ("MeterCondition", request(&["path", "equals"], vec![("path", path()), ("equals", text())])),
        (
            "MeterRounding",
            request(
                &["mode", "precision"],
                vec![("mode", one_of(&["round", "ceil", "floor"])), ("precision", ranged(-12, 12))],
            ),
        ),
    ]
}

fn plan() -> Fields {
    let choice = |words: &[&str], default: &str| json!({"type": "string", "enum": words, "default": default});
    vec![
        ("name", json!({"type": "string", "minLength": 1, "maxLength": 200})),
        ("description", short()),
        ("cadence", described(text(), "Length of a period: `day`, `week`, `month`, `quarter`, `year`, or `3 months`.")),
        ("billing", described(choice(&["anniversary", "calendar"], "anniversary"), "Where periods begin.")),
        ("trial_days", ranged(0, 730)),
        ("trial_start", choice(&["on_create", "first_use"], "on_create")),
        (
            "after_trial",
            described(choice(&["pause", "end"], "pause"), "What becomes of a trial that nobody will pay for."),
        ),
        (
            "grace_days",
            described(
                json!({"type": "integer", "minimum": 0, "maximum": 365, "default": 14}),
                "From the due date to `unpaid`.",
            ),
        ),
        (
            "on_unpaid",
            described(choice(&["deny", "restrict"], "deny"), "What is left when unpaid: nothing, or what is listed."),
        ),
        ("restricted_scopes", texts()),
        ("restricted_features", texts()),
        ("credits_pause", flag()),
        ("credits_cancel", flag()),
        ("proration", choice(&["second", "day", "day_30_360", "none"], "second")),
        ("prices", described(array(&refer("Price")), "What has to be paid; a plan without a price is free.")),
        ("entitlements", described(array(&refer("Entitlement")), "What it grants.")),
    ]
}

fn plans() -> Vec<(&'static str, Value)> {
    let tier = request(
        &["up_to"],
        vec![
            ("up_to", described(or_null(decimal()), "The largest quantity of the tier; null: the last one.")),
            ("unit_amount", decimal()),
            ("rate", decimal()),
            ("flat_amount", decimal()),
        ],
    );
    let price = vec![
        ("model", one_of(&Model::NAMES)),
        ("currency", described(text(), "ISO 4217.")),
        ("timing", described(one_of(&["advance", "arrears"]), "Charged when a period begins, or when it has ended.")),
        ("meter", described(or_null(key()), "What counts the quantity; null: the quantity of the subscription.")),
        ("amount", decimal()),
        ("unit_amount", decimal()),
        ("tiers", json!({"type": "array", "items": refer("PriceTier"), "maxItems": 100})),
        ("size", decimal()),
        ("free", decimal()),
        ("rate", decimal()),
        ("fixed_amount", decimal()),
        ("free_events", integer(0)),
        ("free_amount", decimal()),
        ("min_per_event", decimal()),
        ("max_per_event", decimal()),
        ("minimum", decimal()),
        ("maximum", decimal()),
        ("tax_behavior", one_of(&["exclusive", "inclusive"])),
        ("tax_category", text()),
    ];
    let entitlement = vec![
        ("feature", key()),
        ("value", setting()),
        ("limit", described(or_null(decimal()), "Of a metered feature; null: no limit.")),
        ("reset", one_of(&Reset::ALL.map(Reset::name))),
        ("overage", one_of(&Overage::ALL.map(Overage::name))),
    ];
    let create = [vec![("key", key())], plan()].concat();
    let shown = vec![
        ("id", id("pln")),
        ("key", key()),
        ("version", described(integer(1), "Versions of a plan share its key.")),
        ("state", one_of(&PlanState::ALL.map(PlanState::name))),
    ];
    vec![
        ("PlanCreate", request(&["key", "name", "cadence"], create)),
        ("PlanPatch", patch(plan())),
        ("Plan", with(shown, [plan(), made()])),
        ("Price", request(&["model", "currency", "timing"], price)),
        ("PriceTier", tier),
        ("Entitlement", request(&["feature"], entitlement)),
    ]
}

fn subscriptions() -> Vec<(&'static str, Value)> {
    let quantity = || json!({"type": "integer", "minimum": 0, "maximum": 1_000_000_000, "default": 1});
    let at =
        || described(json!({"type": "string", "enum": ["now", "period_end"], "default": "now"}), "When it happens.");
    let plan = || described(text(), "Key of the plan, for its newest active version, or the id of an active version.");
    let scheduled = answer(&[("plan_id", id("pln")), ("quantity", integer(0)), ("at", or_null(time()))], &[]);
    vec![
        (
            "SubscriptionCreate",
            request(
                &["customer_id", "plan"],
                vec![
                    ("customer_id", described(text(), "Id of the customer, or its `external_id`.")),
                    ("plan", plan()),
                    ("quantity", quantity()),
                    (
                        "activation",
                        described(
                            json!({"type": "string", "enum": ["immediate", "on_payment"], "default": "immediate"}),
                            "Without a trial: active at once, or with the first payment.",
                        ),
                    ),
                    ("term_end", described(or_null(time()), "When it ends without anybody canceling it.")),
                ],
            ),
        ),
        (
            "SubscriptionResume",
            request(
                &[],
                vec![(
                    "anchor",
                    described(
                        json!({"type": "string", "enum": ["new", "kept"], "default": "new"}),
                        "Whether a new period begins, or periods are counted as before.",
                    ),
                )],
            ),
        ),
        ("SubscriptionCancel", request(&[], vec![("at", at())])),
        ("SubscriptionChange", request(&[], vec![("plan", plan()), ("quantity", integer(0)), ("at", at())])),
        (
            "PaymentStatus",
            request(
                &[],
                vec![
                    ("overdue_since", described(time(), "Due date of the oldest invoice that is overdue.")),
                    ("settled_at", described(time(), "When nothing was overdue any more; also the first payment.")),
                    ("reference", described(short(), "What the other system calls it; kept in the audit log.")),
                ],
            ),
        ),
        (
            "Subscription",
            answer(
                &[
                    ("id", id("sub")),
                    ("customer_id", id("cus")),
                    ("plan_id", id("pln")),
                    ("plan", key()),
                    ("plan_version", integer(1)),
                    ("quantity", integer(0)),
                    ("status", statuses()),
                    ("status_since", time()),
                    ("access", accesses()),
                    ("access_until", or_null(time())),
                    ("anchor", described(time(), "What periods are counted from.")),
                    ("period_start", or_null(time())),
                    ("period_end", or_null(time())),
                    ("trial_end", or_null(time())),
                    ("cancel_at", or_null(time())),
                    ("term_end", or_null(time())),
                    ("overdue_since", or_null(time())),
                    ("scheduled_change", or_null(scheduled)),
                    (
                        "allowed",
                        described(array(&one_of(&EventKind::ALL.map(EventKind::name))), "What may follow now."),
                    ),
                    ("created_at", time()),
                    ("updated_at", time()),
                ],
                &[],
            ),
        ),
    ]
}

/// Every schema by name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    [customers(), catalog(), plans(), subscriptions()].concat()
}

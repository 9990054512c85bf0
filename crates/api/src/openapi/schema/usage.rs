//! The schemas of usage and of the question whether something may be used.

use billing::rejection::Code;
use billing::usage::backfill::{Mode, State};
use billing::usage::check::Reason;
use billing::window::Size;
use kernel::standing::{Overage, Reset};
use serde_json::{Value, json};

use super::billing::{array, decimal, key, short, statuses};
use super::{Fields, answer, described, flag, free, id, integer, one_of, or_null, ranged, refer, request, text, time};

fn number() -> Value {
    json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,12})?$"})
}

fn codes() -> Value {
    one_of(&Code::ALL.map(Code::name))
}

fn identity() -> Fields {
    vec![("source", short()), ("id", short())]
}

fn events() -> Vec<(&'static str, Value)> {
    let event = json!({
        "type": "object",
        "description": "A CloudEvent 1.0. Members that are not listed are extension attributes, which are kept.",
        "required": ["specversion", "id", "source", "type", "subject"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "id": described(short(), "With the source, the key under which it counts once."),
            "source": described(text(), "Where it comes from, as a URI reference."),
            "type": described(short(), "Which meters look at it."),
            "subject": described(short(), "The customer: its id, its `external_id`, or the id of one of its clients."),
            "time": described(time(), "When it happened; the moment of receipt when not given."),
            "data": described(free(), "What meters read their values from."),
        },
        "additionalProperties": true
    });
    let rejected = answer(
        &[("index", integer(0)), ("id", text()), ("code", codes()), ("detail", text())],
        &[("limit", number()), ("used", number()), ("remaining", number()), ("resets_at", or_null(time()))],
    );
    let correction =
        answer(&[("number", integer(1)), ("value", or_null(number())), ("void", flag()), ("reason", text())], &[]);
    let record = [
        vec![("sequence", described(integer(1), "The order in which events were received."))],
        identity(),
        vec![
            ("type", text()),
            ("customer_id", id("cus")),
            ("time", time()),
            ("received_at", time()),
            ("reporter", described(text(), "Who reported it.")),
            (
                "state",
                described(
                    one_of(&["counted", "late", "unmatched", "replaced"]),
                    "`late`: it happened before the billing period that was open. `unmatched`: no meter looks at it. \
                     `replaced`: a backfill took it out of counting.",
                ),
            ),
            ("data", json!({})),
            ("quantity", described(or_null(number()), "Of what was consumed or reserved here.")),
            ("correction", or_null(correction)),
        ],
    ]
    .concat();
    let rejection = vec![
        ("id", id("rej")),
        ("customer_id", or_null(id("cus"))),
        ("source", text()),
        ("event_id", text()),
        ("type", text()),
        ("code", codes()),
        ("detail", text()),
        ("reporter", text()),
        ("received_at", time()),
    ];
    vec![
        ("UsageEvent", event),
        (
            "UsageReport",
            answer(
                &[
                    ("accepted", described(integer(0), "Events that were stored now.")),
                    ("duplicates", described(integer(0), "Events that had been stored before.")),
                    (
                        "rejected",
                        described(array(&refer("RejectedEvent")), "Events that were not stored, each with its reason."),
                    ),
                ],
                &[],
            ),
        ),
        ("RejectedEvent", rejected),
        ("UsageEventRecord", answer(&record, &[])),
        ("UsageRejection", answer(&rejection, &[])),
    ]
}

fn corrections() -> Vec<(&'static str, Value)> {
    let asked = [
        identity(),
        vec![
            ("value", described(number(), "What the event counts from now on.")),
            ("void", described(flag(), "That it counts nothing.")),
            ("reason", json!({"type": "string", "minLength": 1, "maxLength": 500})),
        ],
    ]
    .concat();
    let shown = [
        identity(),
        vec![
            ("number", described(integer(1), "Which correction of the event it is.")),
            ("customer_id", id("cus")),
            ("value", or_null(number())),
            ("void", flag()),
            ("reason", text()),
        ],
    ]
    .concat();
    let quantity = answer(&[("start", time()), ("end", time()), ("group", free()), ("value", number())], &[]);
    vec![
        ("UsageCorrection", request(&["source", "id", "reason"], asked)),
        ("UsageCorrected", answer(&shown, &[])),
        (
            "UsageQuantities",
            answer(
                &[
                    ("customer_id", id("cus")),
                    ("meter", key()),
                    ("window", or_null(one_of(&Size::ALL.map(Size::name)))),
                    ("timezone", text()),
                    ("as_of", described(integer(0), "The `sequence` of the newest event that is in it.")),
                    ("data", array(&quantity)),
                ],
                &[],
            ),
        ),
    ]
}

fn backfills() -> Vec<(&'static str, Value)> {
    let modes: Vec<&str> = Mode::ALL.iter().map(|mode| mode.name()).collect();
    let states: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
    let window = || -> Fields {
        vec![
            ("meter", described(key(), "The key of a meter.")),
            ("from", described(time(), "The first instant that it covers.")),
            ("to", described(time(), "The first instant after it.")),
            (
                "mode",
                described(one_of(&modes), "`replace`: what is kept of this time and type of event counts no more."),
            ),
        ]
    };
    let customer = described(text(), "Id of the customer, or its `external_id`.");
    let shown = [
        vec![("id", id("bkf")), ("customer_id", id("cus"))],
        window(),
        vec![
            ("type", described(text(), "The type of its events.")),
            ("state", one_of(&states)),
            ("parts", described(integer(0), "Parts that came.")),
            ("events", described(integer(0), "Events in them, each key once.")),
            ("accepted", described(integer(0), "Events that count since it was completed.")),
            ("duplicates", described(integer(0), "Events that counted before.")),
            ("replaced", described(integer(0), "Events that count no more.")),
            ("reason", described(or_null(text()), "Why it failed.")),
            ("created_by", text()),
            ("created_at", time()),
            ("updated_at", time()),
        ],
    ]
    .concat();
    let part = [
        ("backfill_id", id("bkf")),
        ("number", integer(1)),
        ("events", described(integer(0), "Events whose keys were new to the backfill.")),
    ];
    let asked = [vec![("customer_id", customer)], window()].concat();
    vec![
        ("BackfillCreate", request(&["customer_id", "meter", "from", "to", "mode"], asked)),
        ("Backfill", answer(&shown, &[])),
        ("BackfillPart", answer(&part, &[])),
    ]
}

fn reservations() -> Vec<(&'static str, Value)> {
    let held = vec![
        ("id", id("rsv")),
        ("customer_id", id("cus")),
        ("feature", key()),
        ("state", one_of(&["held", "committed", "released", "expired"])),
        ("quantity", decimal()),
        ("used", described(or_null(decimal()), "What was counted of it.")),
        ("expires_at", described(time(), "When it frees itself.")),
        ("created_at", time()),
    ];
    let about = || -> Fields {
        vec![
            ("customer_id", described(text(), "Id of the customer, or its `external_id`.")),
            ("client_id", described(text(), "A client that acts for the customer.")),
        ]
    };
    let seconds = || described(ranged(1, 3_600), "How long it is held; 60 when not given.");
    let create = [about(), vec![("feature", key()), ("quantity", decimal()), ("ttl_seconds", seconds())]].concat();
    let check = [
        about(),
        vec![
            ("token", described(text(), "An access token of a client that acts for the customer.")),
            ("feature", described(key(), "The feature; without one, whether the customer has access at all.")),
            ("scope", described(text(), "A scope that the standing must cover.")),
            ("quantity", described(decimal(), "How much of a counted feature; 1 when not given.")),
            (
                "mode",
                described(
                    json!({"type": "string", "enum": ["check", "consume", "reserve"], "default": "check"}),
                    "What is done when it is allowed; `consume` and `reserve` take an Idempotency-Key.",
                ),
            ),
            ("ttl_seconds", seconds()),
        ],
    ]
    .concat();
    let feature = answer(
        &[("key", key()), ("kind", one_of(&["boolean", "static", "metered"]))],
        &[
            ("value", json!({})),
            ("limit", described(or_null(decimal()), "null: no limit.")),
            ("used", number()),
            ("reserved", decimal()),
            ("remaining", or_null(decimal())),
            ("resets_at", or_null(time())),
            ("overage", one_of(&Overage::ALL.map(Overage::name))),
            ("reset", one_of(&Reset::ALL.map(Reset::name))),
        ],
    );
    let reservation = answer(&[("id", id("rsv")), ("expires_at", time())], &[]);
    vec![
        ("ReservationCreate", request(&["feature", "quantity"], create)),
        (
            "ReservationCommit",
            request(
                &[],
                vec![
                    ("quantity", described(decimal(), "What was used; all of it when not given.")),
                    ("event", described(free(), "A CloudEvent that is kept for it.")),
                ],
            ),
        ),
        ("Reservation", answer(&held, &[])),
        ("CheckRequest", request(&[], check)),
        (
            "Check",
            answer(
                &[
                    ("allowed", flag()),
                    ("reason", one_of(&Reason::ALL.map(Reason::name))),
                    ("customer_id", or_null(id("cus"))),
                    ("status", or_null(statuses())),
                    ("snapshot_version", described(or_null(integer(0)), "The version of the standing.")),
                    ("feature", or_null(refer("CheckedFeature"))),
                    ("checked_at", described(time(), "By the clock of the tenant.")),
                ],
                &[("reservation", reservation)],
            ),
        ),
        ("CheckedFeature", feature),
    ]
}

/// Every schema by name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    [events(), corrections(), backfills(), reservations()].concat()
}

//! The codes of usage: events that are refused, limits, reservations.

use super::{ErrorPage, Surface};

/// Stable codes, in the order in which a report meets them.
pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage {
        code: "events_rejected",
        surface: Surface::Admin,
        status: Some(422),
        title: "Events are refused",
        what: "With `atomic=true` nothing was stored. At `/api/v1/events` the other events were.",
        why: "At least one event cannot be stored, and the request asked for all or nothing, or for an answer that \
               says so.",
        fix: "`rejected` names each event by its place and id, with a code and a reason. Mend those and send the \
               same request again: what was stored counts as a duplicate.",
    },
    ErrorPage {
        code: "event_invalid",
        surface: Surface::Admin,
        status: Some(422),
        title: "The event cannot be read",
        what: "The event was not stored.",
        why: "It is no CloudEvent 1.0: a member is missing, is there twice, has another type or is too long.",
        fix: "`detail` names the member. `specversion`, `id`, `source`, `type` and `subject` must be there.",
    },
    ErrorPage {
        code: "event_too_large",
        surface: Surface::Admin,
        status: Some(422),
        title: "The event is too large",
        what: "The event was not stored.",
        why: "An event takes at most 64 KiB, its headers included.",
        fix: "Report what is counted and leave the rest out.",
    },
    ErrorPage {
        code: "event_in_future",
        surface: Surface::Admin,
        status: Some(422),
        title: "The event lies in the future",
        what: "The event was not stored.",
        why: "`time` may lie at most 5 minutes ahead of the clock of the tenant.",
        fix: "Check the clock of the reporter, or leave `time` out: the moment of receipt counts then.",
    },
    ErrorPage {
        code: "event_too_old",
        surface: Surface::Admin,
        status: Some(422),
        title: "The event is too old",
        what: "The event was not stored.",
        why: "`time` may lie at most 35 days back, so that no event of a period that was settled long ago comes by \
               itself.",
        fix: "Report usage soon after it happened.",
    },
    ErrorPage {
        code: "event_conflict",
        surface: Surface::Admin,
        status: Some(409),
        title: "The id of the event is taken",
        what: "The event was not stored; the one that came before is unchanged.",
        why: "An event with this `source` and `id` came before with other content. The two are the key under which \
               an event counts once.",
        fix: "Give each event an id of its own. To change what was reported, send a correction.",
    },
    ErrorPage {
        code: "customer_unknown",
        surface: Surface::Admin,
        status: Some(422),
        title: "The subject names no customer of yours",
        what: "The event was not stored.",
        why: "`subject` is missing or names no customer of the tenant, or the caller acts for another customer and \
               may report for that one alone.",
        fix: "Name the customer by its id, its external id or the id of one of its clients.",
    },
    ErrorPage {
        code: "value_invalid",
        surface: Surface::Admin,
        status: Some(422),
        title: "The value cannot be counted",
        what: "The event was not stored.",
        why: "A meter that looks at it finds no number, text or operation where it needs one, or the number is out \
               of range.",
        fix: "`detail` names the meter and the path. Numbers have at most 18 digits before the point and 12 behind \
               it.",
    },
    ErrorPage {
        code: "value_negative",
        surface: Surface::Admin,
        status: Some(422),
        title: "The value is below zero",
        what: "The event was not stored.",
        why: "The meter takes no value below zero.",
        fix: "Send a correction for what was reported too high, or use a meter with `allow_negative`.",
    },
    ErrorPage {
        code: "cardinality_exceeded",
        surface: Surface::Admin,
        status: Some(422),
        title: "There are too many groups",
        what: "The event was not stored.",
        why: "A customer has at most 10,000 combinations of dimensions of one meter in a month.",
        fix: "Group by what has few values, such as a region, and not by what is always new, such as a request id.",
    },
    ErrorPage {
        code: "no_entitlement",
        surface: Surface::Admin,
        status: Some(422),
        title: "The plan does not have the feature",
        what: "Nothing was stored, counted or held.",
        why: "No subscription that gives access grants a feature that this usage counts for. What a plan does not \
               list is never unlimited.",
        fix: "`detail` says why. Subscribe the customer to a plan with the feature, or see its standing at \
               `/api/customers/{customer_id}/standing`.",
    },
    ErrorPage {
        code: "quota_exceeded",
        surface: Surface::Admin,
        status: Some(409),
        title: "The limit is reached",
        what: "Nothing was stored, counted or held.",
        why: "What is used and held, together with this, is more than the plan allows in the present window, and \
               it does not let usage go on beyond.",
        fix: "The answer has the limit, what is used and when the window ends. Wait until then, or change the plan.",
    },
    ErrorPage {
        code: "feature_unknown",
        surface: Surface::Admin,
        status: Some(409),
        title: "There is no such feature",
        what: "Nothing was held.",
        why: "The tenant has no feature with this key.",
        fix: "Check the key against `/api/features`.",
    },
    ErrorPage {
        code: "subscription_inactive",
        surface: Surface::Admin,
        status: Some(409),
        title: "The subscription gives no access",
        what: "Nothing was held.",
        why: "The best subscription of the customer is unpaid, paused or over, or an operator suspends the customer.",
        fix: "See the standing of the customer at `/api/customers/{customer_id}/standing`.",
    },
    ErrorPage {
        code: "no_subscription",
        surface: Surface::Admin,
        status: Some(409),
        title: "There is no subscription",
        what: "Nothing was held.",
        why: "The customer has no subscription, or the client acts for no customer.",
        fix: "Subscribe the customer to a plan.",
    },
    ErrorPage {
        code: "client_inactive",
        surface: Surface::Admin,
        status: Some(409),
        title: "The client is not active",
        what: "Nothing was held.",
        why: "The client is disabled or expired.",
        fix: "Enable the client, or name the customer instead.",
    },
    ErrorPage {
        code: "reservation_expired",
        surface: Surface::Admin,
        status: Some(409),
        title: "The reservation has ended",
        what: "Nothing was counted.",
        why: "A reservation frees itself when its time is over, and another use may have taken the room.",
        fix: "Reserve again, for longer when the work takes longer.",
    },
    ErrorPage {
        code: "too_many_corrections",
        surface: Surface::Admin,
        status: Some(409),
        title: "The event was corrected too often",
        what: "Nothing was changed.",
        why: "An event is corrected 100 times at most.",
        fix: "Void the event and report what happened under a new id.",
    },
];

//! One subscription: where it stands, what comes next, what happened, and what may follow.

use askama::Template;
use kernel::clock::Timestamp;

use super::customer::ending;
use super::plan::Offer;
use super::subscriptions::SECTION;
use crate::badge::{self, Badge};
use crate::code;
use crate::form::{Confirm, Entered, Field};
use crate::moment::{Grouped, Moment};
use crate::shell::{Document, Frame, Visit};

/// Something that happened to it, as its event told.
#[derive(Debug, Clone)]
pub struct Happened {
    /// Since when it holds.
    pub at: Timestamp,
    /// The type of the event.
    pub kind: String,
    /// Where it stood then.
    pub status: String,
    /// Where it stood before, when that was elsewhere.
    pub from: Option<String>,
}

/// Another plan or quantity from the next period on.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// Name and version of the plan.
    pub plan: String,
    /// How many.
    pub quantity: u64,
    /// From when on; `None` while no next period is in sight.
    pub at: Option<Timestamp>,
}

/// A subscription as its page shows it. Its times are of the tenant's business time.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Id of its customer.
    pub customer_id: String,
    /// Name of its customer.
    pub customer: String,
    /// Id of its plan.
    pub plan_id: String,
    /// Name and version of its plan.
    pub plan: String,
    /// What the plan costs, in one line.
    pub price: String,
    /// How many.
    pub quantity: u64,
    /// Where it stands.
    pub status: &'static str,
    /// Since when.
    pub status_since: Timestamp,
    /// `full`, `restricted` or `none`.
    pub access: &'static str,
    /// When access ends unless something happens.
    pub access_until: Option<Timestamp>,
    /// What periods are counted from.
    pub anchor: Timestamp,
    /// The open period.
    pub period: Option<(Timestamp, Timestamp)>,
    /// When the trial ends or ended.
    pub trial_end: Option<Timestamp>,
    /// When it will be canceled.
    pub cancel_at: Option<Timestamp>,
    /// When its term ends.
    pub term_end: Option<Timestamp>,
    /// The due date of what is overdue.
    pub overdue_since: Option<Timestamp>,
    /// What changes with the next period.
    pub scheduled: Option<Scheduled>,
    /// Names of what may follow now.
    pub allowed: Vec<&'static str>,
    /// What happened, the newest first, as long as events are kept.
    pub history: Vec<Happened>,
    /// What it may change to.
    pub offers: Vec<Offer>,
    /// How many clients act for the customer.
    pub clients: usize,
    /// The present instant of the tenant's business time.
    pub today: Timestamp,
    /// Creation.
    pub created_at: Timestamp,
    /// The entity tag that forms send back.
    pub etag: String,
}

impl Subscription {
    fn allows(&self, event: &str) -> bool {
        self.allowed.contains(&event)
    }
}

/// The words of an event, with what they lead to.
fn words(happened: &Happened) -> (&'static str, &'static str) {
    match happened.kind.as_str() {
        "subscription.created" => ("Subscribed", "plus"),
        "subscription.activated" => ("Became active", "circle-check"),
        "subscription.trial_ending" => ("The end of the trial was announced", "bell"),
        "subscription.trial_ended" => ("The trial ended", "clock"),
        "subscription.updated" => ("Changed", "pencil"),
        "subscription.past_due" => ("An invoice became overdue", "triangle-alert"),
        "subscription.unpaid" => ("The grace was over", "ban"),
        "subscription.paused" => ("Paused", "pause"),
        "subscription.resumed" => ("Resumed", "play"),
        "subscription.canceled" => ("Canceled", "circle-x"),
        "subscription.ended" => ("Ended", "circle-x"),
        _ => ("Told", "info"),
    }
}

/// A point of the line of time.
struct Point {
    icon: &'static str,
    text: String,
    badge: Option<Badge>,
    at: Moment,
    /// `past`, `now` or `future`.
    when: &'static str,
}

/// Everything that is in sight, the latest first, then what happened.
fn line(sub: &Subscription) -> Vec<Point> {
    let today = sub.today;
    let mut future: Vec<(Timestamp, &'static str, String)> = Vec::new();
    let mut add = |at: Option<Timestamp>, icon: &'static str, text: &str| {
        if let Some(at) = at.filter(|at| *at > today) {
            future.push((at, icon, text.to_owned()));
        }
    };
    let is_final = matches!(sub.status, "canceled" | "ended");
    if !is_final {
        add(sub.term_end, "circle-x", "Its term ends");
        add(sub.cancel_at, "circle-x", "Is canceled");
        if sub.status == "past_due" {
            add(sub.access_until, "ban", "The grace is over: unpaid");
        }
        if sub.status == "trialing" {
            add(sub.trial_end, "clock", "The trial ends");
        } else if sub.status != "paused" && sub.cancel_at.is_none() {
            add(sub.period.map(|(_, end)| end), "refresh-cw", "The next period begins");
        }
        if let Some(scheduled) = &sub.scheduled {
            let text = format!("Changes to {}, quantity {}", scheduled.plan, scheduled.quantity);
            add(scheduled.at, "pencil", &text);
        }
    }
    future.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let moment = |at: Timestamp| Moment::new(at, today);
    let mut points: Vec<Point> = future
        .into_iter()
        .map(|(at, icon, text)| Point { icon, text, badge: None, at: moment(at), when: "future" })
        .collect();
    points.push(Point {
        icon: "arrow-right",
        text: "Now".to_owned(),
        badge: Some(badge::of(sub.status)),
        at: moment(sub.status_since),
        when: "now",
    });
    points.extend(sub.history.iter().map(|happened| {
        let (text, icon) = words(happened);
        let moved = happened.from.is_some() || happened.kind == "subscription.created";
        Point {
            icon,
            text: text.to_owned(),
            badge: moved.then(|| badge::of(&happened.status)),
            at: moment(happened.at),
            when: "past",
        }
    }));
    points
}

/// Thousandths of the open period that have passed.
fn passed(sub: &Subscription) -> Option<i64> {
    let (start, end) = sub.period?;
    let whole = end.seconds_since(start).max(1);
    let gone = sub.today.seconds_since(start).clamp(0, whole);
    gone.saturating_mul(1_000).checked_div(whole)
}

#[derive(Template)]
#[template(path = "subscription.html")]
struct Page<'a> {
    frame: Frame<'a>,
    sub: &'a Subscription,
    here: String,
    badge: Badge,
    access: Badge,
    since: Moment,
    until: Option<Moment>,
    period: Option<(Moment, Moment, i64)>,
    trial: Option<Moment>,
    overdue: Option<Moment>,
    cancel_at: Option<Moment>,
    term: Option<Moment>,
    scheduled: Option<(&'a Scheduled, Option<Moment>)>,
    anchor: Moment,
    created: Moment,
    line: Vec<Point>,
    history: Option<String>,
    changes: bool,
    quantity: Field,
    held: Grouped,
    payment: Vec<Field>,
    entered: &'a Entered,
    pause: Confirm,
    resume: Confirm,
    cancel: Confirm,
    refused: Option<String>,
}

/// The page; `entered` is what came back from one of its forms.
pub fn detail<'a>(visit: &Visit<'a>, sub: &'a Subscription, entered: &'a Entered) -> Document {
    let mut frame = Frame::new(visit, SECTION, &format!("{} of {}", sub.plan, sub.customer));
    let operations = [
        ("", "getSubscription"),
        ("change", "changeSubscription"),
        ("pause", "pauseSubscription"),
        ("resume", "resumeSubscription"),
        ("cancel", "cancelSubscription"),
        ("undo_cancel", "uncancelSubscription"),
        ("settled", "tellPayment"),
    ];
    let possible = operations.iter().filter(|(event, _)| event.is_empty() || sub.allows(event));
    let possible: Vec<&str> = possible.map(|(_, operation)| *operation).collect();
    frame.code = code::shown(&possible, &visit.viewer.issuer, &[("subscription_id", &sub.id)]);
    let here = format!("{}/{SECTION}/{}", frame.root, sub.id);
    let refused = visit.viewer.refused("billing:write");
    let moment = |at: Timestamp| Moment::new(at, sub.today);
    let confirm = |id: &str, title: String, consequence: String, verb: &'static str| Confirm {
        id: id.to_owned(),
        action: format!("{here}/{id}"),
        title,
        consequence,
        verb,
        typed: None,
        refused: refused.clone(),
    };
    let ends = format!("If nothing else gives {} access: {}", sub.customer, lowered(ending(sub.clients)));
    Document::of(&Page {
        badge: badge::of(sub.status),
        access: badge::of(sub.access),
        since: moment(sub.status_since),
        until: sub.access_until.map(moment),
        period: sub.period.zip(passed(sub)).map(|((start, end), gone)| (moment(start), moment(end), gone)),
        trial: sub.trial_end.map(moment),
        overdue: sub.overdue_since.map(moment),
        cancel_at: sub.cancel_at.map(moment),
        term: sub.term_end.map(moment),
        scheduled: sub.scheduled.as_ref().map(|scheduled| (scheduled, scheduled.at.map(moment))),
        anchor: moment(sub.anchor),
        created: moment(sub.created_at),
        line: line(sub),
        history: visit
            .viewer
            .may("audit:read")
            .then(|| format!("{}/activity?kind=subscription&object={}", frame.root, sub.id)),
        changes: sub.allows("change"),
        held: Grouped(sub.quantity),
        quantity: Field::new("quantity", "Quantity", "number")
            .hint("0 to 1,000,000,000.")
            .autocomplete("off")
            .given(&sub.quantity.to_string(), entered),
        payment: [
            Field::new("at", "When", "text").optional().hint(
                "The due date of what is overdue, or when it was settled; empty: now. Such as 2027-01-31T00:00:00Z.",
            ),
            Field::new("reference", "Reference", "text").optional().hint("What the other system calls it."),
        ]
        .map(|field| field.autocomplete("off").filled(entered))
        .into(),
        pause: confirm(
            "pause",
            format!("Pause {}", sub.plan),
            format!("It gives no access until somebody resumes it. {ends}"),
            "Pause",
        ),
        resume: confirm(
            "resume",
            format!("Resume {}", sub.plan),
            "It gives access again from the next request on.".to_owned(),
            "Resume",
        ),
        cancel: confirm(
            "cancel",
            format!("Cancel {}", sub.plan),
            format!("Canceled is final: to have the plan again is a new subscription. {ends}"),
            "Cancel subscription",
        ),
        refused,
        sub,
        here,
        entered,
        frame,
    })
}

/// A sentence as it goes on after a colon.
fn lowered(sentence: &str) -> String {
    let mut characters = sentence.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_lowercase).collect();
    format!("{first}{}", characters.as_str())
}

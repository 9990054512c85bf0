//! The standing of a customer, derived from its subscriptions and from what an operator decided.

use std::collections::{BTreeMap, BTreeSet};

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::standing::{Access, Allowance, Entitlement, Overage, Reset, Source, Standing};

use crate::subscription::Computed;

/// How the rights of several subscriptions to one feature become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    /// The largest counts.
    #[default]
    Largest,
    /// They add up.
    Sum,
}

/// What a plan grants of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Its use.
    Boolean,
    /// A setting in words.
    Text(String),
    /// A setting in figures.
    Number(Decimal),
    /// So much of it.
    Metered {
        /// The most in one window; `None` is without limit.
        limit: Option<Decimal>,
        /// What happens beyond it.
        overage: Overage,
        /// When use counts from zero again.
        reset: Reset,
    },
}

/// An entitlement of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is granted.
    pub right: Right,
    /// The feature's setting for several subscriptions.
    pub combine: Combine,
}

/// What the version of a plan grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanRights {
    /// The key of the plan.
    pub key: String,
    /// What it grants, by the key of the feature.
    pub grants: BTreeMap<String, Grant>,
    /// The features left to a subscription under `restrict` that is unpaid; only what is granted is left.
    pub restricted_features: BTreeSet<String>,
    /// The scopes left to it.
    pub restricted_scopes: BTreeSet<String>,
}

/// A subscription of the customer.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// What holds for it now.
    pub computed: &'a Computed,
    /// The rights of the plan in force, `computed.current.item.plan`: a scheduled change may have brought another.
    pub plan: &'a PlanRights,
    /// The end of its last advance period that is settled or not yet due, when there is one.
    pub paid_through: Option<BusinessTime>,
}

/// What else decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Customer {
    /// The version of the standing: raised in the commit that changes it.
    pub version: u64,
    /// Since when an operator suspends the customer.
    pub suspended_at: Option<BusinessTime>,
    /// `not_before` of the standing before: it never goes back, also when a suspension is lifted.
    pub not_before: Option<BusinessTime>,
}

/// Derives what a customer may do. The order of the subscriptions does not matter.
pub fn derive(customer: &Customer, held: &[Held<'_>]) -> Standing {
    let mut held = held.to_vec();
    held.sort_by_key(|one| (one.computed.current.status, one.computed.current.created_at, one.computed.current.id));
    let best = held.first().copied();
    let lost = held.iter().filter_map(|one| one.computed.current.lost_access_at);
    let not_before = lost.chain(customer.not_before).chain(customer.suspended_at).max();
    let next_boundary = held.iter().filter_map(|one| one.computed.next_boundary).min();

    let granting: Vec<Held<'_>> = match customer.suspended_at {
        Some(_) => Vec::new(),
        None => held.iter().copied().filter(|one| one.computed.access > Access::None).collect(),
    };
    let access = granting.iter().map(|one| one.computed.access).max().unwrap_or(Access::None);
    let lasting: Vec<Option<BusinessTime>> =
        granting.iter().filter(|one| one.computed.access == access).map(|one| one.computed.access_until).collect();
    let access_until = match access {
        Access::None => not_before,
        _ if lasting.contains(&None) => None,
        _ => lasting.into_iter().flatten().max(),
    };
    let mut plans: Vec<String> = Vec::new();
    let mut entitlements = BTreeMap::new();
    for one in &granting {
        if !plans.contains(&one.plan.key) {
            plans.push(one.plan.key.clone());
        }
        add(&mut entitlements, one);
    }
    if plans.is_empty() {
        plans.extend(best.map(|one| one.plan.key.clone()));
    }
    let restricted_scopes = match access {
        Access::Restricted => granting.iter().flat_map(|one| one.plan.restricted_scopes.iter().cloned()).collect(),
        Access::None | Access::Full => BTreeSet::new(),
    };
    let paid_through = granting
        .iter()
        .filter_map(|one| one.paid_through.or_else(|| one.computed.current.period.map(|period| period.end)));
    Standing {
        version: customer.version,
        plans,
        source: best.map(|one| Source {
            subscription: one.computed.current.id,
            status: one.computed.current.status,
            since: one.computed.current.status_since,
        }),
        access,
        suspended_at: customer.suspended_at,
        entitlements,
        restricted_scopes,
        not_before,
        access_until,
        narrows_at: granting.iter().filter_map(|one| one.computed.access_until).min(),
        paid_through: paid_through.max(),
        next_boundary,
    }
}

/// Adds what a subscription grants to what those before it do.
fn add(entitlements: &mut BTreeMap<String, Entitlement>, one: &Held<'_>) {
    for (feature, more, how) in granted(*one) {
        match entitlements.get_mut(feature) {
            Some(kept) => combine(kept, more, how),
            None => drop(entitlements.insert(feature.to_owned(), more)),
        }
    }
}

/// What a subscription that gives access grants by itself, and how that goes together with what others grant.
pub(crate) fn granted(one: Held<'_>) -> impl Iterator<Item = (&str, Entitlement, Combine)> {
    let is_restricted = one.computed.access == Access::Restricted;
    let left = one.plan.grants.iter().filter(move |(feature, _)| {
        let is_left = one.plan.restricted_features.contains(*feature);
        !is_restricted || is_left
    });
    left.map(move |(feature, grant)| (feature.as_str(), entitlement(&grant.right, one.computed), grant.combine))
}

fn entitlement(right: &Right, computed: &Computed) -> Entitlement {
    match right {
        Right::Boolean => Entitlement::Boolean,
        Right::Text(text) => Entitlement::Text(text.clone()),
        Right::Number(number) => Entitlement::Number(*number),
        Right::Metered { limit, overage, reset } => {
            let period = computed.current.period.filter(|_| *reset == Reset::Period);
            let period = period.map(|period| (period.start, period.end));
            Entitlement::Metered(Allowance { limit: *limit, overage: *overage, reset: *reset, period })
        }
    }
}

/// Makes two rights to one feature one. A setting in words cannot be added: that of the better status stays.
fn combine(kept: &mut Entitlement, more: Entitlement, how: Combine) {
    match (kept, more) {
        (Entitlement::Number(kept), Entitlement::Number(more)) => *kept = combined(*kept, more, how),
        (Entitlement::Metered(kept), Entitlement::Metered(more)) => *kept = combined_allowance(*kept, more, how),
        _ => {}
    }
}

fn combined(kept: Decimal, more: Decimal, how: Combine) -> Decimal {
    let largest = kept.max(more);
    match how {
        Combine::Largest => largest,
        Combine::Sum => kept.checked_add(more).unwrap_or(largest),
    }
}

fn combined_allowance(kept: Allowance, more: Allowance, how: Combine) -> Allowance {
    // No limit is more than any; limits of unlike windows have no sum.
    let is_more = kept.limit.is_some_and(|kept| more.limit.is_none_or(|more| more > kept));
    let wider = if is_more { more } else { kept };
    let limit = match (kept.limit, more.limit) {
        (Some(one), Some(other)) if kept.reset == more.reset => Some(combined(one, other, how)),
        _ => wider.limit,
    };
    Allowance { limit, overage: kept.overage.max(more.overage), ..wider }
}

#[cfg(test)]
mod tests;

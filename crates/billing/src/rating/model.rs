//! A second calculation of every charge, to compare with: written from the formulas alone, in whole numbers of one fixed
//! unit, without the types of this crate.

use num_bigint::BigInt;
use serde_json::{Value, json};

/// A definition and what is rated under it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) definition: Value,
    /// Units of 10^-12, in order; a single one that is not an event for the other two kinds.
    pub(super) values: Vec<i64>,
    pub(super) kind: Kind,
    pub(super) share: (u64, u64),
    pub(super) is_half_even: bool,
    /// How many of the events, or in percent how much of the quantity, had been billed before.
    pub(super) billed_before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Licensed,
    Metered,
    Events,
}

/// Units of 10^-12 behind a decimal text.
fn units(text: &str) -> BigInt {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

fn member(object: &Value, name: &str) -> BigInt {
    object[name].as_str().map_or_else(|| BigInt::from(0), units)
}

/// The charge in units of 10^-26 × 1/whole.
fn charge(case: &Case, values: &[i64]) -> BigInt {
    let definition = &case.definition;
    let hundred = BigInt::from(100);
    // Units of 10^-12 as units of 10^-26.
    let major = |amount: BigInt| amount * BigInt::from(10_i64.pow(14));
    let zero = || BigInt::from(0);
    let sum: BigInt = values.iter().map(|value| BigInt::from(*value)).sum();
    let q = sum.clone().max(zero());
    let mut base = zero();
    match definition["model"].as_str().unwrap() {
        "flat" => base = major(member(definition, "amount")),
        "per_unit" => base = &q * member(definition, "unit_amount") * hundred,
        "package" => {
            let (size, free) = (member(definition, "size"), member(definition, "free"));
            let mut rest = &q - free;
            let mut packages = 0;
            // Counted down by large strides first, so that no division is needed.
            for stride in [1_000_000_000_i64, 1_000_000, 1_000, 1] {
                while rest > &size * (stride - 1) {
                    rest -= &size * stride;
                    packages += stride;
                }
            }
            base = major(member(definition, "amount")) * packages;
        }
        "volume" => {
            let tiers = definition["tiers"].as_array().unwrap();
            // From the top: the tier above the last end that the quantity has passed.
            let passed = tiers.iter().rposition(|tier| !tier["up_to"].is_null() && q > member(tier, "up_to"));
            let tier = &tiers[passed.map_or(0, |index| index + 1)];
            base = &q * member(tier, "unit_amount") * hundred + major(member(tier, "flat_amount"));
        }
        name @ ("graduated" | "graduated_percentage") => {
            // From the top: what lies above the end of the tier below is priced and taken off.
            let tiers = definition["tiers"].as_array().unwrap();
            let mut left = q.clone();
            for (index, tier) in tiers.iter().enumerate().rev() {
                let below = if index == 0 { zero() } else { member(&tiers[index - 1], "up_to") };
                if index > 0 && left <= below {
                    continue;
                }
                let inside = &left - &below;
                base += major(member(tier, "flat_amount"));
                base += if name == "graduated" {
                    inside * member(tier, "unit_amount") * &hundred
                } else {
                    inside * member(tier, "rate")
                };
                left = below;
            }
        }
        _ => {
            let clamps = !definition["min_per_event"].is_null() || !definition["max_per_event"].is_null();
            let free_events = definition["free_events"].as_u64();
            let free_amount = definition["free_amount"].as_str().map(units);
            let first = free_events
                .map(|count| values.iter().zip(0..count).map(|(value, _)| BigInt::from(*value)).sum::<BigInt>());
            let free = match (first, free_amount.clone()) {
                (Some(first), Some(amount)) => first.min(amount),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => zero(),
            };
            let free = free.min(q.clone()).max(zero());
            let (rate, fixed) = (member(definition, "rate"), major(member(definition, "fixed_amount")));
            if !clamps {
                base = (&q - &free) * &rate;
            }
            let mut total = zero();
            for (index, value) in values.iter().enumerate() {
                let before = (&total - &free).max(zero());
                total += BigInt::from(*value);
                let part = (&total - &free).max(zero()) - before;
                let by_count = free_events.map(|count| u64::try_from(index).unwrap() < count);
                let by_amount = free_amount.as_ref().map(|amount| total <= *amount);
                if matches!((by_count, by_amount), (Some(true), Some(true) | None) | (None, Some(true))) {
                    continue;
                }
                let mut fee = fixed.clone();
                if clamps {
                    fee += part * &rate;
                    if definition["min_per_event"].is_string() {
                        fee = fee.max(major(member(definition, "min_per_event")));
                    }
                    if definition["max_per_event"].is_string() {
                        fee = fee.min(major(member(definition, "max_per_event")));
                    }
                }
                base += fee;
            }
        }
    }
    let (part, whole) = (BigInt::from(case.share.0), BigInt::from(case.share.1));
    let prorated = case.kind == Kind::Licensed || definition["model"] == "flat";
    let charge = (base * if prorated { &part } else { &whole }).max(zero());
    match definition["maximum"].as_str() {
        Some(maximum) => charge.min(major(units(maximum)) * part),
        None => charge,
    }
}

/// Minor units of a number that is not negative, in units of 10^-26 × 1/whole.
fn rounded(case: &Case, amount: &BigInt) -> BigInt {
    let digits = match case.definition["currency"].as_str().unwrap() {
        "JPY" => 0,
        "KWD" => 3,
        "CLF" => 4,
        _ => 2,
    };
    let unit = BigInt::from(10).pow(26 - digits) * case.share.1;
    let (below, rest) = (amount / &unit, (amount % &unit) * 2);
    let up = rest > unit || (rest == unit && (!case.is_half_even || &below % 2_i64 == BigInt::from(1)));
    if up { below + 1 } else { below }
}

/// What was billed before, the charge, and the true-up after both, in minor units.
pub(super) fn expected(case: &Case) -> [BigInt; 3] {
    let before = rounded(case, &charge(case, &case.before()));
    let now = rounded(case, &charge(case, &case.values));
    let minimum = case.definition["minimum"].as_str().map_or_else(|| BigInt::from(0), units);
    let minimum = minimum * BigInt::from(10_i64.pow(14)) * case.share.0;
    let missing = (rounded(case, &minimum) - &now).max(BigInt::from(0));
    [before, now, missing]
}

impl Case {
    /// What was there at the earlier bill.
    pub(super) fn before(&self) -> Vec<i64> {
        match self.kind {
            Kind::Events => self.values.iter().copied().zip(0..self.billed_before).map(|(value, _)| value).collect(),
            _ => self.values.iter().map(|value| value / 100 * i64::try_from(self.billed_before).unwrap()).collect(),
        }
    }
}

/// A generator whose every case comes from its seed alone (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// An amount as text: small and round, a half of a minor unit, of all digits, or large.
    fn amount(&mut self) -> String {
        match self.below(8) {
            0 => "0".to_owned(),
            1 | 2 => self.below(50).to_string(),
            3 | 4 => format!("{}.{}5", self.below(20), self.below(100)),
            5 => format!("{}.{:012}", self.below(3), self.below(1_000_000_000_000)),
            6 => format!("0.{:05}", self.below(100_000)),
            _ => format!("{}.5", self.below(1_000_000)),
        }
    }

    /// A quantity in units of 10^-12, now and then negative.
    fn quantity(&mut self) -> i64 {
        let units = match self.below(6) {
            0 => 0,
            1 | 2 => self.below(60) * 1_000_000_000_000,
            3 => self.below(600) * 500_000_000_000,
            4 => self.below(6_000_000) * 1_000_000_000_000,
            _ => self.below(40_000_000_000_000),
        };
        let units = i64::try_from(units).unwrap();
        if self.below(12) == 0 { -units } else { units }
    }

    fn tiers(&mut self, rate: &str) -> Value {
        let mut ends: Vec<u64> = (0..self.below(5)).map(|_| self.below(60)).collect();
        ends.sort_unstable();
        ends.dedup();
        let half = if self.below(3) == 0 { ".5" } else { "" };
        let ends = ends.iter().map(|end| json!(format!("{end}{half}"))).chain([Value::Null]);
        ends.map(|end| json!({ "up_to": end, rate: self.amount(), "flat_amount": self.amount() })).collect()
    }

    pub(super) fn case(&mut self) -> Case {
        let currency = ["EUR", "EUR", "EUR", "JPY", "KWD", "CLF"][usize::try_from(self.below(6)).unwrap()];
        let mut definition = json!({ "currency": currency, "timing": "arrears" });
        let mut kind = [Kind::Licensed, Kind::Metered, Kind::Events][usize::try_from(self.below(3)).unwrap()];
        let members = match self.below(8) {
            0 => json!({ "model": "flat", "amount": self.amount() }),
            1 => json!({ "model": "per_unit", "unit_amount": self.amount() }),
            2 => json!({ "model": "graduated", "tiers": self.tiers("unit_amount") }),
            3 => json!({ "model": "volume", "tiers": self.tiers("unit_amount") }),
            4 => {
                let size = ["0.5", "1", "3", "10", "1000"][usize::try_from(self.below(5)).unwrap()];
                json!({ "model": "package", "size": size, "amount": self.amount(), "free": self.amount() })
            }
            5 => json!({ "model": "graduated_percentage", "tiers": self.tiers("rate") }),
            _ => {
                kind = Kind::Events;
                let mut members = json!({ "model": "percentage", "rate": self.amount() });
                if self.below(2) == 0 {
                    members["fixed_amount"] = self.amount().into();
                }
                if self.below(2) == 0 {
                    members["free_events"] = self.below(6).into();
                }
                if self.below(2) == 0 {
                    members["free_amount"] = self.amount().into();
                }
                let bounds = self.below(4);
                if bounds & 1 != 0 {
                    members["min_per_event"] = format!("{}.5", self.below(9)).into();
                }
                if bounds & 2 != 0 {
                    members["max_per_event"] = format!("{}.5", 9 + self.below(90)).into();
                }
                members
            }
        };
        definition.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let bounds = self.below(4);
        if bounds & 1 != 0 {
            definition["minimum"] = format!("{}.{:03}", self.below(200), self.below(1_000)).into();
        }
        if bounds & 2 != 0 {
            definition["maximum"] = format!("{}.{:03}", 200 + self.below(5_000), self.below(1_000)).into();
        }
        let count = if kind == Kind::Events { self.below(9) } else { 1 };
        let values = (0..count).map(|_| self.quantity()).collect();
        let whole = [1, 7, 28, 30, 31, 365, 2_592_000, 2_678_400][usize::try_from(self.below(8)).unwrap()];
        let part = if self.below(3) == 0 { whole } else { self.below(whole + 1) };
        let billed_before = if kind == Kind::Events { self.below(count + 1) } else { self.below(101) };
        Case { definition, values, kind, share: (part, whole), is_half_even: self.below(2) == 0, billed_before }
    }
}

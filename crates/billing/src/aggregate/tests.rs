#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use kernel::clock::Timestamp;
use kernel::decimal::StepMode;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;

fn at(text: &str) -> BusinessTime {
    BusinessTime::from_micros(Timestamp::parse(text).unwrap().as_micros())
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn value(text: &str) -> Measure {
    Measure::Value(decimal(text))
}

fn add(member: &str) -> Measure {
    Measure::Member(member.to_owned(), Operation::Add)
}

fn remove(member: &str) -> Measure {
    Measure::Member(member.to_owned(), Operation::Remove)
}

fn step(mode: StepMode, precision: i8) -> Step {
    Step::new(mode, precision).unwrap()
}

fn august() -> Window {
    Window { start: at("2023-08-01T00:00:00Z"), end: at("2023-09-01T00:00:00Z") }
}

/// The state of these events, which come one after another, a second apart from the start of the window on.
fn state(aggregation: Aggregation, measures: &[Measure]) -> State {
    let mut state = State::new(aggregation);
    for (sequence, measure) in (0..).zip(measures) {
        let at = BusinessTime::from_micros(august().start.as_micros() + sequence * 1_000_000);
        state.fold(august(), Moment { at, sequence }, measure).unwrap();
    }
    state
}

fn result(state: &State, carried: &Carried) -> String {
    state.result(august(), None, carried).unwrap().to_string()
}

#[test]
fn the_weighted_sum_of_the_worked_example() {
    let changes = [
        ("00:00", "2"),
        ("01:00", "3"),
        ("01:30", "1"),
        ("02:00", "-4"),
        ("04:00", "-2"),
        ("05:00", "10"),
        ("05:30", "-10"),
    ];
    let mut state = State::new(Aggregation::WeightedSum);
    for (sequence, (time, change)) in (0..).zip(changes) {
        let moment = Moment { at: at(&format!("2023-08-01T{time}:00Z")), sequence };
        state.fold(august(), moment, &value(change)).unwrap();
    }
    let rounded = |rounding| state.result(august(), rounding, &Carried::Nothing).unwrap().to_string();
    // 59,400 ÷ 2,678,400
    assert_eq!(rounded(Some(step(StepMode::Round, 5))), "0.02218");
    assert_eq!(rounded(Some(step(StepMode::Floor, 5))), "0.02217");
    assert_eq!(rounded(Some(step(StepMode::Ceil, 0))), "1");
    assert_eq!(rounded(None), "0.022177419355");
    assert_eq!(state.carry(&Carried::Nothing), Ok(Carried::Value(Decimal::ZERO)));
}

#[test]
fn without_events_the_result_is_zero_or_what_is_carried() {
    for aggregation in Aggregation::ALL {
        let state = State::new(aggregation);
        assert_eq!(result(&state, &Carried::Nothing), "0");
        let carried = match aggregation {
            Aggregation::Unique => Carried::Members(["1", "2"].map(str::to_owned).into()),
            _ => Carried::Value(decimal("2")),
        };
        if aggregation.carries_over() {
            assert_eq!(result(&state, &carried), "2");
            assert_eq!(state.carry(&carried), Ok(carried));
        } else {
            assert_eq!(state.result(august(), None, &carried), Err(AggregateError::Mismatch));
            assert_eq!(state.carry(&Carried::Nothing), Err(AggregateError::Mismatch));
        }
    }
    assert_eq!(State::new(Aggregation::Latest).carry(&Carried::Nothing), Ok(Carried::Nothing));
}

#[test]
fn what_is_carried_is_where_the_window_begins() {
    let five = Carried::Value(decimal("5"));
    let latest = state(Aggregation::Latest, &[value("-1"), value("7.5")]);
    assert_eq!((result(&latest, &five), latest.carry(&five)), ("7.5".to_owned(), Ok(Carried::Value(decimal("7.5")))));
    // Half of the window at 5, the other half at 8.
    let mut level = State::new(Aggregation::WeightedSum);
    let moment = Moment { at: at("2023-08-16T12:00:00Z"), sequence: 1 };
    level.fold(august(), moment, &value("3")).unwrap();
    assert_eq!((result(&level, &five), level.carry(&five)), ("6.5".to_owned(), Ok(Carried::Value(decimal("8")))));

    let members = |list: &[&str]| Carried::Members(list.iter().map(|member| (*member).to_owned()).collect());
    let seats = state(Aggregation::Unique, &[add("3"), remove("1"), remove("3"), add("2"), add("3"), remove("9")]);
    assert_eq!(result(&seats, &Carried::Nothing), "2");
    assert_eq!(result(&seats, &members(&["1", "2", "4"])), "3");
    assert_eq!(seats.carry(&members(&["1", "2", "4"])), Ok(members(&["2", "3", "4"])));
    assert_eq!(seats.result(august(), None, &five), Err(AggregateError::Mismatch));
    assert_eq!(latest.result(august(), None, &members(&[])), Err(AggregateError::Mismatch));
}

#[test]
fn the_aggregate_is_rounded_once_and_its_values_are_not() {
    let sum = state(Aggregation::Sum, &[value("0.4"), value("0.4"), value("0.4")]);
    let rounded =
        |mode, precision| sum.result(august(), Some(step(mode, precision)), &Carried::Nothing).unwrap().to_string();
    assert_eq!(rounded(StepMode::Round, 0), "1");
    assert_eq!(rounded(StepMode::Ceil, 0), "2");
    assert_eq!(rounded(StepMode::Ceil, -2), "100");
    // An average just below a half stays below it, though 12 digits would make it a half.
    let mut level = State::new(Aggregation::WeightedSum);
    let long = Window { start: BusinessTime::from_micros(0), end: BusinessTime::from_micros(4_000_000_000_000) };
    let late = Moment { at: BusinessTime::from_micros(2_000_000_000_001), sequence: 0 };
    level.fold(long, late, &value("1")).unwrap();
    let averaged = |step| level.result(long, Some(step), &Carried::Nothing).unwrap().to_string();
    assert_eq!(averaged(step(StepMode::Round, 12)), "0.5");
    assert_eq!(averaged(step(StepMode::Round, 0)), "0");
    assert_eq!(averaged(step(StepMode::Floor, 12)), "0.499999999999");
}

#[test]
fn an_average_below_zero_is_rounded_away_from_zero_at_the_half() {
    let window = Window { start: BusinessTime::from_micros(0), end: BusinessTime::from_micros(2) };
    let moment = Moment { at: BusinessTime::from_micros(1), sequence: 0 };
    for (change, mode, expected) in [
        ("-1", StepMode::Round, "-1"),
        ("1", StepMode::Round, "1"),
        ("-1", StepMode::Ceil, "0"),
        ("-1", StepMode::Floor, "-1"),
        ("-0.9", StepMode::Round, "0"),
        ("4", StepMode::Ceil, "2"),
        ("4", StepMode::Floor, "2"),
        ("-2.000000000002", StepMode::Round, "-1"),
        ("-3", StepMode::Round, "-2"),
    ] {
        let mut level = State::new(Aggregation::WeightedSum);
        level.fold(window, moment, &value(change)).unwrap();
        let average = level.result(window, Some(step(mode, 0)), &Carried::Nothing).unwrap();
        assert_eq!(average.to_string(), expected, "{change} {mode:?}");
    }
}

#[test]
fn the_largest_values_over_a_year_stay_exact() {
    let year = Window { start: at("2026-01-01T00:00:00Z"), end: at("2027-01-01T00:00:00Z") };
    let mut level = State::new(Aggregation::WeightedSum);
    for sequence in 0..1_000 {
        let last = BusinessTime::from_micros(year.end.as_micros() - 1);
        level.fold(year, Moment { at: last, sequence }, &value("999999999999999999.999999999999")).unwrap();
    }
    // 999,999,999,999,999,999,999.999999999 for one of 31,536,000,000,000 microseconds
    assert_eq!(level.result(year, None, &Carried::Nothing).unwrap().to_string(), "31709791.983764586504");
    let mut sum = State::Sum(Decimal::from_units(i128::MAX));
    let before = sum.clone();
    let moment = Moment { at: year.start, sequence: 0 };
    assert_eq!(sum.fold(year, moment, &value("1")), Err(AggregateError::Overflow));
    assert_eq!(sum, before);
}

#[test]
fn an_event_of_another_window_or_aggregation_is_refused() {
    let moment = |at| Moment { at, sequence: 0 };
    let before = BusinessTime::from_micros(august().start.as_micros() - 1);
    for aggregation in Aggregation::ALL {
        let fold = |at, measure: &Measure| State::new(aggregation).fold(august(), moment(at), measure);
        let good = match aggregation {
            Aggregation::Count => Measure::Event,
            Aggregation::Unique => add("1"),
            _ => value("1"),
        };
        assert_eq!(fold(august().end, &good), Err(AggregateError::OutsideWindow));
        assert_eq!(fold(before, &good), Err(AggregateError::OutsideWindow));
        assert_eq!(fold(august().start, &good), Ok(()));
        for other in [Measure::Event, add("1"), value("1")] {
            let same = std::mem::discriminant(&other) == std::mem::discriminant(&good);
            assert_eq!(fold(august().start, &other).is_ok(), same);
        }
        for other in Aggregation::ALL.into_iter().filter(|other| *other != aggregation) {
            assert_eq!(State::new(aggregation).merge(State::new(other)), Err(AggregateError::Mismatch));
        }
    }
}

#[test]
fn the_stored_forms_are_these() {
    let start = "1690848000000000";
    let unique = format!("unique\n- {start} 0 \"a b\"\n+ 1690848001000000 1 1");
    for (state, stored) in [
        (state(Aggregation::Count, &[Measure::Event, Measure::Event]), "count 2"),
        (state(Aggregation::Sum, &[value("1.5"), value("-2")]), "sum -0.5"),
        (State::new(Aggregation::Max), "max"),
        (state(Aggregation::Max, &[value("-3")]), "max -3"),
        (state(Aggregation::Min, &[value("0.25")]), "min 0.25"),
        (State::new(Aggregation::Latest), "latest"),
        (state(Aggregation::Latest, &[value("4")]), &format!("latest {start} 0 4")),
        (State::new(Aggregation::Unique), "unique"),
        (state(Aggregation::Unique, &[remove("\"a b\""), add("1")]), &unique),
        (State::new(Aggregation::WeightedSum), "weighted_sum 0 0 0"),
        (state(Aggregation::WeightedSum, &[value("9"), value("-0.75")]), "weighted_sum 8.25 -750000 0"),
    ] {
        assert_eq!(state.to_string(), stored);
        assert_eq!(stored.parse(), Ok(state));
    }
    for bad in [
        "",
        "count",
        "count 01",
        "count 1 2",
        "count +1",
        "sum",
        "sum 1.0",
        "max x",
        "latest 1 2",
        "latest 1 2 x",
        "unique 1",
        "unique\n",
        "unique\n+ 1 2",
        "unique\n* 1 2 3",
        "unique\n+ 1 2 b\n+ 1 2 a",
        "weighted_sum 1 2",
        "weighted_sum 1 2 -1",
        "weighted_sum 1 2 1000000000000",
        "count 1\n",
        "median 1",
        "count  1",
        "unique\n+ 1 2 a\n+ 1 2 a",
    ] {
        assert_eq!(bad.parse::<State>(), Err(NotAState), "{bad:?}");
    }
    for (carried, stored) in [
        (Carried::Nothing, "nothing"),
        (Carried::Value(decimal("-1.5")), "value -1.5"),
        (Carried::Members(BTreeSet::new()), "members"),
        (Carried::Members(["\"b\"", "1"].map(str::to_owned).into()), "members\n\"b\"\n1"),
    ] {
        assert_eq!(carried.to_string(), stored);
        assert_eq!(stored.parse(), Ok(carried));
    }
    for bad in ["", "value", "value x", "nothing\n", "members\nb\na", "value 1\n2"] {
        assert_eq!(bad.parse::<Carried>(), Err(NotAState), "{bad:?}");
    }
}

/// One event of the model.
#[derive(Debug, Clone)]
struct Entry {
    moment: Moment,
    thousandths: i64,
    member: u8,
    operation: Operation,
}

impl Entry {
    fn measure(&self, aggregation: Aggregation) -> Measure {
        match aggregation {
            Aggregation::Count => Measure::Event,
            Aggregation::Unique => Measure::Member(self.member.to_string(), self.operation),
            _ => Measure::Value(Decimal::from_units(i128::from(self.thousandths) * 1_000_000_000)),
        }
    }
}

const SHORT: Window = Window { start: BusinessTime::from_micros(1_000), end: BusinessTime::from_micros(1_060) };

/// What is carried, as the model has it: thousandths of a value or level, and a set.
#[derive(Debug, Clone, Default)]
struct Before {
    thousandths: i64,
    members: BTreeSet<u8>,
}

impl Before {
    fn carried(&self, aggregation: Aggregation) -> Carried {
        match aggregation {
            Aggregation::Unique => Carried::Members(self.members.iter().map(u8::to_string).collect()),
            Aggregation::Latest | Aggregation::WeightedSum => {
                Carried::Value(Decimal::from_units(i128::from(self.thousandths) * 1_000_000_000))
            }
            _ => Carried::Nothing,
        }
    }
}

/// The definition of §6 read word by word over all events in their order: the result in units of 10^-12, and what is
/// carried on.
fn model(aggregation: Aggregation, entries: &[Entry], before: &Before) -> (i128, Before) {
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(|entry| entry.moment);
    let thousandths = || sorted.iter().map(|entry| entry.thousandths);
    let mut after = before.clone();
    let result = match aggregation {
        Aggregation::Count => i128::try_from(sorted.len()).unwrap() * 1_000,
        Aggregation::Sum => i128::from(thousandths().sum::<i64>()),
        Aggregation::Max => i128::from(thousandths().max().unwrap_or(0)),
        Aggregation::Min => i128::from(thousandths().min().unwrap_or(0)),
        Aggregation::Latest => {
            after.thousandths = thousandths().next_back().unwrap_or(before.thousandths);
            i128::from(after.thousandths)
        }
        Aggregation::Unique => {
            for entry in &sorted {
                match entry.operation {
                    Operation::Add => after.members.insert(entry.member),
                    Operation::Remove => after.members.remove(&entry.member),
                };
            }
            i128::try_from(after.members.len()).unwrap() * 1_000
        }
        Aggregation::WeightedSum => {
            // Microsecond by microsecond.
            let mut held = 0_i128;
            for micro in SHORT.start.as_micros()..SHORT.end.as_micros() {
                let now: i64 = sorted.iter().filter(|e| e.moment.at.as_micros() == micro).map(|e| e.thousandths).sum();
                after.thousandths += now;
                held += i128::from(after.thousandths);
            }
            let (units, length) = (held * 1_000_000_000, 60);
            let magnitude = (2 * units.abs() + length) / (2 * length);
            return (magnitude * units.signum(), after);
        }
    };
    (result * 1_000_000_000, after)
}

fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let one = (0..60_i64, -5_000..5_000_i64, 0..6_u8, any::<bool>());
    prop::collection::vec(one, 0..most).prop_map(|list| {
        (0..)
            .zip(list)
            .map(|(sequence, (into, thousandths, member, add))| Entry {
                moment: Moment { at: BusinessTime::from_micros(1_000 + into), sequence },
                thousandths,
                member,
                operation: if add { Operation::Add } else { Operation::Remove },
            })
            .collect()
    })
}

fn before() -> impl Strategy<Value = Before> {
    (-5_000..5_000_i64, prop::collection::btree_set(0..6_u8, 0..4))
        .prop_map(|(thousandths, members)| Before { thousandths, members })
}

fn folded(aggregation: Aggregation, entries: &[Entry]) -> State {
    let mut state = State::new(aggregation);
    for entry in entries {
        state.fold(SHORT, entry.moment, &entry.measure(aggregation)).unwrap();
    }
    state
}

/// Events in their order and in another one, what the window takes over, and where the others are cut in two.
type Course = (Vec<Entry>, Vec<Entry>, Before, prop::sample::Index);

fn courses() -> impl Strategy<Value = Course> {
    let both = entries(24).prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle()));
    (both, before(), any::<prop::sample::Index>())
        .prop_map(|((entries, shuffled), before, cut)| (entries, shuffled, before, cut))
}

/// Compares every aggregation of the shuffled events with the model of the sorted ones.
fn compare((entries, shuffled, before, cut): &Course) {
    for aggregation in Aggregation::ALL {
        let (expected, after) = model(aggregation, entries, before);
        let state = folded(aggregation, shuffled);
        let carried = before.carried(aggregation);
        assert_eq!(state.result(SHORT, None, &carried).map(Decimal::units), Ok(expected), "{aggregation:?}");
        if aggregation.carries_over() {
            assert_eq!(state.carry(&carried), Ok(after.carried(aggregation)));
        }
        // Two halves make the same whole, whichever comes first, and stored states read back.
        let (first, second) = shuffled.split_at(cut.index(shuffled.len() + 1));
        let (mut one, mut other) = (folded(aggregation, first), folded(aggregation, second));
        let (first, second) = (one.to_string().parse().unwrap(), other.to_string().parse().unwrap());
        one.merge(second).unwrap();
        other.merge(first).unwrap();
        assert_eq!((&one, &other), (&state, &state));
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a proof is asked for by a variable and prints its result"
)]
#[ignore = "the long proof; BASTIONARY_PROOF=full makes it 200,000 courses of events"]
fn proof_usage_aggregates() {
    let full = std::env::var("BASTIONARY_PROOF").is_ok_and(|value| value == "full");
    let courses_wanted = if full { 200_000 } else { 2_000 };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = courses();
    let mut events = 0;
    for _ in 0..courses_wanted {
        let course = strategy.new_tree(&mut runner).unwrap().current();
        events += course.0.len();
        compare(&course);
    }
    println!(
        "PROOF usage: {courses_wanted} courses of {events} events, folded in any order and from merged halves, 7 \
         aggregations, 0 differences from the definition"
    );
}

proptest! {
    #[test]
    fn events_in_any_order_come_to_what_the_definition_says_of_all_in_theirs(course in courses()) {
        compare(&course);
    }

    #[test]
    fn a_voided_event_is_as_if_it_had_never_come(entries in entries(12), voided: prop::sample::Index) {
        prop_assume!(!entries.is_empty());
        let mut rest = entries.clone();
        let gone = rest.remove(voided.index(entries.len()));
        for aggregation in Aggregation::ALL {
            let (all, without) = (folded(aggregation, &entries), folded(aggregation, &rest));
            let mut state = all.clone();
            match state.retract(SHORT, gone.moment, &gone.measure(aggregation)) {
                Ok(()) => prop_assert_eq!(&state, &without),
                Err(error) => {
                    prop_assert_eq!(error, AggregateError::NotReversible);
                    prop_assert!(aggregation.carries_over() || matches!(aggregation, Aggregation::Max | Aggregation::Min));
                    prop_assert_eq!(&state, &all);
                }
            }
            if matches!(aggregation, Aggregation::Count | Aggregation::Sum | Aggregation::WeightedSum) {
                prop_assert_eq!(&state, &without);
                // With another value it stands as if it had come with it.
                let corrected = Entry { thousandths: 77, ..gone.clone() };
                state.fold(SHORT, corrected.moment, &corrected.measure(aggregation)).unwrap();
                rest.push(corrected);
                prop_assert_eq!(&state, &folded(aggregation, &rest));
                rest.pop();
            }
        }
    }

    #[test]
    fn any_text_is_a_state_that_is_written_so_or_none(
        text in "(count|sum|max|latest|unique|weighted_sum|members|value)[ 0-9.+\n-]{0,12}",
    ) {
        if let Ok(state) = text.parse::<State>() {
            prop_assert_eq!(state.to_string(), text.clone());
        }
        if let Ok(carried) = text.parse::<Carried>() {
            prop_assert_eq!(carried.to_string(), text);
        }
    }
}

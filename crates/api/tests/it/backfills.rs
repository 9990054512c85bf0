//! Backfills of usage over the API, on both engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use kernel::decimal::Decimal;
use serde_json::{Value, json};
use testkit::SeededEntropy;

use crate::billing::refused;
use crate::on_both_engines;
use crate::usage::{Counter, call, codes, counts, event};
use crate::world::{Answer, World};

const JOBS: &str = "/api/usage/backfills";

/// An event of the past.
fn past(kind: &str, id: &str, at: &str, data: Value) -> Value {
    let mut event = event(kind, id, data);
    event["time"] = json!(at);
    event
}

fn tokens(id: &str, at: &str, n: &str) -> Value {
    past("tokens", id, at, json!({"n": n}))
}

fn number(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn hundredths(count: u64) -> Decimal {
    Decimal::from_units(i128::from(count) * 10_000_000_000)
}

impl Counter {
    /// Begins a backfill; its path.
    async fn job(&self, meter: &str, (from, to): (&str, &str), mode: &str) -> String {
        let body = json!({"customer_id": "acme", "meter": meter, "from": from, "to": to, "mode": mode});
        let made = self.shop.post(JOBS, body).await.expect(201).json();
        format!("{JOBS}/{}", made["id"].as_str().unwrap())
    }

    /// Sends a part.
    async fn part(&self, job: &str, number: i64, events: &[Value]) -> Answer {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let bearer = format!("Bearer {}", self.shop.world.admin);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
        let path = format!("{job}/parts?number={number}");
        self.shop.world.request(Method::POST, &path, &headers, &lines.join("\n")).await
    }

    async fn end(&self, job: &str, verb: &str) -> Answer {
        self.shop.post(&format!("{job}/{verb}"), Value::Null).await
    }

    /// Brings events in one part; the completed backfill.
    async fn brought(&self, meter: &str, over: (&str, &str), mode: &str, events: &[Value]) -> Value {
        let job = self.job(meter, over, mode).await;
        self.part(&job, 1, events).await.expect(200);
        self.end(&job, "complete").await.expect(200).json()
    }

    async fn total(&self, meter: &str, (from, to): (&str, &str)) -> String {
        let path = format!("/api/usage/query?customer_id=acme&meter={meter}&from={from}&to={to}");
        let found = self.shop.get(&path).await;
        found["data"][0]["value"].as_str().unwrap_or("0").to_owned()
    }

    async fn states(&self) -> BTreeMap<String, String> {
        let list = self.shop.get("/api/usage/events?limit=200").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list["data"].as_array().unwrap().iter().map(|one| (text(&one["id"]), text(&one["state"]))).collect()
    }
}

const YEAR: (&str, &str) = ("2025-06-01T00:00:00Z", "2026-06-01T13:00:00Z");
const HOUR: (&str, &str) = ("2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z");

on_both_engines! {
    async fn history_comes_in_parts_and_counts_when_it_is_complete(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let body = json!({"customer_id": "acme", "meter": "tokens", "from": YEAR.0, "to": YEAR.1, "mode": "add"});
        let made = counter.shop.post(JOBS, body).await.expect(201);
        let job = format!("{JOBS}/{}", made.json()["id"].as_str().unwrap());
        assert_eq!(made.header("location"), format!("https://id.example{job}"));
        let whole = json!({
            "id": made.json()["id"], "customer_id": counter.customer, "meter": "tokens", "type": "tokens",
            "from": YEAR.0, "to": YEAR.1, "mode": "add", "state": "pending", "parts": 0, "events": 0, "accepted": 0,
            "duplicates": 0, "replaced": 0, "reason": null, "created_by": "client:shop",
            "created_at": "2026-06-01T12:00:00Z", "updated_at": "2026-06-01T12:00:00Z",
        });
        assert_eq!(made.json(), whole);
        // three hours ago, half a year ago, and three in this hour, whose limit is 2.5
        let first = [tokens("a", "2026-06-01T09:30:00Z", "1"), tokens("b", "2025-12-01T00:00:00Z", "40")];
        let second = [tokens("c", "2026-06-01T12:00:00Z", "2"), tokens("d", "2026-06-01T12:01:00Z", "1")];
        let answer = counter.part(&job, 1, &first).await.expect(200).json();
        assert_eq!(answer, json!({"backfill_id": made.json()["id"], "number": 1, "events": 2}));
        counter.part(&job, 2, &second).await.expect(200);
        assert_eq!(counter.part(&job, 1, &first).await.expect(200).json(), answer);
        let other = counter.part(&job, 1, &second).await.expect(409).json();
        assert_eq!(other["code"], "backfill_part_taken");
        // a key that came with another part waits once
        assert_eq!(counter.part(&job, 3, &first).await.expect(200).json()["events"], 0);
        let running = counter.shop.get(&job).await;
        assert_eq!((&running["state"], &running["parts"], &running["events"]), (&json!("running"), &json!(3), &json!(4)));
        assert_eq!((counter.total("tokens", YEAR).await, counter.left("tokens").await), ("0".to_owned(), ["0", "0", "2.5"].map(str::to_owned)));
        let done = counter.end(&job, "complete").await.expect(200).json();
        assert_eq!((&done["state"], &done["accepted"], &done["duplicates"], &done["replaced"]), (&json!("completed"), &json!(4), &json!(0), &json!(0)));
        assert_eq!((counter.total("tokens", YEAR).await, counter.left("tokens").await), ("44".to_owned(), ["3", "0", "0"].map(str::to_owned)));
        counter.shop.world.clock.advance_seconds(60);
        assert_eq!(counter.end(&job, "complete").await.expect(200).json(), done);
        assert_eq!(counter.part(&job, 4, &first).await.expect(409).json()["code"], "illegal_transition");
        assert_eq!(counter.end(&job, "cancel").await.expect(409).json()["from"], "completed");
        assert_eq!(counter.total("tokens", YEAR).await, "44");
        // the hour before has what was brought: 1.5 fit, and no more
        let mut late = tokens("e", "2026-06-01T09:45:00Z", "1.6");
        assert_eq!(counter.one(&late).await.expect(409).json()["code"], "quota_exceeded");
        late["data"] = json!({"n": "1.5"});
        counter.one(&late).await.expect(200);
        // each keeps counting once, and what crossed a threshold is told once
        let again = [first.as_slice(), &second].concat();
        let recent: Vec<Value> = again.into_iter().filter(|event| event["id"] != "b").collect();
        assert_eq!(counts(&counter.batch(&recent).await), (0, 3));
        let told = counter.shop.get(&format!("/api/events?customer_id={}&types=entitlement.threshold_reached", counter.customer)).await;
        let percents: Vec<_> = told["data"].as_array().unwrap().iter().filter(|one| one["data"]["used"] == "3").map(|one| one["data"]["percent"].as_i64().unwrap()).collect();
        assert_eq!(percents, [100, 80, 50]);
        for (action, state) in [("created", "pending"), ("completed", "completed")] {
            let log = counter.shop.get(&format!("/api/audit/records?action=usage_backfill.{action}")).await;
            assert_eq!((log["data"].as_array().unwrap().len(), &log["data"][0]["after"]["state"]), (1, &json!(state)), "{log}");
        }
        let list = counter.shop.get(JOBS).await;
        assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]), (1, &done));
    }

    async fn what_is_replaced_counts_no_more_and_stays_on_record(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let events = [tokens("1", "2026-06-01T12:00:00Z", "1"), tokens("2", "2026-06-01T12:01:00Z", "1.2"), tokens("3", "2026-06-01T11:00:00Z", "2")];
        assert_eq!(counts(&counter.batch(&events).await), (3, 0));
        // one of the two of this hour is brought again, and stays
        let brought = [events[0].clone(), tokens("4", "2026-06-01T12:02:00Z", "0.25")];
        let done = counter.brought("tokens", HOUR, "replace", &brought).await;
        assert_eq!((&done["accepted"], &done["duplicates"], &done["replaced"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!((counter.total("tokens", HOUR).await, counter.total("tokens", YEAR).await), ("1.25".to_owned(), "3.25".to_owned()));
        assert_eq!(counter.left("tokens").await, ["1.25", "0", "1.25"]);
        let states = BTreeMap::from([("1", "counted"), ("2", "replaced"), ("3", "late"), ("4", "counted")].map(|(id, state)| (id.to_owned(), state.to_owned())));
        assert_eq!(counter.states().await, states);
        // it does not come back by itself, nor as another
        assert_eq!(counts(&counter.batch(&events[1..2]).await), (0, 1));
        assert_eq!(counter.one(&tokens("2", "2026-06-01T12:01:00Z", "9")).await.expect(409).json()["code"], "event_conflict");
        let correction = json!({"source": "test", "id": "2", "value": "5", "reason": "Too late"});
        assert_eq!(counter.shop.post("/api/usage/corrections", correction).await.expect(409).json()["code"], "conflict");
        assert_eq!(counter.total("tokens", HOUR).await, "1.25");
        // what a correction said of it goes with it, and comes back with it
        counter.shop.post("/api/usage/corrections", json!({"source": "test", "id": "4", "value": "0.5", "reason": "Seen"})).await.expect(200);
        assert_eq!(counter.left("tokens").await[0], "1.5");
        let done = counter.brought("tokens", HOUR, "replace", &[]).await;
        assert_eq!((&done["replaced"], counter.left("tokens").await[0].as_str()), (&json!(2), "0"));
        let done = counter.brought("tokens", HOUR, "add", &[events[1].clone(), brought[1].clone()]).await;
        assert_eq!((&done["accepted"], &done["duplicates"]), (&json!(2), &json!(0)));
        assert_eq!((counter.left("tokens").await[0].as_str(), counter.total("tokens", HOUR).await.as_str()), ("1.7", "1.7"));
        let page = counter.shop.get("/api/usage/events?limit=2").await;
        assert_eq!(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), ["4", "2"]);
    }

    async fn what_does_not_add_is_counted_anew(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let peak = |id: &str, at: &str, n: i64| past("peak", id, at, json!({"n": n}));
        let seat = |id: &str, at: &str, who: &str, op: &str| past("seat", id, at, json!({"n": who, "op": op}));
        let at = ["2026-06-01T12:00:00Z", "2026-06-01T12:01:00Z", "2026-06-01T12:02:00Z"];
        counter.batch(&[peak("p1", at[0], 60), peak("p2", at[1], 90)]).await;
        counter.brought("peak", HOUR, "add", &[peak("p3", at[2], 120)]).await;
        assert_eq!((counter.left("peak").await[0].as_str(), counter.total("peak", HOUR).await.as_str()), ("120", "120"));
        counter.brought("peak", HOUR, "replace", &[peak("p1", at[0], 60), peak("p4", at[2], 70)]).await;
        assert_eq!((counter.left("peak").await[0].as_str(), counter.total("peak", HOUR).await.as_str()), ("70", "70"));
        counter.batch(&[seat("s1", at[0], "ann", "add"), seat("s2", at[0], "ben", "add")]).await;
        let history = [seat("s3", "2025-07-01T00:00:00Z", "cyd", "add"), seat("s4", at[2], "ben", "remove")];
        counter.brought("seats", YEAR, "add", &history).await;
        assert_eq!((counter.left("seats").await[0].as_str(), counter.total("seats", YEAR).await.as_str()), ("2", "2"));
        counter.brought("seats", YEAR, "replace", &[history[0].clone(), seat("s5", at[1], "dan", "add"), seat("s6", at[1], "eve", "add")]).await;
        assert_eq!((counter.left("seats").await[0].as_str(), counter.total("seats", YEAR).await.as_str()), ("3", "3"));
    }

    async fn a_key_that_was_used_for_another_event_keeps_all_from_counting(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let one = tokens("1", "2026-06-01T12:00:00Z", "1");
        counter.one(&one).await.expect(200);
        let job = counter.job("tokens", HOUR, "replace").await;
        counter.part(&job, 1, &[tokens("2", "2026-06-01T12:00:00Z", "1"), tokens("1", "2026-06-01T12:00:00Z", "2")]).await.expect(200);
        let refused = counter.end(&job, "complete").await.expect(409).json();
        assert_eq!((&refused["code"], codes(&refused), &refused["rejected"][0]["id"]), (&json!("events_rejected"), vec![(1, "event_conflict".to_owned())], &json!("1")));
        assert_eq!((counter.shop.get(&job).await["state"].as_str(), counter.total("tokens", HOUR).await.as_str()), (Some("running"), "1"));
        let canceled = counter.end(&job, "cancel").await.expect(200).json();
        assert_eq!((&canceled["state"], counter.shop.get(&job).await), (&json!("canceled"), canceled.clone()));
        assert_eq!(counter.end(&job, "complete").await.expect(409).json()["from"], "canceled");
        assert_eq!(counter.states().await.len(), 1);
    }

    async fn a_part_with_a_bad_event_is_refused_as_a_whole(world: World) {
        let counter = Counter::open(world, json!({})).await;
        counter.shop.customer("globex").await;
        let far = ("2025-01-01T00:00:00Z", "2026-07-01T00:00:00Z");
        let job = counter.job("tokens", far, "add").await;
        let good = tokens("good", "2026-05-01T00:00:00Z", "1");
        let with = |name: &str, value: Value| {
            let mut event = tokens("bad", "2026-05-01T00:00:00Z", "1");
            event[name] = value;
            event
        };
        let bad = [
            (with("subject", json!("globex")), "customer_unknown"),
            (with("subject", Value::Null), "customer_unknown"),
            (with("type", json!("call")), "event_invalid"),
            (with("time", Value::Null), "event_invalid"),
            (with("time", json!("2024-12-31T23:59:59Z")), "event_too_old"),
            (with("time", json!("2025-04-26T11:59:59Z")), "event_too_old"),
            (with("time", json!("2026-06-01T12:06:00Z")), "event_in_future"),
            (with("data", json!({})), "value_invalid"),
            (with("data", json!({"n": -1})), "value_negative"),
            (with("id", json!("good")), "event_conflict"),
            (with("specversion", json!("0.3")), "event_invalid"),
        ];
        let mut events = vec![good.clone()];
        events.extend(bad.iter().map(|(event, _)| event.clone()));
        events.last_mut().unwrap()["data"] = json!({"n": 7});
        events[10]["data"] = json!({"n": 7});
        let refused_part = counter.part(&job, 1, &events).await.expect(422).json();
        let expected: Vec<_> = bad.iter().zip(1_u64..).map(|((_, code), at)| (at, (*code).to_owned())).collect();
        assert_eq!((&refused_part["code"], codes(&refused_part)), (&json!("events_rejected"), expected));
        let pending = counter.shop.get(&job).await;
        assert_eq!((&pending["state"], &pending["events"]), (&json!("pending"), &json!(0)));
        // the last instant that is kept, and one outside of a narrower time
        counter.part(&job, 1, &[tokens("old", "2025-04-27T12:00:00Z", "1")]).await.expect(200);
        let narrow = counter.job("tokens", HOUR, "add").await;
        assert_eq!(codes(&counter.part(&narrow, 1, &[good]).await.expect(422).json()), [(0, "event_invalid".to_owned())]);
        for path in ["parts", "parts?number=0", "parts?number=101", "parts?number=x"] {
            counter.shop.world.admin(Method::POST, &format!("{narrow}/{path}"), call("1")).await.expect(400);
        }
        let body = |name: &str, value: Value| {
            let mut body = json!({"customer_id": "acme", "meter": "tokens", "from": HOUR.0, "to": HOUR.1, "mode": "add"});
            body[name] = value;
            body
        };
        for (name, value, code) in [("meter", json!("nothing"), "bad_value"), ("meter", json!("tokens.issued"), "bad_value"), ("to", json!(HOUR.0), "bad_value"), ("mode", json!("swap"), "bad_value"), ("from", Value::Null, "required")] {
            refused(&counter.shop.post(JOBS, body(name, value)).await, &[(&format!("/{name}"), code)]);
        }
        counter.shop.post(JOBS, body("customer_id", json!("nobody"))).await.expect(404);
        counter.shop.world.admin(Method::GET, &format!("{JOBS}/bkf_00000000000000000000000001"), Value::Null).await.expect(404);
    }

    async fn a_client_that_acts_for_a_customer_brings_no_history(world: World) {
        let counter = Counter::open(world, json!({})).await;
        let job = counter.job("tokens", HOUR, "add").await;
        let body = json!({"customer_id": "acme", "meter": "tokens", "from": HOUR.0, "to": HOUR.1, "mode": "replace"});
        counter.worker(Method::POST, JOBS, &[], &body).await.expect(404);
        counter.worker(Method::GET, JOBS, &[], &Value::Null).await.expect(404);
        counter.worker(Method::GET, &job, &[], &Value::Null).await.expect(404);
        let one = tokens("1", "2026-06-01T12:00:00Z", "1");
        counter.worker(Method::POST, &format!("{job}/parts?number=1"), &[], &one).await.expect(404);
        for verb in ["complete", "cancel"] {
            counter.worker(Method::POST, &format!("{job}/{verb}"), &[], &Value::Null).await.expect(404);
        }
        assert_eq!(counter.shop.get(&job).await["state"], "pending");
    }

    async fn a_backfill_takes_twenty_thousand_events_and_lets_them_count_at_once(world: World) {
        let counter = Counter::open(world, json!({"overage": "allow"})).await;
        let job = counter.job("calls", YEAR, "replace").await;
        let numbers: Vec<i64> = (0..20_000).collect();
        let one = |n: &i64| past("call", &n.to_string(), "2026-06-01T12:00:00Z", json!({}));
        for (part, numbers) in (1_i64..).zip(numbers.chunks(7_000)) {
            let events: Vec<Value> = numbers.iter().map(one).collect();
            counter.part(&job, part, &events).await.expect(200);
        }
        assert_eq!(counter.part(&job, 4, &[one(&20_000)]).await.expect(409).json()["code"], "backfill_full");
        let done = counter.end(&job, "complete").await.expect(200).json();
        assert_eq!((&done["accepted"], &done["events"], &done["parts"]), (&json!(20_000), &json!(20_000), &json!(3)));
        assert_eq!((counter.left("calls").await[0].as_str(), counter.total("calls", YEAR).await.as_str()), ("20000", "20000"));
        counter.brought("calls", YEAR, "replace", &[one(&1)]).await;
        assert_eq!((counter.left("calls").await[0].as_str(), counter.total("calls", YEAR).await.as_str()), ("1", "1"));
    }

    async fn a_backfill_that_nobody_goes_on_with_is_given_up(world: World) {
        let mut counter = Counter::open(world, json!({})).await;
        let idle = counter.job("tokens", HOUR, "add").await;
        counter.part(&idle, 1, &[tokens("1", "2026-06-01T12:00:00Z", "1")]).await.expect(200);
        counter.shop.later(86_400).await;
        let fresh = counter.job("tokens", HOUR, "add").await;
        counter.shop.later(6 * 86_400 + 1).await;
        let tenant = counter.shop.world.tenant().await;
        api::App::new(Arc::clone(&counter.shop.world.auth)).billing.purge_usage(&tenant).await.unwrap();
        let failed = counter.shop.get(&idle).await;
        assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("nobody went on with it for 7 days")));
        assert_eq!(counter.end(&idle, "complete").await.expect(409).json()["from"], "failed");
        assert_eq!(counter.shop.get(&fresh).await["state"], "pending");
        counter.end(&fresh, "complete").await.expect(200);
    }

    async fn what_is_reported_and_corrected_meanwhile_is_counted_exactly(world: World) {
        use futures_util::future::{join3, join_all};
        let counter = Counter::open(world, json!({"overage": "allow"})).await;
        let one = |id: &str| past("call", id, "2026-06-01T12:00:00Z", json!({}));
        for round in 0..4 {
            let kept: Vec<String> = (0..8).map(|n| format!("{round}-kept-{n}")).collect();
            counter.batch(&kept.iter().map(|id| one(id)).collect::<Vec<_>>()).await;
            let mut jobs = Vec::new();
            for (n, same) in kept.iter().enumerate().take(3) {
                let job = counter.job("calls", HOUR, "replace").await;
                counter.part(&job, 1, &[one(&format!("{round}-brought-{n}")), one(same)]).await.expect(200);
                jobs.push(job);
            }
            let events: Vec<Value> = (0..8).map(|n| one(&format!("{round}-late-{n}"))).collect();
            let correct = async |id: &str| {
                let body = json!({"source": "test", "id": id, "value": "3", "reason": "Thrice"});
                let answer = counter.shop.post("/api/usage/corrections", body).await;
                assert!(answer.status == 200 || answer.status == 409, "{}", answer.text);
            };
            let (done, ..) = join3(
                join_all(jobs.iter().map(|job| counter.end(job, "complete"))),
                join_all(events.iter().map(|event| counter.one(event))),
                join_all(kept.iter().map(|id| correct(id))),
            ).await;
            for answer in done {
                answer.expect(200);
            }
            assert_eq!(counter.left("calls").await[0], counter.total("calls", HOUR).await, "round {round}");
        }
    }

    async fn replacing_is_the_same_as_counting_afresh(world: World) {
        let counter = Counter::open(world, json!({"overage": "allow"})).await;
        let mut dice = SeededEntropy::new(31);
        // minute of the event and value, while it counts
        let mut live: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut all: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let minute = |minute: u64| format!("2026-06-01T{:02}:{:02}:00Z", 9 + minute / 60, minute % 60);
        let of = |id: &str, (at, value): (u64, u64)| tokens(id, &minute(at), &format!("0.{value:02}"));
        for round in 0..12_u64 {
            let mut reported = Vec::new();
            for n in 0..dice.below(6) {
                let (id, what) = (format!("{round}-{n}"), (dice.below(180), dice.below(3)));
                all.insert(id.clone(), what);
                live.insert(id.clone(), what);
                reported.push(of(&id, what));
            }
            assert_eq!(counts(&counter.batch(&reported).await).0, u64::try_from(reported.len()).unwrap());
            let (one, other) = (dice.below(181), dice.below(181));
            let (from, to) = (one.min(other), one.max(other) + 1);
            let mode = if dice.below(3) == 0 { "add" } else { "replace" };
            // some that came before, whether they count or not, and some that are new
            let mut brought: BTreeMap<String, (u64, u64)> =
                all.iter().filter(|(_, (at, _))| (from..to).contains(at)).filter(|_| dice.below(2) == 0).map(|(id, what)| (id.clone(), *what)).collect();
            for n in 0..dice.below(5) {
                brought.insert(format!("{round}-new-{n}"), (from + dice.below(to - from), dice.below(3)));
            }
            let events: Vec<Value> = brought.iter().map(|(id, what)| of(id, *what)).collect();
            let done = counter.brought("tokens", (&minute(from), &minute(to)), mode, &events).await;
            let before = live.len();
            if mode == "replace" {
                live.retain(|id, (at, _)| !(from..to).contains(at) || brought.contains_key(id));
            }
            let kept = live.len();
            live.extend(brought.clone());
            all.extend(brought);
            let small = |count: usize| json!(count);
            assert_eq!((&done["replaced"], &done["accepted"]), (&small(before - kept), &small(live.len() - kept)), "round {round}");
            let path = format!("/api/usage/query?customer_id=acme&meter=tokens&from={}&to={}&window=hour", minute(0), minute(180));
            for hour in counter.shop.get(&path).await["data"].as_array().unwrap() {
                let start = hour["start"].as_str().unwrap();
                let sum: u64 = live.values().filter(|(at, _)| minute(*at)[..13] == start[..13]).map(|(_, value)| value).sum();
                assert_eq!(number(hour["value"].as_str().unwrap()), hundredths(sum), "round {round}, {start}");
            }
            let total: u64 = live.values().map(|(_, value)| value).sum();
            let found = counter.total("tokens", (&minute(0), &minute(180))).await;
            assert_eq!(number(&found), hundredths(total), "round {round}");
        }
        // a counter says what the query of its window says: nothing else fits into what is left of it
        for hour in ["09", "10", "11"] {
            let over = (format!("2026-06-01T{hour}:00:00Z"), format!("2026-06-01T{hour}:59:59Z"));
            let used = number(&counter.total("tokens", (&over.0, &over.1)).await);
            let left = hundredths(250).checked_sub(used).unwrap();
            let more = |id: &str, n: Decimal| tokens(&format!("{hour}-{id}"), &over.0, &n.to_string());
            counter.one(&more("much", left.checked_add(hundredths(1)).unwrap())).await.expect(409);
            counter.one(&more("all", left)).await.expect(200);
        }
    }
}

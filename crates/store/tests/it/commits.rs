//! Batches: whole or not at all, guarded, and cheap for their neighbors.

use kernel::audit::Record;
use kernel::event::{Event, Type};
use kernel::id::Id;
use kernel::tenant::DEFAULT;
use store::{Batch, Error, Store, Upkeep, params};

use crate::place::{EVENTS, MARK, MARK_NEW, MARK_RAISE, MARKS, Place, RECORDS, counter, entropy, entry, record, value};

crate::on_both_engines! {
    async fn a_failed_guard_rolls_the_whole_batch_back_and_is_named(place: &Place) {
        let store = place.open().await;
        store.commit(counter("a"), record("a")).await.unwrap();
        let batch = Batch::new()
            .run(&MARK_NEW, params!["b", 1_i64])
            .expect(1, &MARK_RAISE, params!["a", 5_i64, 4_i64])
            .change(store::ChangeKind::Client, "x");
        let refused = store.commit(batch, record("b")).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict("MARK_RAISE")), "{refused}");
        assert_eq!(value(&store, "a").await, Some(0));
        assert_eq!(value(&store, "b").await, None);
        assert_eq!(store.read_all(&RECORDS, params![DEFAULT]).await.unwrap().len(), 1);
        assert_eq!(store.applied(DEFAULT), 0);
        assert_eq!(store.stats().conflicts.into_values().collect::<Vec<_>>(), [1]);
    }

    async fn a_taken_key_is_a_conflict_named_after_its_statement(place: &Place) {
        let store = place.open().await;
        store.commit(counter("a"), record("a")).await.unwrap();
        let refused = store.commit(counter("a"), record("again")).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict("MARK_NEW")), "{refused}");
    }

    async fn record_and_events_are_written_with_the_effect(place: &Place) {
        let store = place.open().await;
        let event = Event {
            id: Id::generate(store_time(), &mut entropy()),
            kind: Type::ClientCreated,
            at: store_time(),
            customer: None,
            object_id: "a".to_owned(),
            data: "{}".to_owned(),
        };
        store.commit(counter("a").event(event), record("the object")).await.unwrap();
        let records = store.read_all(&RECORDS, params![DEFAULT]).await.unwrap();
        assert_eq!(records[0].text(0).unwrap(), "the object");
        assert_eq!(records[0].int_opt(1).unwrap(), None);
        let events = store.read_all(&EVENTS, params![DEFAULT]).await.unwrap();
        assert_eq!(events[0].text(0).unwrap(), "client.created");
    }

    async fn a_hundred_commits_at_once_all_count_and_the_refused_ones_cost_the_others_nothing(place: &Place) {
        let store = place.open().await;
        store.commit(counter("a"), record("a")).await.unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let batch = Batch::new().expect(1, &MARK_RAISE, params!["a", 1_i64, 60_i64]);
                    let batch = if number % 10 == 0 { batch.run(&MARK_NEW, params!["a", 0_i64]) } else { batch };
                    store.commit(batch, record(&number.to_string())).await
                })
            })
            .collect();
        let (mut done, mut over, mut taken) = (0, 0, 0);
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => done += 1,
                Err(Error::Conflict("MARK_RAISE")) => over += 1,
                Err(Error::Conflict("MARK_NEW")) => taken += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((done, over + taken), (60, 40));
        assert_eq!(value(&store, "a").await, Some(60));
        assert_eq!(store.read_all(&RECORDS, params![DEFAULT]).await.unwrap().len(), 61);
    }

    async fn an_issuance_that_fails_leaves_no_entry_and_one_that_succeeds_leaves_one(place: &Place) {
        let store = place.open().await;
        store.commit(counter("a"), Record::Issued(entry(DEFAULT, 1))).await.unwrap();
        assert!(store.commit(counter("a"), Record::Issued(entry(DEFAULT, 2))).await.is_err());
        let segments = store.read_all(&crate::place::SEGMENTS, params![DEFAULT]).await.unwrap();
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].bytes(2).unwrap(), [4, 0, 0, 0, 1, 0, 0, 0]);
    }

    async fn upkeep_writes_its_own_tables_and_no_other(place: &Place) {
        let store = place.open().await;
        store.upkeep(Upkeep::Keyring, counter("a")).await.unwrap();
        let refused = store.upkeep(Upkeep::Purge, counter("b")).await.unwrap_err();
        assert!(matches!(refused, Error::Defect("MARK_NEW", _)), "{refused}");
        let refused = store.upkeep(Upkeep::Keyring, counter("b").change(store::ChangeKind::Keys, "")).await;
        assert!(matches!(refused, Err(Error::Defect(..))));
        assert_eq!(value(&store, "b").await, None);
        assert!(store.read_all(&RECORDS, params![DEFAULT]).await.unwrap().is_empty());
    }

    async fn several_reads_are_answered_in_the_order_they_were_asked(place: &Place) {
        let store = place.open().await;
        store.commit(counter("b").run(&MARK_NEW, params!["a", 9_i64]), record("a")).await.unwrap();
        let found = store
            .read_many(vec![(&MARKS, vec![]), (&MARK, params!["a"]), (&MARK, params!["none"])])
            .await
            .unwrap();
        let names: Vec<_> = found[0].iter().map(|row| row.text(0).unwrap().to_owned()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[1][0].int(0).unwrap(), 9);
        assert!(found[2].is_empty());
        assert_eq!(store.stats().reads, 1);
    }

    async fn a_wrong_number_of_parameters_is_a_defect_and_not_a_crash(place: &Place) {
        let store = place.open().await;
        assert!(matches!(store.read(&MARK, vec![]).await, Err(Error::Defect("MARK", _))));
        let batch = Batch::new().run(&MARK_NEW, params!["x"]);
        assert!(matches!(store.commit(batch, record("x")).await, Err(Error::Defect("MARK_NEW", _))));
        store.commit(counter("x"), record("x")).await.unwrap();
    }

    async fn the_reserved_lane_commits_like_the_other(place: &Place) {
        let store = place.open().await;
        store.commit_reserved(counter("a"), record("a")).await.unwrap();
        assert_eq!(value(&store, "a").await, Some(0));
        assert_eq!(store.queue_depth(), 0);
    }
}

fn store_time() -> kernel::clock::Timestamp {
    kernel::clock::Timestamp::from_seconds(1_800_000_000)
}

#[tokio::test]
async fn closing_finishes_what_was_accepted_and_refuses_the_rest() {
    let place = Place::sqlite();
    let store = place.open().await;
    let waiting: Vec<_> = (0..50).map(|n| spawn_commit(&store, n)).collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut done = 0;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(Error::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(store.commit(counter("late"), record("late")).await.is_err());
    let again = place.open().await;
    assert_eq!(again.read_all(&MARKS, vec![]).await.unwrap().len(), done);
}

fn spawn_commit(store: &Store, number: u32) -> tokio::task::JoinHandle<Result<store::Committed, Error>> {
    let store = store.clone();
    tokio::spawn(async move { store.commit(counter(&number.to_string()), record("n")).await })
}

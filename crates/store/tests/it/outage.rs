//! A PostgreSQL server that crashes, and a connection that dies between COMMIT and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kernel::audit::Record;
use kernel::tenant::DEFAULT;
use store::{Batch, ChangeKind, Error, Store, Upkeep, params};
use testkit::{Mode, Proxy, Trap};

use crate::place::{
    LEASE, LEASE_ROB, MARK_NEW, MARK_RAISE, MARKS, Place, RECORDS, SEGMENTS, counter, entry, record, value,
};

fn behind_a_proxy() -> (Place, Proxy) {
    let proxy = Proxy::start(&testkit::postgres::fresh_database().unwrap()).unwrap();
    (Place::at(proxy.url("postgres")), proxy)
}

/// Waits for something that must come true in a time; how long it took.
async fn within(time: Duration, what: &str, mut is_true: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_true().await {
        assert!(began.elapsed() < time, "{what} took longer than {time:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

fn reasons(store: &Store) -> Vec<(&'static str, Option<&'static str>)> {
    store.troubles().iter().map(|trouble| (trouble.code, trouble.reason)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_done_once_and_acknowledged() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    store.commit(counter("a"), record("a")).await.unwrap();
    for round in 1..=3 {
        proxy.trap(&[b"COMMIT"], Trap::Cut);
        let raise = Batch::new().expect(1, &MARK_RAISE, params!["a", 1_i64, 100_i64]).change(ChangeKind::Client, "a");
        let committed = store.commit(raise, record("raise")).await.unwrap();
        assert_eq!(committed.seq, round);
        assert_eq!(value(&store, "a").await, Some(i64::try_from(round).unwrap()));
        assert_eq!(store.applied(DEFAULT), round);
    }
    assert_eq!(store.read_all(&RECORDS, params![DEFAULT]).await.unwrap().len(), 4);
    proxy.trap(&[b"COMMIT"], Trap::Cut);
    store.commit(counter("issued"), Record::Issued(entry(DEFAULT, 1))).await.unwrap();
    assert_eq!(store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap().len(), 1);
    assert!(proxy.has_trapped());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_group_whose_answer_is_lost_is_written_once() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    store.journal(entry(DEFAULT, 1)).await.unwrap();
    // the parameters of an INSERT of a segment hold the entry
    proxy.trap(&[&[0xab, 0xcd, 0xef, 0x01]], Trap::Cut);
    store.journal(entry(DEFAULT, 0x01ef_cdab)).await.unwrap();
    assert!(proxy.has_trapped());
    assert_eq!(store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_before_commit_costs_nothing() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    proxy.trap(&[b"cut here"], Trap::Cut);
    store.commit(counter("cut here"), record("a")).await.unwrap();
    assert!(proxy.has_trapped());
    assert_eq!(value(&store, "cut here").await, Some(0));
    proxy.trap(&[b"cut here"], Trap::Cut);
    assert_eq!(value(&store, "cut here").await, Some(0), "a read is asked again");
    assert_eq!(store.read_all(&MARKS, vec![]).await.unwrap().len(), 1);
}

/// Asks everything of the store at once, again and again for a time; what each answered and how long the longest took.
async fn hammer(store: &Store, time: Duration) -> (Vec<Result<(), Error>>, Duration) {
    let end = Instant::now() + time;
    let longest = Arc::new(std::sync::Mutex::new(Duration::ZERO));
    let tasks: Vec<_> = (0..40_u32)
        .map(|number| {
            let (store, longest) = (store.clone(), Arc::clone(&longest));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for round in 0_u32.. {
                    let name = format!("{number}-{round}-{}", answers.len());
                    let began = Instant::now();
                    answers.push(match number % 4 {
                        0 => store.commit(counter(&name), record(&name)).await.map(|_| ()),
                        1 => store.journal(entry(DEFAULT, round)).await,
                        2 => store.ping().await,
                        _ => store.upkeep(Upkeep::Keyring, counter(&format!("upkeep {name}"))).await,
                    });
                    {
                        let mut longest = longest.lock().unwrap();
                        *longest = began.elapsed().max(*longest);
                    }
                    if Instant::now() >= end {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answers
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    let longest = *longest.lock().unwrap();
    (all, longest)
}

async fn refused_at_once_and_back_soon(modes: &[Mode], reason: &'static str) {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    let (answers, _) = hammer(&store, Duration::from_millis(200)).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(reasons(&store).is_empty());
    let before = proxy.accepted();
    for mode in modes {
        proxy.set(*mode);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (answers, longest) = hammer(&store, Duration::from_secs(3)).await;
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert!(answers.iter().flat_map(Result::as_ref).count() < 40, "what was asked before the change may be answered");
    let strange = answers
        .iter()
        .find(|answer| !matches!(answer, Ok(()) | Err(Error::Full | Error::Unavailable(_) | Error::Unknown(_))));
    assert!(strange.is_none(), "{strange:?}");
    assert_eq!(reasons(&store), [("store_unreachable", Some(reason))]);
    // one probe each 250 ms, however many wait
    let knocks = proxy.accepted() - before;
    assert!(knocks <= 13, "{knocks} connections in 3 s");
    proxy.set(Mode::Pass);
    let back = within(Duration::from_secs(2), "coming back", async || store.ping().await.is_ok()).await;
    assert!(reasons(&store).is_empty(), "{back:?}");
    store.commit(counter("after"), record("after")).await.unwrap();
    store.journal(entry(DEFAULT, 7)).await.unwrap();
    assert_eq!(store.queue_depth(), 0);
    let names = store.read_all(&MARKS, vec![]).await.unwrap();
    let mut unique: Vec<_> = names.iter().map(|row| row.text(0).unwrap()).collect();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_connections_is_known_to_be_away_at_once_and_one_probe_finds_it_back() {
    refused_at_once_and_back_soon(&[Mode::Refuse], "unreachable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_keeps_silent_costs_nobody_more_than_a_second_and_one_probe_finds_it_back() {
    refused_at_once_and_back_soon(&[Mode::Silent], "silent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ended_its_connections_and_then_keeps_silent_costs_no_more() {
    refused_at_once_and_back_soon(&[Mode::Refuse, Mode::Silent], "silent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_waited_for_and_one_that_is_too_slow_is_away() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    store.ping().await.unwrap();
    proxy.set(Mode::Delay(Duration::from_millis(100)));
    store.commit(counter("slow"), record("slow")).await.unwrap();
    assert!(reasons(&store).is_empty());
    proxy.set(Mode::Delay(Duration::from_secs(5)));
    let began = Instant::now();
    assert!(store.commit(counter("lost"), record("lost")).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    proxy.set(Mode::Pass);
    within(Duration::from_secs(2), "coming back", async || store.ping().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_end_cannot_be_learned_is_called_unknown_and_is_heard_of_later() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    store.commit(counter("a"), record("a")).await.unwrap();
    let raise = || Batch::new().expect(1, &MARK_RAISE, params!["a", 1_i64, 100_i64]).change(ChangeKind::Client, "a");
    proxy.trap(&[b"COMMIT"], Trap::CutAndRefuse);
    let began = Instant::now();
    let lost = store.commit(raise(), record("raise")).await;
    assert!(matches!(lost, Err(Error::Unknown(_))), "{lost:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    proxy.set(Mode::Pass);
    within(Duration::from_secs(3), "hearing of it", async || store.applied(DEFAULT) == 1).await;
    assert_eq!(value(&store, "a").await, Some(1));
    // a COMMIT that is held up on its way arrives after its caller was told, and is heard of all the same
    proxy.trap(&[b"COMMIT"], Trap::Hold);
    let lost = store.commit(raise(), record("again")).await;
    assert!(matches!(lost, Err(Error::Unknown(_))), "{lost:?}");
    proxy.set(Mode::Pass);
    within(Duration::from_secs(3), "hearing of it", async || store.applied(DEFAULT) == 2).await;
    assert_eq!(value(&store, "a").await, Some(2));
    assert_eq!(store.read_all(&RECORDS, params![DEFAULT]).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_that_finds_no_connection_is_not_called_undone() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    store.commit(counter("held"), record("held")).await.unwrap();
    store.commit(counter("a"), record("a")).await.unwrap();
    let (blocker, connection) = tokio_postgres::connect(&proxy.url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    blocker.batch_execute("BEGIN; UPDATE mark SET value = 0 WHERE name = 'held'").await.unwrap();
    // more commits than connections wait for the row, so that whoever loses a connection finds none
    let raise = |name: &'static str| Batch::new().expect(1, &MARK_RAISE, params![name, 1_i64, 1_000_i64]);
    proxy.trap(&[b"COMMIT"], Trap::Cut);
    let doubtful = {
        let store = store.clone();
        tokio::spawn(async move { store.commit(raise("a"), record("doubtful")).await })
    };
    let mut waiting = Vec::new();
    for number in 0..200 {
        let store = store.clone();
        waiting.push(tokio::spawn(async move { store.commit(raise("held"), record(&number.to_string())).await }));
    }
    let outcome = doubtful.await.unwrap();
    assert!(matches!(outcome, Ok(_) | Err(Error::Unknown(_))), "{outcome:?}");
    assert!(proxy.has_trapped());
    blocker.batch_execute("ROLLBACK").await.unwrap();
    let mut done = 0;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(Error::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(value(&store, "held").await, Some(done));
    assert_eq!(value(&store, "a").await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_commits_that_run_and_the_depth_counts_them() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    store.commit(counter("a"), record("a")).await.unwrap();
    proxy.set(Mode::Delay(Duration::from_millis(100)));
    let committing = {
        let store = store.clone();
        tokio::spawn(async move { store.commit(counter("b"), record("b")).await })
    };
    within(Duration::from_secs(1), "beginning", async || store.queue_depth() == 1).await;
    store.close().await;
    assert_eq!(store.queue_depth(), 0);
    committing.await.unwrap().unwrap();
    assert!(matches!(store.commit(counter("c"), record("c")).await, Err(Error::Unavailable(_))));
    proxy.set(Mode::Pass);
    assert_eq!(value(&place.open().await, "b").await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_commits_fences_the_process_for_good() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    let _lease = store.claim_single_writer("a test").await.unwrap();
    store.commit(counter("a").change(ChangeKind::Client, "a"), record("a")).await.unwrap();
    assert!(!store.is_fenced());
    // as a server does that was promoted without the last commit
    set_head(&proxy, 0).await;
    proxy.set(Mode::Refuse);
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.set(Mode::Pass);
    within(Duration::from_secs(2), "noticing", async || store.is_fenced()).await;
    assert_eq!(reasons(&store).last(), Some(&("store_rolled_back", None)));
    within(Duration::from_secs(2), "coming back", async || store.ping().await.is_ok()).await;
    let refused = store.commit(counter("b"), record("b")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    set_head(&proxy, 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(store.is_fenced(), "what was lost may be lost still");
    assert!(store.read(&LEASE, vec![]).await.unwrap().is_some());
}

async fn set_head(proxy: &Proxy, seq: i64) {
    let (client, connection) = tokio_postgres::connect(&proxy.url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("UPDATE change_head SET seq = {seq} WHERE shard = 0 OR seq > {seq}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_a_second_early_and_is_held_again_under_a_new_id_with_caches_begun_anew() {
    let (place, proxy) = behind_a_proxy();
    let store = place.open().await;
    let begun = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&begun);
    store.on_start_over(Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    }));
    let mut lease = store.claim_single_writer("a test").await.unwrap();
    let holder = store.read(&LEASE, vec![]).await.unwrap().unwrap();
    assert!(!store.is_fenced());
    proxy.set(Mode::Silent);
    let began = Instant::now();
    within(Duration::from_millis(5_100), "the end of the lease", async || store.is_fenced()).await;
    // renewed every 2 s, so that 3 to 5 s were left when the server fell silent
    assert!(began.elapsed() > Duration::from_millis(2_700), "{:?}", began.elapsed());
    assert_eq!(reasons(&store), [("store_unreachable", Some("silent")), ("lease_lost", None)]);
    assert!(matches!(store.journal(entry(DEFAULT, 1)).await, Err(Error::Unavailable(_))));
    assert_eq!(begun.load(Ordering::SeqCst), 0);
    proxy.set(Mode::Pass);
    within(Duration::from_secs(2), "coming back", async || !store.is_fenced()).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    let successor = store.read(&LEASE, vec![]).await.unwrap().unwrap();
    assert_ne!(holder.bytes(0).unwrap(), successor.bytes(0).unwrap());
    store.journal(entry(DEFAULT, 2)).await.unwrap();
    // once another process holds it, there is no way back
    store.upkeep(Upkeep::Lease, Batch::new().expect(1, &LEASE_ROB, params!["a thief"])).await.unwrap();
    let taken = tokio::time::timeout(Duration::from_secs(4), lease.taken()).await.unwrap();
    assert!(matches!(&taken, Error::Refused(why) if why.contains("a thief")), "{taken}");
    assert!(store.is_fenced());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crashing_server_acknowledged_is_there_afterwards_and_the_store_comes_back_alone() {
    let mut cluster = testkit::postgres::durable_cluster().unwrap();
    let place = Place::at(cluster.fresh_database().unwrap());
    let store = place.open().await;
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let (mut kept, mut entries) = (Vec::new(), 0);
                for number in 0..100_000_u32 {
                    let name = format!("{writer}-{number}");
                    match store.commit(counter(&name), record(&name)).await {
                        Ok(_) => kept.push(name),
                        Err(Error::Unavailable(_) | Error::Unknown(_)) => break,
                        Err(other) => panic!("{other}"),
                    }
                    match store.journal(entry(DEFAULT, number)).await {
                        Ok(()) => entries += 1,
                        Err(Error::Unavailable(_) | Error::Unknown(_)) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                (kept, entries)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.crash().unwrap();
    let (mut kept, mut entries) = (Vec::new(), 0);
    for writer in writers {
        let (names, count) = writer.await.unwrap();
        kept.extend(names);
        entries += count;
    }
    assert!(store.ping().await.is_err());
    cluster.restart().unwrap();
    let mut back = store.ping().await;
    for _ in 0..20 {
        if back.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        back = store.ping().await;
    }
    back.unwrap();
    assert!(!kept.is_empty() && entries > 0);
    for name in kept {
        assert_eq!(value(&store, &name).await, Some(0), "{name}");
    }
    let segments = store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap();
    let written: i64 = segments.iter().map(|row| row.int(1).unwrap()).sum();
    assert!(written >= entries, "{written} of {entries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_lose_commits_is_refused() {
    let place = Place::postgres();
    let store::Location::Server(address) = &place.location else { unreachable!() };
    let options = store::Options {
        location: store::Location::Server(address.clone()),
        entropy: Box::new(crate::place::entropy()),
        clock: place.clock.clone(),
        allow_unsafe_durability: false,
    };
    let refused = store::Store::open(options).await.err().unwrap();
    assert!(matches!(&refused, Error::Refused(why) if why.contains("fsync")), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_another_process_are_heard() {
    let place = Place::postgres();
    let (one, two) = (place.open().await, place.open().await);
    let batch = Batch::new().run(&MARK_NEW, params!["a", 1_i64]).change(ChangeKind::Keys, "k");
    one.commit(batch, record("a")).await.unwrap();
    // the second commit meets a gap, reads it and delivers both in order
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    two.on_change(Arc::new(move |changes: &[store::Change]| {
        sink.lock().unwrap().extend(changes.iter().map(|change| (change.seq, change.key.clone())));
    }));
    two.commit(Batch::new().change(ChangeKind::Apis, "b"), record("b")).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [(1, "k".to_owned()), (2, "b".to_owned())]);
}

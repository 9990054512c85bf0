//! The change feed: numbered without gaps, heard in order and before the commit returns.

use std::sync::{Arc, Mutex};

use kernel::tenant::DEFAULT;
use store::{Batch, Change, ChangeKind, Store, params};

use crate::place::{EPOCH, EPOCH_READ, FEED, MARK_NEW, Place, counter, record, record_of, tenant};

fn listen(store: &Store) -> Arc<Mutex<Vec<Change>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    store.on_change(Arc::new(move |changes: &[Change]| sink.lock().unwrap().extend_from_slice(changes)));
    heard
}

crate::on_both_engines! {
    async fn changes_are_heard_before_the_commit_returns_and_number_without_gaps(place: &Place) {
        let store = place.open().await;
        let heard = listen(&store);
        let tasks: Vec<_> = (0..60_u32)
            .map(|number| {
                let (store, heard) = (store.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    let key = number.to_string();
                    let batch = counter(&key).change(ChangeKind::Client, key.as_str()).change_until(ChangeKind::Denied, key.as_str(), 9);
                    let seq = store.commit(batch, record(&key)).await.unwrap().seq;
                    let mine: Vec<_> = heard.lock().unwrap().iter().filter(|c| c.key == key).cloned().collect();
                    assert_eq!(mine.len(), 2);
                    assert!(mine.iter().all(|change| change.seq == seq && change.tenant == DEFAULT));
                    assert_eq!((mine[0].kind, mine[1].until), (ChangeKind::Client, 9));
                    assert!(store.applied(DEFAULT) >= seq);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let order: Vec<u64> = heard.lock().unwrap().iter().map(|change| change.seq).collect();
        let expected: Vec<u64> = (1..=60).flat_map(|seq| [seq, seq]).collect();
        assert_eq!(order, expected);
        assert_eq!(store.read_all(&FEED, vec![]).await.unwrap().len(), 120);
    }

    async fn a_stamped_statement_reads_the_number_of_its_own_commit(place: &Place) {
        let store = place.open().await;
        store.commit(Batch::new().change(ChangeKind::Apis, ""), record("one")).await.unwrap();
        let batch = Batch::new()
            .change(ChangeKind::Epoch, "client:x")
            .stamp(&EPOCH, params![DEFAULT, "client:x", 7_i64, Store::shard(DEFAULT)]);
        let committed = store.commit(batch, record("two")).await.unwrap();
        assert_eq!(committed.seq, 2);
        let row = store.read(&EPOCH_READ, params![DEFAULT, "client:x"]).await.unwrap().unwrap();
        assert_eq!(row.int(0).unwrap(), 2);
    }

    async fn shards_count_apart_and_go_on_after_the_store_is_opened_again(place: &Place) {
        let store = place.open().await;
        let (one, two) = (tenant(1), tenant(2));
        assert_ne!(Store::shard(one), Store::shard(two));
        for _ in 0..3 {
            store.commit(Batch::new().change(ChangeKind::Keys, ""), record_of(one, "k")).await.unwrap();
        }
        assert_eq!(store.commit(counter("a"), record_of(one, "no change")).await.unwrap().seq, 3);
        store.commit(Batch::new().change(ChangeKind::Keys, ""), record_of(two, "k")).await.unwrap();
        assert_eq!((store.applied(one), store.applied(two)), (3, 1));
        store.close().await;
        drop(store);
        let again = place.open().await;
        assert_eq!((again.applied(one), again.applied(two)), (3, 1));
        let heard = listen(&again);
        again.commit(Batch::new().change(ChangeKind::Keys, ""), record_of(one, "k")).await.unwrap();
        assert_eq!(heard.lock().unwrap().iter().map(|c| c.seq).collect::<Vec<_>>(), [4]);
    }

    async fn a_refused_batch_takes_no_number_and_is_not_heard(place: &Place) {
        let store = place.open().await;
        let heard = listen(&store);
        store.commit(counter("a"), record("a")).await.unwrap();
        let batch = Batch::new().change(ChangeKind::Client, "x").stamp(&MARK_NEW, params!["a", 1_i64]);
        assert!(store.commit(batch, record("b")).await.is_err());
        assert!(heard.lock().unwrap().is_empty());
        assert_eq!(store.commit(Batch::new().change(ChangeKind::Client, "y"), record("c")).await.unwrap().seq, 1);
    }
}

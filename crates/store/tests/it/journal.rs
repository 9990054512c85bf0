//! The journal: grouped, and nothing acknowledged is lost.

use std::collections::BTreeSet;

use kernel::tenant::DEFAULT;
use store::{Row, Store, params};

use crate::place::{Place, SEGMENTS, entry, tenant};

fn numbers(rows: &[Row]) -> Vec<u32> {
    let mut found = Vec::new();
    for row in rows {
        let mut rest = row.bytes(2).unwrap();
        let mut entries = 0;
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (bytes, after) = tail.split_at(u32::from_le_bytes(*length) as usize);
            found.push(u32::from_le_bytes(bytes.try_into().unwrap()));
            rest = after;
            entries += 1;
        }
        assert_eq!(row.int(1).unwrap(), entries);
    }
    found
}

async fn write(store: &Store, tenant: kernel::tenant::TenantId, count: u32) {
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.journal(entry(tenant, number)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

crate::on_both_engines! {
    async fn entries_written_at_once_share_segments_and_each_is_there_once(place: &Place) {
        let store = place.open().await;
        tokio::join!(write(&store, DEFAULT, 400), write(&store, tenant(1), 300));
        for (tenant, count) in [(DEFAULT, 400_u32), (tenant(1), 300)] {
            let rows = store.read_all(&SEGMENTS, params![tenant]).await.unwrap();
            let found = numbers(&rows);
            assert_eq!(found.len(), count as usize);
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..count).collect::<BTreeSet<_>>());
            assert!(rows.len() < count as usize, "{} segments", rows.len());
            for row in &rows {
                assert!(row.int(3).unwrap() <= row.int(4).unwrap());
            }
        }
        let stats = store.stats();
        assert_eq!(stats.entries, 700);
        assert!(stats.groups < 700, "{} groups", stats.groups);
    }

    async fn what_was_acknowledged_is_there_after_an_end_without_goodbye(place: &Place) {
        let store = place.open().await;
        write(&store, DEFAULT, 50).await;
        drop(store);
        let again = place.open().await;
        assert_eq!(numbers(&again.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap()).len(), 50);
    }

    async fn an_entry_too_large_is_refused(place: &Place) {
        let store = place.open().await;
        let mut large = entry(DEFAULT, 1);
        large.bytes = vec![0; (1 << 20) + 1];
        assert!(store.journal(large).await.is_err());
        assert!(store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap().is_empty());
    }
}

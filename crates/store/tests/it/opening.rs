//! Opening, the schema, statements, and the right to serve.

use std::sync::atomic::Ordering;

use kernel::clock::Timestamp;
use kernel::id::Id;
use store::{Batch, Error, Stmt, params};

use crate::place::{self, NEWER, Place, counter, record, value};

static BROKEN: Stmt = Stmt { name: "BROKEN", sql: "SELECT absent FROM mark", across_tenants: Some("test") };
static LOOSE: Stmt = Stmt { name: "LOOSE", sql: "SELECT slug FROM tenant", across_tenants: None };
static SLOW: Stmt =
    Stmt { name: "SLOW", sql: "SELECT t.tenant_id FROM tenant t, mark m WHERE t.tenant_id = ?1", across_tenants: None };

crate::on_both_engines! {
    async fn opening_again_changes_nothing(place: &Place) {
        let store = place.open().await;
        store.commit(counter("a"), record("a")).await.unwrap();
        store.ping().await.unwrap();
        store.close().await;
        drop(store);
        let again = place.open().await;
        assert_eq!(value(&again, "a").await, Some(0));
        assert!(again.schema_version() >= 1);
    }

    async fn a_schema_that_needs_a_newer_program_is_refused(place: &Place) {
        let store = place.open().await;
        let next = store.schema_version() + 1;
        store.commit(Batch::new().run(&NEWER, params![next, 1_i64]), record("expand")).await.unwrap();
        store.close().await;
        drop(store);
        let store = place.open().await;
        store.commit(Batch::new().run(&NEWER, params![next + 1, next + 1]), record("contract")).await.unwrap();
        store.close().await;
        drop(store);
        let refused = place.try_open().await.err().unwrap();
        assert!(matches!(&refused, Error::Refused(why) if why.contains("newer release")), "{refused}");
    }

    async fn every_statement_of_the_store_can_be_prepared(place: &Place) {
        let store = place.open().await;
        store.prepare_all(store::sql::ALL).await.unwrap();
        store.prepare_all(place::ALL).await.unwrap();
        assert!(store.prepare_all(&[&BROKEN]).await.is_err());
        if store.engine_name() == "sqlite" {
            let refused = store.prepare_all(&[&SLOW]).await.err().unwrap();
            assert!(matches!(&refused, Error::Refused(why) if why.contains("whole table")), "{refused}");
        }
        let refused = store.prepare_all(&[&LOOSE]).await.err().unwrap();
        assert!(matches!(&refused, Error::Refused(why) if why.contains("LOOSE")), "{refused}");
    }

    async fn one_process_serves_and_the_second_is_told_who_does(place: &Place) {
        let (one, two) = (place.open().await, place.open().await);
        let id = |n: u8| Id::from_bytes([n; 16]);
        let lease = one.claim_single_writer(id(1), "pid 1 on here", one_time()).await.unwrap();
        let refused = two.claim_single_writer(id(2), "pid 2 on here", one_time()).await.err().unwrap();
        assert!(matches!(&refused, Error::Refused(why) if why.contains("pid 1 on here")), "{refused}");
        assert!(!lease.is_lost());
        lease.release().await.unwrap();
        two.claim_single_writer(id(2), "pid 2 on here", one_time()).await.unwrap().release().await.unwrap();
    }

    async fn a_lease_left_behind_is_taken_over_once_it_is_over(place: &Place) {
        let (one, two) = (place.open().await, place.open().await);
        // dropped without release, as after a crash: the row stays
        drop(one.claim_single_writer(Id::from_bytes([1; 16]), "gone", one_time()).await.unwrap());
        place.clock.0.fetch_add(7_000_000, Ordering::SeqCst);
        let now = one_time().plus_seconds(7);
        two.claim_single_writer(Id::from_bytes([2; 16]), "next", now).await.unwrap().release().await.unwrap();
    }
}

fn one_time() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_log_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::sqlite();
    let store = place.open().await;
    store.commit(counter("a"), record("a")).await.unwrap();
    let store::Location::File(path) = &place.location else { unreachable!() };
    for file in [path.clone(), path.with_extension("db-wal")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

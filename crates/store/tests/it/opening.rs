//! Opening, the schema, statements, and the right to serve.

use std::time::{Duration, Instant};

use store::{Batch, Error, Stmt, params};

use crate::place::{self, NEWER, Place, counter, record, value};

static BROKEN: Stmt =
    Stmt { name: "BROKEN", sql: "SELECT absent FROM mark", across_tenants: Some("test"), by_key: false };
static LOOSE: Stmt = Stmt { name: "LOOSE", sql: "SELECT slug FROM tenant", across_tenants: None, by_key: false };
static WIDE: Stmt = Stmt {
    name: "WIDE",
    sql: "SELECT actor FROM audit_record WHERE tenant_id = ?1 AND commit_id > ?2",
    across_tenants: None,
    by_key: true,
};
static SLOW: Stmt = Stmt {
    name: "SLOW",
    sql: "SELECT t.tenant_id FROM tenant t, mark m WHERE t.tenant_id = ?1",
    across_tenants: None,
    by_key: false,
};

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
            let refused = store.prepare_all(&[&WIDE]).await.err().unwrap();
            assert!(matches!(&refused, Error::Refused(why) if why.contains("further than a key")), "{refused}");
        }
        let refused = store.prepare_all(&[&LOOSE]).await.err().unwrap();
        assert!(matches!(&refused, Error::Refused(why) if why.contains("LOOSE")), "{refused}");
    }

    async fn one_process_serves_and_the_second_is_told_who_does(place: &Place) {
        let (one, two) = (place.open().await, place.open().await);
        let lease = one.claim_single_writer("pid 1 on here").await.unwrap();
        let refused = two.claim_single_writer("pid 2 on here").await.err().unwrap();
        assert!(matches!(&refused, Error::Refused(why) if why.contains("pid 1 on here")), "{refused}");
        assert!(!one.is_fenced());
        lease.release().await.unwrap();
        two.claim_single_writer("pid 2 on here").await.unwrap().release().await.unwrap();
    }

    async fn a_lease_left_behind_is_taken_over_once_it_is_over_and_not_before(place: &Place) {
        let (one, two) = (place.open().await, place.open().await);
        // dropped without release, as after a crash: the row stays
        drop(one.claim_single_writer("gone").await.unwrap());
        let began = Instant::now();
        let next = two.claim_single_writer("next").await.unwrap();
        // the lock of a file ends with its process, a row only with its time
        assert_eq!(began.elapsed() > Duration::from_millis(5_500), one.engine_name() == "postgresql");
        next.release().await.unwrap();
    }
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

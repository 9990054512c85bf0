//! The audit log, the journal across segments and blocks, and the outbox.

use kernel::clock::Timestamp;
use kernel::event::{Event, Type};
use kernel::id::Id;
use record::Error;
use record::entry::{Entry, Jti};
use record::outbox::{self, EventFilter};
use record::query::{self, AuditFilter, JournalFilter, Outcome};
use store::{Batch, params};

use crate::world::{World, on_both_engines};

store::statements! {
    /// A block that cannot be unpacked.
    SPOIL_BLOCK = "UPDATE journal_block SET body = ?3 WHERE tenant_id = ?1 AND leaf = ?2";
}

on_both_engines! {
    the_audit_log_is_filtered_and_paged_newest_first;
    a_journal_page_goes_on_where_the_last_one_ended_though_segments_were_folded_meanwhile;
    the_journal_is_filtered_by_client_outcome_time_and_token;
    a_page_that_unpacked_many_blocks_in_vain_ends_early_and_the_next_one_goes_on;
    blocks_that_cannot_match_are_not_unpacked;
    the_outbox_is_read_in_order_from_a_place_on;
}

async fn the_audit_log_is_filtered_and_paged_newest_first(mut world: World) {
    let mut commits = Vec::new();
    for (action, object) in [("client.created", "a"), ("client.updated", "a"), ("client.created", "b")] {
        commits.push(world.change(action, object).await);
    }
    let (store, tenant) = (world.store.clone(), world.tenant);
    let list = async |filter: AuditFilter| -> Vec<_> {
        let found = query::audit(&store, tenant, &AuditFilter { limit: 200, ..filter }).await.unwrap();
        found.into_iter().map(|record| record.commit).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    let newest_first: Vec<_> = commits.iter().rev().copied().collect();
    assert_eq!(list(AuditFilter::default()).await, newest_first);
    let created = AuditFilter { action: text("client.created"), ..AuditFilter::default() };
    assert_eq!(list(created).await, [commits[2], commits[0]]);
    let object = AuditFilter { object_kind: text("client"), object_id: text("a"), ..AuditFilter::default() };
    assert_eq!(list(object.clone()).await, [commits[1], commits[0]]);
    assert_eq!(list(AuditFilter { after: Some(commits[1]), ..object }).await, [commits[0]]);
    let late = AuditFilter { from: Some(world.now), ..AuditFilter::default() };
    assert_eq!(list(late).await, [commits[2]], "from is the first moment that counts");
    let early = AuditFilter { to: Some(world.now), ..AuditFilter::default() };
    assert_eq!(list(early).await, [commits[1], commits[0]], "to is the first that does not");
    assert_eq!(list(AuditFilter { actor: text("client:nobody"), ..AuditFilter::default() }).await, []);
    let any = AuditFilter { limit: 5, ..AuditFilter::default() };
    let foreign = query::audit(&store, Id::from_bytes([7; 16]), &any).await.unwrap();
    assert!(foreign.is_empty(), "another tenant sees nothing");
}

async fn a_journal_page_goes_on_where_the_last_one_ended_though_segments_were_folded_meanwhile(mut world: World) {
    let mut written = Vec::new();
    for round in 0..4 {
        for _ in 0..10 {
            written.push(Entry::Issuance(world.issue("acme").await));
        }
        if round < 3 {
            world.sequence().await.unwrap();
        }
    }
    written.reverse();
    let mut read = Vec::new();
    let mut cursor = None;
    loop {
        let filter = JournalFilter { limit: 7, cursor, ..JournalFilter::default() };
        let page = query::journal(&world.store, world.tenant, &filter).await.unwrap();
        assert!(page.items.len() <= 7);
        read.extend(page.items);
        world.sequence().await;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(read, written);
    let filter = JournalFilter { cursor: Some(vec![1, 2, 3]), ..JournalFilter::default() };
    let refused = query::journal(&world.store, world.tenant, &filter).await;
    assert!(matches!(refused, Err(Error::Cursor)));
}

async fn the_journal_is_filtered_by_client_outcome_time_and_token(mut world: World) {
    let first = world.issue("a").await;
    let refused = world.refuse("b").await;
    world.sequence().await.unwrap();
    world.advance(1_000);
    let second = world.issue("b").await;
    world.sequence().await.unwrap();
    let third = world.issue("a").await;
    let (store, tenant) = (world.store.clone(), world.tenant);
    let list = async |filter: JournalFilter| {
        query::journal(&store, tenant, &JournalFilter { limit: 200, ..filter }).await.unwrap().items
    };
    let issued = Entry::Issuance;
    let all = list(JournalFilter::default()).await;
    let expected =
        [issued(third.clone()), issued(second.clone()), Entry::Refusal(refused.clone()), issued(first.clone())];
    assert_eq!(all, expected);
    let of_a = JournalFilter { client_id: Some("a".to_owned()), ..JournalFilter::default() };
    assert_eq!(list(of_a).await, [issued(third.clone()), issued(first.clone())]);
    let refusals = JournalFilter { outcome: Some(Outcome::Refused), ..JournalFilter::default() };
    assert_eq!(list(refusals).await, [Entry::Refusal(refused)]);
    let of_b =
        JournalFilter { client_id: Some("b".to_owned()), outcome: Some(Outcome::Issued), ..JournalFilter::default() };
    assert_eq!(list(of_b).await, [issued(second.clone())]);
    let span = JournalFilter { from: Some(second.at), to: Some(third.at), ..JournalFilter::default() };
    assert_eq!(list(span).await, [issued(second.clone())]);
    let jti = Jti::parse(&first.jti()).unwrap();
    assert_eq!(list(JournalFilter { jti: Some(jti), ..JournalFilter::default() }).await, [issued(first)]);
    let other = Jti { seq: 6, ..jti };
    assert_eq!(list(JournalFilter { jti: Some(other), ..JournalFilter::default() }).await, []);
    let before = JournalFilter { to: Some(Timestamp::from_seconds(0)), ..JournalFilter::default() };
    assert_eq!(list(before).await, []);
}

async fn a_page_that_unpacked_many_blocks_in_vain_ends_early_and_the_next_one_goes_on(mut world: World) {
    let wanted = world.issue("a").await;
    // Every block holds an issuance and an entry about the client, but no issuance to the client.
    for _ in 0..70 {
        world.issue("b").await;
        world.refuse("a").await;
        world.sequence().await.unwrap();
    }
    let mut filter = JournalFilter {
        client_id: Some("a".to_owned()),
        outcome: Some(Outcome::Issued),
        limit: 10,
        ..JournalFilter::default()
    };
    let page = query::journal(&world.store, world.tenant, &filter).await.unwrap();
    assert_eq!(page.items, []);
    assert!(page.next.is_some(), "there is more to read");
    filter.cursor = page.next;
    let page = query::journal(&world.store, world.tenant, &filter).await.unwrap();
    assert_eq!(page.items, [Entry::Issuance(wanted)]);
    assert_eq!(page.next, None);
}

async fn blocks_that_cannot_match_are_not_unpacked(mut world: World) {
    let old = world.issue("a").await;
    world.sequence().await.unwrap();
    world.advance(1_000);
    let spoiled = world.issue("b").await;
    world.sequence().await.unwrap();
    world.advance(1_000);
    let new = world.issue("a").await;
    world.sequence().await.unwrap();
    // Whoever unpacks the block of `b` fails, and so shows that it did.
    world.tamper(&SPOIL_BLOCK, params![world.tenant, 1_i64, vec![1_u8, 2, 3]]).await;
    let (store, tenant) = (world.store.clone(), world.tenant);
    let read = async |filter: JournalFilter| query::journal(&store, tenant, &filter).await;
    let all = JournalFilter { limit: 10, ..JournalFilter::default() };
    assert!(matches!(read(all.clone()).await, Err(Error::Format(_))));
    let by_time = JournalFilter { from: Some(new.at), ..all.clone() };
    assert_eq!(read(by_time).await.unwrap().items, [Entry::Issuance(new.clone())]);
    let by_token = JournalFilter { jti: Jti::parse(&old.jti()), ..all.clone() };
    assert_eq!(read(by_token).await.unwrap().items, [Entry::Issuance(old.clone())]);
    let by_client = JournalFilter { client_id: Some("a".to_owned()), ..all.clone() };
    assert_eq!(read(by_client).await.unwrap().items, [Entry::Issuance(new), Entry::Issuance(old)]);
    let by_outcome = JournalFilter { outcome: Some(Outcome::Refused), ..all.clone() };
    assert_eq!(read(by_outcome).await.unwrap().items, []);
    // A full page needs no older block.
    let latest = [world.issue("c").await, world.issue("c").await];
    let page = read(JournalFilter { limit: 1, from: Some(spoiled.at), ..all }).await.unwrap();
    assert_eq!(page.items, [Entry::Issuance(latest[1].clone())]);
}

async fn the_outbox_is_read_in_order_from_a_place_on(mut world: World) {
    let begun = world.now;
    // ids fall while places rise: the order is that of the commits
    for index in (1..=4_u8).rev() {
        let customer = (index % 2 == 0).then(|| "cus_a".to_owned());
        let kind = if index == 1 { Type::ClientDeleted } else { Type::ClientCreated };
        let data = format!(r#"{{"n":{index}}}"#);
        let id = Id::from_bytes([index; 16]);
        let event = Event { id, kind, at: world.now, customer, object_id: format!("o{index}"), data };
        world.change_with(Batch::new().event(event), "client.created", "a").await;
    }
    let brief = |events: Vec<outbox::EventView>| -> Vec<(i64, i64, String)> {
        events.into_iter().map(|event| (event.position, event.sequence, event.data)).collect()
    };
    let n = |index: u8| format!(r#"{{"n":{index}}}"#);
    let all = outbox::events_after(&world.store, world.tenant, 0, 10).await.unwrap();
    assert_eq!(
        all[0].wire("default").unwrap().to_string(),
        format!(
            r#"{{"id":"{}","type":"client.created","timestamp":"{}","tenant":"default","customer_id":"cus_a","sequence":1,"data":{{"n":4}}}}"#,
            all[0].id, begun,
        )
    );
    assert_eq!(brief(all), [(1, 1, n(4)), (2, 1, n(3)), (3, 2, n(2)), (4, 2, n(1))]);
    let list = async |filter: EventFilter| {
        brief(outbox::events(&world.store, world.tenant, &EventFilter { limit: 10, ..filter }).await.unwrap())
    };
    let kinds = vec![Type::ClientDeleted, Type::TokenRevoked];
    assert_eq!(list(EventFilter { kinds: kinds.clone(), ..EventFilter::default() }).await, [(4, 2, n(1))]);
    let customer_id = Some("cus_a".to_owned());
    let of_customer = EventFilter { customer_id: customer_id.clone(), ..EventFilter::default() };
    assert_eq!(list(of_customer).await, [(3, 2, n(2)), (1, 1, n(4))]);
    assert_eq!(list(EventFilter { kinds, customer_id, ..EventFilter::default() }).await, []);
    let of_object = EventFilter { object_id: Some("o3".to_owned()), ..EventFilter::default() };
    assert_eq!(list(of_object).await, [(2, 1, n(3))]);
    assert_eq!(list(EventFilter { before: Some(2), ..EventFilter::default() }).await, [(1, 1, n(4))]);
    assert_eq!(list(EventFilter { to: Some(begun), ..EventFilter::default() }).await, []);
    let id = Id::from_bytes([3; 16]);
    assert_eq!(outbox::event(&world.store, world.tenant, id).await.unwrap().unwrap().position, 2);
    assert_eq!(outbox::oldest(&world.store, world.tenant).await.unwrap().unwrap().position, 1);
}

//! Sequencing, proofs and offline verification.

use kernel::id::{Id, Secret};
use record::canonical::block_leaf_hash;
use record::checkpoint::Checkpoint;
use record::entry::Entry;
use record::query::{self, AuditFilter};
use record::tree::{Head, leaf_hash, verify_consistency, verify_inclusion};
use record::{Error, Extent, Sequencer};
use store::{Batch, params};

use crate::world::{World, on_both_engines};

store::statements! {
    /// A credential that was never used.
    ADD_CREDENTIAL = "INSERT INTO credential (tenant_id, id, client, label, kind, hash, root_version, hint, \
        not_before, created_at) VALUES (?1, ?2, ?3, '', 'secret', ?3, 1, '', 0, 0)";
    /// When a credential was last used.
    LAST_USED = "SELECT last_used_at FROM credential WHERE tenant_id = ?1 AND id = ?2";
    /// Another leaf than the one that was signed.
    SPOIL_LEAF = "UPDATE audit_leaf SET hash = ?3 WHERE tenant_id = ?1 AND leaf = ?2";
    /// One segment with a chosen id.
    ADD_SEGMENT = "INSERT INTO journal_segment (tenant_id, id, first_at, last_at, entries, body) \
        VALUES (?1, ?2, ?3, ?3, 1, ?4)";
}

on_both_engines! {
    every_statement_is_prepared_by_the_engine;
    nothing_new_is_not_signed_and_something_new_is_signed_once;
    a_journal_is_folded_as_it_fills_in_whole_rounds_alone;
    many_records_are_sequenced_in_rounds_and_in_commit_order;
    every_leaf_and_every_entry_has_a_proof_under_the_signed_root;
    two_checkpoints_are_consistent_by_a_proof_that_needs_no_store;
    the_last_use_of_a_credential_follows_its_issuances;
    a_segment_that_arrives_late_with_an_early_id_is_folded_by_the_next_run;
    a_tree_that_differs_from_its_checkpoint_is_not_signed_over;
    two_sequencers_at_once_leave_one_good_tree;
    a_sequencer_that_kept_an_old_edge_reads_what_another_added;
}

async fn every_statement_is_prepared_by_the_engine(world: World) {
    world.store.prepare_all(record::sql::ALL).await.unwrap();
}

async fn a_journal_is_folded_as_it_fills_in_whole_rounds_alone(mut world: World) {
    let whole = record::ENTRIES_PER_ROUND;
    let entries: Vec<_> = (0..whole + 50).map(|_| world.issuance("acme", Id::from_bytes([9; 16]))).collect();
    let (few, many) = entries.split_at(50);
    world.write_all(few).await;
    assert_eq!(world.store.take_journaled(u64::try_from(whole).unwrap()), []);
    assert!(world.sequence_extent(Extent::WholeRounds).await.is_none(), "50 entries make no block of their own");
    world.write_all(many).await;
    assert_eq!(world.store.take_journaled(u64::try_from(whole).unwrap()), [world.tenant]);
    assert_eq!(world.store.take_journaled(1), [], "named once");
    assert_eq!(world.sequence_extent(Extent::WholeRounds).await.unwrap().size, 1);
    let report = world.verify(&[]).await;
    assert_eq!((report.blocks, report.findings.len()), (1, 0));
    let left = report.unsequenced_entries;
    assert!(left > 0 && left < u64::try_from(whole).unwrap(), "{left}");
    assert_eq!(world.sequence().await.unwrap().size, 2);
    let report = world.verify(&[]).await;
    assert_eq!((report.entries, report.unsequenced_entries), (u64::try_from(whole + 50).unwrap(), 0));
}

async fn nothing_new_is_not_signed_and_something_new_is_signed_once(mut world: World) {
    assert!(world.sequence().await.is_none());
    world.change("client.created", "acme").await;
    world.issue("acme").await;
    world.issue("acme").await;
    let before = world.verify(&[]).await;
    assert_eq!((before.size, before.unsequenced_records, before.unsequenced_segments > 0), (0, 1, true));
    assert_eq!(before.unsequenced_entries, 2);

    let checkpoint = world.sequence().await.unwrap();
    assert_eq!(checkpoint.size, 2, "one record and one block");
    assert_eq!(Checkpoint::verify(&checkpoint.note, &world.keys()).unwrap(), checkpoint);
    assert!(world.sequence().await.is_none());

    let report = world.verify(std::slice::from_ref(&checkpoint)).await;
    assert_eq!(report.findings, []);
    assert_eq!((report.records, report.blocks, report.entries, report.checkpoints), (1, 1, 2, 2));
    assert_eq!((report.unsequenced_records, report.unsequenced_segments, report.unsequenced_entries), (0, 0, 0));
    assert_eq!((report.size, report.root), (2, checkpoint.root));
}

async fn many_records_are_sequenced_in_rounds_and_in_commit_order(mut world: World) {
    let mut commits = Vec::new();
    for index in 0..620 {
        commits.push(world.change("client.updated", &format!("client-{index}")).await);
    }
    let checkpoint = world.sequence().await.unwrap();
    assert_eq!(checkpoint.size, 620);
    let filter = AuditFilter { limit: 200, after: Some(commits[300]), ..AuditFilter::default() };
    let page = query::audit(&world.store, world.tenant, &filter).await.unwrap();
    let leaves: Vec<u64> = page.iter().map(|record| record.leaf.unwrap()).collect();
    assert_eq!(leaves, (100..300).rev().collect::<Vec<u64>>());
    let report = world.verify(&[]).await;
    assert!(report.is_good(), "{:?}", report.findings);
    assert_eq!(report.checkpoints, 2, "each round signed the tree that it left");
}

async fn every_leaf_and_every_entry_has_a_proof_under_the_signed_root(mut world: World) {
    for name in ["a", "b", "c"] {
        world.change("client.created", name).await;
    }
    let issued = world.issue("a").await;
    world.refuse("b").await;
    let checkpoint = world.sequence().await.unwrap();
    let (store, tenant) = (world.store.clone(), world.tenant);
    let records = query::audit(&store, tenant, &AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    for record in records {
        let proof = query::proof(&store, tenant, record.leaf.unwrap()).await.unwrap().unwrap();
        assert_eq!(proof.checkpoint, checkpoint);
        assert_eq!(proof.hash, record.leaf_hash(tenant));
        assert!(verify_inclusion(&proof.hash, proof.leaf, checkpoint.size, &proof.path, &checkpoint.root));
    }
    let block = query::proof(&store, tenant, 3).await.unwrap().unwrap();
    let entry = query::entry_proof(&store, tenant, 3, 0).await.unwrap().unwrap();
    assert_eq!(entry.bytes, Entry::Issuance(issued).encode());
    assert!(verify_inclusion(&leaf_hash(&entry.bytes), entry.index, entry.entries, &entry.path, &entry.root));
    assert_eq!(block_leaf_hash(tenant, entry.entries, &entry.root), block.hash);
    assert!(verify_inclusion(&block.hash, 3, checkpoint.size, &block.path, &checkpoint.root));

    assert!(query::proof(&store, tenant, 4).await.unwrap().is_none(), "no such leaf");
    assert!(query::entry_proof(&store, tenant, 3, 2).await.unwrap().is_none(), "no such entry");
    assert!(query::entry_proof(&store, tenant, 0, 0).await.unwrap().is_none(), "a record is no block");
}

async fn two_checkpoints_are_consistent_by_a_proof_that_needs_no_store(mut world: World) {
    world.change("client.created", "a").await;
    world.issue("a").await;
    let older = world.sequence().await.unwrap();
    for name in ["b", "c", "d"] {
        world.change("client.created", name).await;
    }
    let newer = world.sequence().await.unwrap();
    let (proof, stated) = query::consistency(&world.store, world.tenant, older.size).await.unwrap().unwrap();
    assert_eq!(stated, newer);
    assert!(verify_consistency(&older.head(), &newer.head(), &proof));
    let forked = Head { root: [7; 32], ..older.head() };
    assert!(!verify_consistency(&forked, &newer.head(), &proof));
    let listed = query::checkpoints(&world.store, world.tenant, 0).await.unwrap();
    assert_eq!(listed, [older, newer]);
}

async fn the_last_use_of_a_credential_follows_its_issuances(mut world: World) {
    let credential = Id::<Secret>::from_bytes([42; 16]);
    let add = Batch::new().run(&ADD_CREDENTIAL, params![world.tenant, credential, vec![1_u8; 16]]);
    world.change_with(add, "secret.created", "acme").await;
    let mut last = world.now;
    for _ in 0..3 {
        let issuance = world.issuance("acme", credential);
        last = issuance.at;
        world.write(Entry::Issuance(issuance)).await;
    }
    world.sequence().await.unwrap();
    let row = world.store.read(&LAST_USED, params![world.tenant, credential]).await.unwrap().unwrap();
    assert_eq!(row.time(0).unwrap(), last);
    let mut stale = world.issuance("acme", credential);
    stale.at = last.plus_seconds(-100);
    world.write(Entry::Issuance(stale)).await;
    world.sequence().await.unwrap();
    let row = world.store.read(&LAST_USED, params![world.tenant, credential]).await.unwrap().unwrap();
    assert_eq!(row.time(0).unwrap(), last, "a late entry does not move it back");
}

async fn a_segment_that_arrives_late_with_an_early_id_is_folded_by_the_next_run(mut world: World) {
    world.issue("acme").await;
    assert_eq!(world.sequence().await.unwrap().size, 1);
    let late = Entry::Issuance(world.issuance("acme", Id::from_bytes([9; 16])));
    let mut body = Vec::new();
    record::segment::append(&mut body, &late.encode());
    world
        .tamper(
            &ADD_SEGMENT,
            params![world.tenant, vec![0_u8; 15].into_iter().chain([1]).collect::<Vec<u8>>(), late.at(), body],
        )
        .await;
    assert_eq!(world.sequence().await.unwrap().size, 2);
    let report = world.verify(&[]).await;
    assert_eq!((report.entries, report.unsequenced_entries, report.is_good()), (2, 0, true));
}

async fn a_tree_that_differs_from_its_checkpoint_is_not_signed_over(mut world: World) {
    world.change("client.created", "a").await;
    world.sequence().await.unwrap();
    world.tamper(&SPOIL_LEAF, params![world.tenant, 0_i64, vec![7_u8; 32]]).await;
    world.change("client.created", "b").await;
    let restarted = Sequencer::new();
    let refused = restarted.sequence(&world.store, world.tenant, Extent::Everything, world.now, &world.signer).await;
    assert!(matches!(refused, Err(Error::Broken)), "{refused:?}");
    assert_eq!(query::checkpoint(&world.store, world.tenant).await.unwrap().unwrap().size, 1);
}

async fn two_sequencers_at_once_leave_one_good_tree(mut world: World) {
    for index in 0..40 {
        world.change("client.created", &format!("c{index}")).await;
        world.issue("acme").await;
    }
    let (one, two) = (Sequencer::new(), Sequencer::new());
    let (store, tenant, now) = (&world.store, world.tenant, world.now);
    let both = tokio::join!(
        one.sequence(store, tenant, Extent::Everything, now, &world.signer),
        two.sequence(store, tenant, Extent::Everything, now, &world.signer)
    );
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    let report = world.verify(&[]).await;
    assert!(report.is_good(), "{:?}", report.findings);
    assert_eq!((report.records, report.entries, report.unsequenced_entries), (40, 40, 0));
}

async fn a_sequencer_that_kept_an_old_edge_reads_what_another_added(mut world: World) {
    world.change("client.created", "a").await;
    world.sequence().await.unwrap();
    world.change("client.created", "b").await;
    record::sequence(&world.store, world.tenant, world.now, &world.signer).await.unwrap().unwrap();
    world.change("client.created", "c").await;
    assert_eq!(world.sequence().await.unwrap().size, 3);
    assert!(world.verify(&[]).await.is_good());
}

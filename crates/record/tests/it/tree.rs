//! Sequencing, proofs and offline verification.

use jose::{Alg, SigningKey};
use kernel::id::{Id, Secret};
use record::checkpoint::Checkpoint;
use record::entry::{Entry, Jti};
use record::proof::{self, Doubt, Recorded, TokenProof};
use record::query::{self, AuditFilter};
use record::tree::{Head, verify_consistency, verify_inclusion};
use record::{Error, Extent, KeySigner, Sequencer, Verifier};
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
    every_record_has_a_proof_under_the_signed_root;
    every_token_has_a_proof_that_is_believed_without_the_store;
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

async fn every_record_has_a_proof_under_the_signed_root(mut world: World) {
    for name in ["a", "b", "c"] {
        world.change("client.created", name).await;
    }
    world.issue("a").await;
    let checkpoint = world.sequence().await.unwrap();
    let (store, tenant) = (world.store.clone(), world.tenant);
    let records = query::audit(&store, tenant, &AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    for record in records {
        let proof = proof::inclusion(&store, tenant, record.leaf.unwrap()).await.unwrap().unwrap();
        assert_eq!(proof.checkpoint, checkpoint);
        assert_eq!(proof.hash, record.leaf_hash(tenant));
        assert!(verify_inclusion(&proof.hash, proof.leaf, checkpoint.size, &proof.path, &checkpoint.root));
    }
    assert!(proof::inclusion(&store, tenant, 4).await.unwrap().is_none(), "no such leaf");
}

async fn every_token_has_a_proof_that_is_believed_without_the_store(mut world: World) {
    let keys = [Verifier::of(&world.signer).unwrap()];
    let mut issued = Vec::new();
    for (round, tokens) in [(0, 1), (1, 5), (2, 8)] {
        world.change("client.created", &format!("c{round}")).await;
        for _ in 0..tokens {
            issued.push(world.issue("a").await);
        }
        world.refuse("a").await;
        world.sequence().await.unwrap();
        world.advance(100);
    }
    let (store, tenant) = (world.store.clone(), world.tenant);
    let recorded = async |jti: &str| proof::token(&store, tenant, &Jti::parse(jti).unwrap()).await.unwrap();
    for issued in &issued {
        let proven = match recorded(&issued.jti()).await {
            Some(Recorded::Proven(proven)) => Some(proven),
            Some(Recorded::Waiting) | None => None,
        };
        let proven = proven.unwrap();
        let (entry, checkpoint) = proven.verify(&keys).unwrap();
        assert_eq!((&entry, checkpoint.size), (issued, 6));
        for (what, changed) in changes(&proven) {
            assert!(changed.verify(&keys).is_err(), "{what}");
        }
        let stranger = KeySigner::new("https://id.example", SigningKey::generate(Alg::EdDsa).unwrap().0).unwrap();
        assert!(matches!(proven.verify(&[Verifier::of(&stranger).unwrap()]), Err(Doubt::Note(_))));
    }
    let waiting = world.issue("a").await;
    assert_eq!(recorded(&waiting.jti()).await, Some(Recorded::Waiting));
    let nobodys = Jti { token: [0; 16], ..Jti::parse(&waiting.jti()).unwrap() };
    assert_eq!(recorded(&nobodys.to_string()).await, None);
    let foreign = proof::token(&store, Id::from_bytes([7; 16]), &Jti::parse(&waiting.jti()).unwrap()).await.unwrap();
    assert_eq!(foreign, None, "another tenant sees nothing");
}

/// The same proof with one thing changed in it.
fn changes(good: &TokenProof) -> Vec<(&'static str, TokenProof)> {
    let change = |what, change: &dyn Fn(&mut TokenProof)| {
        let mut changed = good.clone();
        change(&mut changed);
        (what, changed)
    };
    let mut all = vec![
        change("another entry", &|p| *p.entry.bytes.last_mut().unwrap() ^= 1),
        change("a longer entry", &|p| p.entry.bytes.push(0)),
        change("another place in the block", &|p| p.entry.index ^= 1),
        change("another size of the block", &|p| p.entry.entries ^= 64),
        change("another root of the block", &|p| p.entry.root[0] ^= 1),
        change("a longer path in the block", &|p| p.entry.path.push([0; 32])),
        change("another leaf", &|p| *p.block.last_mut().unwrap() ^= 1),
        change("another tenant", &|p| p.block[2] ^= 1),
        change("a record's leaf", &|p| p.block[1] = 0),
        change("another place in the tree", &|p| p.inclusion.leaf ^= 1),
        change("a path that is cut", &|p| {
            p.inclusion.path.pop();
        }),
        change("another checkpoint", &|p| {
            p.inclusion.checkpoint.note = p.inclusion.checkpoint.note.replace("\n6\n", "\n7\n");
        }),
        // The block's own leaf, as if it were an entry of a tree of one.
        change("the leaf instead of an entry", &|p| {
            (p.entry.bytes, p.entry.index, p.entry.entries) = (p.block.clone(), 0, 1);
            p.entry.path.clear();
        }),
    ];
    if good.entry.path.len() > 1 {
        all.push(change("a path in another order", &|p| p.entry.path.reverse()));
    }
    all
}

async fn two_checkpoints_are_consistent_by_a_proof_that_needs_no_store(mut world: World) {
    world.change("client.created", "a").await;
    world.issue("a").await;
    let older = world.sequence().await.unwrap();
    for name in ["b", "c", "d"] {
        world.change("client.created", name).await;
    }
    let newer = world.sequence().await.unwrap();
    let (proof, stated) = proof::consistency(&world.store, world.tenant, older.size).await.unwrap().unwrap();
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

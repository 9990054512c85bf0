//! Each way of falsifying the log is found, and its first bad index is named.

use jose::{Alg, SigningKey};
use kernel::id::{Commit, Id};
use record::tree::Head;
use record::verify::{Finding, Problem, verify};
use record::{Checkpoint, KeySigner};
use store::params;

use crate::world::{World, on_both_engines};

store::statements! {
    /// Another actor than the one who acted.
    CHANGE_ACTOR = "UPDATE audit_record SET actor = 'client:nobody' WHERE tenant_id = ?1 AND commit_id = ?2";
    /// The leaf hash that fits a falsified record.
    CHANGE_LEAF = "UPDATE audit_leaf SET hash = ?3 WHERE tenant_id = ?1 AND leaf = ?2";
    /// A record fewer.
    REMOVE_RECORD = "DELETE FROM audit_record WHERE tenant_id = ?1 AND commit_id = ?2";
    /// Another place in the tree.
    MOVE_RECORD = "UPDATE audit_record SET leaf = ?3 WHERE tenant_id = ?1 AND commit_id = ?2";
    /// A record that no one committed.
    INSERT_RECORD = "INSERT INTO audit_record (tenant_id, commit_id, actor, action, object_kind, object_id, at, \
        business_at, leaf) VALUES (?1, ?2, 'client:ops', 'client.created', 'client', 'x', 0, 0, ?3)";
    /// A leaf that no one signed.
    INSERT_LEAF = "INSERT INTO audit_leaf (tenant_id, leaf, hash) VALUES (?1, ?2, ?3)";
    /// A leaf fewer.
    REMOVE_LEAF = "DELETE FROM audit_leaf WHERE tenant_id = ?1 AND leaf = ?2";
    /// A checkpoint fewer.
    REMOVE_CHECKPOINT = "DELETE FROM audit_checkpoint WHERE tenant_id = ?1 AND size = ?2";
    /// Another checkpoint.
    CHANGE_CHECKPOINT = "UPDATE audit_checkpoint SET root = ?3, note = ?4 WHERE tenant_id = ?1 AND size = ?2";
    /// Another block.
    CHANGE_BLOCK = "UPDATE journal_block SET body = ?3, entries = ?4 WHERE tenant_id = ?1 AND leaf = ?2";
    /// A block fewer.
    REMOVE_BLOCK = "DELETE FROM journal_block WHERE tenant_id = ?1 AND leaf = ?2";
}

on_both_engines! {
    a_changed_record_is_found;
    a_changed_record_with_a_fitting_leaf_is_found_by_the_checkpoint;
    a_removed_record_is_found;
    reordered_records_are_found;
    an_inserted_record_is_found;
    a_missing_leaf_is_found;
    a_changed_and_a_removed_block_are_found;
    a_cut_tail_is_found_by_a_checkpoint_that_was_kept_elsewhere;
    a_forked_history_is_found_by_a_checkpoint_that_was_kept_elsewhere;
    a_checkpoint_that_another_key_signed_is_found;
}

/// Four records and one block, signed at sizes 2, 4 and 5.
async fn history(world: &mut World) -> (Vec<Id<Commit>>, Vec<Checkpoint>) {
    let mut commits = Vec::new();
    let mut checkpoints = Vec::new();
    for pair in [["a", "b"], ["c", "d"]] {
        for name in pair {
            commits.push(world.change("client.created", name).await);
        }
        checkpoints.push(world.sequence().await.unwrap());
    }
    world.issue("a").await;
    world.issue("b").await;
    checkpoints.push(world.sequence().await.unwrap());
    assert_eq!(checkpoints.iter().map(|checkpoint| checkpoint.size).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(world.verify(&checkpoints).await.findings, []);
    (commits, checkpoints)
}

fn finding(index: u64, problem: Problem) -> Finding {
    Finding { index, problem }
}

async fn a_changed_record_is_found(mut world: World) {
    let (commits, _) = history(&mut world).await;
    world.tamper(&CHANGE_ACTOR, params![world.tenant, commits[2]]).await;
    let report = world.verify(&[]).await;
    assert!(report.findings.contains(&finding(2, Problem::Changed)), "{:?}", report.findings);
    assert_eq!(report.first_bad(), Some(2));
}

async fn a_changed_record_with_a_fitting_leaf_is_found_by_the_checkpoint(mut world: World) {
    let (commits, _) = history(&mut world).await;
    world.tamper(&CHANGE_ACTOR, params![world.tenant, commits[3]]).await;
    let filter = record::query::AuditFilter { limit: 1, ..Default::default() };
    let forged = record::query::audit(&world.store, world.tenant, &filter).await.unwrap()[0].leaf_hash(world.tenant);
    world.tamper(&CHANGE_LEAF, params![world.tenant, 3_i64, &forged[..]]).await;
    let report = world.verify(&[]).await;
    assert_eq!(report.findings, [finding(2, Problem::Root(4)), finding(2, Problem::Root(5))]);
}

async fn a_removed_record_is_found(mut world: World) {
    let (commits, _) = history(&mut world).await;
    world.tamper(&REMOVE_RECORD, params![world.tenant, commits[1]]).await;
    let report = world.verify(&[]).await;
    assert!(report.findings.contains(&finding(1, Problem::Removed)), "{:?}", report.findings);
    assert_eq!(report.first_bad(), Some(1));
}

async fn reordered_records_are_found(mut world: World) {
    let (commits, _) = history(&mut world).await;
    world.tamper(&MOVE_RECORD, params![world.tenant, commits[2], 3_i64]).await;
    world.tamper(&MOVE_RECORD, params![world.tenant, commits[3], 2_i64]).await;
    let report = world.verify(&[]).await;
    for leaf in [2, 3] {
        assert!(report.findings.contains(&finding(leaf, Problem::Changed)), "{:?}", report.findings);
    }
    assert_eq!(report.first_bad(), Some(2));
}

async fn an_inserted_record_is_found(mut world: World) {
    history(&mut world).await;
    world.tamper(&INSERT_RECORD, params![world.tenant, Id::<Commit>::from_bytes([255; 16]), 3_i64]).await;
    let report = world.verify(&[]).await;
    assert_eq!(report.findings, [finding(3, Problem::Inserted)]);

    // Past the signed end, with a leaf of its own.
    world.tamper(&REMOVE_RECORD, params![world.tenant, Id::<Commit>::from_bytes([255; 16])]).await;
    world.tamper(&INSERT_RECORD, params![world.tenant, Id::<Commit>::from_bytes([255; 16]), 5_i64]).await;
    assert_eq!(world.verify(&[]).await.findings, [finding(5, Problem::Inserted)]);
    world.tamper(&REMOVE_RECORD, params![world.tenant, Id::<Commit>::from_bytes([255; 16])]).await;
    assert!(world.verify(&[]).await.is_good());
    world.tamper(&INSERT_LEAF, params![world.tenant, 5_i64, vec![1_u8; 32]]).await;
    assert_eq!(world.verify(&[]).await.findings, [finding(5, Problem::Inserted)]);
}

async fn a_missing_leaf_is_found(mut world: World) {
    history(&mut world).await;
    world.tamper(&REMOVE_LEAF, params![world.tenant, 1_i64]).await;
    world.tamper(&REMOVE_LEAF, params![world.tenant, 4_i64]).await;
    let report = world.verify(&[]).await;
    assert_eq!(report.findings, [finding(1, Problem::LeafMissing), finding(4, Problem::LeafMissing)]);
}

async fn a_changed_and_a_removed_block_are_found(mut world: World) {
    history(&mut world).await;
    let other = world.issuance("z", Id::from_bytes([9; 16])).encode();
    let mut folding = record::block::Folding::default();
    folding.add(&other).unwrap();
    folding.add(&other).unwrap();
    let forged = folding.finish().unwrap();
    world.tamper(&CHANGE_BLOCK, params![world.tenant, 4_i64, forged.body, 2_i64]).await;
    let report = world.verify(&[]).await;
    assert_eq!(report.findings, [finding(4, Problem::Changed), finding(4, Problem::Root(5))]);

    world.tamper(&CHANGE_BLOCK, params![world.tenant, 4_i64, vec![1_u8, 2, 3], 2_i64]).await;
    let report = world.verify(&[]).await;
    assert!(report.findings.contains(&finding(4, Problem::Unreadable)), "{:?}", report.findings);

    world.tamper(&REMOVE_BLOCK, params![world.tenant, 4_i64]).await;
    let report = world.verify(&[]).await;
    assert_eq!(report.findings, [finding(4, Problem::Removed), finding(4, Problem::Root(5))]);
}

async fn a_cut_tail_is_found_by_a_checkpoint_that_was_kept_elsewhere(mut world: World) {
    let (commits, checkpoints) = history(&mut world).await;
    world.tamper(&REMOVE_BLOCK, params![world.tenant, 4_i64]).await;
    for leaf in [2_i64, 3, 4] {
        world.tamper(&REMOVE_LEAF, params![world.tenant, leaf]).await;
    }
    for commit in &commits[2..] {
        world.tamper(&REMOVE_RECORD, params![world.tenant, *commit]).await;
    }
    for size in [4_i64, 5] {
        world.tamper(&REMOVE_CHECKPOINT, params![world.tenant, size]).await;
    }
    assert!(world.verify(&[]).await.is_good(), "nothing in the store tells");
    assert!(world.verify(&checkpoints[..1]).await.is_good(), "nor does a checkpoint from before the cut");
    let report = world.verify(&checkpoints[1..2]).await;
    assert_eq!(report.findings, [finding(2, Problem::Cut(4))]);
}

async fn a_forked_history_is_found_by_a_checkpoint_that_was_kept_elsewhere(mut world: World) {
    let (_, checkpoints) = history(&mut world).await;
    let forked = Checkpoint::sign(Head { size: 4, root: [7; 32] }, &world.signer).unwrap();
    let report = world.verify(&[checkpoints[0].clone(), forked]).await;
    assert_eq!(report.findings, [finding(4, Problem::GivenRoot(4))], "the stored one of size 4 is good");
}

async fn a_checkpoint_that_another_key_signed_is_found(mut world: World) {
    let (_, checkpoints) = history(&mut world).await;
    let other = KeySigner::new("https://auth.example.com", SigningKey::generate(Alg::EdDsa).unwrap().0).unwrap();
    let forged = Checkpoint::sign(checkpoints[1].head(), &other).unwrap();
    world.tamper(&CHANGE_CHECKPOINT, params![world.tenant, 4_i64, &forged.root[..], forged.note]).await;
    assert_eq!(world.verify(&[]).await.findings, [finding(2, Problem::Signature(4))]);
    let unsigned = verify(&world.store, world.tenant, &[], &[]).await.unwrap();
    assert!(unsigned.is_good(), "without a key only the roots are compared");
}

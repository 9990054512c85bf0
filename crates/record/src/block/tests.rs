#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use kernel::id::{Entropy, Family, Token};
use proptest::prelude::*;

use super::*;
use crate::entry::Refusal;
use crate::sequence::ENTRIES_PER_ROUND;

/// A repeatable stream that does not compress: SHA-256 over a counter.
struct Stream(u64);

impl Entropy for Stream {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&sha256(&self.0.to_be_bytes())[..chunk.len()]);
        }
    }
}

impl Stream {
    fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes) % limit
    }
}

struct Customer {
    id: Id<Client>,
    client_id: Arc<str>,
    credential: Id<Secret>,
    scope: Arc<str>,
    source: Option<IpAddr>,
}

fn customers(count: u64, stream: &mut Stream) -> Vec<Customer> {
    let start = Timestamp::from_seconds(1_780_000_000);
    let scopes: Vec<Arc<str>> = (0..40).map(|i| Arc::from(format!("invoices:read invoices:write s{i}:read"))).collect();
    (0..count)
        .map(|_| {
            let created = start.plus_seconds(i64::try_from(stream.below(8_000_000)).unwrap());
            let id = Id::generate(created, stream);
            Customer {
                id,
                client_id: Arc::from(id.to_string()),
                credential: Id::generate(created.plus_seconds(1), stream),
                scope: Arc::clone(&scopes[usize::try_from(stream.below(40)).unwrap()]),
                source: Some(IpAddr::from([
                    198,
                    51,
                    u8::try_from(stream.below(4)).unwrap(),
                    u8::try_from(stream.below(256)).unwrap(),
                ])),
            }
        })
        .collect()
}

fn issue(customer: &Customer, at: Timestamp, stream: &mut Stream) -> Issuance {
    let token = *Id::<Token>::generate(at, stream).as_bytes();
    Issuance {
        at,
        token,
        origin: Origin::Credential(customer.credential),
        seq: 4_000,
        client: customer.id,
        client_id: Arc::clone(&customer.client_id),
        credential: customer.credential,
        grant: Grant::ClientCredentials,
        kind: TokenKind::Jwt,
        scope: Arc::clone(&customer.scope),
        audience: "https://api.example.com".into(),
        lifetime_seconds: 900,
        source: customer.source,
        request: Id::from_bytes(token),
        generation: None,
    }
}

fn fold_owned(entries: &[Vec<u8>]) -> Block {
    let mut folding = Folding::default();
    for entry in entries {
        folding.add(entry).unwrap();
    }
    folding.finish().unwrap()
}

#[test]
fn a_token_costs_at_most_64_stored_bytes_with_10_000_clients_in_rotation() {
    let mut stream = Stream(0);
    let customers = customers(10_000, &mut stream);
    let mut at = Timestamp::from_micros(1_790_000_000_123_456);
    for (order, in_turn) in [("in turn", true), ("at random", false)] {
        let mut entries = Vec::new();
        for index in 0..u64::try_from(ENTRIES_PER_ROUND).unwrap() {
            at = Timestamp::from_micros(at.as_micros() + i64::try_from(50 + stream.below(900)).unwrap());
            let pick = if in_turn { index % 10_000 } else { stream.below(10_000) };
            entries.push(issue(&customers[usize::try_from(pick).unwrap()], at, &mut stream).encode());
        }
        let block = fold_owned(&entries);
        let stored = block.body.len() + block.members.len();
        let per_token = stored / ENTRIES_PER_ROUND;
        assert!(per_token <= 64, "{order}: {per_token} bytes a token ({stored} in all)");
        assert_eq!(unfold(&block.body).unwrap(), entries, "{order}");
        let members = Members::decode(&block.members).unwrap();
        assert!(customers.iter().take(if in_turn { 10_000 } else { 0 }).all(|c| members.may_hold_client(&c.client_id)));
        let strangers = (0..10_000).filter(|i| members.may_hold_client(&format!("stranger-{i}"))).count();
        assert!(strangers < 40, "{strangers} of 10,000 strangers look present");
        #[expect(clippy::print_stdout, reason = "the figure is quoted in the documentation")]
        {
            println!("{order}: {stored} bytes for {ENTRIES_PER_ROUND} tokens, {per_token} each");
        }
    }
}

fn mixed() -> Vec<Vec<u8>> {
    let mut stream = Stream(7);
    let customers = customers(3, &mut stream);
    let at = Timestamp::from_micros(1_790_000_000_123_456);
    let plain = issue(&customers[0], at, &mut stream);
    let refreshed = Issuance {
        origin: Origin::Family(Id::<Family>::from_bytes([4; 16])),
        grant: Grant::RefreshToken,
        kind: TokenKind::Opaque,
        request: Id::from_bytes([5; 16]),
        source: Some("2001:db8::1".parse().unwrap()),
        generation: Some(7),
        seq: u64::MAX,
        ..issue(&customers[1], at.plus_seconds(2), &mut stream)
    };
    let earlier = Issuance { at: Timestamp::from_micros(-5), seq: 0, source: None, ..plain.clone() };
    let apart = Issuance { origin: Origin::Credential(Id::from_bytes([6; 16])), ..plain.clone() };
    let refusal = Refusal {
        at: at.plus_seconds(5),
        client_id: Some("stranger".to_owned()),
        source: None,
        reason: "invalid_client".to_owned(),
        count: 3,
        request: Id::from_bytes([1; 16]),
    };
    vec![
        plain.encode(),
        refreshed.encode(),
        refusal.encode(),
        earlier.encode(),
        apart.encode(),
        vec![9, 9, 9],
        Vec::new(),
        plain.encode(),
    ]
}

#[test]
fn every_kind_of_entry_and_unreadable_bytes_come_back_as_they_went_in() {
    let entries = mixed();
    let block = fold_owned(&entries);
    assert_eq!(unfold(&block.body).unwrap(), entries);
    assert_eq!(root(&entries), block.root);
    assert_eq!(block.entries, 8);
    assert_eq!(block.first_at, Timestamp::from_micros(-5));
    assert_eq!(block.last_at.as_seconds(), 1_790_000_005);
    assert_eq!(block.last_used.len(), 2);
    assert!(Folding::default().finish().is_err(), "a block of nothing has no leaf");
}

#[test]
fn a_block_of_version_1_is_read_as_ever() {
    let golden = include_bytes!("../../tests/golden/block/1_mixed.bin");
    assert_eq!(unfold(golden).unwrap(), mixed());
}

#[test]
fn a_body_that_unpacks_past_the_limit_is_refused() {
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; RAW_MAX + 1], 1);
    assert!(bomb.len() < 1 << 20);
    let mut body = vec![VERSION];
    body.extend_from_slice(&bomb);
    assert_eq!(unfold(&body), Err(FormatError::Field("body")));
}

#[test]
fn members_tell_outcomes_and_clients_apart() {
    let entries = mixed();
    let issuances = Members::decode(&fold_owned(&entries[..1]).members).unwrap();
    assert!(issuances.may_hold_issuances() && !issuances.may_hold_refusals());
    assert!(!issuances.may_hold_client("stranger"));
    let refusals = Members::decode(&fold_owned(&entries[2..3]).members).unwrap();
    assert!(!refusals.may_hold_issuances() && refusals.may_hold_refusals());
    assert!(refusals.may_hold_client("stranger"));
    let unread = Members::decode(&fold_owned(&entries[5..6]).members).unwrap();
    assert!(unread.may_hold_issuances() && unread.may_hold_refusals() && unread.may_hold_client("anyone"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_entries_come_back_as_they_went_in(entries in prop::collection::vec(any::<Vec<u8>>(), 1..20)) {
        prop_assert_eq!(unfold(&fold_owned(&entries).body).unwrap(), entries);
    }

    #[test]
    fn a_damaged_block_is_read_without_a_panic(at in 0_usize..400, value: u8, raw: Vec<u8>) {
        let mut body = fold_owned(&mixed()).body;
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
        let _ = unfold(&body);
        // Damage behind the compression reaches every column.
        let mut plain = miniz_oxide::inflate::decompress_to_vec(&fold_owned(&mixed()).body[1..]).unwrap();
        if let Some(byte) = plain.get_mut(at) {
            *byte = value;
        }
        for raw in [raw, plain] {
            let mut body = vec![VERSION];
            body.extend_from_slice(&miniz_oxide::deflate::compress_to_vec(&raw, 1));
            let _ = unfold(&body);
        }
        let _ = Members::decode(&body);
    }
}

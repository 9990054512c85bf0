use proptest::prelude::*;

use super::*;

fn issuance() -> Issuance {
    Issuance {
        at: Timestamp::from_micros(1_790_000_000_123_456),
        token: [7; 16],
        origin: Origin::Credential(Id::from_bytes([3; 16])),
        seq: 4_294_967_299,
        client: Id::from_bytes([2; 16]),
        client_id: "acme-importer".into(),
        credential: Id::from_bytes([3; 16]),
        grant: Grant::ClientCredentials,
        kind: TokenKind::Jwt,
        scope: "invoices:read invoices:write".into(),
        audience: "https://api.example.com".into(),
        lifetime_seconds: 900,
        source: Some("192.0.2.7".parse().unwrap()),
        request: Id::from_bytes([7; 16]),
        generation: None,
    }
}

fn refusal() -> Refusal {
    Refusal {
        at: Timestamp::from_micros(1_790_000_000_000_000),
        client_id: Some("nobody".to_owned()),
        source: Some("2001:db8::7".parse().unwrap()),
        reason: "invalid_client".to_owned(),
        count: 12,
        request: Id::from_bytes([9; 16]),
    }
}

fn refreshed() -> Issuance {
    Issuance {
        origin: Origin::Family(Id::from_bytes([4; 16])),
        grant: Grant::RefreshToken,
        kind: TokenKind::Opaque,
        source: Some("2001:db8::1".parse().unwrap()),
        request: Id::from_bytes([8; 16]),
        generation: Some(300),
        ..issuance()
    }
}

/// The files are what an earlier version wrote; a reader that no longer reads them loses a journal.
#[test]
fn entries_of_version_1_are_written_and_read_as_ever() {
    for (entry, golden) in [
        (Entry::Issuance(issuance()), &include_bytes!("../../tests/golden/entry/1_issuance.bin")[..]),
        (Entry::Issuance(refreshed()), &include_bytes!("../../tests/golden/entry/1_refresh.bin")[..]),
        (Entry::Refusal(refusal()), &include_bytes!("../../tests/golden/entry/1_refusal.bin")[..]),
    ] {
        assert_eq!(entry.encode(), golden, "{entry:?}");
        assert_eq!(decode(golden), Ok(entry));
    }
}

#[test]
fn a_later_version_and_a_longer_entry_are_refused() {
    let mut bytes = issuance().encode();
    bytes.push(0);
    assert_eq!(decode(&bytes), Err(FormatError::Trailing));
    bytes[0] = 2;
    assert_eq!(decode(&bytes), Err(FormatError::Version(2)));
    assert_eq!(decode(&[]), Err(FormatError::Short));
}

#[test]
fn encoding_allocates_once() {
    for entry in [issuance(), refreshed()] {
        let bytes = entry.encode();
        let texts = entry.client_id.len() + entry.scope.len() + entry.audience.len();
        assert_eq!(bytes.capacity(), texts + 160, "the first allocation was large enough");
    }
}

#[test]
fn a_jti_is_its_token_its_origin_and_its_feed_number() {
    let text = issuance().jti();
    assert_eq!(text, format!("{}.{}.4000003", base32_encode(&[7; 16]), Id::<Secret>::from_bytes([3; 16])));
    let jti = Jti::parse(&text).unwrap();
    assert_eq!(jti, Jti { token: [7; 16], origin: issuance().origin, seq: 4_294_967_299 });
    let (front, _) = text.rsplit_once('.').unwrap();
    for bad in ["", ".04", ".zzzzzzzzzzzzz", ".i", ".A", ".1.1", ".00"] {
        assert_eq!(Jti::parse(&format!("{front}{bad}")), None, "{bad}");
    }
    assert!(Jti::parse(&format!("{front}.0")).is_some());
    assert!(Jti::parse(&format!("{front}.fzzzzzzzzzzzz")).is_some(), "the largest feed number");
    assert!(Jti::parse(&text.replace("sec_", "cl_")).is_none(), "a client is no origin");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_in_one_form(bytes: Vec<u8>, kind in 0_u8..3) {
        let mut framed = vec![1, kind];
        framed.extend_from_slice(&bytes);
        for bytes in [bytes, framed] {
            if let Ok(entry) = decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_damaged_entry_never_reads_as_another_form_of_the_same(at in 0_usize..140, value: u8) {
        let mut bytes = refreshed().encode();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        if let Ok(entry) = decode(&bytes) {
            prop_assert_eq!(entry.encode(), bytes);
        }
    }

    #[test]
    fn jtis_round_trip(token: [u8; 16], origin: [u8; 16], family: bool, seq: u64) {
        let origin = if family { Origin::Family(Id::from_bytes(origin)) } else { Origin::Credential(Id::from_bytes(origin)) };
        let jti = Jti { token, origin, seq };
        prop_assert_eq!(Jti::parse(&jti.to_string()), Some(jti));
    }

    #[test]
    fn any_text_is_read_as_a_jti_without_a_panic(text: String) {
        let _ = Jti::parse(&text);
    }
}

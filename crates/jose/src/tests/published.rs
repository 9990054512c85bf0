//! Examples printed in RFC 7515, 7517, 7638 and 8037.

use super::jwk;
use crate::{Alg, Error, Jwk, JwkSet, SigningKey, VerifyKey, decode, jws};

/// The payload of RFC 7515 A.1 to A.3, line ends included.
const JOE: &str = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
const JOE_B64: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The modulus of RFC 7515 A.2.
const A2_N: &str = concat!(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ",
    "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2",
    "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD",
    "TW9gb54h4FRWyuXpoQ"
);
const A2_SIGNATURE: &str = concat!(
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU",
    "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d",
    "O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig",
    "cN_IoypGlUPQGe77Rw"
);
/// The modulus of RFC 7517 A.1 and RFC 7638 §3.1.
const THUMBPRINT_N: &str = concat!(
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3",
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA",
    "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-",
    "kEgU8awapJzKnqDKgw"
);
/// RFC 8037 A.2.
const ED_PUBLIC: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 8037 A.4 and A.5.
const ED_JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn rsa_a2(alg: &str) -> Jwk {
    jwk(&format!(r#"{{"kty":"RSA","n":"{A2_N}","e":"AQAB","alg":"{alg}"}}"#))
}

#[test]
fn the_rs256_example_of_rfc_7515_a_2_verifies_and_only_as_rs256() {
    let text = format!("eyJhbGciOiJSUzI1NiJ9.{JOE_B64}.{A2_SIGNATURE}");
    assert_eq!(jws::verify(&text, &VerifyKey::from_jwk(&rsa_a2("RS256")).unwrap()).unwrap(), JOE.as_bytes());
    assert_eq!(jws::verify(&text, &VerifyKey::from_jwk(&rsa_a2("PS256")).unwrap()), Err(Error::AlgMismatch));
    let unpinned = jwk(&format!(r#"{{"kty":"RSA","n":"{A2_N}","e":"AQAB"}}"#));
    assert_eq!(VerifyKey::from_jwk(&unpinned).err(), Some(Error::AlgRequired));
}

#[test]
fn the_es256_example_of_rfc_7515_a_3_verifies() {
    let key = VerifyKey::from_jwk(&jwk(
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    ))
    .unwrap();
    assert_eq!(key.alg(), Alg::Es256);
    let text = format!(
        "eyJhbGciOiJFUzI1NiJ9.{JOE_B64}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert_eq!(jws::verify(&text, &key).unwrap(), JOE.as_bytes());
}

#[test]
fn the_es512_example_of_rfc_7515_a_4_is_refused_as_token_and_as_key() {
    let text = concat!(
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.",
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo",
        "XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
    );
    assert_eq!(jws::parse(text), Err(Error::UnsupportedAlg));
    let key = jwk(
        r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
    );
    assert_eq!(VerifyKey::from_jwk(&key).err(), Some(Error::UnsupportedCurve));
    assert_eq!(VerifyKey::from_jwk(&Jwk { alg: Some("ES512".into()), ..key }).err(), Some(Error::UnsupportedAlg));
}

#[test]
fn the_hs256_example_of_rfc_7515_a_1_is_refused_as_token_and_as_key() {
    let text =
        format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE_B64}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(jws::parse(&text), Err(Error::UnsupportedAlg));
    let key =
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let refused = serde_json::from_str::<Jwk>(key).unwrap_err().to_string();
    assert!(refused.contains("private member `k`") && !refused.contains("AyM1"), "{refused}");
    assert_eq!(VerifyKey::from_jwk(&jwk(r#"{"kty":"oct"}"#)).err(), Some(Error::SymmetricKey));
    assert_eq!(jwk(r#"{"kty":"oct"}"#).thumbprint(), Err(Error::SymmetricKey));
    assert_eq!(VerifyKey::from_jwk(&rsa_a2("HS256")).err(), Some(Error::UnsupportedAlg));
}

#[test]
fn the_ed25519_example_of_rfc_8037_signs_verifies_and_has_its_thumbprint() {
    let key = jwk(ED_PUBLIC);
    assert_eq!(key.thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let verifier = VerifyKey::from_jwk(&key).unwrap();
    assert_eq!(jws::verify(ED_JWS, &verifier).unwrap(), b"Example of Ed25519 signing");

    // RFC 8410 §7: PrivateKeyInfo { 0, id-Ed25519, OCTET STRING of OCTET STRING }
    let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    pkcs8.extend(decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
    let signer = SigningKey::from_pkcs8(Alg::EdDsa, &pkcs8).unwrap();
    assert_eq!(signer.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(signer.public_jwk().x, key.x);
    assert_eq!(signer.ed25519_public().unwrap().as_slice(), decode(key.x.as_ref().unwrap()).unwrap());
    assert_eq!(signer.sign_compact("eyJhbGciOiJFZERTQSJ9", b"Example of Ed25519 signing").unwrap(), ED_JWS);
}

#[test]
fn the_name_of_rfc_9864_means_the_same_key_and_token() {
    let key = VerifyKey::from_jwk(&Jwk { alg: Some("Ed25519".into()), ..jwk(ED_PUBLIC) }).unwrap();
    assert_eq!(key.alg(), Alg::EdDsa);
    assert!(jws::verify(ED_JWS, &key).is_ok());
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638_whatever_else_the_key_holds() {
    let full = jwk(&format!(r#"{{"kty":"RSA","n":"{THUMBPRINT_N}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}"#));
    let bare = jwk(&format!(r#"{{"e":"AQAB","n":"{THUMBPRINT_N}","kty":"RSA","x5t":"ignored"}}"#));
    assert_eq!(full.thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(full.thumbprint(), bare.thumbprint());
}

#[test]
fn the_set_of_rfc_7517_a_1_reads_and_its_encryption_key_verifies_nothing() {
    let text = format!(
        r#"{{"keys":[
            {{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"}},
            {{"kty":"RSA","n":"{THUMBPRINT_N}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}]}}"#
    );
    let set: JwkSet = serde_json::from_str(&text).unwrap();
    assert_eq!(VerifyKey::from_jwk(&set.keys[0]).err(), Some(Error::NotASignatureKey));
    let signature_key = Jwk { use_: None, ..set.keys[0].clone() };
    assert_eq!(VerifyKey::from_jwk(&signature_key).unwrap().kid(), "1");
    assert_eq!(VerifyKey::from_jwk(&set.keys[1]).unwrap().alg(), Alg::Rs256);
    let again: JwkSet = serde_json::from_str(&serde_json::to_string(&set).unwrap()).unwrap();
    assert_eq!(again, set);
}

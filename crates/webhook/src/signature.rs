//! Signatures of messages, as any Standard Webhooks library verifies them: `v1` is HMAC-SHA-256 over a shared secret,
//! `v1a` is Ed25519 (<https://www.standardwebhooks.com>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::mac::HmacKey;
use jose::{Alg, SigningKey};
use kernel::clock::Timestamp;
use kernel::id::Entropy;
use kernel::secret::Secret;
use zeroize::Zeroizing;

use auth::Auth;
use kernel::tenant::TenantId;

use crate::endpoint::{Endpoint, Signing};

/// Bytes of the shared secret; what follows them in the stored form is the private key.
const SECRET_BYTES: usize = 32;
/// The prefix of a shared secret in text.
pub const SECRET_PREFIX: &str = "whsec_";
/// The prefix of a public key in text.
pub const PUBLIC_PREFIX: &str = "whpk_";

/// The shared secret and the key pair of an endpoint.
pub struct Keys {
    mac: HmacKey,
    pair: SigningKey,
}

/// Keys that were just made.
pub struct NewKeys {
    /// The stored form, to be sealed.
    pub bytes: Secret<Vec<u8>>,
    /// The shared secret as its holder gets it, this once.
    pub secret: Secret<String>,
    /// The public key as receivers get it.
    pub public_key: String,
}

impl NewKeys {
    /// A new secret of 256 random bits with a new key pair, or with the pair of the keys given in their stored form.
    ///
    /// # Errors
    /// [`jose::Error`] when no key can be made or read.
    pub fn generate(pair_of: Option<&[u8]>, entropy: &mut dyn Entropy) -> Result<Self, jose::Error> {
        let mut secret = Zeroizing::new([0_u8; SECRET_BYTES]);
        entropy.fill(&mut *secret);
        let (pair, document) = match pair_of.and_then(|bytes| bytes.get(SECRET_BYTES..)) {
            Some(kept) => (SigningKey::from_pkcs8(Alg::EdDsa, kept)?, Secret::new(kept.to_vec())),
            None => SigningKey::generate(Alg::EdDsa)?,
        };
        let public = pair.ed25519_public().ok_or(jose::Error::InvalidKey)?;
        Ok(Self {
            bytes: Secret::new([secret.as_slice(), document.reveal()].concat()),
            secret: Secret::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(*secret))),
            public_key: format!("{PUBLIC_PREFIX}{}", STANDARD.encode(public)),
        })
    }
}

impl Keys {
    /// Reads the stored form.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when it holds no keys.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, store::Error> {
        let (secret, document) = bytes.split_first_chunk::<SECRET_BYTES>().ok_or(store::Error::RowCorrupt)?;
        let pair = SigningKey::from_pkcs8(Alg::EdDsa, document).map_err(|_| store::Error::RowCorrupt)?;
        Ok(Self { mac: HmacKey::new(secret), pair })
    }

    fn add(&self, signing: Signing, message: &[u8], header: &mut Vec<String>) -> Result<(), jose::Error> {
        if signing != Signing::V1a {
            header.push(format!("v1,{}", STANDARD.encode(self.mac.tag(message))));
        }
        if signing != Signing::V1 {
            header.push(format!("v1a,{}", STANDARD.encode(self.pair.sign(message)?)));
        }
        Ok(())
    }
}

/// What signs the messages of an endpoint, for as long as its version is the one it was made for.
pub struct Signer {
    signing: Signing,
    keys: Keys,
    old: Option<(Keys, Timestamp)>,
}

impl Signer {
    /// Opens the keys of an endpoint.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(auth: &Auth, tenant: TenantId, endpoint: &Endpoint) -> Result<Self, store::Error> {
        let keys =
            Keys::from_bytes(crate::change::open_keys(auth, tenant, endpoint.id, &endpoint.keys).await?.reveal())?;
        let old = match &endpoint.old {
            None => None,
            Some(old) => {
                let bytes = crate::change::open_keys(auth, tenant, endpoint.id, &old.keys).await?;
                Some((Keys::from_bytes(bytes.reveal())?, old.until))
            }
        };
        Ok(Self { signing: endpoint.signing, keys, old })
    }

    /// The value of `webhook-signature`: signatures of the present keys and, until their overlap ends, of the old ones.
    ///
    /// # Errors
    /// [`jose::Error`] when the library cannot sign.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> Result<String, jose::Error> {
        let message = [id.as_bytes(), b".", at.as_seconds().to_string().as_bytes(), b".", body].concat();
        let mut header = Vec::new();
        self.keys.add(self.signing, &message, &mut header)?;
        if let Some((old, until)) = &self.old
            && at < *until
        {
            old.add(self.signing, &message, &mut header)?;
        }
        Ok(header.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use jose::{Jwk, VerifyKey};
    use testkit::entropy::SeededEntropy;

    use super::*;

    /// HMAC fills a short key up with zeros (RFC 2104 §2), so a secret of 24 bytes is one of 32 that ends in zeros.
    fn signer(secret: &str, signing: Signing) -> Signer {
        let mut bytes = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX).unwrap()).unwrap();
        bytes.resize(SECRET_BYTES, 0);
        let (pair, _) = SigningKey::generate(Alg::EdDsa).unwrap();
        let keys = Keys { mac: HmacKey::new(bytes.as_slice().try_into().unwrap()), pair };
        Signer { signing, keys, old: None }
    }

    #[test]
    fn the_published_messages_have_the_published_signatures() {
        for (secret, id, at, body, expected) in [
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
        ] {
            let signer = signer(secret, Signing::V1);
            assert_eq!(signer.sign(id, Timestamp::from_seconds(at), body.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn both_schemes_sign_with_old_and_new_keys_until_the_overlap_ends() {
        let (first, second) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let until = Timestamp::from_seconds(1_000);
        let old = signer(first, Signing::Both).keys;
        let signer = Signer { old: Some((old, until)), ..signer(second, Signing::Both) };
        let schemes = |at: i64| -> Vec<String> {
            let header = signer.sign("evt_1", Timestamp::from_seconds(at), b"{}").unwrap();
            header.split(' ').map(|part| part.split_once(',').unwrap().0.to_owned()).collect()
        };
        assert_eq!(schemes(999), ["v1", "v1a", "v1", "v1a"]);
        assert_eq!(schemes(1_000), ["v1", "v1a"]);
    }

    #[test]
    fn new_keys_read_back_and_the_public_key_verifies() {
        let new = NewKeys::generate(None, &mut SeededEntropy::new(1)).unwrap();
        let keys = Keys::from_bytes(new.bytes.reveal()).unwrap();
        let public = STANDARD.decode(new.public_key.strip_prefix(PUBLIC_PREFIX).unwrap()).unwrap();
        assert_eq!(keys.pair.ed25519_public().unwrap().as_slice(), public);
        let secret = STANDARD.decode(new.secret.reveal().strip_prefix(SECRET_PREFIX).unwrap()).unwrap();
        assert_eq!(secret, new.bytes.reveal()[..SECRET_BYTES]);

        let jwk: Jwk = keys.pair.public_jwk().clone();
        let signature = keys.pair.sign(b"message").unwrap();
        assert!(VerifyKey::from_jwk(&jwk).unwrap().verify(b"message", &signature));

        let again = NewKeys::generate(Some(new.bytes.reveal()), &mut SeededEntropy::new(2)).unwrap();
        assert_eq!(again.public_key, new.public_key);
        assert_ne!(again.secret.reveal(), new.secret.reveal());
    }

    proptest::proptest! {
        #[test]
        fn any_stored_form_is_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Keys::from_bytes(&bytes);
        }
    }
}

//! What a browser brings along: its address, its name, and the device token of an earlier sign-in.
//!
//! The device token says "somebody signed in to this account from this browser before" and nothing more. It is an
//! HMAC over the account and a nonce, so it needs no row, and it only ever gives its bearer a count of failures of
//! their own (OWASP "device cookies").

use std::net::IpAddr;
use std::sync::Arc;

use jose::mac::HmacKey;
use kernel::clock::Timestamp;
use kernel::id::{self, Entropy, Id};
use kernel::mutant;
use kernel::principal::{Principal, Subject};
use kernel::secret::{DEVICE, Secret, credential_bytes, credential_text};
use store::keyring::Purpose;

use crate::directory::Auth;
use crate::limit::source_key;
use record::tenant::Tenant;

/// How long a device token is believed, in seconds: 400 days, the most browsers keep a cookie.
pub const DEVICE_SECONDS: i64 = 34_560_000;
/// Longest name of a browser that is kept, in characters.
const MAX_AGENT: usize = 200;

/// Who is at the other end of a request that carries no session yet.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Peer address, where it is known.
    pub source: Option<IpAddr>,
    /// The `User-Agent`, or empty.
    pub agent: String,
    /// The device cookie, when it came.
    pub device: Option<String>,
    /// The request.
    pub request: Id<id::Request>,
}

impl Browser {
    /// The browser's name as it is stored and shown.
    pub(crate) fn agent_text(&self) -> String {
        self.agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect()
    }

    /// The process acting for somebody who has not signed in yet.
    pub(crate) fn visitor(&self, tenant: &Tenant) -> Principal {
        Principal {
            tenant: tenant.id,
            subject: Subject::System("sign-in"),
            credential: None,
            scopes: Arc::from([]),
            source: self.source,
            request: self.request,
        }
    }

    /// The address as it is stored and shown.
    pub(crate) fn source_text(&self) -> String {
        self.source.map(|source| source.to_canonical().to_string()).unwrap_or_default()
    }
}

/// The nonce of a device token that was made for this account.
fn device_nonce(key: &HmacKey, account: Id<id::Operator>, token: &str, now: Timestamp) -> Option<[u8; 16]> {
    let bytes = credential_bytes::<40>(DEVICE, token)?;
    let (body, tag) = bytes.split_first_chunk::<24>()?;
    let (nonce, made) = body.split_first_chunk::<16>()?;
    let made = Timestamp::from_seconds(i64::from_be_bytes(*made.first_chunk()?));
    let expected = key.tag(&[account.as_bytes().as_slice(), body].concat());
    let is_ours = jose::constant_time_eq(expected.get(..16)?, tag);
    (is_ours && (0..DEVICE_SECONDS).contains(&now.seconds_since(made))).then_some(*nonce)
}

/// A device token for an account; a browser that has one keeps its nonce.
fn device_token(
    key: &HmacKey,
    account: Id<id::Operator>,
    nonce: Option<[u8; 16]>,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Secret<String> {
    let nonce = nonce.unwrap_or_else(|| {
        let mut fresh = [0; 16];
        entropy.fill(&mut fresh);
        fresh
    });
    let body = [nonce.as_slice(), &now.as_seconds().to_be_bytes()].concat();
    let tag = key.tag(&[account.as_bytes().as_slice(), &body].concat());
    let bytes = [body.as_slice(), tag.get(..16).unwrap_or_default()].concat();
    Secret::new(credential_text(DEVICE, &bytes))
}

/// Whose failures are counted together: an account, and a known device or a source network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Keyed hash of the typed address, whether or not it is an account.
    pub(crate) account: Vec<u8>,
    /// Keyed hash of the device or the network.
    pub(crate) place: Vec<u8>,
}

impl Auth {
    /// A key of this tenant for one use of the operators.
    pub(crate) fn operator_key(&self, tenant: &Tenant, purpose: Purpose, part: &[u8]) -> HmacKey {
        HmacKey::new(self.keyring.derive(purpose, tenant.id, &[b"operator ".as_slice(), part].concat()).reveal())
    }

    /// The device token that the browser keeps after a sign-in.
    pub(crate) fn device_for(&self, tenant: &Tenant, account: Id<id::Operator>, browser: &Browser) -> Secret<String> {
        let key = self.operator_key(tenant, Purpose::Cookie, b"devices");
        let now = self.clock.now();
        let nonce = browser.device.as_deref().and_then(|token| device_nonce(&key, account, token, now));
        device_token(&key, account, nonce, now, &mut self.fresh_entropy())
    }

    /// The pair that an attempt counts for. A device counts only for the account it signed in to.
    pub(crate) fn pair(
        &self,
        tenant: &Tenant,
        email: &str,
        account: Option<Id<id::Operator>>,
        browser: &Browser,
    ) -> Pair {
        let places = self.operator_key(tenant, Purpose::Cookie, b"places");
        let devices = self.operator_key(tenant, Purpose::Cookie, b"devices");
        // An unknown account costs the same check against an id that nobody has.
        let wanted = account.unwrap_or(Id::from_bytes([0; 16]));
        let nonce = browser
            .device
            .as_deref()
            .and_then(|token| device_nonce(&devices, wanted, token, self.clock.now()))
            .filter(|_| account.is_some() && !mutant::is("S-24-device"));
        let place = if let Some(nonce) = nonce {
            places.tag(&[b"device".as_slice(), &nonce].concat())
        } else {
            let network = browser.source.map_or(0, source_key);
            places.tag(&[b"network".as_slice(), &network.to_be_bytes()].concat())
        };
        let account = places.tag(&[b"account".as_slice(), email.as_bytes()].concat());
        Pair { account: account.to_vec(), place: place.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::SeededEntropy;

    #[test]
    fn a_device_token_is_good_for_its_account_for_400_days_and_keeps_its_nonce() {
        let (key, mut entropy) = (HmacKey::new(&[3; 32]), SeededEntropy::new(1));
        let start = Timestamp::from_seconds(1_780_000_000);
        let anna = Id::generate(start, &mut entropy);
        let bert = Id::generate(start, &mut entropy);
        let token = device_token(&key, anna, None, start, &mut entropy);
        let nonce = device_nonce(&key, anna, token.reveal(), start);
        assert!(nonce.is_some());
        assert_eq!(device_nonce(&key, bert, token.reveal(), start), None);
        assert_eq!(device_nonce(&HmacKey::new(&[4; 32]), anna, token.reveal(), start), None);
        assert_eq!(device_nonce(&key, anna, token.reveal(), start.plus_seconds(DEVICE_SECONDS)), None);
        let later = start.plus_seconds(DEVICE_SECONDS - 1);
        let again = device_token(&key, anna, nonce, later, &mut entropy);
        assert_ne!(again.reveal(), token.reveal());
        assert_eq!(device_nonce(&key, anna, again.reveal(), later.plus_seconds(5)), nonce);
    }
}

//! Typed identifiers: UUIDv7 (RFC 9562) in 16 bytes, written as a prefix and 26 characters of base32.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use crate::clock::Timestamp;

/// Randomness that is passed in: the operating system's in `server`, a seeded stream in tests.
pub trait Entropy: Send {
    /// Fills the buffer with random bytes.
    fn fill(&mut self, buffer: &mut [u8]);
}

/// What an [`Id`] is an id of, with the prefix of its text form.
pub trait Kind {
    /// The text before the underscore, for example `cl` in `cl_01j…`.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {}
        impl Kind for $name { const PREFIX: &'static str = $prefix; }
    )*};
}

kinds! {
    /// A tenant: one issuer with its own keys, clients and data.
    Tenant = "ten";
    /// An OAuth client.
    Client = "cl";
    /// A credential of a client: a dated secret.
    Secret = "sec";
    /// An API (resource server, RFC 8707 audience).
    Api = "api";
    /// A scope of an API.
    Scope = "scp";
    /// A refresh-token family.
    Family = "fam";
    /// A signing key record (its public name is the RFC 7638 thumbprint).
    Key = "key";
    /// One commit: the key of its audit record, segment and outbox rows.
    Commit = "cmt";
    /// An event in the outbox.
    Event = "evt";
    /// A request, and its log lines, audit records and journal entry.
    Request = "req";
    /// A token's unique part (the first part of `jti`).
    Token = "tok";
    /// A running process that holds a lease on the store.
    Node = "node";
    /// An operator: a person who signs in to the console.
    Operator = "op";
    /// A session of an operator.
    Session = "ses";
    /// A one-time link: to set up an owner, or to join as invited.
    Link = "lnk";
    /// A passkey of an operator.
    Passkey = "pk";
    /// An endpoint that events are posted to.
    Webhook = "whe";
    /// One event on its way to one endpoint.
    Delivery = "dlv";
    /// A named ability that plans grant.
    Feature = "fea";
    /// One version of a meter.
    Meter = "mtr";
    /// One version of a plan.
    Plan = "pln";
    /// A customer's subscription to a plan.
    Subscription = "sub";
    /// Usage of a metered feature that is held before it is counted.
    Reservation = "rsv";
    /// An event that was not counted.
    Rejection = "rej";
    /// A job that brings usage of the past.
    Backfill = "bkf";
    /// Who pays: subscriptions, and the clients that act for it.
    Customer = "cus";
}

/// A typed 16-byte identifier.
pub struct Id<K>(pub [u8; 16], PhantomData<fn() -> K>);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}_ and 26 characters of base32")]
pub struct NotAnId(pub &'static str);

impl<K: Kind> Id<K> {
    /// An id from its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes, PhantomData)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new UUIDv7: 48 bits of milliseconds, then 74 random bits.
    pub fn generate(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0_u8; 16];
        entropy.fill(&mut bytes);
        let [_, _, t0, t1, t2, t3, t4, t5] = now.as_millis().to_be_bytes();
        let [b0, b1, b2, b3, b4, b5, b6, _, b8, ..] = &mut bytes;
        (*b0, *b1, *b2, *b3, *b4, *b5) = (t0, t1, t2, t3, t4, t5);
        *b6 = (*b6 & 0x0f) | 0x70;
        *b8 = (*b8 & 0x3f) | 0x80;
        Self::from_bytes(bytes)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`NotAnId`] when the prefix, the length or the alphabet differs.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let fail = NotAnId(K::PREFIX);
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(fail)?;
        base32_decode(digits).map(Self::from_bytes).ok_or(fail)
    }

    /// The 26 characters without the prefix.
    pub fn base32(&self) -> String {
        base32_encode(&self.0)
    }
}

/// 16 bytes as 26 characters of lower-case Crockford base32.
pub fn base32_encode(bytes: &[u8; 16]) -> String {
    let mut value = u128::from_be_bytes(*bytes);
    let mut digits = [b'0'; 26];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(value & 31).unwrap_or(0);
        *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
        value >>= 5;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

/// The inverse of [`base32_encode`]; `None` for another length, letter case or alphabet.
pub fn base32_decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != 26 {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|b| *b == byte)?;
        if index == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(value.to_be_bytes())
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, base32_encode(&self.0))
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn an_id_is_a_version_7_uuid_and_survives_its_text_form() {
        let id = Id::<Client>::generate(Timestamp::from_seconds(1_700_000_000), &mut Fixed(0xff));
        assert_eq!(id.0[6] >> 4, 7);
        assert_eq!(id.0[8] >> 6, 2);
        let text = id.to_string();
        assert_eq!(text.len(), 29);
        assert_eq!(Id::<Client>::parse(&text), Ok(id));
        assert!(Id::<Api>::parse(&text).is_err());
    }

    proptest::proptest! {
        #[test]
        fn base32_round_trips(bytes: [u8; 16]) {
            assert_eq!(base32_decode(&base32_encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = Id::<Client>::parse(&text);
            let _ = base32_decode(&text);
        }
    }
}

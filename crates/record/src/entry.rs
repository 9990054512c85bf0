//! The entries of the issuance journal and their bytes.
//!
//! One entry is one token that was issued or one counted refusal. The format is versioned by its first byte
//! and has one encoding per value; what a segment or a block is made of lives in `segment` and `block`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use kernel::clock::Timestamp;
use kernel::id::{Client, Family, Id, Request, Secret, base32_decode, base32_encode};

pub use crate::wire::FormatError;
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

/// The version this program writes.
const VERSION: u8 = 1;
/// Most bytes that one text of an entry may take.
pub(crate) const TEXT_MAX: usize = 65_536;

const KIND_ISSUANCE: u8 = 0;
const KIND_REFUSAL: u8 = 1;

const FAMILY: u8 = 1;
const OPAQUE: u8 = 1 << 1;
const REFRESH: u8 = 1 << 2;
const SOURCE_V4: u8 = 1 << 3;
const SOURCE_V6: u8 = 1 << 4;
const GENERATION: u8 = 1 << 5;
const REQUEST_IS_TOKEN: u8 = 1 << 6;
const ORIGIN_IS_CREDENTIAL: u8 = 1 << 7;

const CLIENT_ID: u8 = 1;

/// What a token came from: the unit that a revocation can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A credential of the client, by the client credentials grant.
    Credential(Id<Secret>),
    /// A refresh-token family.
    Family(Id<Family>),
}

impl Origin {
    /// Reads the text form of either id.
    pub fn parse(text: &str) -> Option<Self> {
        Id::parse(text).map(Self::Credential).or_else(|_| Id::parse(text).map(Self::Family)).ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(id) => id.fmt(f),
            Self::Family(id) => id.fmt(f),
        }
    }
}

/// The grant that a token was issued by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 6749 §6.
    RefreshToken,
}

impl Grant {
    /// The value of `grant_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// The form of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// A JWT (RFC 9068).
    Jwt,
    /// A random handle with one row.
    Opaque,
}

impl TokenKind {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }
}

/// One token that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance {
    /// Machine time of the issuance.
    pub at: Timestamp,
    /// The token's unique part.
    pub token: [u8; 16],
    /// What the token came from.
    pub origin: Origin,
    /// The feed number that the issuing node had applied.
    pub seq: u64,
    /// The client.
    pub client: Id<Client>,
    /// The client's public id.
    pub client_id: Arc<str>,
    /// The credential that the client authenticated with.
    pub credential: Id<Secret>,
    /// The grant.
    pub grant: Grant,
    /// The form of the token.
    pub kind: TokenKind,
    /// The granted scopes, separated by single spaces.
    pub scope: Arc<str>,
    /// The audience.
    pub audience: Arc<str>,
    /// Seconds from `at` to the token's `exp`.
    pub lifetime_seconds: u32,
    /// Peer address.
    pub source: Option<IpAddr>,
    /// The request. A server that makes up the request's id uses the token's bytes, which costs nothing here.
    pub request: Id<Request>,
    /// The generation of the family after a refresh.
    pub generation: Option<u32>,
}

/// Refusals of one source for one reason within a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Machine time of the first of them.
    pub at: Timestamp,
    /// The client id as presented, when one was.
    pub client_id: Option<String>,
    /// Peer address.
    pub source: Option<IpAddr>,
    /// The stable code of the refusal, for example `invalid_client`.
    pub reason: String,
    /// How many there were: 1 or more.
    pub count: u32,
    /// The first request.
    pub request: Id<Request>,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A token was issued.
    Issuance(Issuance),
    /// Requests for a token were refused.
    Refusal(Refusal),
}

impl Entry {
    /// Machine time of the entry.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Issuance(issuance) => issuance.at,
            Self::Refusal(refusal) => refusal.at,
        }
    }

    /// The public id of the client the entry is about, when there is one.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Issuance(issuance) => Some(&issuance.client_id),
            Self::Refusal(refusal) => refusal.client_id.as_deref(),
        }
    }

    /// The entry's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Issuance(issuance) => issuance.encode(),
            Self::Refusal(refusal) => refusal.encode(),
        }
    }
}

const fn source_flag(source: Option<IpAddr>) -> u8 {
    match source {
        None => 0,
        Some(IpAddr::V4(_)) => SOURCE_V4,
        Some(IpAddr::V6(_)) => SOURCE_V6,
    }
}

fn put_source(out: &mut Vec<u8>, source: Option<IpAddr>) {
    match source {
        None => {}
        Some(IpAddr::V4(address)) => out.extend_from_slice(&address.octets()),
        Some(IpAddr::V6(address)) => out.extend_from_slice(&address.octets()),
    }
}

fn source(reader: &mut Reader<'_>, flags: u8) -> Result<Option<IpAddr>, FormatError> {
    Ok(match flags & (SOURCE_V4 | SOURCE_V6) {
        0 => None,
        SOURCE_V4 => Some(IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?))),
        SOURCE_V6 => Some(IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?))),
        _ => return Err(FormatError::Field("source")),
    })
}

impl Issuance {
    /// The entry's bytes, in one allocation.
    pub fn encode(&self) -> Vec<u8> {
        // Fixed parts and the widest varints: 3 + 5 × 16 + 16 (address) + 6 × 10.
        let texts = self.client_id.len().saturating_add(self.scope.len()).saturating_add(self.audience.len());
        let mut out = Vec::with_capacity(texts.saturating_add(160));
        let origin_is_credential = self.origin == Origin::Credential(self.credential);
        let request_is_token = *self.request.as_bytes() == self.token;
        let mut flags = source_flag(self.source);
        if matches!(self.origin, Origin::Family(_)) {
            flags |= FAMILY;
        }
        if self.kind == TokenKind::Opaque {
            flags |= OPAQUE;
        }
        if self.grant == Grant::RefreshToken {
            flags |= REFRESH;
        }
        if self.generation.is_some() {
            flags |= GENERATION;
        }
        if request_is_token {
            flags |= REQUEST_IS_TOKEN;
        }
        if origin_is_credential {
            flags |= ORIGIN_IS_CREDENTIAL;
        }
        out.extend_from_slice(&[VERSION, KIND_ISSUANCE, flags]);
        put_signed(&mut out, self.at.as_micros());
        out.extend_from_slice(&self.token);
        if !origin_is_credential {
            out.extend_from_slice(match &self.origin {
                Origin::Credential(id) => id.as_bytes(),
                Origin::Family(id) => id.as_bytes(),
            });
        }
        put_varint(&mut out, self.seq);
        out.extend_from_slice(self.client.as_bytes());
        put_bytes(&mut out, self.client_id.as_bytes());
        out.extend_from_slice(self.credential.as_bytes());
        put_bytes(&mut out, self.scope.as_bytes());
        put_bytes(&mut out, self.audience.as_bytes());
        put_varint(&mut out, u64::from(self.lifetime_seconds));
        put_source(&mut out, self.source);
        if !request_is_token {
            out.extend_from_slice(self.request.as_bytes());
        }
        if let Some(generation) = self.generation {
            put_varint(&mut out, u64::from(generation));
        }
        out
    }

    /// The token's `jti`.
    pub fn jti(&self) -> String {
        Jti { token: self.token, origin: self.origin, seq: self.seq }.to_string()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let flags = reader.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let at = Timestamp::from_micros(reader.signed()?);
        let token = reader.array::<16>()?;
        let written_origin = match (has(ORIGIN_IS_CREDENTIAL), has(FAMILY)) {
            (true, true) => return Err(FormatError::Field("origin")),
            (true, false) => None,
            (false, true) => Some(Origin::Family(Id::from_bytes(reader.array()?))),
            (false, false) => Some(Origin::Credential(Id::from_bytes(reader.array()?))),
        };
        let seq = reader.varint()?;
        let client = Id::from_bytes(reader.array()?);
        let client_id = Arc::from(reader.text("client_id", TEXT_MAX)?);
        let credential = Id::from_bytes(reader.array()?);
        let scope = Arc::from(reader.text("scope", TEXT_MAX)?);
        let audience = Arc::from(reader.text("audience", TEXT_MAX)?);
        let lifetime_seconds = reader.unsigned32("lifetime")?;
        let source = source(reader, flags)?;
        let request = if has(REQUEST_IS_TOKEN) {
            Id::from_bytes(token)
        } else {
            let bytes = reader.array()?;
            if bytes == token {
                return Err(FormatError::Field("request"));
            }
            Id::from_bytes(bytes)
        };
        let generation = if has(GENERATION) { Some(reader.unsigned32("generation")?) } else { None };
        if written_origin == Some(Origin::Credential(credential)) {
            return Err(FormatError::Field("origin"));
        }
        Ok(Self {
            at,
            token,
            origin: written_origin.unwrap_or(Origin::Credential(credential)),
            seq,
            client,
            client_id,
            credential,
            grant: if has(REFRESH) { Grant::RefreshToken } else { Grant::ClientCredentials },
            kind: if has(OPAQUE) { TokenKind::Opaque } else { TokenKind::Jwt },
            scope,
            audience,
            lifetime_seconds,
            source,
            request,
            generation,
        })
    }
}

impl Refusal {
    /// The entry's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.reason.len().saturating_add(96));
        let flags = source_flag(self.source) | if self.client_id.is_some() { CLIENT_ID } else { 0 };
        out.extend_from_slice(&[VERSION, KIND_REFUSAL, flags]);
        put_signed(&mut out, self.at.as_micros());
        if let Some(client_id) = &self.client_id {
            put_bytes(&mut out, client_id.as_bytes());
        }
        put_source(&mut out, self.source);
        put_bytes(&mut out, self.reason.as_bytes());
        put_varint(&mut out, u64::from(self.count));
        out.extend_from_slice(self.request.as_bytes());
        out
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let flags = reader.byte()?;
        if flags & !(CLIENT_ID | SOURCE_V4 | SOURCE_V6) != 0 {
            return Err(FormatError::Field("flags"));
        }
        let at = Timestamp::from_micros(reader.signed()?);
        let client_id =
            if flags & CLIENT_ID == 0 { None } else { Some(reader.text("client_id", TEXT_MAX)?.to_owned()) };
        let source = source(reader, flags)?;
        let reason = reader.text("reason", TEXT_MAX)?.to_owned();
        let count = reader.unsigned32("count")?;
        let request = Id::from_bytes(reader.array()?);
        Ok(Self { at, client_id, source, reason, count, request })
    }
}

/// Reads one entry.
///
/// # Errors
/// [`FormatError`] for bytes that [`Entry::encode`] never gives, of any length.
pub fn decode(bytes: &[u8]) -> Result<Entry, FormatError> {
    let mut reader = Reader::new(bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    let entry = match reader.byte()? {
        KIND_ISSUANCE => Entry::Issuance(Issuance::decode(&mut reader)?),
        KIND_REFUSAL => Entry::Refusal(Refusal::decode(&mut reader)?),
        _ => return Err(FormatError::Field("kind")),
    };
    reader.finish()?;
    Ok(entry)
}

/// The `jti` of an access token (RFC 7519 §4.1.7): unique part, origin and feed number, so that a revocation
/// by any of the three needs no row per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Jti {
    /// The token's unique part.
    pub token: [u8; 16],
    /// What the token came from.
    pub origin: Origin,
    /// The feed number that the issuing node had applied.
    pub seq: u64,
}

/// A token's own time and its entry's differ by less than this.
const TIME_SLACK_SECONDS: i64 = 60;
/// Base32 digits of a feed number at most.
const SEQ_DIGITS: usize = 13;
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Jti {
    /// Reads `<token>.<origin>.<seq>`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (token, origin, seq) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self { token: base32_decode(token)?, origin: Origin::parse(origin)?, seq: parse_seq(seq)? })
    }

    /// Whether an entry is the issuance of this token.
    pub fn names(&self, entry: &Entry) -> bool {
        matches!(entry, Entry::Issuance(issued)
            if issued.token == self.token && issued.origin == self.origin && issued.seq == self.seq)
    }

    /// The times between which the token's entry was recorded: those of its own UUIDv7 (RFC 9562 §5.7), whose first
    /// 48 bits are milliseconds, with room for the two to differ.
    pub(crate) fn recorded_between(&self) -> (Timestamp, Timestamp) {
        let millis = i64::try_from(u128::from_be_bytes(self.token) >> 80).unwrap_or(0);
        let made_at = Timestamp::from_micros(millis.saturating_mul(1000));
        (made_at.plus_seconds(TIME_SLACK_SECONDS.saturating_neg()), made_at.plus_seconds(TIME_SLACK_SECONDS))
    }
}

fn parse_seq(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > SEQ_DIGITS || (text.starts_with('0') && text != "0") {
        return None;
    }
    let mut value = 0_u64;
    for byte in text.bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        value = value.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)?;
    }
    Some(value)
}

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; SEQ_DIGITS];
        let mut rest = self.seq;
        let mut used = 0_usize;
        for digit in digits.iter_mut().rev() {
            let index = usize::try_from(rest & 31).unwrap_or(0);
            *digit = DIGITS.get(index).copied().unwrap_or(b'0');
            used = used.saturating_add(1);
            rest >>= 5;
            if rest == 0 {
                break;
            }
        }
        let shown = digits.get(SEQ_DIGITS.saturating_sub(used)..).unwrap_or(&[]);
        write!(f, "{}.{}.{}", base32_encode(&self.token), self.origin, std::str::from_utf8(shown).unwrap_or("0"))
    }
}

#[cfg(test)]
mod tests;

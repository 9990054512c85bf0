//! Client authentication: dated secrets, compared by keyed hash when generated, by Argon2id when chosen.
//!
//! The work follows the shape of the presented text, never the record (no oracle by time): a text with the
//! generated prefix and a good checksum costs one HMAC, with a bad one nothing, any other text one Argon2id.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use jose::mac::HmacKey;
use kernel::clock::Timestamp;
use kernel::histogram::{Histogram, Reading};
use kernel::id::{self, Entropy, Id};
use kernel::mutant;
use kernel::secret::{CLIENT_SECRET, Secret, has_good_checksum};
use quick_cache::sync::Cache;
use store::Row;
use tokio::sync::Semaphore;

use crate::client::{AuthMethod, Client, Status};
use crate::error::OauthError;
use crate::limit::FailureLimiter;
use record::tenant::Tenant;

/// How the hash of a credential was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// 256 random bits: HMAC-SHA-256 under the tenant's pepper.
    Generated,
    /// Chosen by a person: Argon2id.
    Chosen,
}

impl SecretKind {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Chosen => "chosen",
        }
    }
}

/// One dated secret.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its id, named in audit and issuance records.
    pub id: Id<id::Secret>,
    /// The client it belongs to.
    pub client: Id<id::Client>,
    /// Label for people.
    pub label: String,
    /// How the hash was made.
    pub kind: SecretKind,
    /// Keyed hash, or salt and Argon2id hash.
    pub hash: Vec<u8>,
    /// Version of the root key behind a keyed hash.
    pub root_version: u32,
    /// The last four characters, or empty.
    pub hint: String,
    /// A narrower set of scopes, when given.
    pub scopes: Option<Vec<Arc<str>>>,
    /// First moment it is good.
    pub not_before: Timestamp,
    /// First moment it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// When it was ended by hand.
    pub revoked_at: Option<Timestamp>,
    /// Last use that the journal's folding has seen.
    pub last_used_at: Option<Timestamp>,
    /// Creation.
    pub created_at: Timestamp,
}

impl Credential {
    /// Reads a row of [`crate::sql::CREDENTIALS_BY_CLIENT_ID`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a credential.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let kind = match row.text(3)? {
            "generated" => SecretKind::Generated,
            "chosen" => SecretKind::Chosen,
            _ => return Err(store::Error::RowCorrupt),
        };
        Ok(Self {
            id: row.id(0)?,
            client: row.id(1)?,
            label: row.text(2)?.to_owned(),
            kind,
            hash: row.bytes(4)?.to_vec(),
            root_version: u32::try_from(row.int(5)?).map_err(|_| store::Error::RowCorrupt)?,
            hint: row.text(6)?.to_owned(),
            scopes: row.text_opt(7)?.map(|text| text.split(' ').filter(|s| !s.is_empty()).map(Arc::from).collect()),
            not_before: row.time(8)?,
            expires_at: row.time_opt(9)?,
            revoked_at: row.time_opt(10)?,
            last_used_at: row.time_opt(11)?,
            created_at: row.time(12)?,
        })
    }

    /// Whether it authenticates now.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let unexpired = self.expires_at.is_none_or(|end| end > now) || mutant::is("C01-ended");
        self.revoked_at.is_none() && self.not_before <= now && unexpired
    }

    /// Whether it has not ended: live or pending.
    pub fn is_unended(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }

    /// `pending`, `active`, `expired` or `revoked`.
    pub fn status(&self, now: Timestamp) -> &'static str {
        if self.revoked_at.is_some() {
            "revoked"
        } else if self.expires_at.is_some_and(|end| end <= now) {
            "expired"
        } else if self.not_before > now {
            "pending"
        } else {
            "active"
        }
    }
}

/// Where the client put its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Basic`.
    Basic,
    /// The request body.
    Body,
}

/// What a client presented.
pub struct Presented {
    /// The public id.
    pub client_id: String,
    /// The secret as RFC 6749 §2.3.1 decodes it.
    pub secret: Option<Secret<String>>,
    /// The secret before form-decoding, when it differs: many clients do not encode.
    pub raw_secret: Option<Secret<String>>,
    /// Where it came from.
    pub place: Place,
}

/// An authenticated client and the credential that proved it.
#[derive(Clone)]
pub struct Authenticated {
    /// The client.
    pub client: Arc<Client>,
    /// The credential; `None` for a public client.
    pub credential: Option<Id<id::Secret>>,
    /// The narrower scopes of the credential.
    pub narrowed: Option<Vec<Arc<str>>>,
    /// The feed number that was applied before the client was read: what is decided from here on is stamped with it, so
    /// that a revocation in the meantime reaches it.
    pub seq: u64,
}

/// The parts that client authentication needs beside the record.
pub struct Authenticator {
    slow: SlowHash,
    failures: FailureLimiter,
    /// What did not prove a client; told by `/metrics` and never by an answer.
    pub failed: Failed,
}

/// Failed client authentications by what was wrong.
#[derive(Debug, Default)]
pub struct Failed {
    /// No client has the id.
    pub unknown_client: AtomicU64,
    /// No live secret of the client is the one presented, or none was presented.
    pub wrong_secret: AtomicU64,
    /// The client is disabled, has expired, or may not authenticate in this way.
    pub not_allowed: AtomicU64,
}

/// What the bounded pool of slow hashes did.
#[derive(Debug, Clone)]
pub struct SlowFigures {
    /// How long hashes took, in microseconds.
    pub took: Reading,
    /// How long they waited for a worker, in microseconds.
    pub waited: Reading,
    /// How many wait now.
    pub waiting: usize,
}

impl Authenticator {
    /// With a pool for slow hashes and a limiter of failures.
    pub fn new(failures: FailureLimiter, memo_key: HmacKey, workers: usize) -> Self {
        Self { slow: SlowHash::new(memo_key, workers), failures, failed: Failed::default() }
    }

    /// What the pool of slow hashes did.
    pub fn slow_figures(&self) -> SlowFigures {
        let slow = &self.slow;
        let places = ARGON2_QUEUE.saturating_sub(slow.waiting.available_permits());
        let busy = slow.size.saturating_sub(slow.workers.available_permits());
        SlowFigures { took: slow.took.read(), waited: slow.waited.read(), waiting: places.saturating_sub(busy) }
    }

    /// How many chosen secrets are known without a slow hash.
    pub fn remembered(&self) -> usize {
        self.slow.memo.len()
    }

    /// Hashes a chosen secret in the bounded pool.
    ///
    /// # Errors
    /// [`OauthError::Unavailable`] when the pool is full.
    pub async fn hash_chosen(&self, secret: &str, entropy: &mut dyn Entropy) -> Result<Vec<u8>, OauthError> {
        let mut salt = [0_u8; 16];
        entropy.fill(&mut salt);
        let hash = self.slow.run(secret.to_owned(), salt, ARGON2_COST).await?;
        Ok([salt.as_slice(), &hash].concat())
    }

    /// Hashes a normalized passphrase of a person in the bounded pool: cost, salt and hash.
    ///
    /// # Errors
    /// [`OauthError::Unavailable`] when the pool is full.
    pub async fn hash_passphrase(&self, text: &str, entropy: &mut dyn Entropy) -> Result<Vec<u8>, OauthError> {
        let (memory, passes, lanes) = ARGON2_COST;
        let cost = [memory, passes, lanes].map(u32::to_be_bytes).concat();
        Ok([cost, self.hash_chosen(text, entropy).await?].concat())
    }

    /// Compares a normalized passphrase with a stored one; without one the same work is done.
    ///
    /// # Errors
    /// [`OauthError::Unavailable`] when the pool is full.
    pub async fn match_passphrase(&self, text: &str, stored: Option<&[u8]>) -> Result<PassphraseMatch, OauthError> {
        let absent = (ARGON2_COST, [0; 16], [].as_slice());
        let (cost, salt, hash) = stored.and_then(passphrase_parts).unwrap_or(absent);
        let computed = self.slow.run(text.to_owned(), salt, cost).await?;
        let matches = jose::constant_time_eq(&computed, hash);
        Ok(match (matches, cost == ARGON2_COST) {
            (false, _) => PassphraseMatch::No,
            (true, true) => PassphraseMatch::Yes,
            (true, false) => PassphraseMatch::YesAtAnotherCost,
        })
    }

    /// Decides whether the presented credentials prove the client, which was read after the feed had come to `seq`. Why they do not is for the record alone: the caller
    /// gets [`OauthError::InvalidClient`] whatever the cause.
    ///
    /// # Errors
    /// [`OauthError::SlowDown`] when a source fails too often; [`OauthError::Unavailable`] when the slow pool is full.
    pub async fn authenticate(
        &self,
        tenant: &Tenant,
        (client, seq): (Option<Arc<Client>>, u64),
        presented: &Presented,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Result<Authenticated, Denial>, OauthError> {
        let Some(secret) = &presented.secret else {
            // A public client is identified by its id alone (RFC 6749 §2.3.1 does not apply to it).
            return Ok(match client {
                Some(client)
                    if client.settings.token_endpoint_auth_method == AuthMethod::None
                        && client.status(now) == Status::Active =>
                {
                    Ok(Authenticated { client, credential: None, narrowed: None, seq })
                }
                other => Err(self.fail(Denial::of(other.as_deref(), Denial::NoSecret, now))),
            });
        };
        let mut candidates = [Some(secret), presented.raw_secret.as_ref()];
        if presented.raw_secret.as_ref().is_some_and(|raw| is_not_form_encoded(raw.reveal())) {
            // There is one slow hash, and it belongs to the reading that the text itself gives away.
            candidates.reverse();
        }
        let mut slow_done = false;
        let mut found = None;
        let mut denial = Denial::WrongSecret;
        for candidate in candidates.into_iter().flatten() {
            let text = candidate.reveal();
            if text.starts_with(CLIENT_SECRET) {
                if has_good_checksum(CLIENT_SECRET, text) {
                    match match_generated(tenant, client.as_deref(), text) {
                        Some(credential) if credential.is_live(now) => found = Some(credential.id),
                        Some(_) => denial = Denial::EndedSecret,
                        None => {}
                    }
                }
            } else if !slow_done {
                slow_done = true;
                found = found.or(self.match_chosen(client.as_deref(), presented, text, source, now).await?);
            }
            if found.is_some() {
                break;
            }
        }
        match (client, found) {
            (Some(client), Some(id)) if usable(&client, presented.place, now) => {
                let narrowed = client.credentials.iter().find(|c| c.id == id).and_then(|c| c.scopes.clone());
                Ok(Ok(Authenticated { client, credential: Some(id), narrowed, seq }))
            }
            (client, found) => {
                let denial = if found.is_some() { Denial::WrongMethod } else { denial };
                Ok(Err(self.fail(Denial::of(client.as_deref(), denial, now))))
            }
        }
    }

    /// Counts a failure of proof by its cause.
    fn fail(&self, denial: Denial) -> Denial {
        let failed = &self.failed;
        let cause = match denial {
            Denial::UnknownClient => &failed.unknown_client,
            Denial::NoSecret | Denial::EndedSecret | Denial::WrongSecret => &failed.wrong_secret,
            Denial::ClientDisabled | Denial::ClientExpired | Denial::WrongMethod => &failed.not_allowed,
        };
        cause.fetch_add(1, Ordering::Relaxed);
        denial
    }

    async fn match_chosen(
        &self,
        client: Option<&Client>,
        presented: &Presented,
        text: &str,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Id<id::Secret>>, OauthError> {
        let chosen = client.and_then(|c| c.credentials.iter().find(|c| c.kind == SecretKind::Chosen && c.is_live(now)));
        if let Some(credential) = chosen
            && self.slow.remembers(credential.id, text)
        {
            return Ok(Some(credential.id));
        }
        self.failures.admit(&presented.client_id, source, now)?;
        if chosen.is_none() && mutant::is("T01-dummy") {
            return Ok(None);
        }
        let (salt, stored) = chosen.and_then(|c| c.hash.split_first_chunk::<16>()).unwrap_or((&[0; 16], &[]));
        let computed = Box::pin(self.slow.run(text.to_owned(), *salt, ARGON2_COST)).await?;
        let matches = jose::constant_time_eq(&computed, stored) || (mutant::is("C01-any") && !stored.is_empty());
        match chosen {
            Some(credential) if matches => {
                self.slow.remember(credential.id, text);
                self.failures.forgive(&presented.client_id, source);
                Ok(Some(credential.id))
            }
            _ => Ok(None),
        }
    }
}

/// Why credentials prove nothing. Only the journal says it, to those who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// There is no such client.
    UnknownClient,
    /// The client is disabled.
    ClientDisabled,
    /// The client has ended.
    ClientExpired,
    /// The client authenticates in another way.
    WrongMethod,
    /// No secret came with the request.
    NoSecret,
    /// The secret was this client's, and has ended or not begun.
    EndedSecret,
    /// It is no secret of this client.
    WrongSecret,
}

impl Denial {
    /// The stable name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownClient => "unknown_client",
            Self::ClientDisabled => "client_disabled",
            Self::ClientExpired => "client_expired",
            Self::WrongMethod => "wrong_auth_method",
            Self::NoSecret => "no_secret",
            Self::EndedSecret => "secret_ended",
            Self::WrongSecret => "invalid_secret",
        }
    }

    /// What stands in the way first: the client itself, else what was found wrong with the credentials.
    fn of(client: Option<&Client>, credentials: Self, now: Timestamp) -> Self {
        match client.map(|client| client.status(now)) {
            None => Self::UnknownClient,
            Some(Status::Disabled) => Self::ClientDisabled,
            Some(Status::Expired) => Self::ClientExpired,
            Some(Status::Active) => credentials,
        }
    }
}

/// What comparing a passphrase found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassphraseMatch {
    /// It is another one, or there is none.
    No,
    /// It is the one.
    Yes,
    /// It is the one, hashed at a cost that is not the present one.
    YesAtAnotherCost,
}

/// Cost, salt and hash of a stored passphrase.
fn passphrase_parts(stored: &[u8]) -> Option<(Cost, [u8; 16], &[u8])> {
    let (memory, rest) = stored.split_first_chunk::<4>()?;
    let (passes, rest) = rest.split_first_chunk::<4>()?;
    let (lanes, rest) = rest.split_first_chunk::<4>()?;
    let (salt, hash) = rest.split_first_chunk::<16>()?;
    let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
    Some(((number(memory), number(passes), number(lanes)), *salt, hash))
}

/// Whether a text of Basic credentials cannot be what RFC 6749 §2.3.1 asks for: it has a character that every encoder in
/// use escapes, or both marks of encoders that exclude each other (one leaves `/` and writes a space as `%20`, the others
/// write it as `+`). A secret in base64, sent as it stands, is the usual case.
fn is_not_form_encoded(text: &str) -> bool {
    let may_stay = |b: u8| b.is_ascii_alphanumeric() || b"%+*-._~!'()/".contains(&b);
    !text.bytes().all(may_stay) || (text.contains('/') && text.contains('+'))
}

/// Whether the record allows what the secret proved.
fn usable(client: &Client, place: Place, now: Timestamp) -> bool {
    let method = match (client.settings.token_endpoint_auth_method, place) {
        (AuthMethod::ClientSecretBasic, _) | (AuthMethod::ClientSecretPost, Place::Body) => true,
        (AuthMethod::ClientSecretPost, Place::Basic) | (AuthMethod::None, _) => false,
    };
    method && (client.status(now) == Status::Active || mutant::is("C04-disabled"))
}

/// The secret that a text is, whether it is live or not.
fn match_generated<'a>(tenant: &Tenant, client: Option<&'a Client>, text: &str) -> Option<&'a Credential> {
    let tag = tenant.pepper.tag(text.as_bytes());
    let credentials = client.map(|c| c.credentials.as_slice()).unwrap_or_default();
    credentials.iter().find(|c| c.kind == SecretKind::Generated && jose::constant_time_eq(&tag, &c.hash))
}

/// Argon2id in a bounded pool, with a memory of what it verified.
struct SlowHash {
    workers: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    memo_key: HmacKey,
    memo: Cache<Id<id::Secret>, [u8; 32]>,
    /// Working memory of past hashes while others wait, one piece per worker at most: 19 MiB is not asked of the system
    /// for each of a crowd, and not kept when it has gone.
    arenas: Arc<Mutex<Vec<Vec<Block>>>>,
    /// How many workers there are.
    size: usize,
    took: Arc<Histogram>,
    waited: Histogram,
}

/// Memory in KiB, passes, lanes.
type Cost = (u32, u32, u32);
/// The OWASP minimum for Argon2id.
const ARGON2_COST: Cost = (19 * 1024, 2, 1);
/// Reserved for each hash, more than it touches: from 32 MiB on glibc's allocator gives memory back as soon as it is
/// freed, below that it learns to keep it for good.
const ARENA_BLOCKS: usize = 33 * 1024;
const ARGON2_QUEUE: usize = 64;
const ARGON2_WAIT: Duration = Duration::from_secs(1);

impl SlowHash {
    fn new(memo_key: HmacKey, workers: usize) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(workers.max(1))),
            size: workers.max(1),
            took: Arc::new(Histogram::of_durations()),
            waited: Histogram::of_durations(),
            waiting: Arc::new(Semaphore::new(ARGON2_QUEUE)),
            memo_key,
            memo: Cache::new(100_000),
            arenas: Arc::default(),
        }
    }

    fn remembers(&self, id: Id<id::Secret>, text: &str) -> bool {
        let tag = self.memo_key.tag(text.as_bytes());
        self.memo.get(&id).is_some_and(|known| jose::constant_time_eq(&known, &tag))
    }

    fn remember(&self, id: Id<id::Secret>, text: &str) {
        self.memo.insert(id, self.memo_key.tag(text.as_bytes()));
    }

    async fn run(&self, text: String, salt: [u8; 16], cost: Cost) -> Result<Vec<u8>, OauthError> {
        let waiting = Arc::clone(&self.waiting);
        let _place = Arc::clone(&waiting).try_acquire_owned().map_err(|_| OauthError::Unavailable)?;
        let since = Instant::now();
        let worker = tokio::time::timeout(ARGON2_WAIT, self.workers.clone().acquire_owned())
            .await
            .map_err(|_| OauthError::Unavailable)?
            .map_err(|_| OauthError::Unavailable)?;
        self.waited.add_duration(since.elapsed());
        let text = Secret::new(text);
        let (arenas, took) = (Arc::clone(&self.arenas), Arc::clone(&self.took));
        let hashed = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            let began = Instant::now();
            let (memory, passes, lanes) = cost;
            let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
            let mut out = vec![0_u8; 32];
            let idle = arenas.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut arena = idle.unwrap_or_else(|| Vec::with_capacity(ARENA_BLOCKS.max(params.block_count())));
            arena.resize(params.block_count(), Block::default());
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into_with_memory(text.reveal().as_bytes(), &salt, &mut out, &mut arena)
                .ok()?;
            took.add_duration(began.elapsed());
            let mut arenas = arenas.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.available_permits() < ARGON2_QUEUE.saturating_sub(1) {
                arenas.push(arena);
            } else {
                arenas.clear();
            }
            Some(out)
        })
        .await;
        match hashed {
            Ok(Some(hash)) => Ok(hash),
            Ok(None) => Err(OauthError::Internal(None)),
            Err(error) => Err(OauthError::Internal(Some(Box::new(error)))),
        }
    }
}

/// Bits of a chosen secret, estimated from its length and the variety of its characters; never too high for
/// words, since it counts classes and repeats only.
pub fn estimated_bits(text: &str) -> f64 {
    let mut distinct: Vec<char> = text.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let classes = [
        (text.chars().any(|c| c.is_ascii_lowercase()), 26.0),
        (text.chars().any(|c| c.is_ascii_uppercase()), 26.0),
        (text.chars().any(|c| c.is_ascii_digit()), 10.0),
        (text.chars().any(|c| !c.is_ascii_alphanumeric()), 33.0),
    ];
    let alphabet: f64 = classes.iter().filter(|(used, _)| *used).map(|(_, size)| size).sum();
    let per_character =
        alphabet.max(1.0).log2().min(f64::from(u32::try_from(distinct.len()).unwrap_or(u32::MAX)).log2());
    per_character * f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::is_not_form_encoded;

    #[test]
    fn what_an_encoder_wrote_is_taken_for_encoded() {
        // The form serializers of browsers, `encodeURIComponent`, and Python's `quote`, which leaves the slash.
        for text in ["p%40ss%3A+w%2Brd", "it's%20(fine)!*~", "a/b%20c%2Bd", "correct+horse+battery+staple", ""] {
            assert!(!is_not_form_encoded(text), "{text}");
        }
    }

    #[test]
    fn reserved_characters_and_base64_give_a_raw_text_away() {
        for text in ["p@ss+word", "rate%20is+5%25=fine", "q83v+base64==", "q83v+base/64", "a b%41", "é+%41"] {
            assert!(is_not_form_encoded(text), "{text}");
        }
    }
}

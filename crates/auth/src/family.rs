//! Refresh-token families: one row that moves from generation to generation, never a second live successor.

use std::fmt::Write as _;

use jose::mac::HmacKey;
use kernel::clock::Timestamp;
use kernel::id::{self, Entropy, Id};
use kernel::mutant;
use kernel::secret::{REFRESH_TOKEN, Secret, credential_bytes, credential_text};
use store::{Row, params};

use crate::client::Settings;
use crate::directory::Auth;
use crate::sql;
use record::tenant::Tenant;

/// Rotation times kept per family. Rotations that come closer together than the window divided by this
/// share an entry, which can only lengthen the time in which a repeat is answered.
const ROTATIONS_KEPT: usize = 64;

/// A family as the store holds it.
#[derive(Debug, Clone)]
pub struct Family {
    /// Its id, the origin in the `jti` of its access tokens.
    pub id: Id<id::Family>,
    /// The random part of its tokens.
    pub handle: [u8; 16],
    /// The client it belongs to.
    pub client: Id<id::Client>,
    /// The credential that started it.
    pub credential: Id<id::Secret>,
    /// The original grant's scopes.
    pub scope: String,
    /// The original grant's audiences, separated by spaces.
    pub audience: String,
    /// The generation whose token is current.
    pub generation: u32,
    /// (generation, when it was rotated away), oldest first.
    pub rotations: Vec<(u32, Timestamp)>,
    /// Creation.
    pub created_at: Timestamp,
    /// Seconds it may stay unused.
    pub idle_seconds: i64,
    /// When it ends unused.
    pub idle_deadline: Timestamp,
    /// When it ends in any case.
    pub absolute_deadline: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

impl Family {
    /// Reads a row of [`crate::sql::FAMILY_BY_HANDLE`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not a family.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let corrupt = |_| store::Error::RowCorrupt;
        Ok(Self {
            id: row.id(0)?,
            handle: <[u8; 16]>::try_from(row.bytes(1)?).map_err(|_| store::Error::RowCorrupt)?,
            client: row.id(2)?,
            credential: row.id(3)?,
            scope: row.text(4)?.to_owned(),
            audience: row.text(5)?.to_owned(),
            generation: u32::try_from(row.int(6)?).map_err(corrupt)?,
            rotations: parse_rotations(row.text(7)?).ok_or(store::Error::RowCorrupt)?,
            created_at: row.time(8)?,
            idle_seconds: row.int(9)?,
            idle_deadline: row.time(10)?,
            absolute_deadline: row.time(11)?,
            ended_at: row.time_opt(12)?,
            end_reason: row.text_opt(13)?.map(str::to_owned),
        })
    }

    /// Whether it still gives tokens.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.idle_deadline && now < self.absolute_deadline
    }

    /// What a presented generation means (RFC 9700 §4.14.2 with a window for lost answers).
    pub fn judge(&self, generation: u32, window_seconds: u32, now: Timestamp) -> Judgment {
        match generation.cmp(&self.generation) {
            std::cmp::Ordering::Equal => Judgment::Current,
            // A token that we signed and never stored: only a restored store can show one.
            std::cmp::Ordering::Greater => Judgment::Reuse(None),
            std::cmp::Ordering::Less => {
                let rotated_at = self.rotations.iter().find(|(g, _)| *g >= generation).map(|(_, at)| *at);
                match rotated_at {
                    Some(_) if mutant::is("R01-again") => Judgment::Current,
                    Some(at) if now.micros_since(at) <= i64::from(window_seconds).saturating_mul(1_000_000) => {
                        Judgment::Repeat
                    }
                    _ if mutant::is("S-21-reuse") => Judgment::Repeat,
                    at => Judgment::Reuse(at),
                }
            }
        }
    }

    /// The rotation times after one more rotation.
    fn rotated(&self, window_seconds: u32, now: Timestamp) -> Vec<(u32, Timestamp)> {
        let window = i64::from(window_seconds).saturating_mul(1_000_000);
        let spacing = window.checked_div(i64::try_from(ROTATIONS_KEPT).unwrap_or(64)).unwrap_or(0);
        // One entry before the window stays, so that an older generation finds a time that has passed.
        let outside = self.rotations.iter().filter(|(_, at)| now.micros_since(*at) > window).count();
        let mut kept: Vec<_> = self.rotations.iter().skip(outside.saturating_sub(1)).copied().collect();
        let before = kept.len().checked_sub(2).and_then(|i| kept.get(i));
        let crowded = before.is_some_and(|(_, at)| now.micros_since(*at) < spacing);
        if crowded {
            kept.pop();
        }
        kept.push((self.generation, now));
        kept
    }

    /// The family as the commit of a rotation leaves it.
    #[must_use]
    pub fn after_rotation(&self, window_seconds: u32, now: Timestamp) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            rotations: self.rotated(window_seconds, now),
            idle_deadline: self.next_idle_deadline(now),
            ..self.clone()
        }
    }

    /// The rotation times as they are stored.
    pub fn rotations_text(&self) -> String {
        let mut text = String::with_capacity(self.rotations.len().saturating_mul(24));
        for (generation, at) in &self.rotations {
            let separator = if text.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{generation}:{}", at.as_micros());
        }
        text
    }

    /// The idle deadline after a use: moved, never past the absolute one.
    fn next_idle_deadline(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(self.idle_seconds).min(self.absolute_deadline)
    }
}

fn parse_rotations(text: &str) -> Option<Vec<(u32, Timestamp)>> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (generation, at) = part.split_once(':')?;
            Some((generation.parse().ok()?, Timestamp::from_micros(at.parse().ok()?)))
        })
        .collect()
}

/// A family in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The family.
    pub family: Family,
    /// Public id and name of its client; `None` when the client was deleted.
    pub client: Option<(String, String)>,
}

impl Listed {
    fn from_row(row: &Row) -> Result<Self, store::Error> {
        let client = match (row.text_opt(14)?, row.text_opt(15)?) {
            (Some(client_id), Some(settings)) => {
                let settings: Settings = serde_json::from_str(settings).map_err(|_| store::Error::RowCorrupt)?;
                Some((client_id.to_owned(), settings.name))
            }
            _ => None,
        };
        Ok(Self { family: Family::from_row(row)?, client })
    }
}

/// Which families a list holds.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// Those of every client.
    All,
    /// Those of one client.
    OfClient(Id<id::Client>),
    /// Those that ended because a used token came again.
    Reused,
}

impl Auth {
    /// Families of a tenant, newest first, those that ended lately included.
    ///
    /// # Errors
    /// The store's.
    pub async fn newest_families(
        &self,
        tenant: &Tenant,
        which: Which,
        after: Option<Id<id::Family>>,
        limit: i64,
    ) -> Result<Vec<Listed>, store::Error> {
        let after = after.map(|id| id.as_bytes().to_vec());
        let rows = match which {
            Which::All => self.store.read_all(&sql::FAMILIES_NEWEST, params![tenant.id, after, limit]).await?,
            Which::Reused => self.store.read_all(&sql::FAMILIES_REUSED, params![tenant.id, after, limit]).await?,
            Which::OfClient(client) => {
                let values = params![tenant.id, after, limit, client];
                self.store.read_all(&sql::FAMILIES_NEWEST_OF_CLIENT, values).await?
            }
        };
        rows.iter().map(Listed::from_row).collect()
    }
}

/// What a presented generation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgment {
    /// The current token: rotate.
    Current,
    /// A rotated token inside its window: answer with the current one.
    Repeat,
    /// A rotated token outside its window, with the time of its rotation where it is still known.
    Reuse(Option<Timestamp>),
}

/// The parts of a refresh token.
pub struct RefreshToken {
    /// Finds the family.
    pub handle: [u8; 16],
    /// Which generation it is.
    pub generation: u32,
    mac: [u8; 16],
}

fn mask(tenant: &Tenant, handle: &[u8; 16]) -> u32 {
    u32::from_be_bytes(tenant.refresh_mask.tag(handle).first_chunk().copied().unwrap_or_default())
}

fn mac(tenant: &Tenant, family: Id<id::Family>, handle: &[u8; 16], generation: u32) -> [u8; 16] {
    let key = HmacKey::new(tenant.refresh_root.derive(&[b"family", family.as_bytes()]).reveal());
    let tag = key.tag(&[handle.as_slice(), &generation.to_be_bytes()].concat());
    tag.first_chunk().copied().unwrap_or_default()
}

/// A new random handle.
pub fn new_handle(entropy: &mut dyn Entropy) -> [u8; 16] {
    let mut handle = [0_u8; 16];
    entropy.fill(&mut handle);
    handle
}

/// The token of a generation: computed, never stored.
pub fn token_text(tenant: &Tenant, family: Id<id::Family>, handle: &[u8; 16], generation: u32) -> Secret<String> {
    let masked = generation ^ mask(tenant, handle);
    let bytes = [handle.as_slice(), &masked.to_be_bytes(), &mac(tenant, family, handle, generation)].concat();
    Secret::new(credential_text(REFRESH_TOKEN, &bytes))
}

impl RefreshToken {
    /// Takes a token apart; `None` without a read when prefix, alphabet, length or checksum is wrong.
    pub fn parse(tenant: &Tenant, text: &str) -> Option<Self> {
        let bytes: [u8; 36] = credential_bytes(REFRESH_TOKEN, text)?;
        let (handle, rest) = bytes.split_first_chunk::<16>()?;
        let (masked, rest) = rest.split_first_chunk::<4>()?;
        let generation = u32::from_be_bytes(*masked) ^ mask(tenant, handle);
        Some(Self { handle: *handle, generation, mac: *rest.first_chunk()? })
    }

    /// Whether this server made the token for the family.
    pub fn is_of(&self, tenant: &Tenant, family: &Family) -> bool {
        let expected = mac(tenant, family.id, &self.handle, self.generation);
        self.handle == family.handle && (jose::constant_time_eq(&expected, &self.mac) || mutant::is("S-05-forged"))
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;

    fn family() -> Family {
        let now = Timestamp::from_seconds(1_000);
        Family {
            id: Id::from_bytes([1; 16]),
            handle: [2; 16],
            client: Id::from_bytes([3; 16]),
            credential: Id::from_bytes([4; 16]),
            scope: String::new(),
            audience: String::new(),
            generation: 0,
            rotations: Vec::new(),
            created_at: now,
            idle_seconds: 3_600,
            idle_deadline: now.plus_seconds(3_600),
            absolute_deadline: now.plus_seconds(86_400),
            ended_at: None,
            end_reason: None,
        }
    }

    proptest::proptest! {
        /// The model remembers every rotation time; the family keeps a bounded list and may only be more lenient
        /// by the spacing of its list, never stricter.
        #[test]
        fn a_rotated_generation_repeats_inside_its_window_and_is_reuse_after_it(
            window in 0_u32..=60, gaps in proptest::collection::vec(0_i64..3_000_000, 1..200),
        ) {
            let mut family = family();
            let mut model: Vec<Timestamp> = Vec::new();
            let mut now = Timestamp::from_seconds(1_000);
            let width = i64::from(window) * 1_000_000;
            let spacing = width / 64 + 1;
            for gap in gaps {
                now = Timestamp::from_micros(now.as_micros() + gap);
                family = family.after_rotation(window, now);
                family.rotations = parse_rotations(&family.rotations_text()).unwrap();
                model.push(now);
                assert!(family.rotations.len() <= 200);
                assert_eq!(family.judge(family.generation, window, now), Judgment::Current);
                for (generation, rotated_at) in model.iter().enumerate() {
                    let judged = family.judge(u32::try_from(generation).unwrap(), window, now);
                    let age = now.micros_since(*rotated_at);
                    if age <= width {
                        assert_eq!(judged, Judgment::Repeat, "generation {generation} of age {age}");
                    } else if age > width + spacing * 2 {
                        assert!(matches!(judged, Judgment::Reuse(_)), "generation {generation} of age {age}");
                    }
                }
            }
        }

        #[test]
        fn stored_rotation_times_are_read_without_a_panic(text: String) {
            let _ = parse_rotations(&text);
        }
    }

    #[test]
    fn the_idle_deadline_never_passes_the_absolute_one() {
        let family = family();
        let late = family.absolute_deadline.plus_seconds(-10);
        assert_eq!(family.next_idle_deadline(late), family.absolute_deadline);
        assert!(!family.is_live(family.idle_deadline));
    }
}

//! Folding many journal segments into one compressed block, and reading it back to the same bytes.
//!
//! A block is columnar: what repeats (clients with their credential, scope and audience; sources) is written
//! once, and each token keeps little more than its random bits. A small member index beside the body lets a
//! query pass over blocks that cannot match. The root over the entries' own bytes goes into the audit tree,
//! so the layout may change with its version byte while every proof stays good.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use jose::hash::sha256;
use kernel::clock::Timestamp;
use kernel::id::{Client, Id, Secret};

use crate::entry::{self, Entry, FormatError, Grant, Issuance, Origin, TEXT_MAX, TokenKind};
use crate::tree::{self, Frontier, Hash};
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

const VERSION: u8 = 1;
/// Most entries of one block.
pub const ENTRIES_MAX: usize = 1 << 20;
/// Most bytes of a block before compression; a body that unpacks to more is refused.
pub const RAW_MAX: usize = 1 << 26;
/// Most bytes of a block's entries together; they may share long texts, so this is bounded apart from [`RAW_MAX`].
pub const EXPANDED_MAX: usize = 1 << 28;
/// Level 1 stores 10,000 tokens of 10,000 clients in 46 bytes each, 20,000 in 37; level 6, with four times the work,
/// saves one of them.
const LEVEL: u8 = 1;

const TOKEN_HAS_TIME: u8 = 1;
const REQUEST_IS_TOKEN: u8 = 1 << 1;
const GENERATION: u8 = 1 << 2;
const VERBATIM: u8 = 1 << 3;

const PROFILE_OPAQUE: u8 = 1;
const PROFILE_REFRESH: u8 = 1 << 1;
const PROFILE_ORIGIN_APART: u8 = 1 << 2;
/// The client identifier is the text of the client's own id, as it is unless an operator chose one.
const PROFILE_NAMED_BY_ID: u8 = 1 << 3;

/// A folded block: what a row of `journal_block` holds, and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Machine time of the earliest entry.
    pub first_at: Timestamp,
    /// Machine time of the latest entry.
    pub last_at: Timestamp,
    /// How many entries it holds.
    pub entries: u64,
    /// The member index, see [`Members`].
    pub members: Vec<u8>,
    /// The compressed entries.
    pub body: Vec<u8>,
    /// The RFC 6962 root over the entries' bytes.
    pub root: Hash,
    /// The latest issuance of each credential.
    pub last_used: BTreeMap<Id<Secret>, Timestamp>,
}

/// What the tokens of one client have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Profile {
    client: Id<Client>,
    client_id: Arc<str>,
    credential: Id<Secret>,
    grant: Grant,
    kind: TokenKind,
    scope: Arc<str>,
    audience: Arc<str>,
    lifetime_seconds: u32,
    origin_is_credential: bool,
}

impl Profile {
    fn of(issuance: &Issuance) -> Self {
        Self {
            client: issuance.client,
            client_id: Arc::clone(&issuance.client_id),
            credential: issuance.credential,
            grant: issuance.grant,
            kind: issuance.kind,
            scope: Arc::clone(&issuance.scope),
            audience: Arc::clone(&issuance.audience),
            lifetime_seconds: issuance.lifetime_seconds,
            origin_is_credential: issuance.origin == Origin::Credential(issuance.credential),
        }
    }
}

/// Numbers distinct values in the order they first come.
struct Dictionary<T>(HashMap<T, u64>);

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + std::hash::Hash> Dictionary<T> {
    fn number(&mut self, value: T) -> u64 {
        let next = length(self.0.len());
        *self.0.entry(value).or_insert(next)
    }

    /// The values in the order of their numbers.
    fn into_values(self) -> Vec<T> {
        let mut values: Vec<(T, u64)> = self.0.into_iter().collect();
        values.sort_unstable_by_key(|(_, number)| *number);
        values.into_iter().map(|(value, _)| value).collect()
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The difference that [`Step::next`] adds again; wrapping, so that any two values have one.
struct Step(u64);

impl Step {
    fn put(&mut self, out: &mut Vec<u8>, value: u64) {
        put_signed(out, value.wrapping_sub(self.0).cast_signed());
        self.0 = value;
    }

    fn next(&mut self, column: &mut Reader<'_>) -> Result<u64, FormatError> {
        self.0 = self.0.wrapping_add(column.signed()?.cast_unsigned());
        Ok(self.0)
    }
}

/// The first 48 bits of a UUIDv7 made at this time.
fn token_time(at: Timestamp) -> [u8; 6] {
    let [_, _, t0, t1, t2, t3, t4, t5] = at.as_millis().to_be_bytes();
    [t0, t1, t2, t3, t4, t5]
}

/// The columns of a block, in the order they are written.
#[derive(Default)]
struct Columns {
    flags: Vec<u8>,
    profiles: Vec<u8>,
    times: Vec<u8>,
    seqs: Vec<u8>,
    sources: Vec<u8>,
    tokens: Vec<u8>,
    /// Origins, requests, generations and whole entries, for the few that have them.
    rare: Vec<u8>,
}

impl Columns {
    const COUNT: usize = 7;

    const fn all(&self) -> [&Vec<u8>; Self::COUNT] {
        [&self.flags, &self.profiles, &self.times, &self.seqs, &self.sources, &self.tokens, &self.rare]
    }
}

/// Folds encoded entries into a block, one after the other, so that the caller need not hold them all. Entries that this
/// program cannot read (a later version's, while nodes are being upgraded) are kept byte for byte.
pub struct Folding {
    profiles: Dictionary<Profile>,
    /// Scopes and audiences, of which thousands of profiles share a few.
    texts: HashSet<Arc<str>>,
    sources: Dictionary<Option<IpAddr>>,
    columns: Columns,
    profile: Step,
    time: Step,
    seq: Step,
    members: Members,
    last_used: BTreeMap<Id<Secret>, Timestamp>,
    span: Option<(Timestamp, Timestamp)>,
    leaves: Frontier,
    bytes: usize,
}

impl Default for Folding {
    fn default() -> Self {
        Self {
            profiles: Dictionary::default(),
            texts: HashSet::new(),
            sources: Dictionary::default(),
            columns: Columns::default(),
            profile: Step(0),
            time: Step(0),
            seq: Step(0),
            members: Members::default(),
            last_used: BTreeMap::new(),
            span: None,
            leaves: Frontier::new(),
            bytes: 0,
        }
    }
}

impl Folding {
    /// Adds an entry.
    ///
    /// # Errors
    /// [`FormatError::TooLong`] past [`ENTRIES_MAX`] or [`EXPANDED_MAX`].
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.leaves.size() >= length(ENTRIES_MAX) || self.bytes > EXPANDED_MAX {
            return Err(FormatError::TooLong("entries"));
        }
        self.leaves.push(tree::leaf_hash(bytes));
        let decoded = entry::decode(bytes);
        self.members.add(decoded.as_ref().ok());
        if let Ok(entry) = &decoded {
            let at = entry.at();
            self.span = Some(self.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
        if let Ok(Entry::Issuance(issuance)) = decoded {
            self.add_issuance(issuance);
        } else {
            self.columns.flags.push(VERBATIM);
            put_bytes(&mut self.columns.rare, bytes);
        }
        Ok(())
    }

    fn add_issuance(&mut self, mut issuance: Issuance) {
        let columns = &mut self.columns;
        let used = self.last_used.entry(issuance.credential).or_insert(issuance.at);
        *used = issuance.at.max(*used);
        for text in [&mut issuance.scope, &mut issuance.audience] {
            if let Some(known) = self.texts.get(text) {
                *text = Arc::clone(known);
            } else {
                self.texts.insert(Arc::clone(text));
            }
        }
        let mut flags = 0;
        self.profile.put(&mut columns.profiles, self.profiles.number(Profile::of(&issuance)));
        self.time.put(&mut columns.times, issuance.at.as_micros().cast_unsigned());
        self.seq.put(&mut columns.seqs, issuance.seq);
        put_varint(&mut columns.sources, self.sources.number(issuance.source));
        match issuance.token.split_first_chunk::<6>() {
            Some((time, random)) if *time == token_time(issuance.at) => {
                flags |= TOKEN_HAS_TIME;
                columns.tokens.extend_from_slice(random);
            }
            _ => columns.tokens.extend_from_slice(&issuance.token),
        }
        match issuance.origin {
            Origin::Credential(id) if id == issuance.credential => {}
            Origin::Credential(id) => {
                columns.rare.push(0);
                columns.rare.extend_from_slice(id.as_bytes());
            }
            Origin::Family(id) => {
                columns.rare.push(1);
                columns.rare.extend_from_slice(id.as_bytes());
            }
        }
        if *issuance.request.as_bytes() == issuance.token {
            flags |= REQUEST_IS_TOKEN;
        } else {
            columns.rare.extend_from_slice(issuance.request.as_bytes());
        }
        if let Some(generation) = issuance.generation {
            flags |= GENERATION;
            put_varint(&mut columns.rare, u64::from(generation));
        }
        columns.flags.push(flags);
    }

    /// The block of what was added.
    ///
    /// # Errors
    /// [`FormatError::TooLong`] past [`RAW_MAX`]; [`FormatError::Short`] when there is no entry.
    pub fn finish(self) -> Result<Block, FormatError> {
        let entries = self.leaves.size();
        if entries == 0 {
            return Err(FormatError::Short);
        }
        let mut raw = Vec::new();
        put_profiles(&mut raw, &self.profiles.into_values());
        put_sources(&mut raw, &self.sources.into_values());
        put_varint(&mut raw, entries);
        for column in self.columns.all() {
            put_bytes(&mut raw, column);
        }
        if raw.len() > RAW_MAX {
            return Err(FormatError::TooLong("block"));
        }
        let mut body = vec![VERSION];
        body.extend_from_slice(&miniz_oxide::deflate::compress_to_vec(&raw, LEVEL));
        // A block of nothing but unreadable entries has no time of its own; the widest span hides it from no query.
        let (first_at, last_at) = self.span.unwrap_or((Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX)));
        Ok(Block {
            first_at,
            last_at,
            entries,
            members: self.members.encode(),
            body,
            root: self.leaves.root(),
            last_used: self.last_used,
        })
    }
}

fn put_profiles(raw: &mut Vec<u8>, profiles: &[Profile]) {
    // Texts are numbered apart: thousands of clients share a few scopes and audiences.
    let mut texts = Dictionary::default();
    let mut columns: [Vec<u8>; 4] = Default::default();
    let [flags, ids, names, shared] = &mut columns;
    for profile in profiles {
        let mut flag = 0;
        if profile.kind == TokenKind::Opaque {
            flag |= PROFILE_OPAQUE;
        }
        if profile.grant == Grant::RefreshToken {
            flag |= PROFILE_REFRESH;
        }
        if !profile.origin_is_credential {
            flag |= PROFILE_ORIGIN_APART;
        }
        if *profile.client_id == *profile.client.to_string() {
            flag |= PROFILE_NAMED_BY_ID;
        } else {
            put_bytes(names, profile.client_id.as_bytes());
        }
        flags.push(flag);
        ids.extend_from_slice(profile.client.as_bytes());
        ids.extend_from_slice(profile.credential.as_bytes());
        put_varint(shared, texts.number(Arc::clone(&profile.scope)));
        put_varint(shared, texts.number(Arc::clone(&profile.audience)));
        put_varint(shared, u64::from(profile.lifetime_seconds));
    }
    let texts = texts.into_values();
    put_varint(raw, length(texts.len()));
    for text in &texts {
        put_bytes(raw, text.as_bytes());
    }
    put_varint(raw, length(profiles.len()));
    for column in &columns {
        put_bytes(raw, column);
    }
}

fn profiles(raw: &mut Reader<'_>) -> Result<Vec<Profile>, FormatError> {
    let count = raw.count("texts", ENTRIES_MAX.saturating_mul(2))?;
    let mut texts: Vec<Arc<str>> = Vec::new();
    for _ in 0..count {
        texts.push(Arc::from(raw.text("text", TEXT_MAX)?));
    }
    let text = |number: usize| texts.get(number).cloned().ok_or(FormatError::Field("text"));
    let count = raw.count("profiles", ENTRIES_MAX)?;
    let mut flags = Reader::new(raw.bytes("flags", RAW_MAX)?);
    let mut ids = Reader::new(raw.bytes("ids", RAW_MAX)?);
    let mut names = Reader::new(raw.bytes("names", RAW_MAX)?);
    let mut shared = Reader::new(raw.bytes("shared", RAW_MAX)?);
    let mut profiles = Vec::new();
    for _ in 0..count {
        let flag = flags.byte()?;
        let client = Id::from_bytes(ids.array()?);
        let client_id = if flag & PROFILE_NAMED_BY_ID == 0 {
            Arc::from(names.text("client_id", TEXT_MAX)?)
        } else {
            Arc::from(client.to_string())
        };
        profiles.push(Profile {
            client,
            credential: Id::from_bytes(ids.array()?),
            client_id,
            scope: text(shared.count("scope", RAW_MAX)?)?,
            audience: text(shared.count("audience", RAW_MAX)?)?,
            lifetime_seconds: shared.unsigned32("lifetime")?,
            grant: if flag & PROFILE_REFRESH == 0 { Grant::ClientCredentials } else { Grant::RefreshToken },
            kind: if flag & PROFILE_OPAQUE == 0 { TokenKind::Jwt } else { TokenKind::Opaque },
            origin_is_credential: flag & PROFILE_ORIGIN_APART == 0,
        });
    }
    for column in [flags, ids, names, shared] {
        column.finish()?;
    }
    Ok(profiles)
}

fn put_sources(raw: &mut Vec<u8>, sources: &[Option<IpAddr>]) {
    put_varint(raw, length(sources.len()));
    for source in sources {
        match source {
            None => put_bytes(raw, &[]),
            Some(IpAddr::V4(address)) => put_bytes(raw, &address.octets()),
            Some(IpAddr::V6(address)) => put_bytes(raw, &address.octets()),
        }
    }
}

fn sources(raw: &mut Reader<'_>) -> Result<Vec<Option<IpAddr>>, FormatError> {
    let count = raw.count("sources", ENTRIES_MAX)?;
    let mut sources = Vec::new();
    for _ in 0..count {
        let bytes = raw.bytes("source", 16)?;
        sources.push(match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(octets), _) => Some(IpAddr::from(octets)),
            (_, Ok(octets)) => Some(IpAddr::from(octets)),
            _ if bytes.is_empty() => None,
            _ => return Err(FormatError::Field("source")),
        });
    }
    Ok(sources)
}

/// Reads a block's body back to the entries' own bytes, in order.
///
/// # Errors
/// [`FormatError`] for anything that [`Folding`] never writes, and for a body that unpacks past its limits.
pub fn unfold(body: &[u8]) -> Result<Vec<Vec<u8>>, FormatError> {
    let mut reader = Reader::new(body);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    let raw = miniz_oxide::inflate::decompress_to_vec_with_limit(reader.rest(), RAW_MAX)
        .map_err(|_| FormatError::Field("body"))?;
    let mut raw = Reader::new(&raw);
    let profiles = profiles(&mut raw)?;
    let sources = sources(&mut raw)?;
    let count = raw.count("entries", ENTRIES_MAX)?;
    let mut columns = [Reader::new(&[]); Columns::COUNT];
    for column in &mut columns {
        *column = Reader::new(raw.bytes("column", RAW_MAX)?);
    }
    raw.finish()?;
    let [flags_column, profile_column, times, seqs, source_column, tokens, rare] = &mut columns;
    let (mut profile_step, mut time_step, mut seq_step) = (Step(0), Step(0), Step(0));
    let mut entries = Vec::new();
    let mut budget = EXPANDED_MAX;
    for _ in 0..count {
        let flags = flags_column.byte()?;
        if flags == VERBATIM {
            entries.push(rare.bytes("entry", RAW_MAX)?.to_vec());
            continue;
        }
        let profile = usize::try_from(profile_step.next(profile_column)?)
            .ok()
            .and_then(|number| profiles.get(number))
            .ok_or(FormatError::Field("profile"))?;
        let at = Timestamp::from_micros(time_step.next(times)?.cast_signed());
        let seq = seq_step.next(seqs)?;
        let source = *sources.get(source_column.count("source", ENTRIES_MAX)?).ok_or(FormatError::Field("source"))?;
        let token = if flags & TOKEN_HAS_TIME == 0 {
            tokens.array()?
        } else {
            let mut token = [0_u8; 16];
            let random = tokens.take(10)?;
            token.iter_mut().zip(token_time(at).iter().chain(random)).for_each(|(slot, byte)| *slot = *byte);
            token
        };
        let origin = match (profile.origin_is_credential, profile.origin_is_credential || rare.byte()? == 0) {
            (true, _) => Origin::Credential(profile.credential),
            (false, true) => Origin::Credential(Id::from_bytes(rare.array()?)),
            (false, false) => Origin::Family(Id::from_bytes(rare.array()?)),
        };
        let request = if flags & REQUEST_IS_TOKEN == 0 { rare.array()? } else { token };
        let generation = if flags & GENERATION == 0 { None } else { Some(rare.unsigned32("generation")?) };
        let issuance = Issuance {
            at,
            token,
            origin,
            seq,
            client: profile.client,
            client_id: Arc::clone(&profile.client_id),
            credential: profile.credential,
            grant: profile.grant,
            kind: profile.kind,
            scope: Arc::clone(&profile.scope),
            audience: Arc::clone(&profile.audience),
            lifetime_seconds: profile.lifetime_seconds,
            source,
            request: Id::from_bytes(request),
            generation,
        };
        let bytes = issuance.encode();
        budget = budget.checked_sub(bytes.len()).ok_or(FormatError::TooLong("entries"))?;
        entries.push(bytes);
    }
    for column in columns {
        column.finish()?;
    }
    Ok(entries)
}

/// The root over a block's entries, recomputed from their bytes.
pub fn root(entries: &[Vec<u8>]) -> Hash {
    let leaves: Vec<Hash> = entries.iter().map(|bytes| tree::leaf_hash(bytes)).collect();
    tree::root(&leaves)
}

/// What kinds of entries a block holds, and for which clients: enough to pass over it, never to answer from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    issuances: bool,
    refusals: bool,
    unread: bool,
    /// The first 24 bits of the SHA-256 of each client id: 10,000 clients make 1 in 1,700 others look present.
    clients: BTreeSet<u32>,
}

fn client_mark(client_id: &str) -> u32 {
    let [a, b, c, ..] = sha256(client_id.as_bytes());
    u32::from_be_bytes([0, a, b, c])
}

impl Members {
    fn add(&mut self, entry: Option<&Entry>) {
        match entry {
            None => self.unread = true,
            Some(Entry::Issuance(_)) => self.issuances = true,
            Some(Entry::Refusal(_)) => self.refusals = true,
        }
        if let Some(client_id) = entry.and_then(Entry::client_id) {
            self.clients.insert(client_mark(client_id));
        }
    }

    /// Whether the block may hold an entry about this client.
    pub fn may_hold_client(&self, client_id: &str) -> bool {
        self.unread || self.clients.contains(&client_mark(client_id))
    }

    /// Whether the block may hold issuances.
    pub const fn may_hold_issuances(&self) -> bool {
        self.issuances || self.unread
    }

    /// Whether the block may hold refusals.
    pub const fn may_hold_refusals(&self) -> bool {
        self.refusals || self.unread
    }

    /// The index's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let flags = u8::from(self.issuances) | (u8::from(self.refusals) << 1) | (u8::from(self.unread) << 2);
        let mut out = vec![VERSION, flags];
        let mut before = 0;
        for mark in &self.clients {
            put_varint(&mut out, u64::from(mark.saturating_sub(before)));
            before = *mark;
        }
        out
    }

    /// Reads the index.
    ///
    /// # Errors
    /// [`FormatError`] for bytes that [`Members::encode`] never gives.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let version = reader.byte()?;
        if version != VERSION {
            return Err(FormatError::Version(version));
        }
        let flags = reader.byte()?;
        if flags & !0b111 != 0 {
            return Err(FormatError::Field("flags"));
        }
        let mut clients = BTreeSet::new();
        let mut mark = 0_u32;
        while !reader.rest().is_empty() {
            mark = mark.checked_add(reader.unsigned32("client")?).ok_or(FormatError::Field("client"))?;
            if mark > 0x00ff_ffff || !clients.insert(mark) {
                return Err(FormatError::Field("client"));
            }
        }
        Ok(Self { issuances: flags & 1 != 0, refusals: flags & 2 != 0, unread: flags & 4 != 0, clients })
    }
}

#[cfg(test)]
mod tests;

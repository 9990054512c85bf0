//! Root keys and data keys: random, stored wrapped under the master key, held in memory while the process lives.
//!
//! The master key only wraps. Root keys give keyed hashes and derived keys; data keys seal values of one tenant and purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jose::mac::HmacKey;
use jose::seal::SealKey;
use kernel::clock::Timestamp;
use kernel::id::Entropy;
use kernel::secret::Secret;
use kernel::tenant::TenantId;

use crate::batch::{Batch, Upkeep};
use crate::error::Error;
use crate::store::Store;
use crate::value::Row;
use crate::{params, sql};

/// What a root key is for; one key never serves two uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Keyed hashes of generated secrets and opaque tokens.
    Pepper,
    /// Refresh tokens.
    Refresh,
    /// Cursors of lists.
    Cursor,
    /// Cookies and what else lives in the browser or in memory.
    Cookie,
    /// Keyed hashes of idempotency keys.
    Idempotency,
    /// Backups.
    Backup,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 6] =
        [Self::Pepper, Self::Refresh, Self::Cursor, Self::Cookie, Self::Idempotency, Self::Backup];

    /// The stable name in the `root_key` table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Refresh => "refresh",
            Self::Cursor => "cursor",
            Self::Cookie => "cookie",
            Self::Idempotency => "idempotency",
            Self::Backup => "backup",
        }
    }
}

/// The first version of every key.
const FIRST: u32 = 1;
/// The mark that holds the id of the master key.
const MASTER_ID: &str = "master_key_id";

type DataKeys = HashMap<(TenantId, String), Arc<Secret<[u8; 32]>>>;

/// The opened keys.
pub struct Keyring {
    master: SealKey,
    master_id: String,
    roots: HashMap<(Purpose, u32), Secret<[u8; 32]>>,
    current: HashMap<Purpose, u32>,
    data: Mutex<DataKeys>,
}

impl Keyring {
    /// Opens the root keys with the master key; the first time, makes them.
    ///
    /// # Errors
    /// [`Error::Refused`] when the data was made under another master key.
    pub async fn open(
        store: &Store,
        master: &Secret<[u8; 32]>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, Error> {
        let id = master_id(master.reveal());
        let mut ring = Self {
            master: SealKey::new(master.reveal()),
            master_id: hex(id),
            roots: HashMap::new(),
            current: HashMap::new(),
            data: Mutex::new(HashMap::new()),
        };
        // another process may make the keys at the same moment; then its keys are the ones
        for _ in 0..3 {
            ring.read_roots(store, id).await?;
            let missing: Vec<_> = Purpose::ALL.into_iter().filter(|p| !ring.current.contains_key(p)).collect();
            if missing.is_empty() {
                return Ok(ring);
            }
            let mut batch = Batch::new();
            if missing.len() == Purpose::ALL.len() {
                batch = batch.run(&sql::MARK_INSERT, params![MASTER_ID, id]);
            }
            for purpose in missing {
                let mut key = [0_u8; 32];
                entropy.fill(&mut key);
                let key = Secret::new(key);
                let wrapped = ring
                    .master
                    .seal(key.reveal(), &root_place(purpose.name(), FIRST), entropy)
                    .map_err(|error| Error::Defect("a root key was not sealed", Some(Box::new(error))))?;
                batch = batch.run(&sql::ROOT_KEY_INSERT, params![purpose.name(), FIRST, wrapped, now]);
            }
            match store.upkeep(Upkeep::Keyring, batch).await {
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict("ROOT_KEY_INSERT"))
    }

    async fn read_roots(&mut self, store: &Store, id: i64) -> Result<(), Error> {
        let mark = store.read(&sql::MARK_READ, params![MASTER_ID]).await?.map(|row| row.int(0)).transpose()?;
        if let Some(expected) = mark
            && expected != id
        {
            return Err(wrong_master(expected));
        }
        for row in store.read_all(&sql::ROOT_KEYS, Vec::new()).await? {
            let (name, version) = (row.text(0)?, u32::try_from(row.int(1)?).map_err(|_| Error::RowCorrupt)?);
            // a purpose of a later release is not ours to use
            let Some(purpose) = Purpose::ALL.into_iter().find(|purpose| purpose.name() == name) else { continue };
            let Ok(opened) = self.master.open(row.bytes(2)?, &root_place(name, version)) else {
                return Err(mark.map_or(Error::RowCorrupt, |_| {
                    Error::Refused(
                        "a root key of this data does not open: the data is damaged or belongs to another installation"
                            .to_owned(),
                    )
                }));
            };
            let key = <[u8; 32]>::try_from(opened.reveal().as_slice()).map_err(|_| Error::RowCorrupt)?;
            self.roots.insert((purpose, version), Secret::new(key));
            let newest = self.current.entry(purpose).or_insert(version);
            *newest = version.max(*newest);
        }
        Ok(())
    }

    /// The public id of the master key, 16 hexadecimal digits.
    pub fn master_key_id(&self) -> &str {
        &self.master_id
    }

    /// The root key of a purpose and version, while it is kept.
    pub fn root(&self, purpose: Purpose, version: u32) -> Option<&[u8; 32]> {
        self.roots.get(&(purpose, version)).map(Secret::reveal)
    }

    /// The version that new values use.
    pub fn current_version(&self, purpose: Purpose) -> u32 {
        self.current.get(&purpose).copied().unwrap_or(FIRST)
    }

    /// A key derived from the current root for a tenant and a use.
    pub fn derive(&self, purpose: Purpose, tenant: TenantId, info: &[u8]) -> Secret<[u8; 32]> {
        self.derive_at(purpose, self.current_version(purpose), tenant, info).unwrap_or_else(|| {
            // `open` returns no keyring without a current root of every purpose
            tracing::error!(code = "keyring_incomplete", purpose = purpose.name(), "a root key is absent");
            std::process::abort()
        })
    }

    /// [`derive`](Self::derive) from the root of a given version, while it is kept.
    pub fn derive_at(&self, purpose: Purpose, version: u32, tenant: TenantId, info: &[u8]) -> Option<Secret<[u8; 32]>> {
        let root = self.root(purpose, version)?;
        Some(jose::derive(root, &[purpose.name().as_bytes(), tenant.as_bytes(), info]))
    }

    /// The current root key of a purpose, wrapped under the master key: it travels with what it opens.
    ///
    /// # Errors
    /// [`Error::Defect`] when it cannot be sealed.
    pub fn wrapped_root(&self, purpose: Purpose, entropy: &mut dyn Entropy) -> Result<(u32, Vec<u8>), Error> {
        let version = self.current_version(purpose);
        let root = self.root(purpose, version).ok_or(Error::Defect("a root key is absent", None))?;
        let wrapped = self.master.seal(root, &root_place(purpose.name(), version), entropy);
        Ok((version, wrapped.map_err(|error| Error::Defect("a root key was not sealed", Some(Box::new(error))))?))
    }

    /// The key that seals a tenant's values of a purpose; made on first use.
    pub async fn data_key(
        &self,
        store: &Store,
        tenant: TenantId,
        purpose: &str,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<SealKey, Error> {
        let place = (tenant, purpose.to_owned());
        let known = self.data.lock().unwrap_or_else(PoisonError::into_inner).get(&place).map(Arc::clone);
        if let Some(key) = known {
            return Ok(SealKey::new(key.reveal()));
        }
        for _ in 0..3 {
            if let Some(row) = store.read(&sql::DATA_KEY_READ, params![tenant, purpose]).await? {
                let key = Arc::new(self.open_data_key(&row, tenant, purpose)?);
                self.data.lock().unwrap_or_else(PoisonError::into_inner).insert(place, Arc::clone(&key));
                return Ok(SealKey::new(key.reveal()));
            }
            let mut bytes = [0_u8; 32];
            entropy.fill(&mut bytes);
            let key = Secret::new(bytes);
            let wrapped = self
                .master
                .seal(key.reveal(), &data_place(tenant, purpose, FIRST), entropy)
                .map_err(|error| Error::Defect("a data key was not sealed", Some(Box::new(error))))?;
            let batch = Batch::new().run(&sql::DATA_KEY_INSERT, params![tenant, purpose, FIRST, wrapped, now]);
            match store.upkeep(Upkeep::Keyring, batch).await {
                // read back in either case: what is stored decides, not what was drawn here
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict("DATA_KEY_INSERT"))
    }

    fn open_data_key(&self, row: &Row, tenant: TenantId, purpose: &str) -> Result<Secret<[u8; 32]>, Error> {
        let version = u32::try_from(row.int(0)?).map_err(|_| Error::RowCorrupt)?;
        let opened =
            self.master.open(row.bytes(1)?, &data_place(tenant, purpose, version)).map_err(|_| Error::RowCorrupt)?;
        <[u8; 32]>::try_from(opened.reveal().as_slice()).map(Secret::new).map_err(|_| Error::RowCorrupt)
    }
}

/// A key derived from a root that [`Keyring::wrapped_root`] gave, where there is no store to read; `None` when another
/// master key wrapped it.
pub fn derive_from_wrapped(
    master: &[u8; 32],
    (purpose, version, wrapped): (Purpose, u32, &[u8]),
    tenant: TenantId,
    info: &[u8],
) -> Option<Secret<[u8; 32]>> {
    let opened = SealKey::new(master).open(wrapped, &root_place(purpose.name(), version)).ok()?;
    let root = <[u8; 32]>::try_from(opened.reveal().as_slice()).ok().map(Secret::new)?;
    Some(jose::derive(root.reveal(), &[purpose.name().as_bytes(), tenant.as_bytes(), info]))
}

fn root_place(purpose: &str, version: u32) -> Vec<u8> {
    [b"root_key\0", purpose.as_bytes(), b"\0", &version.to_be_bytes()].concat()
}

fn data_place(tenant: TenantId, purpose: &str, version: u32) -> Vec<u8> {
    [b"data_key\0", tenant.as_bytes().as_slice(), purpose.as_bytes(), b"\0", &version.to_be_bytes()].concat()
}

/// The first eight bytes of a keyed hash: names the key and reveals nothing of it.
fn master_id(master: &[u8; 32]) -> i64 {
    let tag = HmacKey::new(master).tag(b"key id");
    tag.first_chunk::<8>().map_or(0, |head| i64::from_be_bytes(*head))
}

fn hex(id: i64) -> String {
    format!("{id:016x}")
}

/// The public id of a master key, 16 hexadecimal digits.
pub fn master_key_id(master: &[u8; 32]) -> String {
    hex(master_id(master))
}

fn wrong_master(expected: i64) -> Error {
    Error::Refused(format!("the master key does not open this data (expected key id {})", hex(expected)))
}

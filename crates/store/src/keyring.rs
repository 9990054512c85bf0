//! Keys at rest: a master key that only wraps, root keys per purpose, data keys per tenant and purpose.

use std::collections::BTreeMap;

use jose::mac::HmacKey;
use jose::seal::SealKey;
use kernel::clock::Timestamp;
use kernel::id::Entropy;
use kernel::secret::Secret;
use kernel::tenant::TenantId;

use crate::batch::{Batch, Upkeep};
use crate::error::Error;
use crate::{Store, params, sql};

/// What a root key is for; one secret never serves two uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Keyed hashes of generated secrets and opaque tokens.
    Pepper,
    /// Refresh tokens.
    Refresh,
    /// List cursors.
    Cursor,
    /// Memos and cookies of people.
    Cookie,
    /// Kept answers of idempotent requests.
    Idempotency,
    /// Backups.
    Backup,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] =
        [Self::Pepper, Self::Refresh, Self::Cursor, Self::Cookie, Self::Idempotency, Self::Backup];

    /// The stable name.
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

/// The root keys, opened.
pub struct Keyring {
    master: SealKey,
    roots: BTreeMap<&'static str, Secret<[u8; 32]>>,
}

/// The public name of a master key, so that a wrong one can be told from the right one.
pub fn master_key_id(master: &[u8; 32]) -> String {
    let tag = HmacKey::new(master).tag(b"bastionary master key id");
    tag.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn root_aad(purpose: &str) -> Vec<u8> {
    [b"root_key\0wrapped\0".as_slice(), purpose.as_bytes(), b"\x001"].concat()
}

fn data_aad(tenant: TenantId, purpose: &str) -> Vec<u8> {
    [b"data_key\0wrapped\0".as_slice(), tenant.as_bytes(), purpose.as_bytes(), b"\x001"].concat()
}

impl Keyring {
    /// Opens the root keys under the master key, and draws them on an empty store.
    ///
    /// # Errors
    /// [`Error::Refused`] when the master key does not open the data; the store's.
    pub async fn open(
        store: &Store,
        master: &Secret<[u8; 32]>,
        now: Timestamp,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Self, Error> {
        let seal = SealKey::new(master.reveal());
        let rows = store.read_all(&sql::ROOT_KEYS, Vec::new()).await?;
        let mut roots = BTreeMap::new();
        if rows.is_empty() {
            let mut batch = Batch::new();
            for purpose in Purpose::ALL {
                let mut key = [0_u8; 32];
                entropy.fill(&mut key);
                let wrapped = seal
                    .seal(&key, &root_aad(purpose.name()), entropy)
                    .map_err(|e| Error::Defect("root_key", Some(Box::new(e))))?;
                batch = batch.expect(1, &sql::ROOT_KEY_INSERT, params![purpose.name(), 1_i64, wrapped, now]);
                roots.insert(purpose.name(), Secret::new(key));
            }
            store.upkeep(Upkeep::Keyring, batch).await?;
            return Ok(Self { master: seal, roots });
        }
        for row in &rows {
            let Some(purpose) = Purpose::ALL.into_iter().find(|p| row.text(0).is_ok_and(|name| name == p.name()))
            else {
                continue;
            };
            let opened = seal.open(row.bytes(2)?, &root_aad(purpose.name())).map_err(|_| {
                Error::Refused(format!(
                    "the master key {} does not open this data; give the key file that was made with it",
                    master_key_id(master.reveal())
                ))
            })?;
            let key = <[u8; 32]>::try_from(opened.reveal().as_slice()).map_err(|_| Error::RowCorrupt)?;
            roots.insert(purpose.name(), Secret::new(key));
        }
        if roots.len() != Purpose::ALL.len() {
            return Err(Error::Refused("root keys are missing from this data; restore a backup".to_owned()));
        }
        Ok(Self { master: seal, roots })
    }

    /// A key for one use, derived from the root key of a purpose.
    pub fn derive(&self, purpose: Purpose, tenant: TenantId, info: &[u8]) -> Secret<[u8; 32]> {
        static ABSENT: [u8; 32] = [0; 32];
        // `open` refuses to return without every root, so the fallback is never derived from.
        let root = self.roots.get(purpose.name()).map_or(&ABSENT, Secret::reveal);
        jose::derive(root, &[purpose.name().as_bytes(), tenant.as_bytes(), info])
    }

    /// The key that seals a tenant's values of a purpose, made on first use.
    ///
    /// # Errors
    /// The store's; [`Error::RowCorrupt`] when the wrapped key does not authenticate.
    pub async fn data_key(
        &self,
        store: &Store,
        tenant: TenantId,
        purpose: &str,
        now: Timestamp,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<SealKey, Error> {
        for _ in 0..2 {
            if let Some(row) = store.read(&sql::DATA_KEY_READ, params![tenant, purpose]).await? {
                let opened =
                    self.master.open(row.bytes(1)?, &data_aad(tenant, purpose)).map_err(|_| Error::RowCorrupt)?;
                let key = <[u8; 32]>::try_from(opened.reveal().as_slice()).map_err(|_| Error::RowCorrupt)?;
                return Ok(SealKey::new(Secret::new(key).reveal()));
            }
            let mut key = [0_u8; 32];
            entropy.fill(&mut key);
            let key = Secret::new(key);
            let wrapped = self
                .master
                .seal(key.reveal(), &data_aad(tenant, purpose), entropy)
                .map_err(|e| Error::Defect("data_key", Some(Box::new(e))))?;
            let batch = Batch::new().expect(1, &sql::DATA_KEY_INSERT, params![tenant, purpose, 1_i64, wrapped, now]);
            match store.upkeep(Upkeep::Keyring, batch).await {
                Ok(()) => return Ok(SealKey::new(key.reveal())),
                // Another request made it first: read theirs.
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict("data_key"))
    }
}

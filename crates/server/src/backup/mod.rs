//! Backups of the embedded store: made beside a running server, verified by restoring them to a scratch place, restored
//! into an empty data directory in which everything issued before is revoked.

mod archive;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use auth::Auth;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::SystemEntropy;
use kernel::clock::Timestamp;
use kernel::id::{Entropy as _, base32_encode};
use kernel::secret::Secret;
use kernel::tenant::DEFAULT;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::keyring::Purpose;

use crate::boot::{House, chain};
use crate::config::Config;
use crate::data_dir::{DataDir, existing_master_key};
use crate::failure::{Exit, Failure};
use crate::operation::{Operation, admin_failure, perform};

use archive::{Head, Opening, ReadError, Sealing};

/// The mark of the last backup that was made and read back, in microseconds.
pub(crate) const MADE_AT: &str = "backup_made_at";
/// Most bytes of the list of contents.
const MANIFEST_MAX: u32 = 64 << 20;

/// What an archive holds, by which it is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// The version of this form.
    format: u32,
    /// Bytes of the database that follow.
    database_bytes: u64,
    /// What its tables hold.
    tables: Vec<TableSum>,
    /// The newest signed checkpoint of each tenant's audit tree before the copy.
    checkpoints: Vec<String>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableSum {
    name: String,
    rows: u64,
    /// SHA-256 of its rows, as base64.
    sha256: String,
}

fn sums(tables: &[store::Table]) -> Vec<TableSum> {
    let sum = |table: &store::Table| TableSum {
        name: table.name.clone(),
        rows: table.rows,
        sha256: STANDARD.encode(table.sha256),
    };
    tables.iter().map(sum).collect()
}

/// The name of a backup that has no end yet.
struct Partial {
    path: PathBuf,
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What cannot be removed has no end and is refused as a backup, or has its own name by now.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes a backup beside what else goes on, reads it back, and gives it its name.
///
/// # Errors
/// When the file exists or cannot be written, and when the store cannot be copied.
pub(crate) async fn create(auth: &Auth, file: &Path) -> Result<Value, Failure> {
    let broken = |error: &(dyn std::error::Error + 'static)| {
        Failure::new("the backup was not made", chain(error), "Nothing was changed; look at the store and at the disk.")
    };
    if file.exists() {
        let why = "a backup is never overwritten";
        return Err(Failure::new(format!("{} is there already", file.display()), why, "Name another file.")
            .exit(Exit::Conflict));
    }
    let created_at = auth.clock.now();
    let mut checkpoints = Vec::new();
    for tenant in auth.all_tenants().await.map_err(|error| broken(&error))? {
        let newest = record::query::checkpoint(&auth.store, tenant.id).await.map_err(|error| broken(&error))?;
        checkpoints.extend(newest.map(|checkpoint| checkpoint.note));
    }
    let snapshot = auth.store.snapshot().await.map_err(|error| match error {
        store::Error::Refused(why) => Failure::new("the backup was not made", why, "").exit(Exit::Conflict),
        other => broken(&other),
    })?;
    let mut entropy = SystemEntropy::new();
    let mut name = [0_u8; 16];
    entropy.fill(&mut name);
    let name = base32_encode(&name);
    let key = auth.keyring.derive(Purpose::Backup, DEFAULT, name.as_bytes());
    let (root_version, root) =
        auth.keyring.wrapped_root(Purpose::Backup, &mut entropy).map_err(|error| broken(&error))?;
    let head = Head {
        archive: name,
        created_at: created_at.to_string(),
        master_key_id: auth.keyring.master_key_id().to_owned(),
        root: STANDARD.encode(root),
        root_version,
        schema: auth.store.schema_version(),
    };
    let target = file.to_owned();
    let work = move || -> Result<(u64, Manifest), io::Error> {
        let mut database = snapshot.open()?;
        let manifest = Manifest {
            format: 1,
            database_bytes: database.metadata()?.len(),
            tables: sums(&snapshot.tables),
            checkpoints,
        };
        let partial = Partial { path: target.with_extension(format!("partial-{}", std::process::id())) };
        let opened = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&partial.path)?;
        let mut sealing = Sealing::begin(BufWriter::new(opened), &head, &key, &mut entropy)?;
        let contents = serde_json::to_vec(&manifest)?;
        sealing.write_all(&u32::try_from(contents.len()).map_err(io::Error::other)?.to_be_bytes())?;
        sealing.write_all(&contents)?;
        io::copy(&mut database, &mut sealing)?;
        let written = sealing.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        written.sync_all()?;
        // What was written is read again as a stranger would, before anybody relies on it.
        let (_, mut opening) = Opening::begin(File::open(&partial.path)?, |_| Some(key)).map_err(io::Error::other)?;
        let (read, left) = (manifest_of(&mut opening)?, io::copy(&mut opening, &mut io::sink())?);
        if read != manifest || left != manifest.database_bytes {
            return Err(io::Error::other("what was read back is not what was written"));
        }
        // A link does not overwrite a name that somebody else took meanwhile, as a rename would.
        std::fs::hard_link(&partial.path, &target)?;
        drop(partial);
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
        Ok((std::fs::metadata(&target)?.len(), manifest))
    };
    let (bytes, manifest) =
        tokio::task::spawn_blocking(work).await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
    if let Err(error) = auth.store.set_mark(MADE_AT, created_at.as_micros()).await {
        tracing::warn!(%error, "the backup was made, and its time could not be noted");
    }
    Ok(json!({
        "file": file.display().to_string(), "created_at": created_at.to_string(), "bytes": bytes,
        "tables": manifest.tables.len(), "rows": manifest.tables.iter().map(|table| table.rows).sum::<u64>(),
    }))
}

/// The list of contents at the beginning of an archive.
fn manifest_of(opening: &mut impl Read) -> io::Result<Manifest> {
    let mut length = [0_u8; 4];
    opening.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MANIFEST_MAX {
        return Err(io::Error::other("its list of contents is too long"));
    }
    let mut contents = Vec::new();
    opening.take(u64::from(length)).read_to_end(&mut contents)?;
    let manifest: Manifest = serde_json::from_slice(&contents)?;
    if manifest.format == 1 { Ok(manifest) } else { Err(io::Error::other("its list of contents has a newer form")) }
}

/// A directory with an unpacked database.
struct Unpacked {
    head: Head,
    manifest: Manifest,
}

/// Unpacks an archive into a directory, and compares every table with the list of contents.
fn unpack(file: &Path, master: &Secret<[u8; 32]>, dir: &Path) -> Result<Unpacked, Failure> {
    let refused = |why: String| {
        Failure::new(format!("{} cannot be restored", file.display()), why, "Nothing was restored; use another backup.")
    };
    let unread = |error: &ReadError| {
        let failure = refused(error.to_string());
        if matches!(error, ReadError::OtherKey(_)) { failure.exit(Exit::Denied) } else { failure }
    };
    let input = File::open(file).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let failure = refused(error.to_string());
        if missing { failure.exit(Exit::Missing) } else { failure }
    })?;
    let input = io::BufReader::new(input);
    let (head, mut opening) = Opening::begin(input, |head| head.key(master)).map_err(|error| unread(&error))?;
    let manifest = manifest_of(&mut opening).map_err(|error| refused(error.to_string()))?;
    let database = dir.join("bastionary.db");
    let copied = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&database).and_then(|mut out| {
        // One byte more than announced is enough to know that there are too many.
        let bytes = io::copy(&mut (&mut opening).take(manifest.database_bytes.saturating_add(1)), &mut out)?;
        out.sync_all().map(|()| bytes)
    });
    let bytes = copied.map_err(|error| refused(error.to_string()))?;
    if bytes != manifest.database_bytes {
        return Err(refused(format!("it announces {} bytes of data and holds {bytes}", manifest.database_bytes)));
    }
    let found = store::survey(&database).map_err(|error| refused(chain(&error)))?;
    if sums(&found) != manifest.tables {
        let differs = |sum: &&TableSum| !manifest.tables.contains(sum);
        let names: Vec<String> = sums(&found).iter().filter(differs).map(|sum| sum.name.clone()).collect();
        return Err(refused(format!("tables differ from its list of contents: {}", names.join(", "))));
    }
    Ok(Unpacked { head, manifest })
}

/// A directory that disappears when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make(path: PathBuf) -> Result<Self, Failure> {
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            Failure::new(format!("the directory {} cannot be made", path.display()), error, "Remove it, or make room.")
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next attempt names what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where the master key of a configuration is.
fn key_file(config: &Config) -> PathBuf {
    config.master_key_file.clone().unwrap_or_else(|| config.data_dir.join("master.key"))
}

/// Opens what was unpacked, and verifies its audit trees with the checkpoints that were signed before the copy.
async fn open(mut config: Config, dir: &Path, manifest: &Manifest) -> Result<House, Failure> {
    config.master_key_file = Some(key_file(&config));
    config.database_url = None;
    config.data_dir = dir.to_owned();
    let issuer = config.issuer_for(config.listen);
    let house = House::open(&config, DataDir::hold(dir)?, issuer).await?;
    let known = manifest.checkpoints.clone();
    let report = match perform(&house.auth, Operation::VerifyAudit { known }, None).await {
        Ok(report) => report,
        Err(failure) => {
            house.close().await;
            return Err(failure);
        }
    };
    if report.get("good").and_then(Value::as_bool) == Some(true) {
        return Ok(house);
    }
    house.close().await;
    let remedy = "Nothing was restored; use another backup.";
    Err(Failure::new("the audit log of the backup does not verify", format!("{report:#}"), remedy))
}

fn summary(file: &Path, unpacked: &Unpacked) -> Value {
    json!({
        "file": file.display().to_string(), "created_at": unpacked.head.created_at, "good": true,
        "tables": unpacked.manifest.tables.len(),
        "rows": unpacked.manifest.tables.iter().map(|table| table.rows).sum::<u64>(),
        "checkpoints": unpacked.manifest.checkpoints.len(),
    })
}

/// Restores an archive to a scratch directory, looks at everything, and forgets it.
///
/// # Errors
/// When it does not open, is damaged, or holds other things than it says.
pub(crate) async fn verify(config: Config, file: &Path) -> Result<Value, Failure> {
    let master = existing_master_key(&key_file(&config))?;
    let mut name = [0_u8; 16];
    SystemEntropy::new().fill(&mut name);
    let scratch = Scratch::make(std::env::temp_dir().join(format!("bastionary-backup-{}", base32_encode(&name))))?;
    let unpacked = unpack(file, &master, &scratch.0)?;
    open(config, &scratch.0, &unpacked.manifest).await?.close().await;
    Ok(summary(file, &unpacked))
}

/// Restores an archive into a data directory that holds no more than the master key.
///
/// # Errors
/// With the exit code of a conflict when the directory is in use; otherwise as [`verify`].
pub(crate) async fn restore(config: Config, file: &Path, is_accepted: bool) -> Result<Value, Failure> {
    let path = config.data_dir.clone();
    let names = match std::fs::read_dir(&path) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect(),
        Err(_) => Vec::new(),
    };
    // The lock is what an earlier attempt left, or an empty server that never started.
    if let Some(other) = names.iter().find(|name| *name != "master.key" && *name != "lock") {
        return Err(Failure::new(
            format!("the data directory {} is not empty", path.display()),
            format!("it holds {}, and a backup is only restored into a directory of its own", other.display()),
            "Name an empty directory with `--data-dir`; only the file master.key may be in it.",
        )
        .exit(Exit::Conflict));
    }
    let master = existing_master_key(&key_file(&config))?;
    let held = DataDir::hold(&path)?;
    // What is half restored is not where a server would find it.
    let scratch = Scratch::make(path.join("restoring"))?;
    let unpacked = unpack(file, &master, &scratch.0)?;
    let taken_at = Timestamp::parse(&unpacked.head.created_at).unwrap_or_default();
    let house = open(config, &scratch.0, &unpacked.manifest).await?;
    let settled = settle(&house, taken_at, is_accepted).await;
    house.close().await;
    settled?;
    let is_left = std::fs::metadata(scratch.0.join("bastionary.db-wal")).is_ok_and(|log| log.len() > 0);
    if is_left {
        let why = "its write-ahead log could not be emptied";
        return Err(Failure::new("the restored data could not be put in place", why, "Restore again."));
    }
    let moved = std::fs::rename(scratch.0.join("bastionary.db"), held.database())
        .and_then(|()| File::open(&path))
        .and_then(|dir| dir.sync_all());
    moved.map_err(|error| Failure::new("the restored data could not be put in place", error, "Restore again."))?;
    let mut summary = summary(file, &unpacked);
    if let Value::Object(members) = &mut summary {
        members.insert("accepted".to_owned(), is_accepted.into());
    }
    Ok(summary)
}

/// Revokes in a restored store what was issued before.
///
/// # Errors
/// The store's.
pub(crate) async fn settle(house: &House, taken_at: Timestamp, is_accepted: bool) -> Result<(), Failure> {
    let auth = &house.auth;
    let broken = |error| admin_failure("what was issued before could not be revoked", &error);
    let mut planned =
        auth.plan_restored(&house.operator(), &house.tenant, taken_at, is_accepted).await.map_err(broken)?;
    planned.batch = webhook::change::after_restore(planned.batch, auth.clock.now());
    auth.run(planned).await.map_err(broken)
}

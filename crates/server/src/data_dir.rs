//! The data directory: made for its owner alone, held by one process at a time, home of the master key.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use kernel::id::Entropy;
use kernel::secret::Secret;
use zeroize::Zeroize as _;

use crate::failure::{Exit, Failure};

/// The name of the embedded store in a data directory.
pub const DATABASE: &str = "bastionary.db";

/// A directory that this process holds until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The lock lasts as long as the open file.
    _lock: File,
}

/// What trying to hold a directory led to.
#[derive(Debug)]
pub enum Claim {
    /// This process holds it now.
    Held(DataDir),
    /// Another process holds it; its id when it is known.
    Busy(Option<u32>),
}

impl DataDir {
    /// Makes the directory when it is not there and tries to hold it.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn claim(path: &Path) -> Result<Claim, Failure> {
        let broken = |error: io::Error| {
            Failure::new(
                format!("the data directory {} cannot be used", path.display()),
                error,
                "Name a directory that this user may write, with `--data-dir` or BASTIONARY_DATA_DIR.",
            )
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(broken)?;
        let file = path.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file);
        let mut lock = opened.map_err(broken)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Without a readable id the answer is the same, only less helpful.
                let _ = lock.read_to_string(&mut text);
                return Ok(Claim::Busy(text.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(broken)?;
        Ok(Claim::Held(Self { path: path.to_path_buf(), _lock: lock }))
    }

    /// Makes and holds the directory.
    ///
    /// # Errors
    /// With the exit code of a conflict while another process holds it.
    pub fn hold(path: &Path) -> Result<Self, Failure> {
        match Self::claim(path)? {
            Claim::Held(held) => Ok(held),
            Claim::Busy(pid) => Err(busy(path, pid)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the embedded store.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The socket of local commands.
    pub fn socket(&self) -> PathBuf {
        socket(&self.path)
    }
}

/// The socket of local commands in a data directory.
pub fn socket(path: &Path) -> PathBuf {
    path.join("admin.sock")
}

/// The failure that names who holds a directory.
pub fn busy(path: &Path, pid: Option<u32>) -> Failure {
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Failure::new(
        format!("the data directory {} is in use", path.display()),
        format!("{holder} holds its lock; two processes on one store would damage it"),
        "Stop that process first, or name another directory with `--data-dir`.",
    )
    .exit(Exit::Conflict)
}

/// A master key, and whether its file was made just now.
pub struct MasterKey {
    /// The key.
    pub key: Secret<[u8; 32]>,
    /// Where it is kept.
    pub file: PathBuf,
    /// Whether this start made the file; it is of no use when the store turns out to know another key.
    pub is_new: bool,
}

/// Reads the master key; on the first start makes it.
///
/// # Errors
/// When others can read the file, when it holds no key, and when it is missing beside existing data.
pub fn master_key(dir: &DataDir, named: Option<&Path>, entropy: &mut dyn Entropy) -> Result<MasterKey, Failure> {
    let file = named.map_or_else(|| dir.path().join("master.key"), Path::to_path_buf);
    match File::open(&file) {
        Ok(opened) => read_key(opened, &file).map(|key| MasterKey { key, file, is_new: false }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            if dir.database().exists() {
                return Err(Failure::new(
                    format!("the master key {} is missing", file.display()),
                    format!(
                        "{} holds data that was sealed with it, and nothing else opens that data",
                        dir.database().display()
                    ),
                    "Put the file back from your backup of the key, or name it with BASTIONARY_MASTER_KEY_FILE. A new key is never made beside existing data.",
                ));
            }
            make_key(&file, entropy).map(|key| MasterKey { key, file, is_new: true })
        }
        Err(error) => Err(Failure::new(
            format!("the master key {} cannot be read", file.display()),
            error,
            "`master_key_file` must name a file of this user that holds 32 bytes as base64. `openssl rand -base64 32` makes one for a new installation.",
        )),
    }
}

/// Reads a master key that must be there.
///
/// # Errors
/// When it is not, when others can read the file, and when it holds no key.
pub fn existing_master_key(path: &Path) -> Result<Secret<[u8; 32]>, Failure> {
    let file = File::open(path).map_err(|error| {
        Failure::new(
            format!("the master key {} cannot be read", path.display()),
            error,
            "A backup does not hold the master key. Put the file back from your copy of it, or name it with BASTIONARY_MASTER_KEY_FILE.",
        )
    })?;
    read_key(file, path)
}

fn read_key(mut file: File, path: &Path) -> Result<Secret<[u8; 32]>, Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(
            format!("the master key {} cannot be read", path.display()),
            error,
            "Make it readable for this user alone.",
        )
    };
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if is_open_to_others(mode) {
        return Err(Failure::new(
            format!("the master key {} is refused", path.display()),
            format!("its mode is {mode:04o}, so other users of this machine can read it"),
            format!("Run `chmod 600 {}`. If others may have read it, treat the key as leaked.", path.display()),
        ));
    }
    let mut text = String::new();
    let read = (&mut file).take(1_024).read_to_string(&mut text);
    let key = read.ok().and_then(|_| decode(text.trim()));
    text.zeroize();
    key.ok_or_else(|| {
        Failure::new(
            format!("the master key {} is not a key", path.display()),
            "it must hold 32 bytes as base64 and nothing else",
            "Put the file back from your backup of the key.",
        )
    })
}

/// Whether a mode lets the group or everybody do anything.
pub const fn is_open_to_others(mode: u32) -> bool {
    mode & 0o077 != 0
}

fn decode(text: &str) -> Option<Secret<[u8; 32]>> {
    let mut bytes =
        [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().find_map(|alphabet| alphabet.decode(text).ok())?;
    let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Secret::new);
    bytes.zeroize();
    key
}

/// Makes the key file, complete and on disk before the name exists.
fn make_key(file: &Path, entropy: &mut dyn Entropy) -> Result<Secret<[u8; 32]>, Failure> {
    let mut key = [0_u8; 32];
    entropy.fill(&mut key);
    let mut text = format!("{}\n", STANDARD.encode(key));
    let key = Secret::new(key);
    let fresh = file.with_extension("key.new");
    let written = write_new(&fresh, text.as_bytes())
        .and_then(|()| std::fs::rename(&fresh, file))
        .and_then(|()| File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all());
    text.zeroize();
    written.map_err(|error| {
        Failure::new(
            format!("the master key {} cannot be written", file.display()),
            error,
            "Check the space and the rights of the data directory.",
        )
    })?;
    Ok(key)
}

fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // What an interrupted first start left behind never became a key.
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.write_all(bytes)?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use testkit::{SeededEntropy, TempDir};

    fn held(dir: &TempDir) -> DataDir {
        DataDir::hold(&dir.path().join("data")).unwrap()
    }

    #[test]
    fn a_directory_is_held_once_and_the_second_process_learns_by_whom() {
        let dir = TempDir::new().unwrap();
        let first = held(&dir);
        assert_eq!(std::fs::metadata(first.path()).unwrap().mode() & 0o777, 0o700);
        let failure = DataDir::hold(first.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
        assert!(failure.why.contains(&format!("process {}", std::process::id())), "{failure}");
        drop(first);
        held(&dir);
    }

    #[test]
    fn the_key_of_the_first_start_is_read_again_by_the_next() {
        let dir = TempDir::new().unwrap();
        let held = held(&dir);
        let made = master_key(&held, None, &mut SeededEntropy::new(1)).unwrap();
        assert!(made.is_new);
        assert_eq!(std::fs::metadata(&made.file).unwrap().mode() & 0o777, 0o600);
        let read = master_key(&held, None, &mut SeededEntropy::new(2)).unwrap();
        assert!(!read.is_new);
        assert_eq!(read.key.reveal(), made.key.reveal());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = TempDir::new().unwrap();
        let held = held(&dir);
        let made = master_key(&held, None, &mut SeededEntropy::new(1)).unwrap();
        for mode in [0o640, 0o604, 0o644] {
            std::fs::set_permissions(&made.file, std::fs::Permissions::from_mode(mode)).unwrap();
            let failure = master_key(&held, None, &mut SeededEntropy::new(2)).err().unwrap();
            assert!(failure.to_string().contains(&format!("{mode:04o}")), "{failure}");
        }
    }

    #[test]
    fn no_second_key_is_made_beside_existing_data() {
        let dir = TempDir::new().unwrap();
        let held = held(&dir);
        std::fs::write(held.database(), "data").unwrap();
        let failure = master_key(&held, None, &mut SeededEntropy::new(1)).err().unwrap();
        assert!(failure.what.contains("master.key") && failure.what.contains("missing"), "{failure}");
        assert!(!held.path().join("master.key").exists());
    }

    #[test]
    fn a_named_key_is_never_made_and_a_damaged_one_is_refused() {
        let dir = TempDir::new().unwrap();
        let held = held(&dir);
        let named = dir.path().join("elsewhere.key");
        assert!(master_key(&held, Some(&named), &mut SeededEntropy::new(1)).is_err());
        assert!(!named.exists());
        for text in ["", "short", &STANDARD.encode([7_u8; 31]), &format!("{} x", STANDARD.encode([7_u8; 32]))] {
            write_new(&named, text.as_bytes()).unwrap();
            assert!(master_key(&held, Some(&named), &mut SeededEntropy::new(1)).is_err(), "{text}");
        }
        write_new(&named, STANDARD.encode([7_u8; 32]).as_bytes()).unwrap();
        assert_eq!(master_key(&held, Some(&named), &mut SeededEntropy::new(1)).unwrap().key.reveal(), &[7; 32]);
    }
}

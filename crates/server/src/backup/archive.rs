//! The form of a backup: a readable head, then sealed chunks whose order and end are part of what is sealed.
//!
//! ```text
//! bastionary-backup-1\n
//! {"archive": …, "created_at": …, "master_key_id": …, "root": …, "root_version": …, "schema": …}\n
//! chunk …            flag (0, or 1 for the last), length (u32), AES-256-GCM-SIV of at most 1 MiB
//! ```
//!
//! The key comes from the installation's own root key for backups, which lies wrapped in the head: the master key opens
//! an archive, and is not in it. What a chunk is sealed for names the head, the chunk's number and whether it is the last.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::hash::sha256;
use jose::seal::SealKey;
use kernel::id::Entropy;
use kernel::secret::Secret;
use kernel::tenant::DEFAULT;
use serde::{Deserialize, Serialize};
use store::keyring::{Purpose, derive_from_wrapped};

/// The first line.
const MAGIC: &[u8] = b"bastionary-backup-1\n";
/// Most bytes of the head.
const HEAD_MAX: usize = 4_096;
/// Most bytes of a chunk before it is sealed.
const CHUNK: usize = 1 << 20;
/// What sealing adds: version, nonce and tag.
const SEALED_MAX: usize = CHUNK + 29;

/// What an archive says of itself before it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// Its own random name.
    pub(crate) archive: String,
    /// The moment of the copy.
    pub(crate) created_at: String,
    /// Which master key opens it.
    pub(crate) master_key_id: String,
    /// The root key of backups, wrapped under the master key, as base64.
    pub(crate) root: String,
    /// Its version.
    pub(crate) root_version: u32,
    /// The version of the schema.
    pub(crate) schema: i64,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as an archive of this form.
    #[error("it is no backup of a form that this program reads")]
    Foreign,
    /// It was made under another master key.
    #[error("it opens with the master key {0}, and this is another one")]
    OtherKey(String),
    /// A chunk is not what was written there, or is missing.
    #[error("it is damaged or cut off at byte {0}")]
    Damaged(u64),
    /// Something follows the last chunk.
    #[error("something was added after its end, at byte {0}")]
    Longer(u64),
}

impl Head {
    /// The key of the archive under a master key; `None` for another one than it was made under.
    pub(crate) fn key(&self, master: &Secret<[u8; 32]>) -> Option<Secret<[u8; 32]>> {
        let wrapped = STANDARD.decode(&self.root).ok()?;
        let root = (Purpose::Backup, self.root_version, wrapped.as_slice());
        derive_from_wrapped(master.reveal(), root, DEFAULT, self.archive.as_bytes())
    }
}

/// What a chunk is sealed for.
fn place(head: &[u8; 32], number: u64, is_last: bool) -> Vec<u8> {
    [head.as_slice(), &number.to_be_bytes(), &[u8::from(is_last)]].concat()
}

/// Writes an archive; it has no end until [`Sealing::finish`] was called.
pub(crate) struct Sealing<'e, W> {
    out: W,
    key: SealKey,
    head: [u8; 32],
    number: u64,
    buffer: Vec<u8>,
    entropy: &'e mut dyn Entropy,
}

impl<'e, W: Write> Sealing<'e, W> {
    /// Writes the head.
    ///
    /// # Errors
    /// The file's; an invalid head.
    pub(crate) fn begin(
        mut out: W,
        head: &Head,
        key: &Secret<[u8; 32]>,
        entropy: &'e mut dyn Entropy,
    ) -> io::Result<Self> {
        let mut line = serde_json::to_vec(head)?;
        line.push(b'\n');
        out.write_all(MAGIC)?;
        out.write_all(&line)?;
        Ok(Self { out, key: SealKey::new(key.reveal()), head: sha256(&line), number: 0, buffer: Vec::new(), entropy })
    }

    fn chunk(&mut self, is_last: bool) -> io::Result<()> {
        let sealed = self
            .key
            .seal(&self.buffer, &place(&self.head, self.number, is_last), self.entropy)
            .map_err(io::Error::other)?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.out.write_all(&[u8::from(is_last)])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.number = self.number.saturating_add(1);
        self.buffer.clear();
        Ok(())
    }

    /// Seals what is left as the last chunk.
    ///
    /// # Errors
    /// The file's.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.chunk(true)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= CHUNK {
            self.chunk(false)?;
        }
        let room = CHUNK.saturating_sub(self.buffer.len()).min(bytes.len());
        let (taken, _) = bytes.split_at(room);
        self.buffer.extend_from_slice(taken);
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads an archive; what it gives was authenticated, but only its end says that it was all.
pub(crate) struct Opening<R> {
    input: R,
    key: SealKey,
    head: [u8; 32],
    number: u64,
    at: u64,
    chunk: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl<R: Read> Opening<R> {
    /// Reads the head, with which `unlock` finds the key.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn begin(
        mut input: R,
        unlock: impl FnOnce(&Head) -> Option<Secret<[u8; 32]>>,
    ) -> Result<(Head, Self), ReadError> {
        let mut magic = [0_u8; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|_| ReadError::Foreign)?;
        if magic != MAGIC {
            return Err(ReadError::Foreign);
        }
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0_u8];
            input.read_exact(&mut byte).map_err(|_| ReadError::Foreign)?;
            line.extend_from_slice(&byte);
            if line.len() > HEAD_MAX {
                return Err(ReadError::Foreign);
            }
        }
        let head: Head = serde_json::from_slice(&line).map_err(|_| ReadError::Foreign)?;
        let key = unlock(&head).ok_or_else(|| ReadError::OtherKey(head.master_key_id.clone()))?;
        let key = SealKey::new(key.reveal());
        let at = u64::try_from(MAGIC.len().saturating_add(line.len())).unwrap_or(u64::MAX);
        let digest = sha256(&line);
        let opening = Self { input, key, head: digest, number: 0, at, chunk: Vec::new(), given: 0, is_over: false };
        Ok((head, opening))
    }

    /// The next chunk; `None` past the last one.
    fn next(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.is_over {
            return Ok(None);
        }
        let damaged = ReadError::Damaged(self.at);
        let mut frame = [0_u8; 5];
        if self.input.read_exact(&mut frame).is_err() {
            return Err(damaged);
        }
        let [flag, length @ ..] = frame;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if flag > 1 || length > SEALED_MAX {
            return Err(damaged);
        }
        let mut sealed = vec![0_u8; length];
        if self.input.read_exact(&mut sealed).is_err() {
            return Err(damaged);
        }
        let Ok(opened) = self.key.open(&sealed, &place(&self.head, self.number, flag == 1)) else {
            return Err(damaged);
        };
        self.number = self.number.saturating_add(1);
        self.at = self.at.saturating_add(u64::try_from(length.saturating_add(frame.len())).unwrap_or(u64::MAX));
        self.is_over = flag == 1;
        if self.is_over && self.input.read(&mut [0_u8])? > 0 {
            return Err(ReadError::Longer(self.at));
        }
        Ok(Some(opened.reveal().clone()))
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.chunk.len() {
            match self.next().map_err(io::Error::other)? {
                Some(chunk) => (self.chunk, self.given) = (chunk, 0),
                None => return Ok(0),
            }
        }
        let rest = self.chunk.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (from, to) = (rest.iter().take(count), buffer.iter_mut());
        to.zip(from).for_each(|(to, from)| *to = *from);
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jose::SystemEntropy;
    use store::keyring::master_key_id;

    const MASTER: [u8; 32] = [3; 32];

    /// An archive of a text, under a root key that is wrapped as the store wraps it.
    fn archive(text: &[u8]) -> Vec<u8> {
        let mut entropy = SystemEntropy::new();
        let root = [7_u8; 32];
        let place = [b"root_key\0".as_slice(), b"backup", b"\0", &1_u32.to_be_bytes()].concat();
        let wrapped = SealKey::new(&MASTER).seal(&root, &place, &mut entropy).unwrap();
        let head = Head {
            archive: "one".to_owned(),
            created_at: "2026-06-01T12:00:00Z".to_owned(),
            master_key_id: master_key_id(&MASTER),
            root: STANDARD.encode(&wrapped),
            root_version: 1,
            schema: 2,
        };
        let key = derive_from_wrapped(&MASTER, (Purpose::Backup, 1, &wrapped), DEFAULT, b"one").unwrap();
        let mut sealing = Sealing::begin(Vec::new(), &head, &key, &mut entropy).unwrap();
        sealing.write_all(text).unwrap();
        sealing.finish().unwrap()
    }

    fn read(bytes: &[u8], master: [u8; 32]) -> Result<Vec<u8>, String> {
        let unlock = |head: &Head| head.key(&Secret::new(master));
        let (_, mut opening) = Opening::begin(bytes, unlock).map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        opening.read_to_end(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    #[test]
    fn what_was_sealed_comes_back_at_every_size_around_a_chunk() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let sealed = archive(&text);
            assert!(size < 64 || !sealed.windows(64).any(|part| part == &text[..64]), "it is sealed");
            assert_eq!(read(&sealed, MASTER).unwrap(), text, "{size}");
        }
    }

    #[test]
    fn another_key_and_another_kind_of_file_are_refused_before_anything_is_read() {
        let sealed = archive(b"text");
        assert!(read(&sealed, [4; 32]).unwrap_err().contains(&master_key_id(&MASTER)));
        assert!(read(b"SQLite format 3\0", MASTER).unwrap_err().contains("no backup"));
        assert!(read(&sealed[..MAGIC.len() + 9], MASTER).unwrap_err().contains("no backup"));
        let long = [MAGIC, &[b'x'; HEAD_MAX + 1]].concat();
        assert!(read(&long, MASTER).unwrap_err().contains("no backup"));
    }

    #[test]
    fn chunks_that_are_changed_moved_cut_or_added_are_found_with_their_place() {
        let sealed = archive(&vec![9; 2 * CHUNK + 10]);
        let head = sealed.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0 + 1;
        let whole = 5 + SEALED_MAX;
        let damaged = |at: usize| format!("it is damaged or cut off at byte {at}");
        for at in [head, head + 1, head + 5, head + 40, head + whole - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed, MASTER).unwrap_err(), damaged(head), "byte {at}");
        }
        let mut swapped = sealed.clone();
        swapped[head..head + 2 * whole].rotate_left(whole);
        assert_eq!(read(&swapped, MASTER).unwrap_err(), damaged(head));
        assert_eq!(read(&sealed[..head + 2 * whole], MASTER).unwrap_err(), damaged(head + 2 * whole), "a cut end");
        let mut promoted = sealed[..head + whole].to_vec();
        promoted[head] = 1;
        assert_eq!(read(&promoted, MASTER).unwrap_err(), damaged(head), "a chunk that passes for the last");
        let longer = [&sealed[..], b"x"].concat();
        assert!(read(&longer, MASTER).unwrap_err().contains("added after its end"));
        let mut other = sealed;
        let at = other.windows(3).position(|part| part == b"12:").unwrap();
        other[at] = b'2';
        assert_eq!(read(&other, MASTER).unwrap_err(), damaged(head), "the head belongs to the chunks");
    }
}

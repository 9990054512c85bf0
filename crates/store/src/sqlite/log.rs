//! The file of the write-ahead log, read by ourselves: its frames, and whether it is damaged before its end.
//!
//! The engine takes a log up to its first bad frame and forgets the rest without a word, because a crash leaves such
//! an end behind. But each transaction is synced before the next one is written: a frame that continues the end of a
//! transaction, at or behind the bad frame, proves that the bad one was on the disk once and was damaged later. Going
//! on would forget acknowledged commits, so such a log is refused. Damage in the last transaction cannot be told from a
//! crash. Ends of several crashes cannot stand behind each other, since every start empties the log.
//!
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::path::Path;

/// Bytes of the file's header.
const HEADER: usize = 32;
/// Bytes before the page in each frame.
const FRAME: usize = 24;
/// First word of a log whose checksums read words in little-endian order; the last bit set means big-endian.
const MAGIC: u32 = 0x377f_0682;

/// The engine's running checksum.
type Chain = (u32, u32);

/// What tells one filling of the file from the next.
type Salts = [u8; 8];

struct Header {
    is_big_endian: bool,
    page_bytes: usize,
    salts: Salts,
    seed: Chain,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..at.saturating_add(4)).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    found.map_or(0, u32::from_be_bytes)
}

fn salts(bytes: &[u8], at: usize) -> Salts {
    bytes.get(at..at.saturating_add(8)).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}

fn advance(chain: Chain, bytes: &[u8], is_big_endian: bool) -> Chain {
    let (pairs, _) = bytes.as_chunks::<8>();
    pairs.iter().fold(chain, |(mut first, mut second), [a, b, c, d, e, f, g, h]| {
        let (left, right) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
        let read = if is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        first = first.wrapping_add(read(left)).wrapping_add(second);
        second = second.wrapping_add(read(right)).wrapping_add(first);
        (first, second)
    })
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let magic = word(bytes, 0);
        let is_big_endian = magic & 1 == 1;
        let page_bytes = usize::try_from(word(bytes, 8)).ok()?;
        let seed = advance((0, 0), bytes.get(..24)?, is_big_endian);
        let is_good = magic & !1 == MAGIC
            && seed == (word(bytes, 24), word(bytes, 28))
            && (512..=65_536).contains(&page_bytes)
            && page_bytes.is_power_of_two();
        is_good.then(|| Self { is_big_endian, page_bytes, salts: salts(bytes, 16), seed })
    }
}

/// One frame.
struct Frame {
    page: u32,
    is_commit: bool,
    salts: Salts,
    stored: Chain,
}

/// The frames of a log, in order.
struct Log {
    header: Header,
    file: BufReader<File>,
    bytes: Vec<u8>,
}

/// What a log's file is.
enum Opened {
    /// Absent, or nothing was ever written to it.
    Empty,
    /// Something that is no log.
    Unreadable,
    Log(Box<Log>),
}

/// A log as the engine will take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It ends where a log may end.
    Good,
    /// It is damaged at this frame (counted from 1; 0 is the header) and goes on behind it.
    Damaged(u64),
}

impl Log {
    fn look(path: &Path) -> io::Result<Opened> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Opened::Empty),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        let mut file = BufReader::with_capacity(256 << 10, file);
        let mut bytes = [0; HEADER];
        if length <= HEADER as u64 {
            return Ok(Opened::Empty);
        }
        file.read_exact(&mut bytes)?;
        // A crash right after the file was made can leave a hole in place of its first sector.
        if bytes == [0; HEADER] {
            return Ok(Opened::Empty);
        }
        let Some(header) = Header::parse(&bytes) else { return Ok(Opened::Unreadable) };
        let bytes = vec![0; FRAME.saturating_add(header.page_bytes)];
        Ok(Opened::Log(Box::new(Self { header, file, bytes })))
    }

    fn next(&mut self) -> io::Result<Option<Frame>> {
        match self.file.read_exact(&mut self.bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let bytes = &self.bytes;
        Ok(Some(Frame {
            page: word(bytes, 0),
            is_commit: word(bytes, 4) != 0,
            salts: salts(bytes, 8),
            stored: (word(bytes, 16), word(bytes, 20)),
        }))
    }

    /// Whether a frame was written since the file was begun anew.
    fn is_of_this_filling(&self, frame: &Frame) -> bool {
        frame.salts == self.header.salts && frame.page != 0
    }

    /// The checksum after the frame that was read last.
    fn chained(&self, chain: Chain) -> Chain {
        let is_big_endian = self.header.is_big_endian;
        let chain = advance(chain, self.bytes.get(..8).unwrap_or_default(), is_big_endian);
        advance(chain, self.bytes.get(FRAME..).unwrap_or_default(), is_big_endian)
    }
}

/// Looks for damage before the end of a log that nobody is writing.
pub(crate) fn examine(path: &Path) -> io::Result<Condition> {
    let mut log = match Log::look(path)? {
        Opened::Empty => return Ok(Condition::Good),
        Opened::Unreadable => return Ok(Condition::Damaged(0)),
        Opened::Log(log) => log,
    };
    let (mut chain, mut number) = (log.header.seed, 1_u64);
    let (mut before, mut ends_transaction) = loop {
        let Some(frame) = log.next()? else { return Ok(Condition::Good) };
        let computed = log.chained(chain);
        if !log.is_of_this_filling(&frame) || computed != frame.stored {
            // Mostly either the content is as it was or the checksum is, and the next frame continues one of them.
            break ([frame.stored, computed], log.is_of_this_filling(&frame) && frame.is_commit);
        }
        (chain, number) = (computed, number.saturating_add(1));
    };
    // What a crash leaves behind is part of one transaction: no frame continues the one that ends it.
    while let Some(frame) = log.next()? {
        let is_current = log.is_of_this_filling(&frame);
        if is_current && ends_transaction && before.iter().any(|chain| log.chained(*chain) == frame.stored) {
            return Ok(Condition::Damaged(number));
        }
        ends_transaction = is_current && frame.is_commit;
        before = [frame.stored; 2];
    }
    Ok(Condition::Good)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rusqlite::Connection;
    use testkit::TempDir;

    use super::*;

    /// A log of five transactions, each of a few frames, with nothing moved to the database.
    fn written(directory: &TempDir) -> (PathBuf, Vec<u8>) {
        let path = directory.path().join("data.db");
        super::super::create_private(&path).unwrap();
        let connection = super::super::connect(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        for number in 0..4 {
            connection.execute("INSERT INTO t VALUES (zeroblob(9000 + ?1))", [number]).unwrap();
        }
        let log = directory.path().join("data.db-wal");
        let bytes = std::fs::read(&log).unwrap();
        (log, bytes)
    }

    fn rows(log: &Path) -> rusqlite::Result<i64> {
        let path = log.with_file_name("data.db");
        let _ = std::fs::remove_file(log.with_file_name("data.db-shm"));
        Connection::open(path)?.query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0))
    }

    #[test]
    fn every_flip_is_found_but_in_the_last_transaction_where_a_crash_looks_the_same() {
        let directory = TempDir::new().unwrap();
        let (path, bytes) = written(&directory);
        let frame = FRAME + 4096;
        let commits: Vec<usize> =
            (0..(bytes.len() - HEADER) / frame).filter(|n| word(&bytes, HEADER + n * frame + 4) != 0).collect();
        assert!(commits.len() >= 5, "{commits:?}");
        let last_begins = HEADER + (commits[commits.len() - 2] + 1) * frame;
        let mut missed = 0;
        for at in (0..last_begins).step_by(41) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            let expected = at.checked_sub(HEADER).map_or(0, |at| at / frame + 1);
            let found = examine(&path).unwrap();
            if found != Condition::Damaged(expected as u64) {
                // Of the frame right before the last transaction, the part that says which frame it is.
                assert!(at > last_begins - frame && at < last_begins - 4096, "at {at}: {found:?}");
                missed += 1;
            }
        }
        assert!(missed <= 1, "{missed}");
    }

    #[test]
    fn noise_over_a_whole_frame_is_found_where_two_transactions_follow() {
        let directory = TempDir::new().unwrap();
        let (path, bytes) = written(&directory);
        let frame = FRAME + 4096;
        let frames = (bytes.len() - HEADER) / frame;
        let commits: Vec<usize> = (0..frames).filter(|n| word(&bytes, HEADER + n * frame + 4) != 0).collect();
        for number in 0..=commits[commits.len() - 3] {
            let mut damaged = bytes.clone();
            damaged[HEADER + number * frame..HEADER + (number + 1) * frame].fill(0xa5);
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(examine(&path).unwrap(), Condition::Damaged(number as u64 + 1));
        }
    }

    #[test]
    fn an_end_that_a_crash_leaves_is_no_damage() {
        let directory = TempDir::new().unwrap();
        let (path, bytes) = written(&directory);
        for length in (0..bytes.len()).step_by(509) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(examine(&path).unwrap(), Condition::Good, "cut at {length}");
        }
        // Sectors of the last transaction that never reached the disk.
        let frame = FRAME + 4096;
        let last =
            (0..(bytes.len() - HEADER) / frame).rev().skip(1).find(|n| word(&bytes, HEADER + n * frame + 4) != 0);
        let unsynced = HEADER + (last.unwrap() + 1) * frame;
        for at in (unsynced.next_multiple_of(512)..bytes.len()).step_by(512) {
            let mut torn = bytes.clone();
            let end = (at + 512).min(torn.len());
            torn[at..end].fill(0);
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(examine(&path).unwrap(), Condition::Good, "sector at {at}");
        }
        // A hole where the file begins, and a filling that was begun anew over an older one.
        let mut hole = bytes.clone();
        hole[..512].fill(0);
        std::fs::write(&path, &hole).unwrap();
        assert_eq!(examine(&path).unwrap(), Condition::Good);
    }

    #[test]
    fn what_an_earlier_filling_left_behind_is_no_damage() {
        let directory = TempDir::new().unwrap();
        let (path, bytes) = written(&directory);
        assert_eq!(rows(&path).unwrap(), 4);
        std::fs::write(&path, &bytes).unwrap();
        let connection = super::super::connect(&path.with_file_name("data.db")).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let again = std::fs::read(&path).unwrap();
        assert!(again.len() == bytes.len() && again[..HEADER] != bytes[..HEADER], "the file begins anew in place");
        assert_eq!(examine(&path).unwrap(), Condition::Good);
    }
}

//! A PostgreSQL server that crashes, and a connection that dies between COMMIT and its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kernel::audit::Record;
use kernel::tenant::DEFAULT;
use store::{Batch, ChangeKind, Error, params};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::place::{MARK_NEW, MARK_RAISE, MARKS, Place, RECORDS, SEGMENTS, counter, entry, record, value};

/// A socket in front of the server's that forwards a message holding `mark`, and then cuts before the answer.
struct Cutter {
    directory: PathBuf,
    /// How many more cuts to make.
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    fn start(sockets: &Path, directory: PathBuf, mark: &'static [u8]) -> Self {
        std::fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).unwrap();
        let server = sockets.join(".s.PGSQL.5432");
        let cuts = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&left), mark));
            }
        });
        Self { directory, cuts }
    }
}

async fn forward(mut client: UnixStream, mut server: UnixStream, left: Arc<AtomicUsize>, mark: &'static [u8]) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let message = &up[..length];
                let marked = message.windows(mark.len()).any(|window| window == mark);
                server.write_all(message).await.unwrap();
                let take = |n: usize| n.checked_sub(1);
                if marked && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    // the answer shows that the server is done; the client never sees it
                    let _ = server.read(&mut down).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&down[..length]).await.is_err() { return }
            }
        }
    }
}

fn behind_a_cutter(mark: &'static [u8]) -> (Place, Cutter) {
    let address = testkit::postgres::fresh_database().unwrap();
    let host = address.split(' ').find_map(|part| part.strip_prefix("host=")).unwrap();
    let name = address.split("dbname=").nth(1).unwrap();
    let directory = std::env::temp_dir().join(format!("store-cut-{name}"));
    let cutter = Cutter::start(Path::new(host), directory, mark);
    (Place::at(address.replace(host, cutter.directory.to_str().unwrap())), cutter)
}

impl Drop for Cutter {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_done_once_and_acknowledged() {
    let (place, cutter) = behind_a_cutter(b"COMMIT");
    let store = place.open().await;
    store.commit(counter("a"), record("a")).await.unwrap();
    for round in 1..=3 {
        cutter.cuts.store(1, Ordering::SeqCst);
        let raise = Batch::new().expect(1, &MARK_RAISE, params!["a", 1_i64, 100_i64]).change(ChangeKind::Client, "a");
        let committed = store.commit(raise, record("raise")).await.unwrap();
        assert_eq!(committed.seq, round);
        assert_eq!(value(&store, "a").await, Some(i64::try_from(round).unwrap()));
        assert_eq!(store.applied(DEFAULT), round);
    }
    assert_eq!(store.read_all(&RECORDS, params![DEFAULT]).await.unwrap().len(), 4);
    cutter.cuts.store(1, Ordering::SeqCst);
    store.commit(counter("issued"), Record::Issued(entry(DEFAULT, 1))).await.unwrap();
    assert_eq!(store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap().len(), 1);
    assert_eq!(cutter.cuts.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_group_whose_answer_is_lost_is_written_once() {
    // the parameters of an INSERT of a segment hold the entry
    let (place, cutter) = behind_a_cutter(&[0xab, 0xcd, 0xef, 0x01]);
    let store = place.open().await;
    store.journal(entry(DEFAULT, 1)).await.unwrap();
    cutter.cuts.store(1, Ordering::SeqCst);
    store.journal(entry(DEFAULT, 0x01ef_cdab)).await.unwrap();
    assert_eq!(cutter.cuts.load(Ordering::SeqCst), 0);
    assert_eq!(store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_before_commit_costs_nothing() {
    let (place, cutter) = behind_a_cutter(b"cut here");
    let store = place.open().await;
    cutter.cuts.store(1, Ordering::SeqCst);
    store.commit(counter("cut here"), record("a")).await.unwrap();
    assert_eq!(cutter.cuts.load(Ordering::SeqCst), 0);
    assert_eq!(value(&store, "cut here").await, Some(0));
    cutter.cuts.store(1, Ordering::SeqCst);
    assert_eq!(value(&store, "cut here").await, Some(0), "a read is asked again");
    assert_eq!(store.read_all(&MARKS, vec![]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crashing_server_acknowledged_is_there_afterwards_and_the_store_comes_back_alone() {
    let mut cluster = testkit::postgres::durable_cluster().unwrap();
    let place = Place::at(cluster.fresh_database().unwrap());
    let store = place.open().await;
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let (mut kept, mut entries) = (Vec::new(), 0);
                for number in 0..100_000_u32 {
                    let name = format!("{writer}-{number}");
                    match store.commit(counter(&name), record(&name)).await {
                        Ok(_) => kept.push(name),
                        Err(Error::Unavailable(_)) => break,
                        Err(other) => panic!("{other}"),
                    }
                    match store.journal(entry(DEFAULT, number)).await {
                        Ok(()) => entries += 1,
                        Err(Error::Unavailable(_)) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                (kept, entries)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.crash().unwrap();
    let (mut kept, mut entries) = (Vec::new(), 0);
    for writer in writers {
        let (names, count) = writer.await.unwrap();
        kept.extend(names);
        entries += count;
    }
    assert!(store.ping().await.is_err());
    cluster.restart().unwrap();
    let mut back = store.ping().await;
    for _ in 0..20 {
        if back.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        back = store.ping().await;
    }
    back.unwrap();
    assert!(!kept.is_empty() && entries > 0);
    for name in kept {
        assert_eq!(value(&store, &name).await, Some(0), "{name}");
    }
    let segments = store.read_all(&SEGMENTS, params![DEFAULT]).await.unwrap();
    let written: i64 = segments.iter().map(|row| row.int(1).unwrap()).sum();
    assert!(written >= entries, "{written} of {entries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_lose_commits_is_refused() {
    let place = Place::postgres();
    let store::Location::Server(address) = &place.location else { unreachable!() };
    let options = store::Options {
        location: store::Location::Server(address.clone()),
        entropy: Box::new(crate::place::entropy()),
        clock: place.clock.clone(),
        allow_unsafe_durability: false,
    };
    let refused = store::Store::open(options).await.err().unwrap();
    assert!(matches!(&refused, Error::Refused(why) if why.contains("fsync")), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_another_process_are_heard() {
    let place = Place::postgres();
    let (one, two) = (place.open().await, place.open().await);
    let batch = Batch::new().run(&MARK_NEW, params!["a", 1_i64]).change(ChangeKind::Keys, "k");
    one.commit(batch, record("a")).await.unwrap();
    // the second commit meets a gap, reads it and delivers both in order
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    two.on_change(Arc::new(move |changes: &[store::Change]| {
        sink.lock().unwrap().extend(changes.iter().map(|change| (change.seq, change.key.clone())));
    }));
    two.commit(Batch::new().change(ChangeKind::Apis, "b"), record("b")).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [(1, "k".to_owned()), (2, "b".to_owned())]);
}

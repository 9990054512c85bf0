//! Structures that changed after they were written: found while opening or by the check, and nothing is served then.

use std::path::{Path, PathBuf};

use store::{Error, Location, Store};

use crate::place::{Place, counter, record};

fn file(place: &Place, suffix: &str) -> PathBuf {
    let Location::File(path) = &place.location else { panic!("only a file can be edited") };
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

async fn fill(store: &Store, round: u32) {
    for number in 0..200 {
        store.commit(counter(&format!("counter {round} {number} {}", "x".repeat(200))), record("a")).await.unwrap();
    }
}

async fn filled() -> Place {
    let place = Place::sqlite();
    let store = place.open().await;
    fill(&store, 1).await;
    store.close().await;
    place
}

fn flip(file: &Path, at: usize) {
    use std::os::unix::fs::FileExt as _;
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    opened.read_exact_at(&mut byte, at as u64).unwrap();
    opened.write_all_at(&[byte[0] ^ 0x20], at as u64).unwrap();
}

async fn refusal(place: &Place) -> String {
    match place.try_open().await.err() {
        Some(Error::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_database_that_was_cut_or_zeroed_is_refused() {
    let place = filled().await;
    let data = file(&place, "");
    let bytes = std::fs::read(&data).unwrap();
    for length in [1, 50, 99] {
        std::fs::write(&data, &bytes[..length]).unwrap();
        let why = refusal(&place).await;
        assert!(why.contains("store_corrupt"), "{length}: {why}");
    }
    std::fs::write(&data, vec![0; bytes.len()]).unwrap();
    assert!(refusal(&place).await.contains("store_corrupt"));
    std::fs::write(&data, &bytes).unwrap();
    place.open().await;
}

/// In the middle of what the log holds: behind it may be frames of before a checkpoint, whose damage is none.
fn middle(log: &Path) -> usize {
    let bytes = std::fs::read(log).unwrap();
    let page = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
    let frame = usize::try_from(page).unwrap() + 24;
    let is_live = |number: &usize| bytes.get(32 + number * frame + 8..32 + number * frame + 16) == Some(&bytes[16..24]);
    let live = (0..bytes.len() / frame).take_while(is_live).count();
    assert!(live >= 2, "there is one to damage and one behind it");
    32 + live / 2 * frame - 100
}

#[tokio::test]
async fn a_damaged_log_is_refused_instead_of_forgetting_what_came_after() {
    let place = filled().await;
    let store = place.open().await;
    fill(&store, 2).await;
    // What a crash at this moment leaves behind.
    let files = ["", "-wal"].map(|suffix| file(&place, suffix));
    let left = files.clone().map(|file| std::fs::read(file).unwrap());
    store.close().await;
    drop(store);
    for (file, bytes) in files.iter().zip(&left) {
        std::fs::write(file, bytes).unwrap();
    }
    let [_, log] = files;
    for at in [5, 20, 40, 3000, middle(&log)] {
        flip(&log, at);
        let why = refusal(&place).await;
        assert!(why.contains("store_corrupt") && why.contains("log"), "byte {at}: {why}");
        flip(&log, at);
    }
    let store = place.open().await;
    assert!(store.is_check_due(), "it had not ended cleanly");
    assert_eq!(store.check().await.unwrap(), None);
}

#[tokio::test]
async fn damage_under_a_running_store_is_found_by_the_check_and_ends_its_writing() {
    let place = filled().await;
    let store = place.open().await;
    assert_eq!(store.check().await.unwrap(), None);
    assert!(!store.is_fenced() && store.troubles().is_empty());
    // The first byte of a page of a tree says what kind of page it is.
    for page in 8..20 {
        flip(&file(&place, ""), 4096 * page);
    }
    assert!(store.check().await.unwrap().is_some());
    assert!(store.is_fenced());
    assert_eq!(store.troubles().iter().map(|trouble| trouble.code).collect::<Vec<_>>(), ["store_corrupt"]);
    let refused = store.commit(counter("late"), record("late")).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
}

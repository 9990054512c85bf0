//! Slow and silent peers, and the caps on how many there may be.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::rig::{Rig, answers, limits};

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_peer_that_sends_nothing_is_closed_without_an_answer() {
    let mut limits = limits();
    limits.first_byte = SHORT;
    let rig = Rig::plain(limits).await;
    assert_eq!(rig.connect().await.until_closed().await, "");
    assert_eq!(rig.stats.timed_out(), 1);
}

#[tokio::test]
async fn a_head_that_never_ends_gets_408_even_if_bytes_keep_coming() {
    let mut limits = limits();
    limits.head = SHORT;
    let rig = Rig::plain(limits).await;
    let started = Instant::now();
    let mut peer = rig.connect().await;
    peer.send("GET / HTTP/1.1\r\nHost: a\r\nX-A: ").await;
    let (mut reading, mut writing) = peer.0.into_split();
    let drip = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut writing, b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), reading.read_to_end(&mut answer)).await.unwrap();
    drip.abort();
    assert!(started.elapsed() >= SHORT);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answers(&answer) == 1, "{answer}");
}

#[tokio::test]
async fn half_an_http2_preface_is_a_slow_head_too() {
    let mut limits = limits();
    limits.head = SHORT;
    let rig = Rig::plain(limits).await;
    let mut peer = rig.connect().await;
    peer.send("PRI * HT").await;
    assert!(peer.until_closed().await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn an_idle_connection_outlives_the_head_deadline_and_ends_at_its_own() {
    let mut limits = limits();
    limits.head = Duration::from_millis(50);
    limits.keepalive = Duration::from_millis(400);
    let rig = Rig::plain(limits).await;
    let mut peer = rig.connect().await;
    for _ in 0..2 {
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        peer.until("hello").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let started = Instant::now();
    assert_eq!(peer.until_closed().await, "");
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(rig.stats.accepted(), 1);
}

#[tokio::test]
async fn a_body_that_stops_coming_gets_408_and_the_connection_closes() {
    let mut limits = limits();
    limits.body = SHORT;
    let rig = Rig::plain(limits).await;
    let answer = rig.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_peer_that_never_reads_its_answer_is_cut_off() {
    let mut limits = limits();
    limits.write_stall = SHORT;
    let rig = Rig::plain(limits).await;
    let mut peer = rig.connect().await;
    peer.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let waited = async {
        while rig.stats.timed_out() == 0 || rig.stats.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waited).await.expect("the stalled connection stays open");
    assert!(peer.until_closed().await.len() < 32 << 20, "the answer was cut");
}

#[tokio::test]
async fn a_slow_answer_is_not_an_idle_connection() {
    let mut limits = limits();
    limits.head = SHORT;
    limits.keepalive = SHORT;
    limits.write_stall = SHORT;
    let rig = Rig::plain(limits).await;
    let mut peer = rig.connect().await;
    peer.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    rig.entered.notified().await;
    tokio::time::sleep(SHORT * 3).await;
    rig.release.notify_one();
    peer.until("held\n").await;
}

#[tokio::test]
async fn a_source_at_its_cap_with_all_connections_busy_is_refused_and_recovers() {
    let mut limits = limits();
    limits.connections_per_source = 2;
    let rig = Rig::plain(limits).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut peer = rig.connect().await;
        peer.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
        rig.entered.notified().await;
        busy.push(peer);
    }
    assert_eq!(rig.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    assert_eq!(rig.stats.refused_source(), 1);
    for peer in &mut busy {
        rig.release.notify_one();
        peer.until("held\n").await;
    }
    // Both are idle now: the longer idle one makes room.
    let mut next = rig.connect().await;
    next.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    next.until("hello").await;
    assert_eq!(rig.stats.evicted(), 1);
}

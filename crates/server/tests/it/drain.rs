//! Stopping: what is in flight finishes, what is idle goes, nothing new comes.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::rig::{Rig, limits};

#[tokio::test]
async fn a_stop_finishes_the_request_in_flight_and_closes_the_idle_and_the_silent() {
    let mut rig = Rig::plain(limits()).await;
    let mut silent = rig.connect().await;
    let mut idle = rig.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.until("hello").await;
    let mut busy = rig.connect().await;
    busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    rig.entered.notified().await;

    let served = rig.stop();
    assert_eq!(idle.until_closed().await, "");
    assert_eq!(silent.until_closed().await, "");
    assert!(TcpStream::connect(rig.address).await.is_err(), "a new connection was accepted while draining");
    assert!(!served.is_finished());

    rig.release.notify_one();
    let answer = busy.until_closed().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("held\n"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    timeout(Duration::from_secs(5), served).await.expect("the drain did not end").unwrap().unwrap();
    assert_eq!(rig.stats.open(), 0);
}

#[tokio::test]
async fn what_does_not_finish_within_the_drain_time_is_cut_off() {
    let mut limits = limits();
    limits.drain = Duration::from_millis(200);
    let mut rig = Rig::plain(limits).await;
    let mut busy = rig.connect().await;
    busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    rig.entered.notified().await;
    let started = Instant::now();
    let served = rig.stop();
    timeout(Duration::from_secs(5), served).await.expect("the drain did not end").unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(busy.until_closed().await, "");
}

//! The floors answer, and the generator counts what was answered and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use jose::Alg;
use tokio::net::TcpListener;

use crate::client::{Connection, find, member};
use crate::floor::{Kind as Floor, SECRET, serve};
use crate::load::{Bounds, Outcome, run};
use crate::workload::{Kind, Workload, token_request};

async fn floor(kind: Floor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(kind, listener));
    address
}

fn bounds(requests: u64) -> Bounds {
    Bounds { conns: 4, rate: 0, warmup: Duration::ZERO, window: Duration::from_mins(1), requests }
}

fn clients(secret: &str) -> Vec<(String, String)> {
    (0..3).map(|number| (format!("client-{number}"), secret.to_owned())).collect()
}

#[tokio::test]
async fn the_generator_counts_exactly_the_requests_it_was_bounded_to() {
    let outcome = run(floor(Floor::Plain).await, Workload::get("/livez"), bounds(1_000)).await.unwrap();
    assert_eq!(outcome.answers, 1_000);
    assert!(outcome.p50 > 0.0 && outcome.p50 <= outcome.p99 && outcome.p99 <= outcome.p999);
    assert_eq!(Outcome::from_json(&outcome.to_json()).unwrap(), outcome);
}

#[tokio::test]
async fn tokens_of_a_floor_verify_against_its_published_keys() {
    for alg in [Alg::Es256, Alg::EdDsa] {
        let outcome = run(floor(Floor::Token(alg)).await, Workload::tokens(clients(SECRET)), bounds(100)).await;
        assert_eq!(outcome.unwrap().answers, 100, "{alg:?}");
    }
}

#[tokio::test]
async fn a_run_with_an_answer_that_is_not_the_expected_one_has_no_rate() {
    let address = floor(Floor::Token(Alg::Es256)).await;
    let wrong = run(address, Workload::tokens(clients("wrong")), bounds(100)).await;
    assert!(wrong.is_err());
    let mut late = clients(SECRET);
    late.extend(clients("wrong"));
    assert!(run(address, Workload::tokens(late), bounds(100)).await.is_err());
}

#[tokio::test]
async fn an_open_loop_sends_on_schedule() {
    let workload = Workload::get("/livez");
    let bounds = Bounds { rate: 2_000, window: Duration::from_millis(500), ..bounds(u64::MAX) };
    let outcome = run(floor(Floor::Plain).await, workload, bounds).await.unwrap();
    // all of the thousand were due; the last ones may be answered after the end on a busy machine
    assert!((500..=1_000).contains(&outcome.answers), "{}", outcome.answers);
}

#[tokio::test]
async fn a_workload_of_first_sights_ends_with_its_tokens() {
    let workload = Workload::introspect(Kind::IntrospectOnce, "Basic x", &["a".to_owned(), "b".to_owned()]);
    assert!(find(workload.next(None).unwrap(), b"token=a").is_some());
    assert!(find(workload.next(None).unwrap(), b"token=b").is_some());
    assert!(workload.next(None).is_none());
}

#[tokio::test]
async fn a_token_answer_is_read_member_by_member() {
    let mut connection = Connection::open(floor(Floor::Token(Alg::EdDsa)).await).await.unwrap();
    let answer = connection.exchange(&token_request("one", SECRET)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(member(answer.body, "scope"), Some("read"));
    assert_eq!(member(answer.body, "refresh_token"), None);
    let answer = connection.exchange(&token_request("one", "wrong")).await.unwrap();
    assert_eq!(answer.status, 401);
}

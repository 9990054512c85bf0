//! Request heads that are too large, malformed, or meant to be read in two ways.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, answers, limits};

/// The status of the only answer; every refusal is a problem document that closes the connection.
async fn status(request: &str) -> String {
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange(request).await;
    assert_eq!(answers(&answer), 1, "{answer}");
    let status = answer.get(9..12).unwrap_or_default();
    if !["200", "404"].contains(&status) {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for field in ["content-type: application/problem+json", "connection: close", "x-request-id: req_new"] {
            assert!(head.contains(&format!("\r\n{field}")), "{request:?}: {answer}");
        }
        let problem: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
        assert_eq!(problem["status"].to_string(), status, "{answer}");
        let code = problem["code"].as_str().unwrap();
        assert!(console::error_page(code).is_some(), "{code}");
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{answer}");
    }
    status.to_owned()
}

#[tokio::test]
async fn an_ordinary_request_is_answered_without_a_server_field_and_with_a_date() {
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    assert!(answer.contains("\r\ndate: ") && !answer.contains("\r\nserver: "), "{answer}");
}

#[tokio::test]
async fn a_head_over_16_kibibytes_gets_431() {
    let field = "a".repeat(17_000);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {field}\r\n\r\n")).await, "431");
    let endless = "a".repeat(100_000);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {endless}")).await, "431");
}

#[tokio::test]
async fn a_hundred_fields_pass_and_one_more_gets_431() {
    let fields = |count: usize| (1..count).fold(String::new(), |text, i| text + &format!("X-{i}: 1\r\n"));
    let request = |count| format!("GET / HTTP/1.1\r\nConnection: close\r\n{}Host: a\r\n\r\n", fields(count));
    assert_eq!(status(&request(99)).await, "200");
    assert_eq!(status(&request(100)).await, "431");
}

#[tokio::test]
async fn a_url_over_8_kibibytes_gets_414() {
    let request = |length: usize| {
        let path = "a".repeat(length.saturating_sub(1));
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    };
    assert_eq!(status(&request(8192)).await, "404");
    assert_eq!(status(&request(8193)).await, "414");
}

#[tokio::test]
async fn heads_that_two_readers_would_read_differently_get_400_and_close() {
    for request in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded_For: 1.1.1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\r\n\r\n",
    ] {
        assert_eq!(status(request).await, "400", "{request:?}");
    }
}

#[tokio::test]
async fn two_equal_content_lengths_count_as_one() {
    let request =
        "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok";
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn transfer_encoding_decides_over_content_length_and_then_the_connection_closes() {
    let rig = Rig::plain(limits()).await;
    let (te, cl) = ("Transfer-Encoding: chunked\r\n", "Content-Length: 6\r\n");
    for fields in [format!("{te}{cl}"), format!("{cl}{te}")] {
        let smuggled = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n{smuggled}");
        let answer = rig.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answers(&answer) == 1, "{answer}");
    }
}

#[tokio::test]
async fn a_bare_line_feed_ends_a_line_and_never_makes_two_requests_of_one() {
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange("GET / HTTP/1.1\nHost: a\nConnection: close\n\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answers(&answer) == 1, "{answer}");
    let smuggled = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-A: b\n\nGET /who HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = rig.exchange(smuggled).await;
    assert_eq!(answers(&answer), 1, "{answer}");
    let chunk = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 1;\nx\r\n1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = rig.exchange(chunk).await;
    assert!(answers(&answer) == 1 && answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn an_early_refusal_reaches_a_peer_that_is_still_sending() {
    let rig = Rig::plain(limits()).await;
    let mut peer = rig.connect().await;
    let (path, body) = ("a".repeat(9000), "b".repeat(512 << 10));
    peer.send(&format!("POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    peer.0.shutdown().await.unwrap();
    let mut answer = String::new();
    peer.0.read_to_string(&mut answer).await.expect("the connection was reset");
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[tokio::test]
async fn a_body_in_a_coding_that_is_not_understood_gets_501_and_close() {
    for value in ["gzip, chunked", "identity, chunked", "gzip\r\nTransfer-Encoding: chunked"] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n");
        assert_eq!(status(&request).await, "501", "{value}");
    }
}

#[tokio::test]
async fn refusals_below_oauth2_are_oauth_errors_as_far_as_the_path_was_read() {
    let rig = Rig::plain(limits()).await;
    let long = "a".repeat(17_000);
    for (request, status) in [
        ("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400"),
        ("POST /t/acme/oauth2/token HTTP/1.1\r\nHost: a\r\nA\r\n\r\n".to_owned(), "400"),
        ("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab".to_owned(), "400"),
        (format!("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431"),
        (format!("GET /oauth2/{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..8200]), "414"),
        ("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), "501"),
    ] {
        let answer = rig.exchange(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for field in ["content-type: application/json", "cache-control: no-store", "x-request-id: req_new"] {
            assert!(head.contains(&format!("\r\n{field}")), "{answer}");
        }
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"], "invalid_request", "{answer}");
        let text = body["error_description"].as_str().unwrap();
        assert!(text.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\'), "{text}");
    }
}

#[tokio::test]
async fn a_refused_head_behind_answered_requests_gets_its_own_answer_after_theirs() {
    let rig = Rig::plain(limits()).await;
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad = "POST /oauth2/token HTTP/1.1\r\nHost : a\r\n\r\n";
    // All in one packet, and each sent after the answer before it.
    let at_once = rig.exchange(&format!("{good}{good}{bad}")).await;
    let mut peer = rig.connect().await;
    peer.send(good).await;
    let mut in_turn = peer.until("hello\n").await;
    peer.send(bad).await;
    in_turn.push_str(&peer.until_closed().await);
    for (answer, count) in [(at_once, 3), (in_turn, 2)] {
        assert_eq!(answers(&answer), count, "{answer}");
        let last = answer.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(last.starts_with("400 ") && last.contains("\"error\":\"invalid_request\""), "{answer}");
    }
}

#[tokio::test]
async fn a_refused_head_request_gets_no_body() {
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange("HEAD / HTTP/1.1\r\nHost : a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(!answer.contains("content-length: 0"), "{answer}");
}

#[tokio::test]
async fn a_callers_request_id_is_repeated_where_the_head_was_read() {
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange("GET / HTTP/1.1\r\nHost: a b\r\nX-Request-Id: mine-1\r\n\r\n").await;
    assert!(answer.contains("\r\nx-request-id: mine-1\r\n"), "{answer}");
}

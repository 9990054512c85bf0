//! Request heads that are too large, malformed, or meant to be read in two ways.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, answers, limits};

async fn status(request: &str) -> String {
    let rig = Rig::plain(limits()).await;
    let answer = rig.exchange(request).await;
    assert_eq!(answers(&answer), 1, "{answer}");
    answer.get(9..12).unwrap_or_default().to_owned()
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

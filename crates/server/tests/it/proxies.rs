//! Who the client is, as the application sees it.

use crate::rig::{Rig, limits, options};

async fn seen(trusted: &[&str], fields: &str) -> String {
    let mut options = options(limits());
    options.trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
    let rig = Rig::start(options).await;
    let answer = rig.exchange(&format!("GET /who HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n")).await;
    answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim_end().to_owned()
}

#[tokio::test]
async fn a_stranger_cannot_say_who_it_is() {
    let fields = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.1\r\n\
                  X-Real-IP: 192.0.2.1\r\nClient-Cert: :AA==:\r\n";
    assert_eq!(seen(&[], fields).await, "client=127.0.0.1 transport=Plain fields=connection");
    assert_eq!(seen(&["10.0.0.0/8"], fields).await, "client=127.0.0.1 transport=Plain fields=connection");
}

#[tokio::test]
async fn a_named_proxy_says_who_the_client_is_and_only_its_own_word_counts() {
    let fields = "X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
    let expected = "client=192.0.2.1 transport=Tls fields=x-forwarded-for,x-forwarded-proto,connection";
    assert_eq!(seen(&["127.0.0.0/8"], fields).await, expected);
    let fields = "Forwarded: for=198.51.100.1\r\nX-Real-IP: 198.51.100.1\r\n";
    assert!(seen(&["127.0.0.0/8"], fields).await.starts_with("client=127.0.0.1 transport=Plain "));
}

//! Who the client is, as the application sees it.

use crate::rig::{Rig, limits, options};

async fn asked(trusted: &[&str], fields: &str) -> String {
    let mut options = options(limits());
    options.trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
    let rig = Rig::start(options).await;
    rig.exchange(&format!("GET /who HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n")).await
}

async fn seen(trusted: &[&str], fields: &str) -> String {
    asked(trusted, fields).await.split("\r\n\r\n").nth(1).unwrap_or_default().trim_end().to_owned()
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

#[tokio::test]
async fn a_look_alike_of_a_field_about_the_caller_is_refused_whoever_sends_it() {
    for trusted in [&[][..], &["127.0.0.0/8"]] {
        for field in
            ["X_Forwarded_For", "x-forwarded_for", "X_Real_IP", "Client_Cert", "Forwarded_", "Proxy_Authorization"]
        {
            let answer = asked(trusted, &format!("{field}: 192.0.2.1\r\n")).await;
            let expected = if field == "Forwarded_" { "HTTP/1.1 200 " } else { "HTTP/1.1 400 " };
            assert!(answer.starts_with(expected), "{field}: {answer}");
        }
        for field in ["authorization", "X-Forwarded-For", "x_forwarded_for", "dpop", "close, Cookie"] {
            let answer = asked(trusted, &format!("Authorization: Basic eA==\r\nConnection: {field}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{field}: {answer}");
        }
        // A health probe is a caller like any other.
        let forwarded = "X-Forwarded-For: 192.0.2.1\r\n";
        let probe = seen(trusted, &format!("User-Agent: kube-probe/1.30\r\n{forwarded}")).await;
        assert_eq!(probe.replace("user-agent,", ""), seen(trusted, forwarded).await);
    }
}

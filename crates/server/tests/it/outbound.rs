//! The guarded connector: where it goes, where it does not, and how long it bears with whom it reaches.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use kernel::target::{Opening, Policy, Refusal, check};
use server::config::{Config, Overrides};
use server::outbound::guarded::{Call, CallError, Guarded, Reply, Resolve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Answers one look-up after the other; the last answer stays.
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Names {
    fn resolve(&self, _: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap()) })
    }
}

/// A server that counts whom it accepts and gives each the same bytes, the last of them again and again if it is endless.
struct Peer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Peer {
    async fn at(address: &str, says: &'static [u8], is_endless: bool) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (accepted, heard) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let peer = Self { address: listener.local_addr().unwrap(), accepted: accepted.clone(), heard: heard.clone() };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(tcp, says, is_endless, heard.clone()));
            }
        });
        peer
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/in?a=b", self.address.port())
    }
}

async fn serve(mut tcp: TcpStream, says: &'static [u8], is_endless: bool, heard: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    let read = tcp.read(&mut buffer).await.unwrap_or(0);
    heard.lock().unwrap().extend_from_slice(&buffer[..read]);
    if tcp.write_all(says).await.is_err() {
        return;
    }
    while is_endless && tcp.write_all(&[b'a'; 8_192]).await.is_ok() {}
    // a peer that has nothing to say says nothing until it is left
    while tcp.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

fn opening(allow: &[&str]) -> Policy {
    Policy::new(allow.iter().map(|text| text.parse::<Opening>().unwrap()).collect(), Vec::new())
}

fn guarded(policy: Policy, names: Arc<Names>) -> Guarded {
    Guarded::new(policy, names, server::outbound::tls(None).unwrap())
}

fn call(url: &str) -> Call<'_> {
    Call {
        url,
        has_plain: true,
        fields: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        within: Duration::from_secs(5),
        read_max: 64 << 10,
    }
}

fn replied(status: u16) -> Reply {
    Reply { status: StatusCode::from_u16(status).unwrap(), retry_after: None }
}

#[tokio::test]
async fn an_opened_target_gets_the_request_and_its_opening_is_named_once() {
    let peer =
        Peer::at("127.0.0.1:0", b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno", false).await;
    let guarded = guarded(opening(&["hooks.internal"]), Names::of(&[&["127.0.0.1"]]));
    let url = peer.url("hooks.internal");
    let fields = HeaderMap::from_iter([(HeaderName::from_static("webhook-id"), HeaderValue::from_static("evt_1"))]);
    let reply = guarded.post(Call { fields, ..call(&url) }).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.retry_after.as_deref()), (429, Some("7")));
    let heard = String::from_utf8(peer.heard.lock().unwrap().clone()).unwrap();
    assert!(heard.starts_with("POST /in?a=b HTTP/1.1\r\n"), "{heard}");
    for line in [
        format!("host: hooks.internal:{}\r\n", peer.address.port()),
        "webhook-id: evt_1\r\n".to_owned(),
        "content-length: 2\r\n".to_owned(),
        "connection: close\r\n".to_owned(),
    ] {
        assert!(heard.contains(&line), "{line} in {heard}");
    }
    assert_eq!(guarded.fresh_openings(), ["hooks.internal"]);
    guarded.post(call(&url)).await.unwrap();
    assert!(guarded.fresh_openings().is_empty(), "once after a start");
}

#[tokio::test]
async fn a_name_that_leads_to_a_closed_address_is_not_connected_to() {
    let listeners = [Peer::at("127.0.0.1:0", OK, false).await, Peer::at("[::1]:0", OK, false).await];
    let closed = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for address in closed {
        for listener in &listeners {
            let guarded = guarded(Policy::new(Vec::new(), vec![listener.address.port()]), Names::of(&[&[address]]));
            let url = listener.url("a.example");
            let call = Call { within: Duration::from_millis(300), ..call(&url) };
            assert_eq!(guarded.post(call).await, Err(CallError::AddressNotAllowed), "{address}");
        }
    }
    assert_eq!(listeners.map(|listener| listener.accepted()), [0, 0], "nobody was connected to");
}

#[tokio::test]
async fn of_several_addresses_only_the_permitted_are_tried() {
    let closed = Peer::at("127.0.0.1:0", OK, false).await;
    let open = Peer::at(&format!("127.0.0.2:{}", closed.address.port()), OK, false).await;
    let policy =
        Policy::new(["127.0.0.2", "127.0.0.3"].map(|text| text.parse().unwrap()).to_vec(), vec![closed.address.port()]);
    let guarded = guarded(policy, Names::of(&[&["127.0.0.1", "127.0.0.3", "127.0.0.2"]]));
    assert_eq!(guarded.post(call(&closed.url("a.example"))).await, Ok(replied(204)));
    assert_eq!((closed.accepted(), open.accepted()), (0, 1));
}

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_connected_to() {
    let judged = Peer::at("127.0.0.1:0", OK, false).await;
    let rebound = Peer::at(&format!("127.0.0.3:{}", judged.address.port()), OK, false).await;
    let names = Names::of(&[&["127.0.0.1"], &["127.0.0.3"]]);
    let policy = Policy::new(vec!["127.0.0.1".parse().unwrap()], vec![judged.address.port()]);
    let guarded = guarded(policy, Arc::clone(&names));
    assert_eq!(guarded.post(call(&judged.url("a.example"))).await, Ok(replied(204)));
    assert_eq!((judged.accepted(), rebound.accepted(), names.asked.load(Ordering::SeqCst)), (1, 0, 1));
    assert_eq!(guarded.post(call(&judged.url("a.example"))).await, Err(CallError::AddressNotAllowed));
    assert_eq!(rebound.accepted(), 0);
}

#[tokio::test]
async fn a_closed_address_cannot_be_configured_however_it_is_written() {
    let policy = Policy::default();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "127.0.0.1.",
        "169.254.169.254",
        "2852039166",
        "10.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[fd00::1]",
        "[fe80::1]",
        "localhost",
        "a.localhost",
    ] {
        assert_eq!(check(&format!("https://{host}/"), &policy), Err(Refusal::Address), "{host}");
    }
}

#[tokio::test]
async fn plain_http_is_spoken_only_where_it_was_allowed() {
    let peer = Peer::at("127.0.0.1:0", OK, false).await;
    let guarded = guarded(opening(&["127.0.0.1"]), Names::of(&[&[]]));
    let url = peer.url("127.0.0.1");
    assert_eq!(guarded.post(Call { has_plain: false, ..call(&url) }).await, Err(CallError::AddressNotAllowed));
    assert_eq!(peer.accepted(), 0);
    assert_eq!(guarded.post(call(&url)).await, Ok(replied(204)));
}

#[test]
fn an_entry_that_opens_everything_is_refused() {
    for entry in ["0.0.0.0/0", "::/0"] {
        let env = [("BASTIONARY_OUTBOUND_ALLOW".to_owned(), format!("10.0.0.0/8, {entry}"))].into();
        let refused = Config::load(None, &env, Overrides::default()).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|text| text.contains("/0 names every address there is")), "{entry}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inner = Peer::at("127.0.0.1:0", OK, false).await;
    let says = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", inner.url("127.0.0.1"));
    let outer = Peer::at("127.0.0.1:0", says.leak().as_bytes(), false).await;
    let guarded = guarded(opening(&["127.0.0.1"]), Names::of(&[&[]]));
    assert_eq!(guarded.post(call(&outer.url("127.0.0.1"))).await, Ok(replied(302)));
    assert_eq!((outer.accepted(), inner.accepted()), (1, 0));
}

#[tokio::test]
async fn one_deadline_spans_everything_up_to_the_head() {
    let silent = Peer::at("127.0.0.1:0", b"", false).await;
    let dripping = Peer::at("127.0.0.1:0", b"HTTP/1.1 200 OK\r\nX: ", false).await;
    let guarded = guarded(opening(&["127.0.0.1"]), Names::of(&[&[]]));
    let plain = |peer: &Peer| peer.url("127.0.0.1");
    for url in [plain(&silent), plain(&dripping), plain(&silent).replace("http:", "https:")] {
        let start = Instant::now();
        let call = Call { within: Duration::from_millis(400), ..call(&url) };
        assert_eq!(guarded.post(call).await, Err(CallError::Timeout), "{url}");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(3), "{url} took {took:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_left_and_a_head_without_end_is_an_error() {
    let body = Peer::at("127.0.0.1:0", b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", true).await;
    let head = Peer::at("127.0.0.1:0", b"HTTP/1.1 200 OK\r\nX: ", true).await;
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:1\r\n".repeat(101));
    let many = Peer::at("127.0.0.1:0", many.leak().as_bytes(), false).await;
    let noise = Peer::at("127.0.0.1:0", b"SSH-2.0-OpenSSH\r\n\r\n", false).await;
    let guarded = guarded(opening(&["127.0.0.1"]), Names::of(&[&[]]));
    let start = Instant::now();
    assert_eq!(guarded.post(call(&body.url("127.0.0.1"))).await, Ok(replied(200)));
    assert!(start.elapsed() < Duration::from_secs(3), "the rest was not waited for");
    assert_eq!(guarded.post(call(&head.url("127.0.0.1"))).await, Err(CallError::TooLarge));
    assert_eq!(guarded.post(call(&many.url("127.0.0.1"))).await, Err(CallError::TooLarge));
    assert_eq!(guarded.post(call(&noise.url("127.0.0.1"))).await, Err(CallError::NoAnswer));
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_carry_the_name_of_the_host() {
    let pair = rcgen::generate_simple_self_signed(vec!["hooks.internal".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![pair.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let mut buffer = [0; 4096];
                let _ = tls.read(&mut buffer).await;
                let _ = tls.write_all(OK).await;
                let _ = tls.shutdown().await;
            }
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, pair.cert.pem()).unwrap();
    let trusting = |names: &[&str]| {
        let names = Names::of(&[names]);
        Guarded::new(
            opening(&["127.0.0.1", "hooks.internal", "other.internal"]),
            names,
            server::outbound::tls(Some(&file)).unwrap(),
        )
    };
    let url = |host: &str| format!("https://{host}:{port}/");
    let strict =
        |guarded: Guarded, url: String| async move { guarded.post(Call { has_plain: false, ..call(&url) }).await };
    assert_eq!(strict(trusting(&["127.0.0.1"]), url("hooks.internal")).await, Ok(replied(204)));
    assert_eq!(strict(trusting(&["127.0.0.1"]), url("other.internal")).await, Err(CallError::TlsFailed));
    let strange = guarded(opening(&["hooks.internal"]), Names::of(&[&["127.0.0.1"]]));
    assert_eq!(strict(strange, url("hooks.internal")).await, Err(CallError::TlsFailed));
}

#[tokio::test]
async fn a_name_without_an_address_and_a_port_without_a_listener_fail_to_connect() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = guarded(opening(&["hooks.internal"]), Names::of(&[&[]]));
    assert_eq!(nobody.post(call("https://hooks.internal/")).await, Err(CallError::ConnectFailed));
    let silent = guarded(opening(&["hooks.internal"]), Names::of(&[&["127.0.0.1"]]));
    assert_eq!(silent.post(call(&format!("http://hooks.internal:{free}/"))).await, Err(CallError::ConnectFailed));
}

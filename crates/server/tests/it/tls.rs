//! TLS: both HTTP versions, silent handshakes, and a certificate replaced while serving.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use server::config::{Limits, Tls};
use server::listen::tls::Certificates;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rig::{Rig, limits, options};

fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().clone()
}

fn files(directory: &Path) -> Tls {
    Tls { cert_file: directory.join("cert.pem"), key_file: directory.join("key.pem") }
}

async fn connect(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

async fn rig(directory: &Path) -> (Rig, Arc<Certificates>) {
    rig_with(directory, limits()).await
}

async fn rig_with(directory: &Path, mut limits: Limits) -> (Rig, Arc<Certificates>) {
    let certificates = Certificates::load(&files(directory)).unwrap();
    limits.tls_handshake = Duration::from_millis(500);
    let mut options = options(limits);
    options.tls = Some(certificates.server_config().unwrap());
    (Rig::start(options).await, certificates)
}

#[tokio::test]
async fn http_1_and_http_2_are_served_over_tls_1_3() {
    let directory = tempfile::tempdir().unwrap();
    let root = write_certificate(directory.path());
    let (rig, _) = rig(directory.path()).await;
    let request =
        || http::Request::get("https://localhost/who").header("host", "localhost").body(Empty::<bytes::Bytes>::new());

    let stream = connect(rig.address, &root, "http/1.1").await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request().unwrap()).await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "client=127.0.0.1 transport=Tls fields=\n");

    let stream = connect(rig.address, &root, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request().unwrap()).await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "client=127.0.0.1 transport=Tls fields=\n");
}

type Sender = hyper::client::conn::http2::SendRequest<Empty<bytes::Bytes>>;

async fn http2(rig: &Rig, root: &CertificateDer<'static>) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let stream = connect(rig.address, root, "h2").await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn get(path: &str) -> http::Request<Empty<bytes::Bytes>> {
    http::Request::get(format!("https://localhost{path}")).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_stop_sends_http2_peers_away_after_their_answers() {
    let directory = tempfile::tempdir().unwrap();
    let root = write_certificate(directory.path());
    let (mut rig, _) = rig(directory.path()).await;
    let (mut sender, connection) = http2(&rig, &root).await;
    let answer = tokio::spawn(sender.send_request(get("/held")));
    rig.entered.notified().await;
    let served = rig.stop();
    rig.release.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    timeout(Duration::from_secs(4), connection).await.expect("no GOAWAY came").unwrap().unwrap();
    timeout(Duration::from_secs(4), served).await.expect("the drain did not end").unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_http2_connection_is_sent_away() {
    let directory = tempfile::tempdir().unwrap();
    let root = write_certificate(directory.path());
    let mut limits = limits();
    limits.keepalive = Duration::from_millis(150);
    let (rig, _) = rig_with(directory.path(), limits).await;
    let (mut sender, connection) = http2(&rig, &root).await;
    assert_eq!(sender.send_request(get("/")).await.unwrap().status(), 200);
    timeout(Duration::from_secs(4), connection).await.expect("no GOAWAY came").unwrap().unwrap();
    drop(sender);
}

#[tokio::test]
async fn an_http2_answer_that_is_never_read_ends_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let root = write_certificate(directory.path());
    let mut limits = limits();
    limits.write_stall = Duration::from_millis(150);
    let (rig, _) = rig_with(directory.path(), limits).await;
    let (mut sender, connection) = http2(&rig, &root).await;
    let answer = sender.send_request(get("/endless")).await.unwrap();
    let ended = timeout(Duration::from_secs(4), connection).await.expect("the stalled connection stays open");
    drop((ended, answer));
    assert_eq!(rig.stats.timed_out(), 1);
}

#[tokio::test]
async fn an_http2_field_list_over_16_kibibytes_gets_431_and_a_long_url_414() {
    let directory = tempfile::tempdir().unwrap();
    let root = write_certificate(directory.path());
    let (rig, _) = rig(directory.path()).await;
    let (mut sender, _connection) = http2(&rig, &root).await;
    let long = format!("/{}", "a".repeat(9000));
    assert_eq!(sender.send_request(get(&long)).await.unwrap().status(), 414);
    let mut request = get("/");
    request.headers_mut().insert("x-a", "a".repeat(17_000).parse().unwrap());
    assert_eq!(sender.send_request(request).await.unwrap().status(), 431);
}

#[tokio::test]
async fn a_hangup_reloads_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path());
    let (rig, certificates) = rig(directory.path()).await;
    // Installed before the signal is sent, so that it cannot end the process.
    let mut hangup = signal(SignalKind::hangup()).unwrap();
    let watch = tokio::spawn(Arc::clone(&certificates).watch(Duration::from_hours(1)));
    tokio::task::yield_now().await;
    let second = write_certificate(directory.path());
    let sent = std::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
    hangup.recv().await;
    let reloaded = async {
        while connect(rig.address, &second, "http/1.1").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(4), reloaded).await.expect("the certificate was not reloaded");
    watch.abort();
}

#[tokio::test]
async fn a_handshake_that_does_not_proceed_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path());
    let (rig, _) = rig(directory.path()).await;
    let mut peer = rig.connect().await;
    peer.send("\u{16}\u{3}\u{1}").await;
    assert_eq!(peer.until_closed().await, "");
    assert_eq!(rig.stats.handshake_failed(), 1);
}

#[tokio::test]
async fn a_replaced_certificate_serves_the_next_connection_and_a_broken_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let first = write_certificate(directory.path());
    let (rig, certificates) = rig(directory.path()).await;
    assert!(!certificates.reload_if_changed().unwrap());

    let second = write_certificate(directory.path());
    let later = std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    std::fs::File::open(directory.path().join("cert.pem")).unwrap().set_modified(later).unwrap();
    assert!(certificates.reload_if_changed().unwrap());
    assert!(connect(rig.address, &second, "http/1.1").await.is_ok());
    assert!(connect(rig.address, &first, "http/1.1").await.is_err());

    let key = std::fs::read(directory.path().join("key.pem")).unwrap();
    write_certificate(directory.path());
    std::fs::write(directory.path().join("key.pem"), key).unwrap();
    let error = certificates.reload().unwrap_err().to_string();
    assert!(error.contains("tls.key_file"), "{error}");
    std::fs::write(directory.path().join("cert.pem"), "nonsense").unwrap();
    let error = certificates.reload().unwrap_err().to_string();
    assert!(error.contains("tls.cert_file"), "{error}");
    assert!(connect(rig.address, &second, "http/1.1").await.is_ok());
}

#[tokio::test]
async fn missing_files_are_named_with_their_key() {
    let directory = tempfile::tempdir().unwrap();
    let error = Certificates::load(&files(directory.path())).unwrap_err().to_string();
    assert!(error.contains("`tls.cert_file` = ") && error.contains("cert.pem"), "{error}");
}

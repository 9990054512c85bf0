//! TLS: both HTTP versions, silent handshakes, and a certificate replaced while serving.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use server::config::Tls;
use server::listen::tls::Certificates;
use tokio::net::TcpStream;
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
    let certificates = Certificates::load(&files(directory)).unwrap();
    let mut limits = limits();
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
    let request = || http::Request::get("https://localhost/who").header("host", "localhost").body(Empty::<bytes::Bytes>::new());

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

#[tokio::test]
async fn an_idle_http2_connection_is_sent_away_and_a_drain_ends() {
    let directory = tempfile::tempdir().unwrap();
    let root = write_certificate(directory.path());
    let (mut rig, _) = rig(directory.path()).await;
    let stream = connect(rig.address, &root, "h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(Empty::<bytes::Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    let served = rig.stop();
    tokio::time::timeout(Duration::from_secs(4), connection).await.expect("no GOAWAY came").unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(4), served).await.expect("the drain did not end").unwrap().unwrap();
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

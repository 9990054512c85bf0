//! A listener with a small application, and raw peers to talk to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::oauth_error::ErrorPages;
use api::peer::{ClientAddress, Transport, is_body_too_slow};
use api::refusal::Refusal;
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use server::config::{Config, Limits, Overrides};
use server::listen::{ListenOptions, ListenStats, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No test waits longer for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) stats: Arc<ListenStats>,
    /// `/held` answers when this is notified.
    pub(crate) release: Arc<Notify>,
    /// Notified when `/held` was entered.
    pub(crate) entered: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<std::io::Result<()>>>,
}

pub(crate) fn limits() -> Limits {
    Config::load(None, &std::collections::BTreeMap::new(), Overrides::default()).unwrap().limits
}

pub(crate) fn options(limits: Limits) -> ListenOptions {
    ListenOptions { limits, trusted: Vec::new(), tls: None, refuse: Arc::new(refuse), stats: Arc::default() }
}

/// What the product answers, but for the id of the request.
fn refuse(refusal: Refusal, path: &str, headers: &HeaderMap, _: Transport) -> Response {
    let mut answer = refusal.answer(path, &ErrorPages("https://id.example".into()));
    let id = headers.get("x-request-id").cloned().unwrap_or_else(|| "req_new".parse().unwrap());
    answer.headers_mut().insert("x-request-id", id);
    answer
}

impl Rig {
    pub(crate) async fn start(options: ListenOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stats = Arc::clone(&options.stats);
        let (release, entered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, stopped) = oneshot::channel();
        let app = app(Arc::clone(&release), Arc::clone(&entered));
        let served = tokio::spawn(serve(listener, app, options, async move {
            let _ = stopped.await;
        }));
        Self { address, stats, release, entered, stop: Some(stop), served: Some(served) }
    }

    pub(crate) async fn plain(limits: Limits) -> Self {
        Self::start(options(limits)).await
    }

    pub(crate) fn stop(&mut self) -> JoinHandle<std::io::Result<()>> {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.take().unwrap()
    }

    pub(crate) async fn connect(&self) -> Peer {
        Peer(TcpStream::connect(self.address).await.unwrap())
    }

    /// One exchange on its own connection, read to its end.
    pub(crate) async fn exchange(&self, request: &str) -> String {
        let mut peer = self.connect().await;
        peer.send(request).await;
        peer.until_closed().await
    }
}

fn app(release: Arc<Notify>, entered: Arc<Notify>) -> Router {
    let held = move || {
        let (release, entered) = (Arc::clone(&release), Arc::clone(&entered));
        async move {
            entered.notify_one();
            release.notified().await;
            "held\n"
        }
    };
    Router::new()
        .route("/", get(async || "hello\n"))
        .route("/who", get(who))
        .route("/echo", post(echo))
        .route("/held", get(held))
        .route("/endless", get(async || Body::new(Endless)))
        .route("/large", get(async || vec![b'x'; 32 << 20]))
}

/// A body whose next frame is always ready.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 << 10])))))
    }
}

async fn who(
    Extension(client): Extension<ClientAddress>,
    Extension(transport): Extension<Transport>,
    headers: HeaderMap,
) -> String {
    let names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).filter(|n| *n != "host").collect();
    format!("client={} transport={transport:?} fields={}\n", client.0, names.join(","))
}

async fn echo(request: Request) -> Response {
    match request.into_body().collect().await {
        Ok(body) => Body::from(body.to_bytes()).into_response(),
        Err(error) if is_body_too_slow(&error) => StatusCode::REQUEST_TIMEOUT.into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A raw TCP peer.
pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Everything until the server closes; the test fails if it does not.
    pub(crate) async fn until_closed(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        let _ = read.expect("the server did not close the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads until the text has arrived.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut bytes = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&bytes).contains(text) {
                if self.0.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    return false;
                }
            }
            true
        };
        let found = timeout(PATIENCE, read).await.unwrap_or(false);
        let bytes = String::from_utf8_lossy(&bytes).into_owned();
        assert!(found, "{text:?} never came; got {bytes:?}");
        bytes
    }
}

/// How many answers a byte stream holds.
pub(crate) fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

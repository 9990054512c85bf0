//! A whole world for black-box tests: a store, a fake clock, seeded randomness, and the router.

use std::sync::Arc;
use std::time::Duration;

use auth::{Auth, Settings};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kernel::clock::{Clock, Timestamp};
use kernel::secret::Secret;
use kernel::tenant::DEFAULT_SLUG;
use record::tenant::TenantKind;
use serde_json::{Value, json};
use store::keyring::Keyring;
use store::{Location, Options, Store};
use testkit::{FakeClock, SeededEntropy, TempDir};
use tower::ServiceExt as _;

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Embedded,
    Server,
}

/// Declares a test that runs once per engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            use super::*;
            async fn run($world: World) $body
            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                run(World::new($crate::world::Engine::Embedded).await).await;
            }
            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn server() {
                run(World::new($crate::world::Engine::Server).await).await;
            }
        }
    )*};
}

/// One running product without sockets.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) auth: Arc<Auth>,
    pub(crate) app: Router,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) admin: String,
    pub(crate) engine: Engine,
    _directory: Option<Arc<TempDir>>,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The code of an OAuth error.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::with(engine, Settings { issuer: "https://id.example".to_owned(), ..Settings::default() }).await
    }

    /// One whose tenant `default` is a sandbox, so that no operation is closed to it.
    pub(crate) async fn sandbox(engine: Engine) -> Self {
        let issuer = "https://id.example".to_owned();
        Self::with(engine, Settings { issuer, default_kind: TenantKind::Sandbox, ..Settings::default() }).await
    }

    pub(crate) async fn with(engine: Engine, settings: Settings) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::parse("2026-06-01T12:00:00Z").unwrap()));
        let directory = TempDir::new().unwrap();
        let location = match engine {
            Engine::Embedded => Location::File(directory.path().join("bastionary.db")),
            Engine::Server => Location::Server(testkit::postgres::fresh_database().unwrap()),
        };
        let mut entropy = SeededEntropy::new(7);
        let store = Store::open(Options {
            location,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Box::new(SeededEntropy::new(11)),
            allow_unsafe_durability: true,
        })
        .await
        .unwrap();
        let keyring = Keyring::open(&store, &Secret::new([9; 32]), clock.now(), &mut entropy).await.unwrap();
        let auth = Auth::open(
            store,
            keyring,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Box::new(SeededEntropy::new(23)),
            settings,
        )
        .await
        .unwrap();
        let tenant = auth.set_up().await.unwrap();
        let who = auth.system(&tenant, "test");
        let planned = auth.plan_admin_client(&who, &tenant, Some("ops".to_owned()), None).await.unwrap();
        let secret = auth.run(planned).await.unwrap().secret.unwrap().reveal().clone();
        let app = api::router(api::App::new(Arc::clone(&auth)));
        let mut world = Self { auth, app, clock, engine, admin: String::new(), _directory: Some(Arc::new(directory)) };
        world.admin = world.token("ops", &secret, "&scope=admin").await.expect(200).json()["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        world
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        read(self.app.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Opens an answer that goes on, message by message.
    pub(crate) async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Messages {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Messages { body: answer.into_body(), text: String::new() }
    }

    pub(crate) async fn form(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.request(Method::POST, path, &all, body).await
    }

    /// A client credentials request with Basic; `more` is appended to the body.
    pub(crate) async fn token(&self, id: &str, secret: &str, more: &str) -> Answer {
        let basic = basic(id, secret);
        self.form("/oauth2/token", &[("authorization", &basic)], &format!("grant_type=client_credentials{more}")).await
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        self.admin_with(method, path, &[], body).await
    }

    pub(crate) async fn admin_with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.admin);
        let mut all = vec![("authorization", bearer.as_str())];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        if !text.is_empty() {
            all.push(("content-type", "application/json"));
        }
        all.extend_from_slice(headers);
        self.request(method, path, &all, &text).await
    }

    /// Creates a client and returns its secret.
    pub(crate) async fn client(&self, id: &str, more: Value) -> String {
        let mut body = json!({"client_id": id, "scopes": ["read", "write"]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = self.admin(Method::POST, "/api/clients", body).await.expect(201);
        answer.json()["client_secret"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn introspect(&self, id: &str, secret: &str, token: &str) -> Value {
        let basic = basic(id, secret);
        self.form("/oauth2/introspect", &[("authorization", &basic)], &format!("token={token}"))
            .await
            .expect(200)
            .json()
    }

    pub(crate) async fn revoke(&self, id: &str, secret: &str, token: &str) -> Answer {
        let basic = basic(id, secret);
        self.form("/oauth2/revoke", &[("authorization", &basic)], &format!("token={token}")).await
    }

    pub(crate) async fn refresh(&self, id: &str, secret: &str, token: &str, more: &str) -> Answer {
        let basic = basic(id, secret);
        let body = format!("grant_type=refresh_token&refresh_token={token}{more}");
        self.form("/oauth2/token", &[("authorization", &basic)], &body).await
    }

    pub(crate) async fn tenant(&self) -> Arc<record::tenant::Tenant> {
        self.auth.tenant(DEFAULT_SLUG).await.unwrap().unwrap()
    }
}

pub(crate) async fn read(response: Response) -> Answer {
    let (parts, mut body) = response.into_parts();
    let is_endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let bytes = if is_endless {
        body.frame().await.unwrap().unwrap().into_data().unwrap()
    } else {
        body.collect().await.unwrap().to_bytes()
    };
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// Server-sent events as they come.
pub(crate) struct Messages {
    body: Body,
    text: String,
}

impl Messages {
    /// The next message that is no comment; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let message = message.to_owned();
                self.text = rest.to_owned();
                if !message.starts_with(':') {
                    return Some(message);
                }
            }
            let frame =
                tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.expect("bytes in time")?;
            self.text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
    }
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|p| URL_SAFE_NO_PAD.decode(p).unwrap());
    let header = serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (header, serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

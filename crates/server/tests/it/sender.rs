//! Webhooks on their way: what arrives, when it is tried again, and who does not notice a receiver that misbehaves.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::App;
use api::readiness::Condition;
use auth::client_change::ClientFields;
use auth::setup::TenantFields;
use auth::{Auth, Settings};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose::mac::HmacKey;
use kernel::clock::{Clock, Timestamp};
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::principal::Principal;
use kernel::secret::Secret;
use kernel::target::Policy;
use record::outbox;
use record::tenant::Tenant;
use server::outbound::guarded::Guarded;
use server::sender::Sender;
use store::keyring::Keyring;
use store::{Location, Options, Store, params};
use testkit::{FakeClock, SeededEntropy, TempDir};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use webhook::Endpoint;
use webhook::change::EndpointFields;
use webhook::delivery::{Attempt, Delivery, DeliveryState, Range};
use webhook::endpoint::{Reason, State};
use webhook::schedule::AFTER_SECONDS;

use crate::outbound::{Names, Peer, opening};

/// No test waits longer for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The product with a sandbox tenant and a sender, on one engine.
struct World {
    auth: Arc<Auth>,
    app: App,
    clock: Arc<FakeClock>,
    tenant: Arc<Tenant>,
    who: Principal,
    sender: Arc<Sender>,
    running: JoinHandle<()>,
    causes: AtomicUsize,
    _directory: TempDir,
}

impl World {
    async fn new(is_embedded: bool) -> Self {
        Self::with(is_embedded, opening(&["127.0.0.1"]), Names::of(&[&["127.0.0.1"]])).await
    }

    async fn with(is_embedded: bool, policy: Policy, names: Arc<Names>) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::parse("2026-06-01T12:00:00Z").unwrap()));
        let directory = TempDir::new().unwrap();
        let location = if is_embedded {
            Location::File(directory.path().join("bastionary.db"))
        } else {
            Location::Server(testkit::postgres::fresh_database().unwrap())
        };
        let machine = Arc::clone(&clock) as Arc<dyn Clock>;
        let entropy = Box::new(SeededEntropy::new(11));
        let options = Options { location, clock: Arc::clone(&machine), entropy, allow_unsafe_durability: true };
        let store = Store::open(options).await.unwrap();
        let mut entropy = SeededEntropy::new(7);
        let keyring = Keyring::open(&store, &Secret::new([9; 32]), clock.now(), &mut entropy).await.unwrap();
        let settings =
            Settings { issuer: "https://id.example".to_owned(), outbound: policy.clone(), ..Settings::default() };
        let auth = Auth::open(store, keyring, machine, Box::new(SeededEntropy::new(23)), settings).await.unwrap();
        let home = auth.set_up().await.unwrap();
        let who = auth.system(&home, "test");
        let fields =
            TenantFields { slug: Some("acme".to_owned()), kind: Some("sandbox".to_owned()), ..TenantFields::default() };
        let planned = auth.create_tenant(&who, fields).await.unwrap();
        auth.run(planned).await.unwrap();
        let tenant = auth.tenant("acme").await.unwrap().unwrap();
        let who = auth.system(&tenant, "test");
        let app = App::new(Arc::clone(&auth));
        let sender = sender(&app, policy, names);
        let running = keep_going(&sender);
        let causes = AtomicUsize::new(0);
        Self { auth, app, clock, tenant, who, sender, running, causes, _directory: directory }
    }

    /// An endpoint that asks for the creation of clients, and its secret.
    async fn endpoint(&self, url: &str, adjust: impl FnOnce(&mut EndpointFields)) -> (Endpoint, String) {
        let mut fields = EndpointFields {
            url: Field::Value(url.to_owned()),
            types: Field::Value(vec!["client.created".to_owned()]),
            ..EndpointFields::default()
        };
        adjust(&mut fields);
        let planned = webhook::change::create(&self.auth, &self.who, &self.tenant, fields).await.unwrap();
        let saved = self.auth.run(planned).await.unwrap();
        (saved.endpoint, saved.secret.map(|secret| secret.reveal().clone()).unwrap_or_default())
    }

    /// Creates a client, which is an event.
    async fn cause(&self) {
        let id = format!("client-{}", self.causes.fetch_add(1, Ordering::SeqCst));
        let fields = ClientFields { client_id: Field::Value(id), ..ClientFields::default() };
        let planned = self.auth.create_client(&self.who, &self.tenant, fields).await.unwrap();
        self.auth.run(planned).await.unwrap();
    }

    async fn read(&self, endpoint: &Endpoint) -> Endpoint {
        webhook::endpoint::read(&self.auth.store, self.tenant.id, endpoint.id).await.unwrap().unwrap()
    }

    /// The deliveries of an endpoint, in the order of their events.
    async fn deliveries(&self, endpoint: &Endpoint) -> Vec<Delivery> {
        let (store, tenant) = (&self.auth.store, self.tenant.id);
        let mut found =
            webhook::delivery::list(store, tenant, endpoint.id, &Range::default(), (None, 200)).await.unwrap();
        found.sort_by_key(|delivery| delivery.event_position);
        found
    }

    async fn attempts(&self, endpoint: &Endpoint, id: Id<id::Delivery>) -> Vec<Attempt> {
        webhook::delivery::read(&self.auth.store, self.tenant.id, endpoint.id, id).await.unwrap().unwrap().1
    }

    /// Waits until the deliveries of an endpoint are as they should be.
    async fn until(&self, endpoint: &Endpoint, what: &str, holds: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.deliveries(endpoint).await;
            if holds(&found) {
                return found;
            }
            assert!(Instant::now() < end, "{what} never came: {found:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_attempts(&self, endpoint: &Endpoint, attempts: i64) -> Delivery {
        let what = format!("attempt {attempts}");
        let found = self.until(endpoint, &what, |found| found.len() == 1 && found[0].attempts >= attempts).await;
        found.into_iter().next().unwrap()
    }

    /// The `data` of the events of a type, and of which the endpoint is the object.
    async fn told(&self, kind: &str, endpoint: &Endpoint) -> Vec<serde_json::Value> {
        let events = outbox::events_after(&self.auth.store, self.tenant.id, 0, 200).await.unwrap();
        let id = endpoint.id.to_string();
        let data = events.iter().filter(|event| event.kind == kind).map(|event| event.wire("acme").unwrap());
        data.map(|event| event["data"].clone()).filter(|data| data["id"] == id.as_str()).collect()
    }

    async fn stop(self) {
        self.running.abort();
        self.sender.finish().await;
        self.auth.store.close().await;
    }
}

/// Waits until `/readyz` names a condition, or names it no more; figures are taken every ten seconds.
async fn until_condition(world: &World, condition: Condition, holds: bool) {
    for _ in 0..400 {
        if world.app.readiness.holding(world.clock.now()).iter().any(|(held, _)| *held == condition) == holds {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{condition:?} is not {holds} after 20 s");
}

fn sender(app: &App, policy: Policy, names: Arc<Names>) -> Arc<Sender> {
    Sender::new(app, Guarded::new(policy, names, None), "here".to_owned())
}

fn keep_going(sender: &Arc<Sender>) -> JoinHandle<()> {
    let sender = Arc::clone(sender);
    tokio::spawn(async move {
        loop {
            Arc::clone(&sender).round().await;
        }
    })
}

/// One message as it arrived.
#[derive(Clone)]
struct Message {
    at: Instant,
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether one of the signatures is by this secret.
    fn is_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let head = format!("{}.{}.", self.field("webhook-id"), self.field("webhook-timestamp"));
        let tag = HmacKey::new(&key.try_into().unwrap()).tag(&[head.as_bytes(), &self.body].concat());
        let expected = format!("v1,{}", STANDARD.encode(tag));
        self.field("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

/// A status with header fields.
type Said = (u16, &'static [(&'static str, &'static str)]);

/// A receiver that answers as it was told, and after that always alike: with 204 unless something else was asked for.
pub(crate) struct Receiver {
    port: u16,
    heard: Mutex<Vec<Message>>,
    answers: Mutex<VecDeque<Said>>,
    /// When there, each answer waits for one permission.
    gate: Option<Notify>,
    present: AtomicUsize,
    most: AtomicUsize,
    default: AtomicU16,
}

impl Receiver {
    pub(crate) async fn new(answers: &[u16]) -> Arc<Self> {
        Self::start(answers.iter().map(|status| (*status, [].as_slice())).collect(), None).await
    }

    /// A receiver that gives each message the same answer.
    pub(crate) async fn always(status: u16) -> Arc<Self> {
        let receiver = Self::new(&[]).await;
        receiver.default.store(status, Ordering::SeqCst);
        receiver
    }

    async fn start(answers: VecDeque<Said>, gate: Option<Notify>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            heard: Mutex::default(),
            answers: Mutex::new(answers),
            gate,
            present: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            default: AtomicU16::new(204),
        });
        let state = Arc::clone(&receiver);
        let app = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
            let state = Arc::clone(&state);
            async move { state.answer(headers, body).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    async fn answer(&self, headers: HeaderMap, body: Bytes) -> axum::response::Response {
        self.heard.lock().unwrap().push(Message { at: Instant::now(), headers, body });
        let present = self.present.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(present, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        self.present.fetch_sub(1, Ordering::SeqCst);
        let (status, fields) =
            self.answers.lock().unwrap().pop_front().unwrap_or((self.default.load(Ordering::SeqCst), &[]));
        let mut answer = StatusCode::from_u16(status).unwrap().into_response();
        for (name, value) in fields {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        answer
    }

    /// The ids of all messages.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.heard.lock().unwrap().iter().map(|message| message.field("webhook-id").to_owned()).collect()
    }

    /// How many messages there were.
    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    async fn until(&self, messages: usize) -> Vec<Message> {
        let end = Instant::now() + PATIENCE;
        while self.heard().len() < messages {
            assert!(Instant::now() < end, "message {messages} never came, but {}", self.heard().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.heard()
    }
}

/// Declares a test that runs once per engine.
macro_rules! on_both_engines {
    ($(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            use super::*;
            async fn run($world: World) $body
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                run(World::new(true).await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn server() {
                run(World::new(false).await).await;
            }
        }
    )*};
}

on_both_engines! {
    async fn a_message_arrives_with_its_fields_and_a_signature_that_verifies(world: World) {
        let receiver = Receiver::new(&[]).await;
        world.cause().await;
        let (endpoint, secret) = world.endpoint(&receiver.url(), |_| ()).await;
        world.cause().await;
        let messages = receiver.until(1).await;
        let message = &messages[0];
        let event = world.until_attempts(&endpoint, 1).await;
        assert_eq!(message.field("webhook-id"), event.event_id.to_string());
        assert_eq!(message.field("webhook-timestamp"), world.clock.now().as_seconds().to_string());
        assert!(message.is_by(&secret), "{}", message.field("webhook-signature"));
        assert!(!message.is_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        assert_eq!(message.field("content-type"), "application/json");
        assert_eq!(message.field("user-agent"), concat!("Bastionary/", env!("CARGO_PKG_VERSION")));
        let trace: Vec<&str> = message.field("traceparent").split('-').collect();
        assert_eq!(trace.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{trace:?}");
        let stored = outbox::event(&world.auth.store, world.tenant.id, event.event_id).await.unwrap().unwrap();
        assert_eq!(message.body, stored.wire("acme").unwrap().to_string().as_bytes(), "the bytes of every surface");
        assert_eq!(message.json()["data"]["id"], "client-1", "an endpoint hears what happens after its creation");

        assert_eq!((event.state, event.last_status, event.next_at), (DeliveryState::Delivered, Some(204), None));
        let attempts = world.attempts(&endpoint, event.id).await;
        assert_eq!(attempts.len(), 1);
        let attempt = &attempts[0];
        assert_eq!((attempt.number, attempt.status, &attempt.error, &*attempt.node), (1, Some(204), &None, "here"));
        assert!(attempt.duration_ms < 10_000 && attempt.at == world.clock.now());
        let endpoint = world.read(&endpoint).await;
        assert_eq!((endpoint.last_success_at, endpoint.failing_since), (Some(world.clock.now()), None));
        assert_eq!(world.deliveries(&endpoint).await.len(), 1, "other types are not sent");
        world.stop().await;
    }

    async fn a_delivery_is_tried_ten_times_over_three_days_and_then_fails(world: World) {
        let receiver = Receiver::new(&[500; 11]).await;
        let (endpoint, _) = world.endpoint(&receiver.url(), |_| ()).await;
        world.cause().await;
        for attempt in 1..=10_i64 {
            let delivery = world.until_attempts(&endpoint, attempt).await;
            assert_eq!((delivery.attempts, delivery.last_error.as_deref()), (attempt, Some("server_error")));
            let Some(next) = delivery.next_at else {
                assert_eq!((attempt, delivery.state), (10, DeliveryState::Failed));
                break;
            };
            let wait = next.micros_since(world.clock.now());
            let nominal = AFTER_SECONDS[usize::try_from(attempt).unwrap()] * 1_000_000;
            assert!((nominal * 9 / 10..=nominal * 11 / 10).contains(&wait), "{attempt}: {wait}");
            world.clock.advance_micros(wait);
        }
        let heard = receiver.until(10).await;
        assert_eq!(heard.len(), 10);
        assert!(heard.iter().all(|message| message.field("webhook-id") == heard[0].field("webhook-id")));
        let times: Vec<&str> = heard.iter().map(|message| message.field("webhook-timestamp")).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "each attempt has its own time: {times:?}");
        let attempts = world.attempts(&endpoint, world.deliveries(&endpoint).await[0].id).await;
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert!(world.read(&endpoint).await.failing_since.is_some());
        world.stop().await;
    }

    async fn failures_end_with_the_first_success(world: World) {
        let receiver = Receiver::new(&[500, 302, 404, 200]).await;
        let (endpoint, secret) = world.endpoint(&receiver.url(), |_| ()).await;
        world.cause().await;
        for error in ["server_error", "redirected", "client_error"] {
            let attempt = i64::try_from(receiver.until(1).await.len()).unwrap();
            let delivery = world.until_attempts(&endpoint, attempt).await;
            assert_eq!(delivery.last_error.as_deref(), Some(error));
            world.clock.set(delivery.next_at.unwrap());
            receiver.until(usize::try_from(attempt).unwrap() + 1).await;
        }
        let delivery = world.until_attempts(&endpoint, 4).await;
        assert_eq!((delivery.state, delivery.last_status, delivery.last_error), (DeliveryState::Delivered, Some(200), None));
        assert_eq!(world.read(&endpoint).await.failing_since, None);
        assert!(receiver.heard().iter().all(|message| message.is_by(&secret)));
        world.stop().await;
    }

    async fn a_receiver_that_is_gone_disables_its_endpoint_and_cancels_what_is_open(world: World) {
        let receiver = Receiver::start([(500, [].as_slice()), (410, &[])].into(), None).await;
        let (endpoint, _) = world.endpoint(&receiver.url(), |_| ()).await;
        world.cause().await;
        world.until_attempts(&endpoint, 1).await;
        world.cause().await;
        let found = world.until(&endpoint, "the end", |found| {
            found.len() == 2 && found.iter().all(|delivery| delivery.state == DeliveryState::Canceled)
        }).await;
        assert!(found.iter().all(|delivery| delivery.next_at.is_none() && delivery.ended_at.is_some()));
        let stopped = world.read(&endpoint).await;
        assert_eq!((stopped.state, stopped.reason), (State::Disabled, Some(Reason::Gone)));
        assert_eq!(world.told("webhook.disabled", &endpoint).await.len(), 1);
        world.cause().await;
        world.clock.advance_seconds(86_400);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!((receiver.heard().len(), world.deliveries(&endpoint).await.len()), (2, 2), "nothing more is made or sent");
        world.stop().await;
    }

    async fn a_redirect_is_not_followed(world: World) {
        let inner = Peer::at("127.0.0.1:0", b"HTTP/1.1 204 No Content\r\n\r\n", false).await;
        let says = format!("HTTP/1.1 307 Away\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", inner.url("127.0.0.1"));
        let outer = Peer::at("127.0.0.1:0", says.leak().as_bytes(), false).await;
        let (endpoint, _) = world.endpoint(&outer.url("127.0.0.1"), |_| ()).await;
        world.cause().await;
        let delivery = world.until_attempts(&endpoint, 1).await;
        assert_eq!((delivery.last_status, delivery.last_error.as_deref()), (Some(307), Some("redirected")));
        assert_eq!((outer.accepted(), inner.accepted()), (1, 0));
        world.stop().await;
    }

    async fn an_endpoint_has_four_in_flight_and_an_overburdened_one_a_single_one_until_it_recovers(world: World) {
        let gate = Some(Notify::new());
        let receiver = Receiver::start([(429, [("retry-after", "3600")].as_slice())].into(), gate).await;
        let (endpoint, _) = world.endpoint(&receiver.url(), |_| ()).await;
        for _ in 0..6 {
            world.cause().await;
        }
        receiver.until(4).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!((receiver.heard().len(), receiver.most.load(Ordering::SeqCst)), (4, 4));
        let let_one_go = || receiver.gate.as_ref().unwrap().notify_one();
        let_one_go();
        let ended = world.until(&endpoint, "the 429", |found| found.iter().any(|delivery| delivery.attempts == 1)).await;
        let first = ended.iter().find(|delivery| delivery.attempts == 1).unwrap();
        assert_eq!(first.next_at, Some(world.clock.now().plus_seconds(3_600)), "as the receiver asked");
        assert!(world.read(&endpoint).await.slowed_at.is_some());
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(receiver.heard().len(), 4, "three are in flight, so none follows");
        // a success: the others may follow, four at once
        let_one_go();
        receiver.until(6).await;
        assert_eq!(world.read(&endpoint).await.slowed_at, None);
        for _ in 0..4 {
            let_one_go();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.until(&endpoint, "the rest", |found| {
            found.iter().filter(|delivery| delivery.state == DeliveryState::Delivered).count() == 5
        }).await;
        world.stop().await;
    }

    async fn an_endpoint_without_a_success_for_five_days_is_paused_and_resumes_with_a_test(world: World) {
        let receiver = Receiver::new(&[500, 500]).await;
        let (endpoint, _) = world.endpoint(&receiver.url(), |_| ()).await;
        world.cause().await;
        let delivery = world.until_attempts(&endpoint, 1).await;
        assert_eq!(delivery.state, DeliveryState::Pending);
        world.clock.advance_seconds(5 * 86_400);
        world.until(&endpoint, "the pause", |found| found[0].attempts == 2 && found[0].next_at.is_none()).await;
        let paused = world.read(&endpoint).await;
        assert_eq!((paused.state, paused.reason), (State::Paused, Some(Reason::Failing)));
        assert_eq!(world.told("webhook.paused", &endpoint).await.len(), 1);
        until_condition(&world, Condition::WebhookPaused, true).await;
        world.cause().await;
        let found = world.until(&endpoint, "a delivery that waits", |found| found.len() == 2).await;
        assert!(found.iter().all(|delivery| delivery.state == DeliveryState::Pending && delivery.next_at.is_none()));
        assert_eq!(receiver.heard().len(), 2, "nothing is sent meanwhile");

        let planned = webhook::change::resume(&world.auth, &world.who, &world.tenant, (endpoint.id, None)).await.unwrap();
        world.auth.run(planned).await.unwrap();
        let heard = receiver.until(3).await;
        assert_eq!(heard[2].json()["type"], "webhook.test");
        world.clock.advance_seconds(10);
        let heard = receiver.until(5).await;
        assert!(heard[3..].iter().all(|message| message.json()["type"] == "client.created"));
        let all = |found: &[Delivery]| found.iter().all(|delivery| delivery.state == DeliveryState::Delivered);
        world.until(&endpoint, "the end", |found| found.len() == 3 && all(found)).await;
        until_condition(&world, Condition::WebhookPaused, false).await;
        world.stop().await;
    }

    async fn what_was_in_flight_at_an_end_is_sent_by_the_next_start(world: World) {
        let receiver = Receiver::start(VecDeque::new(), Some(Notify::new())).await;
        let (endpoint, _) = world.endpoint(&receiver.url(), |_| ()).await;
        world.cause().await;
        receiver.until(1).await;
        world.running.abort();
        let stopping = Instant::now();
        world.sender.finish().await;
        assert!(stopping.elapsed() < Duration::from_secs(8), "an end waits a while and not longer");
        let delivery = &world.deliveries(&endpoint).await[0];
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Pending, 0));
        let next = sender(&world.app, opening(&["127.0.0.1"]), Names::of(&[&["127.0.0.1"]]));
        let running = keep_going(&next);
        let heard = receiver.until(2).await;
        assert_eq!(heard[0].field("webhook-id"), heard[1].field("webhook-id"));
        receiver.gate.as_ref().unwrap().notify_waiters();
        receiver.gate.as_ref().unwrap().notify_one();
        world.until(&endpoint, "the delivery", |found| found[0].state == DeliveryState::Delivered).await;
        running.abort();
        next.finish().await;
        world.auth.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_elsewhere_later_is_not_connected_to() {
    let (receiver, inner) = (Receiver::new(&[]).await, Peer::at("127.0.0.2:0", b"", false).await);
    let names = Names::of(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let policy = Policy::new(vec!["127.0.0.1".parse().unwrap()], vec![receiver.port, inner.address.port()]);
    let world = World::with(true, policy, names).await;
    let (endpoint, _) = world.endpoint(&format!("http://hooks.example:{}/", receiver.port), |_| ()).await;
    world.cause().await;
    receiver.until(1).await;
    world.cause().await;
    let found = world.until(&endpoint, "the refusal", |found| found.len() == 2 && found[1].attempts == 1).await;
    assert_eq!((found[1].last_status, found[1].last_error.as_deref()), (None, Some("address_not_allowed")));
    assert_eq!((receiver.heard().len(), inner.accepted()), (1, 0));
    let tenant = world.auth.tenant("default").await.unwrap().unwrap();
    let action = Some("outbound.opened".to_owned());
    let filter = record::query::AuditFilter { action, limit: 10, ..record::query::AuditFilter::default() };
    let opened = async || record::query::audit(&world.auth.store, tenant.id, &filter).await.unwrap().len();
    let end = Instant::now() + PATIENCE;
    while opened().await == 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(opened().await, 1, "the first use of an opening is on record, and no other one");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept() {
    let receiver = Receiver::new(&[]).await;
    let world = World::new(true).await;
    let (_, _) = world.endpoint(&receiver.url(), |fields| fields.rate_per_second = Field::Value(10)).await;
    for _ in 0..8 {
        world.cause().await;
    }
    let heard = receiver.until(8).await;
    let times: Vec<Instant> = heard.iter().map(|message| message.at).collect();
    let took = times.iter().max().unwrap().duration_since(*times.iter().min().unwrap());
    assert!(took >= Duration::from_millis(650), "{took:?} for eight at ten a second");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_receivers_that_hang_fail_or_never_end() {
    let world = World::new(true).await;
    let hanging = Peer::at("127.0.0.1:0", b"", false).await;
    let endless = Peer::at("127.0.0.1:0", b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", true).await;
    let failing = Receiver::new(&[500; 1_000]).await;
    let healthy = Receiver::new(&[]).await;
    for url in [hanging.url("127.0.0.1"), endless.url("127.0.0.1"), failing.url()] {
        world.endpoint(&url, |_| ()).await;
    }
    let secret = client(&world).await;
    let (endpoint, _) = world.endpoint(&healthy.url(), |_| ()).await;
    let router = api::router(world.app.clone());
    let (mut waits, mut tokens) = (Vec::new(), Vec::new());
    for number in 1..=60_usize {
        world.cause().await;
        let committed = Instant::now();
        let asked = Instant::now();
        token(&router, &secret).await;
        tokens.push(asked.elapsed());
        let heard = healthy.until(number).await;
        waits.push(heard[number - 1].at.saturating_duration_since(committed));
        world.clock.advance_micros(1_000);
    }
    waits.sort_unstable();
    tokens.sort_unstable();
    assert!(waits[58] < Duration::from_secs(1), "{waits:?}");
    assert!(tokens[58] < Duration::from_secs(1), "{tokens:?}");
    let all = |found: &[Delivery]| found.iter().all(|delivery| delivery.state == DeliveryState::Delivered);
    world.until(&endpoint, "the end", |found| found.len() == 60 && all(found)).await;
    assert!(hanging.accepted() >= 1 && endless.accepted() >= 1 && !failing.heard().is_empty());
    world.stop().await;
}

/// A client of the sandbox that may get tokens: its secret.
async fn client(world: &World) -> String {
    let fields = ClientFields { client_id: Field::Value("tokens".to_owned()), ..ClientFields::default() };
    let planned = world.auth.create_client(&world.who, &world.tenant, fields).await.unwrap();
    world.auth.run(planned).await.unwrap().secret.unwrap().reveal().clone()
}

async fn token(router: &Router, secret: &str) {
    use tower::ServiceExt as _;
    let request = axum::http::Request::post("/t/acme/oauth2/token")
        .header("authorization", format!("Basic {}", STANDARD.encode(format!("tokens:{secret}"))))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from("grant_type=client_credentials"))
        .unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_statements_of_the_sender_are_prepared_on_both_engines() {
    for is_embedded in [true, false] {
        let world = World::new(is_embedded).await;
        world.auth.store.prepare_all(webhook::sql::ALL).await.unwrap();
        let due = world.auth.store.read_all(&webhook::sql::DUE_ENDPOINTS, params![world.clock.now()]).await.unwrap();
        assert!(due.is_empty());
        world.stop().await;
    }
}

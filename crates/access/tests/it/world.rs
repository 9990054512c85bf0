//! The products together over a store of either engine, with a clock that moves when told.

use std::sync::Arc;

use access::Access;
use auth::client_change::ClientFields;
use auth::error::{AdminError, OauthError};
use auth::grant::{TokenAnswer, TokenRequest};
use auth::introspect::Caller;
use auth::limit::LimitState;
use auth::trial::trial_of;
use auth::{Auth, Settings};
use billing::customer::CustomerFields;
use billing::plan::PlanState;
use billing::subscribe::{NewFields, Subscribed, Wish};
use kernel::clock::{Clock, Timestamp};
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::principal::{Principal, Subject};
use kernel::rate::Rate;
use kernel::secret::Secret;
use kernel::standing::Standing;
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::keyring::Keyring;
use store::{Location, Options, Store};
use testkit::{FakeClock, SeededEntropy, TempDir};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Embedded,
    Server,
}

/// Declares a test that runs once per engine.
#[macro_export]
macro_rules! on_both_engines {
    ($(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            use super::*;
            async fn run($world: World) $body
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                run(World::new($crate::world::Engine::Embedded).await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn server() {
                run(World::new($crate::world::Engine::Server).await).await;
            }
        }
    )*};
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) access: Arc<Access>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) clock: Arc<FakeClock>,
    location: Location,
    _directory: Arc<TempDir>,
}

/// A client with its secret.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) client_id: String,
    pub(crate) secret: String,
}

async fn open(clock: &Arc<FakeClock>, location: &Location, seed: u64) -> Arc<Access> {
    let store = Store::open(Options {
        location: location.clone(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Box::new(SeededEntropy::new(seed)),
        allow_unsafe_durability: true,
    })
    .await
    .unwrap();
    let keyring =
        Keyring::open(&store, &Secret::new([9; 32]), clock.now(), &mut SeededEntropy::new(seed + 1)).await.unwrap();
    let entropy = Box::new(SeededEntropy::new(seed + 2));
    // the clock stands still among many requests
    let client_rate = Rate { limit: 0, ..Settings::default().client_rate };
    let settings = Settings { issuer: "https://id.example".to_owned(), client_rate, ..Settings::default() };
    let auth = Auth::open(store, keyring, Arc::clone(clock) as Arc<dyn Clock>, entropy, settings).await.unwrap();
    Access::open(auth)
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::parse("2026-06-01T12:00:00Z").unwrap()));
        let directory = TempDir::new().unwrap();
        let location = match engine {
            Engine::Embedded => Location::File(directory.path().join("bastionary.db")),
            Engine::Server => Location::Server(testkit::postgres::fresh_database().unwrap()),
        };
        let access = open(&clock, &location, 11).await;
        let tenant = access.auth.set_up().await.unwrap();
        Self { access, tenant, clock, location, _directory: Arc::new(directory) }
    }

    /// Another node over the same database, with caches of its own.
    pub(crate) async fn another(&self, seed: u64) -> Self {
        Self { access: open(&self.clock, &self.location, seed).await, ..self.clone() }
    }

    pub(crate) fn who(&self) -> Principal {
        Principal { subject: Subject::LocalOperator, ..self.access.auth.system(&self.tenant, "local") }
    }

    pub(crate) fn clock_text(&self) -> String {
        self.clock.now().to_string()
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.clock.advance_seconds(days * 86_400);
    }

    /// Publishes a version of a plan.
    pub(crate) async fn plan(&self, body: Value) {
        let (billing, who) = (&self.access.billing, self.who());
        let draft = billing.create_plan(&who, &self.tenant, &body).await.unwrap();
        let draft = self.access.auth.run(draft).await.unwrap();
        let published = billing.set_plan_state(&who, &self.tenant, (draft.id, None), PlanState::Active).await.unwrap();
        self.access.auth.run(published).await.unwrap();
    }

    pub(crate) async fn feature(&self, key: &str, kind: &str) {
        let body = json!({"key": key, "kind": kind});
        let made = self.access.billing.create_feature(&self.who(), &self.tenant, &body).await.unwrap();
        self.access.auth.run(made).await.unwrap();
    }

    /// A customer who pays in euros, by invoice.
    pub(crate) async fn customer(&self, name: &str) -> Id<id::Customer> {
        let body = json!({"name": name, "currency": "EUR", "address": {"country": "DE"}, "payment_terms_days": 14});
        let fields = CustomerFields::read(&body).unwrap();
        let made = self.access.billing.create_customer(&self.who(), &self.tenant, fields).await.unwrap();
        self.access.auth.run(made).await.unwrap().id
    }

    pub(crate) async fn subscribe(&self, customer: Id<id::Customer>, body: Value) -> Id<id::Subscription> {
        let mut body = body;
        body["customer_id"] = json!(customer.to_string());
        let fields = NewFields::read(&body).unwrap();
        let made = self.access.billing.subscribe(&self.who(), &self.tenant, fields).await.unwrap();
        self.access.auth.run(made).await.unwrap().computed.current.id
    }

    /// Asks something of a subscription, as the API would.
    pub(crate) async fn wish(
        &self,
        subscription: Id<id::Subscription>,
        verb: &str,
        body: Value,
    ) -> Result<Subscribed, AdminError> {
        let now = self.tenant.business(self.clock.now());
        let wish = Wish::read(verb, &body, now).unwrap().unwrap();
        let (billing, who) = (&self.access.billing, self.who());
        let planned = billing.change_subscription(&who, &self.tenant, (subscription, None), &wish).await?;
        self.access.auth.run(planned).await
    }

    /// A client that acts for a customer.
    pub(crate) async fn machine(&self, customer: Id<id::Customer>, client_id: &str, scopes: &[&str]) -> Machine {
        let fields = ClientFields {
            client_id: Field::Value(client_id.to_owned()),
            customer_id: Field::Value(customer.to_string()),
            scopes: Field::Value(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..ClientFields::default()
        };
        let made = self.access.create_client(&self.who(), &self.tenant, fields).await.unwrap();
        let made = self.access.auth.run(made).await.unwrap();
        Machine { client_id: client_id.to_owned(), secret: made.secret.unwrap().reveal().clone() }
    }

    pub(crate) async fn token(&self, machine: &Machine, scope: Option<&str>) -> Result<TokenAnswer, OauthError> {
        let secret = Secret::new(machine.secret.clone());
        let presented = trial_of(&machine.client_id, secret);
        let who = self.access.auth.identify(&self.tenant, &presented, None).await.result?;
        let request = self.who().request;
        let request = TokenRequest {
            grant_type: Some("client_credentials"),
            scope,
            resources: Vec::new(),
            refresh_token: None,
            source: None,
            request,
        };
        self.access.token(&self.tenant, &who, &request, LimitState::default()).await.result
    }

    /// Why a token is refused.
    pub(crate) async fn refusal(&self, machine: &Machine, scope: Option<&str>) -> (&'static str, String) {
        match self.token(machine, scope).await {
            Ok(answer) => panic!("a token for {}", answer.scope),
            Err(error) => (error.code(), error.to_string()),
        }
    }

    pub(crate) async fn introspect(&self, machine: &Machine, token: &str) -> Value {
        let client = self.access.auth.client(self.tenant.id, &machine.client_id).await.unwrap().unwrap();
        let answer = self.access.introspect(&self.tenant, &Caller::Client(&client), token).await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    pub(crate) async fn customer_of(&self, machine: &Machine) -> Id<id::Customer> {
        self.access.auth.client(self.tenant.id, &machine.client_id).await.unwrap().unwrap().customer.unwrap()
    }

    pub(crate) async fn standing(&self, customer: Id<id::Customer>) -> Arc<Standing> {
        self.access.billing.standing(&self.tenant, customer).await.unwrap().unwrap()
    }

    /// Records what time has done, as the job does; how many customers there were.
    pub(crate) async fn record_due(&self) -> usize {
        let due = self.access.billing.due(100).await.unwrap();
        for (slug, customer) in &due {
            assert_eq!(*slug, *self.tenant.slug);
            let who = self.access.auth.system(&self.tenant, "billing");
            if let Some(planned) = self.access.billing.plan_recording(&who, &self.tenant, *customer).await.unwrap() {
                self.access.auth.run(planned).await.unwrap();
            }
        }
        due.len()
    }

    /// Types of the events of a customer, the oldest first, after a check that their numbers have no gap.
    pub(crate) async fn events(&self, customer: Id<id::Customer>) -> Vec<String> {
        let filter = record::outbox::EventFilter {
            customer_id: Some(customer.to_string()),
            limit: 200,
            ..record::outbox::EventFilter::default()
        };
        let mut page = record::outbox::events(&self.access.auth.store, self.tenant.id, &filter).await.unwrap();
        page.reverse();
        for (number, event) in (1..).zip(&page) {
            assert_eq!(event.sequence, number);
        }
        page.into_iter().map(|event| event.kind).collect()
    }
}

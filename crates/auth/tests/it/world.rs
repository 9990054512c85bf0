//! A product over a store of either engine, with a clock that moves when told, and people who sign in.

use std::net::IpAddr;
use std::sync::Arc;

use auth::operator::link::{FirstFactor, Joining, LinkKind};
use auth::operator::sign_in::Progress;
use auth::operator::{Browser, Live, OperatorError, Role, SignedIn};
use auth::{Auth, Settings};
use kernel::clock::{Clock, Timestamp};
use kernel::id::Id;
use kernel::principal::{Principal, Subject};
use kernel::secret::Secret;
use record::tenant::{Tenant, TenantKind};
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

pub(crate) const OWNER: &str = "olga@acme.example";
pub(crate) const PASSPHRASE: &str = "lantern drift opal mosaic";
pub(crate) const ANOTHER: &str = "two geese never argue";

pub(crate) struct World {
    pub(crate) auth: Arc<Auth>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) clock: Arc<FakeClock>,
    _directory: TempDir,
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A browser at an address of the network 192.0.2.0/24.
pub(crate) fn browser(host: u8) -> Browser {
    Browser {
        source: Some(IpAddr::from([192, 0, 2, host])),
        agent: "Firefox".to_owned(),
        device: None,
        request: Id::from_bytes([host; 16]),
    }
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        let settings = Settings {
            issuer: "https://id.example".to_owned(),
            default_kind: TenantKind::Sandbox,
            slow_hash_workers: 2,
            second_factor_required: false,
            ..Settings::default()
        };
        Self::with(engine, settings).await
    }

    pub(crate) async fn with(engine: Engine, settings: Settings) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::parse("2026-06-01T12:00:00Z").unwrap()));
        let directory = TempDir::new().unwrap();
        let location = match engine {
            Engine::Embedded => Location::File(directory.path().join("bastionary.db")),
            Engine::Server => Location::Server(testkit::postgres::fresh_database().unwrap()),
        };
        let store = Store::open(Options {
            location,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Box::new(SeededEntropy::new(11)),
            allow_unsafe_durability: true,
        })
        .await
        .unwrap();
        let keyring =
            Keyring::open(&store, &Secret::new([9; 32]), clock.now(), &mut SeededEntropy::new(7)).await.unwrap();
        let entropy = Box::new(SeededEntropy::new(23));
        let auth = Auth::open(store, keyring, Arc::clone(&clock) as Arc<dyn Clock>, entropy, settings).await.unwrap();
        let tenant = auth.set_up().await.unwrap();
        Self { auth, tenant, clock, _directory: directory }
    }

    /// The person at the machine.
    pub(crate) fn local(&self) -> Principal {
        Principal { subject: Subject::LocalOperator, ..self.auth.system(&self.tenant, "local") }
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance_seconds(seconds);
    }

    /// An owner, set up through a link.
    pub(crate) async fn owner(&self) -> SignedIn {
        let link = self.auth.create_setup_link(&self.local(), &self.tenant).await.unwrap();
        self.join(LinkKind::Setup, link.token.reveal(), Some(OWNER), PASSPHRASE).await.unwrap()
    }

    pub(crate) async fn join(
        &self,
        kind: LinkKind,
        token: &str,
        email: Option<&str>,
        passphrase: &str,
    ) -> Result<SignedIn, OperatorError> {
        let passphrase = secret(passphrase);
        let factor = FirstFactor::Passphrase(&passphrase);
        let joining = Joining { email, name: "Olga", factor, organization: None };
        self.auth.join(&self.tenant, kind, token, joining, &browser(1)).await
    }

    /// A person invited by the owner who has joined.
    pub(crate) async fn member(&self, by: &Live, email: &str, role: Role) -> SignedIn {
        let who = by.principal(&browser(1), self.tenant.id);
        let link = self.auth.invite_operator(&who, &self.tenant, email, role).await.unwrap();
        self.join(LinkKind::Invitation, link.token.reveal(), None, PASSPHRASE).await.unwrap()
    }

    pub(crate) async fn sign_in(
        &self,
        email: &str,
        passphrase: &str,
        browser: &Browser,
    ) -> Result<Progress, OperatorError> {
        self.auth.sign_in(&self.tenant, email, &secret(passphrase), browser).await
    }

    pub(crate) async fn signed_in(&self, email: &str, passphrase: &str, browser: &Browser) -> SignedIn {
        match self.sign_in(email, passphrase, browser).await {
            Ok(Progress::Done(done)) => *done,
            Ok(Progress::SecondFactor(_)) => panic!("a second factor was asked"),
            Err(error) => panic!("{error}"),
        }
    }

    /// The code of a refused sign-in.
    pub(crate) async fn refusal(&self, email: &str, passphrase: &str, browser: &Browser) -> &'static str {
        match self.sign_in(email, passphrase, browser).await {
            Ok(_) => "",
            Err(error) => error.code(),
        }
    }

    pub(crate) async fn live(&self, token: &Secret<String>) -> Option<Live> {
        self.auth.session(&self.tenant, token.reveal()).await.unwrap()
    }

    /// Actions of the audit log, oldest first, with actor and what came after.
    pub(crate) async fn audit(&self, action: &str) -> Vec<(String, String)> {
        let rows = self.auth.store.read_all(&AUDIT, store::params![self.tenant.id, action]).await.unwrap();
        rows.iter()
            .map(|row| (row.text(0).unwrap().to_owned(), row.text_opt(1).unwrap().unwrap_or_default().to_owned()))
            .collect()
    }
}

store::statements! {
    /// Records of an action.
    AUDIT = "SELECT actor, after FROM audit_record WHERE tenant_id = ?1 AND action = ?2 ORDER BY at, commit_id";
}

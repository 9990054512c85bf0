//! A tenant in a store of its own, with a clock and ids under the test's control.

use std::net::IpAddr;
use std::sync::Arc;

use jose::{Alg, SigningKey};
use kernel::audit::{Change, Record};
use kernel::clock::{BusinessTime, Clock, Timestamp};
use kernel::id::{Client, Commit, Id, Secret, Token};
use kernel::tenant::{DEFAULT, TenantId};
use record::entry::{Entry, Grant, Issuance, Origin, Refusal, TokenKind};
use record::verify::{Report, verify};
use record::{Checkpoint, CheckpointSigner, Extent, KeySigner, Sequencer, Verifier};
use store::{Batch, Location, Options, Stmt, Store, Upkeep, Value};
use testkit::{FakeClock, SeededEntropy, TempDir};

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    pub(crate) now: Timestamp,
    pub(crate) signer: KeySigner,
    pub(crate) sequencer: Sequencer,
    pub(crate) stream: SeededEntropy,
    clock: Arc<FakeClock>,
    /// The embedded store's directory, which must outlive it.
    _kept: Option<TempDir>,
}

const START_MICROS: i64 = 1_790_000_000_123_456;

impl World {
    /// A world in an embedded store of its own.
    pub(crate) async fn embedded() -> Self {
        let directory = TempDir::new().unwrap();
        Self::open(Location::File(directory.path().join("record.db")), Some(directory)).await
    }

    /// A world in a database of its own on a database server.
    pub(crate) async fn networked() -> Self {
        Self::open(Location::Server(testkit::postgres::fresh_database().unwrap()), None).await
    }

    async fn open(location: Location, kept: Option<TempDir>) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::from_micros(START_MICROS)));
        let options = Options {
            location,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Box::new(SeededEntropy::new(1)),
            allow_unsafe_durability: true,
        };
        let store = Store::open(options).await.unwrap();
        let key = SigningKey::generate(Alg::EdDsa).unwrap().0;
        Self {
            store,
            tenant: DEFAULT,
            now: Timestamp::from_micros(START_MICROS),
            signer: KeySigner::new("https://auth.example.com", key).unwrap(),
            sequencer: Sequencer::new(),
            stream: SeededEntropy::new(0),
            clock,
            _kept: kept,
        }
    }

    pub(crate) fn advance(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
        self.clock.set(self.now);
    }

    /// Commits one change and gives its commit id.
    pub(crate) async fn change(&mut self, action: &'static str, object_id: &str) -> Id<Commit> {
        self.change_with(Batch::new(), action, object_id).await
    }

    pub(crate) async fn change_with(&mut self, batch: Batch, action: &'static str, object_id: &str) -> Id<Commit> {
        self.advance(1);
        let commit = Id::generate(self.now, &mut self.stream);
        let change = Change {
            commit,
            tenant: self.tenant,
            actor: "client:ops".to_owned(),
            credential: Some(Id::from_bytes([2; 16])),
            action,
            object_kind: "client",
            object_id: object_id.to_owned(),
            before: None,
            after: Some(r#"{"name":"Acme"}"#.to_owned()),
            at: self.now,
            business_at: BusinessTime::of(self.now, 0),
            source: Some(IpAddr::from([192, 0, 2, 7])),
            request: Some(Id::from_bytes([3; 16])),
        };
        self.store.commit(batch, Record::Change(change)).await.unwrap();
        commit
    }

    pub(crate) fn issuance(&mut self, client_id: &str, credential: Id<Secret>) -> Issuance {
        self.advance(1);
        let token = *Id::<Token>::generate(self.now, &mut self.stream).as_bytes();
        Issuance {
            at: self.now,
            token,
            origin: Origin::Credential(credential),
            seq: 5,
            client: Id::<Client>::from_bytes([1; 16]),
            client_id: Arc::from(client_id),
            credential,
            grant: Grant::ClientCredentials,
            kind: TokenKind::Jwt,
            scope: "invoices:read".into(),
            audience: "https://api.example.com".into(),
            lifetime_seconds: 900,
            source: None,
            request: Id::from_bytes(token),
            generation: None,
        }
    }

    /// Journals one issuance and gives it back.
    pub(crate) async fn issue(&mut self, client_id: &str) -> Issuance {
        let issuance = self.issuance(client_id, Id::from_bytes([9; 16]));
        self.write(Entry::Issuance(issuance.clone())).await;
        issuance
    }

    pub(crate) async fn refuse(&mut self, client_id: &str) -> Refusal {
        self.advance(1);
        let refusal = Refusal {
            at: self.now,
            client_id: Some(client_id.to_owned()),
            source: None,
            reason: "invalid_client".to_owned(),
            count: 2,
            request: Id::generate(self.now, &mut self.stream),
        };
        self.write(Entry::Refusal(refusal.clone())).await;
        refusal
    }

    pub(crate) async fn write(&self, entry: Entry) {
        let entry = kernel::audit::Entry { tenant: self.tenant, at: entry.at(), bytes: entry.encode() };
        self.store.journal(entry).await.unwrap();
    }

    /// Journals many at once, which the store gathers into few segments.
    pub(crate) async fn write_all(&self, issuances: &[Issuance]) {
        for part in issuances.chunks(500) {
            let mut writes = tokio::task::JoinSet::new();
            for issuance in part {
                let (store, at, bytes) = (self.store.clone(), issuance.at, issuance.encode());
                let entry = kernel::audit::Entry { tenant: self.tenant, at, bytes };
                writes.spawn(async move { store.journal(entry).await });
            }
            while let Some(written) = writes.join_next().await {
                written.unwrap().unwrap();
            }
        }
    }

    pub(crate) async fn sequence(&self) -> Option<Checkpoint> {
        self.sequence_extent(Extent::Everything).await
    }

    pub(crate) async fn sequence_extent(&self, extent: Extent) -> Option<Checkpoint> {
        self.sequencer.sequence(&self.store, self.tenant, extent, self.now, &self.signer).await.unwrap()
    }

    pub(crate) fn keys(&self) -> Vec<Verifier> {
        vec![Verifier::of(&self.signer as &dyn CheckpointSigner).unwrap()]
    }

    pub(crate) async fn verify(&self, known: &[Checkpoint]) -> Report {
        verify(&self.store, self.tenant, known, &self.keys()).await.unwrap()
    }

    /// Runs a statement behind the back of every rule, as a person with access to the database could.
    pub(crate) async fn tamper(&self, stmt: &'static Stmt, params: Vec<Value>) {
        self.store.upkeep(Upkeep::Fold, Batch::new().expect(1, stmt, params)).await.unwrap();
    }
}

/// Declares tests that run once on each engine.
macro_rules! on_both_engines {
    ($($name:ident;)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::world::World::embedded().await).await;
            })*
        }
        mod networked {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::world::World::networked().await).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;

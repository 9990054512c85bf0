//! A tenant in a store of its own, with a clock and ids under the test's control.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jose::{Alg, SigningKey};
use kernel::audit::{Change, Record};
use kernel::clock::{BusinessTime, Clock, Timestamp};
use kernel::id::{Client, Commit, Entropy, Id, Secret, Token};
use kernel::tenant::{DEFAULT, TenantId};
use record::entry::{Entry, Grant, Issuance, Origin, Refusal, TokenKind};
use record::verify::{Report, verify};
use record::{Checkpoint, CheckpointSigner, KeySigner, Sequencer, Verifier};
use store::{Batch, Location, Options, Stmt, Store, Upkeep, Value};

/// A repeatable stream of bytes.
pub(crate) struct Stream(u64);

impl Entropy for Stream {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&jose::hash::sha256(&self.0.to_be_bytes())[..chunk.len()]);
        }
    }
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    pub(crate) now: Timestamp,
    pub(crate) signer: KeySigner,
    pub(crate) sequencer: Sequencer,
    pub(crate) stream: Stream,
    clock: Arc<Hands>,
    /// What must outlive the store: its directory or its database.
    _kept: Box<dyn Send>,
}

const START_MICROS: i64 = 1_790_000_000_123_456;

impl World {
    /// A world in an embedded store of its own.
    pub(crate) async fn embedded() -> Self {
        let folder = folder();
        let location = Location::File(folder.0.join("record.db"));
        Self::open(location, Box::new(folder)).await
    }

    async fn open(location: Location, kept: Box<dyn Send>) -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(START_MICROS)));
        let options = Options {
            location,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Box::new(Stream(1 << 32)),
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
            stream: Stream(0),
            clock,
            _kept: kept,
        }
    }

    pub(crate) fn advance(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
        self.clock.0.store(self.now.as_micros(), Ordering::SeqCst);
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

    pub(crate) async fn sequence(&self) -> Option<Checkpoint> {
        self.sequencer.sequence(&self.store, self.tenant, self.now, &self.signer).await.unwrap()
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
        // NETWORKED
    };
}
pub(crate) use on_both_engines;

/// Machine time that moves only when a test moves it.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A directory that goes when the test ends.
pub(crate) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn folder() -> Folder {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("record-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    Folder(path)
}

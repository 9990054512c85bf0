//! Work that recurs: keys, the audit tree, refusals, what has expired. Each job is watched and survives its panics.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::App;
use api::readiness::Condition;
use auth::Auth;
use auth::key::{ActiveKey, KeyPurpose, KeyState};
use jose::Alg;
use kernel::audit::Entry;
use kernel::error::Fault;
use kernel::tenant::TenantId;
use record::checkpoint::{NoteError, origin_of};
use record::entry::Refusal;
use record::tenant::Tenant;
use record::{CheckpointSigner, ENTRIES_PER_ROUND, Extent, Sequencer};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::integrity;
use crate::sender::Sender;

const KEYS_EVERY: Duration = Duration::from_secs(10);
/// How often it is asked whether something is to be recorded.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// How often everything new gets its place in the tree.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);
/// How often it is asked which secrets end soon.
const SECRETS_EVERY: Duration = Duration::from_hours(1);
/// How often it is asked what has ended by its time.
const ENDED_EVERY: Duration = Duration::from_secs(20);
/// Customers for whom time is recorded at once, and how many times that in a round.
const DUE_BATCH: i64 = 200;
const DUE_BATCHES: usize = 50;
/// How often everything stored is looked at.
const CHECK_EVERY: Duration = Duration::from_hours(24);
/// When a check that could not be carried out is tried again.
const CHECK_AGAIN: Duration = Duration::from_mins(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Panics in a row after which a job is parked.
const FAILURES_MAX: u32 = 10;
/// How long a parked job waits.
const PARKED: Duration = Duration::from_hours(1);
/// What the last rounds may take when the process ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running jobs.
pub struct Jobs {
    auth: Arc<Auth>,
    sender: Arc<Sender>,
    sequencer: Arc<Sequencer>,
    stop: watch::Sender<bool>,
    running: Vec<JoinHandle<()>>,
    /// Not waited for: a check of much data takes long, and leaves nothing behind.
    checking: JoinHandle<()>,
}

impl Jobs {
    /// Starts all jobs.
    ///
    /// Their panics are counted in `panics`.
    pub fn start(app: &App, sender: &Arc<Sender>, panics: &Arc<AtomicU64>) -> Self {
        let auth = &app.auth;
        let stop = watch::Sender::new(false);
        let sequencer = Arc::new(Sequencer::new());
        let keys = {
            let app = app.clone();
            move || keys(app.clone())
        };
        let record = {
            let (app, sequencer) = (app.clone(), Arc::clone(&sequencer));
            let last = Arc::new(Mutex::new(None));
            move || record(app.clone(), Arc::clone(&sequencer), Arc::clone(&last))
        };
        let secrets = {
            let auth = Arc::clone(auth);
            move || secrets(Arc::clone(&auth))
        };
        let webhooks = {
            let sender = Arc::clone(sender);
            move || Arc::clone(&sender).round()
        };
        let ended = {
            let app = app.clone();
            move || ended(app.clone())
        };
        let check = {
            let auth = Arc::clone(auth);
            move || check(Arc::clone(&auth))
        };
        let failed = |name| {
            let (app, panics) = (app.clone(), Arc::clone(panics));
            move |failures| {
                panics.fetch_add(u64::from(failures > 0), Ordering::Relaxed);
                let is_parked = failures >= FAILURES_MAX;
                app.readiness.report(Condition::JobParked, name, is_parked, app.auth.clock.now());
            }
        };
        let at_once = |every| Rhythm { first: Duration::ZERO, every };
        // each round waits until there may be something to do
        let continually = Rhythm { first: Duration::ZERO, every: Duration::ZERO };
        let first = if auth.store.is_check_due() { Duration::ZERO } else { CHECK_EVERY };
        let running = vec![
            tokio::spawn(supervise("keys", at_once(KEYS_EVERY), stop.subscribe(), keys, failed("keys"))),
            tokio::spawn(supervise("record", at_once(RECORD_EVERY), stop.subscribe(), record, failed("record"))),
            tokio::spawn(supervise("secrets", at_once(SECRETS_EVERY), stop.subscribe(), secrets, failed("secrets"))),
            tokio::spawn(supervise("webhooks", continually, stop.subscribe(), webhooks, failed("webhooks"))),
            tokio::spawn(supervise("ended", at_once(ENDED_EVERY), stop.subscribe(), ended, failed("ended"))),
        ];
        let rhythm = Rhythm { first, every: CHECK_EVERY };
        let checking = tokio::spawn(supervise("check", rhythm, stop.subscribe(), check, failed("check")));
        Self { auth: Arc::clone(auth), sender: Arc::clone(sender), sequencer, stop, running, checking }
    }

    /// Lets the jobs finish their present round, writes the refusals still counted and signs what is new.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        self.checking.abort();
        self.sender.finish().await;
        let finished = tokio::time::timeout(PATIENCE, async {
            for job in self.running {
                // A job that panicked has already been logged.
                let _ = job.await;
            }
            write_refusals(&self.auth, self.auth.refusals.drain_all()).await;
            sequence_all(&self.auth, &self.sequencer).await;
        });
        if finished.await.is_err() {
            tracing::warn!("the last checkpoint was not signed in time; the next start signs it");
        }
    }
}

/// When a job runs.
#[derive(Debug, Clone, Copy)]
struct Rhythm {
    /// How long after the start.
    first: Duration,
    /// How long after each round.
    every: Duration,
}

/// Runs a round at each interval until stopped. A round that panics is logged and the next one waits longer; after many
/// in a row the job is parked, which means that it is tried again once in a while. `failed` hears after each round how
/// many have failed in a row.
async fn supervise<F>(
    name: &'static str,
    rhythm: Rhythm,
    mut stop: watch::Receiver<bool>,
    round: impl Fn() -> F + Send,
    failed: impl Fn(u32) + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    let mut wait = rhythm.first;
    let mut failures = 0_u32;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(wait) => {}
        }
        if tokio::spawn(round()).await.is_ok() {
            pause = FIRST_PAUSE;
            wait = rhythm.every;
            failures = 0;
        } else {
            failures = failures.saturating_add(1);
            wait = if failures < FAILURES_MAX { pause } else { PARKED };
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            let wait_seconds = wait.as_secs();
            tracing::error!(
                code = "job_panicked",
                job = name,
                failures,
                wait_seconds,
                "a job panicked; it starts again"
            );
        }
        failed(failures);
    }
}

async fn tenants(auth: &Auth) -> Vec<Arc<Tenant>> {
    auth.all_tenants().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the tenants could not be read; the next round tries again");
        Vec::new()
    })
}

/// Whether a round would only fail: the store is away, or this process is fenced. What is counted in memory stays there.
pub(crate) fn must_wait(auth: &Auth) -> bool {
    !auth.store.troubles().is_empty()
}

async fn keys(app: App) {
    let auth = &app.auth;
    if must_wait(auth) {
        return;
    }
    let (mut lacks_active, mut is_overdue, mut made) = (false, false, Vec::new());
    for tenant in tenants(auth).await {
        if let Err(error) = auth.make_ready(&tenant.slug).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "what the tenant publishes could not be read");
        }
        if let Err(error) = auth.key_upkeep(&tenant).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "the key schedule was not carried out");
        }
        if let Ok(keys) = auth.keys(&tenant).await {
            made.extend(keys.records.iter().map(|key| (key.state, key.created_at)));
        }
        if let Ok(shortfall) = auth.key_shortfall(&tenant).await {
            lacks_active |= shortfall.lacks_active;
            is_overdue |= shortfall.is_overdue;
        }
    }
    let now = auth.clock.now();
    for (gauge, state) in [
        (&app.gauges.staged_key_age, KeyState::Staged),
        (&app.gauges.active_key_age, KeyState::Active),
        (&app.gauges.retiring_key_age, KeyState::Retiring),
    ] {
        let oldest = made.iter().filter(|(of, _)| *of == state).map(|(_, at)| *at).min();
        let micros = oldest.map_or(0, |at| now.micros_since(at));
        gauge.store(u64::try_from(micros / 1_000_000).unwrap_or(0), Ordering::Relaxed);
    }
    app.readiness.report(Condition::NoActiveKey, "keys", lacks_active, now);
    app.readiness.report(Condition::KeyOverdue, "keys", is_overdue, now);
}

/// Each minute signs all that is new. A journal that fills whole blocks sooner is folded as it fills: the work of a
/// minute at once would be felt by the requests of that moment.
async fn record(app: App, sequencer: Arc<Sequencer>, last: Arc<Mutex<Option<Instant>>>) {
    let auth = &app.auth;
    if must_wait(auth) {
        return;
    }
    let is_due = last.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|at| at.elapsed() >= CHECKPOINT_EVERY);
    if !is_due {
        fold(auth, &sequencer).await;
        return;
    }
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    write_refusals(auth, auth.refusals.drain(auth.clock.now())).await;
    for tenant in tenants(auth).await {
        if let Err(error) = auth.record_failed_sign_ins(&tenant).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "failed sign-ins could not be recorded");
        }
    }
    let signed = sequence_all(auth, &sequencer).await;
    app.gauges.unsigned_leaves.store(unsigned_leaves(auth).await, Ordering::Relaxed);
    match signed {
        // What keeps the store away has a name of its own; the first round after its return signs.
        Signed::StoreAway => *last.lock().unwrap_or_else(PoisonError::into_inner) = None,
        signed => {
            let is_late = signed == Signed::InPart;
            app.readiness.report(Condition::AuditCheckpointLate, "record", is_late, auth.clock.now());
        }
    }
    if let Err(error) = auth.purge().await {
        tracing::warn!(%error, "expired rows were not removed");
    }
}

/// Folds the journals that have filled whole blocks.
async fn fold(auth: &Auth, sequencer: &Sequencer) {
    let full = auth.store.take_journaled(u64::try_from(ENTRIES_PER_ROUND).unwrap_or(u64::MAX));
    if full.is_empty() {
        return;
    }
    for tenant in tenants(auth).await.iter().filter(|tenant| full.contains(&tenant.id)) {
        if let Err(error) = sequence(auth, tenant, sequencer, Extent::WholeRounds).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "the journal was not folded; the next checkpoint folds it");
        }
    }
}

async fn secrets(auth: Arc<Auth>) {
    if must_wait(&auth) {
        return;
    }
    match auth.announce_expiring_secrets().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "secrets that end soon were announced"),
        Err(error) => tracing::warn!(%error, "secrets that end soon were not announced"),
    }
}

async fn ended(app: App) {
    if must_wait(&app.auth) {
        return;
    }
    if let Err(error) = app.auth.announce_expired().await {
        tracing::warn!(%error, "what has ended was not told; the next round tries again");
    }
    if let Err(error) = record_time(&app).await {
        tracing::warn!(%error, "what time did to subscriptions was not recorded; the next round tries again");
    }
}

/// Records what holds for subscriptions by time. Nobody waits for it: answers follow the time without a record.
async fn record_time(app: &App) -> Result<(), store::Error> {
    for _ in 0..DUE_BATCHES {
        let due = app.billing.due(DUE_BATCH).await?;
        let mut recorded = 0_usize;
        for (slug, customer) in &due {
            let Some(tenant) = app.auth.tenant(slug).await? else { continue };
            let who = app.auth.system(&tenant, "billing");
            match app.billing.record_some(&who, &tenant, *customer).await {
                Ok(is_something) => recorded = recorded.saturating_add(usize::from(is_something)),
                Err(error) => tracing::warn!(%error, tenant = slug, %customer, "time was not recorded for a customer"),
            }
        }
        let is_last = i64::try_from(due.len()).unwrap_or(DUE_BATCH) < DUE_BATCH;
        if is_last || recorded == 0 {
            break;
        }
    }
    Ok(())
}

async fn check(auth: Arc<Auth>) {
    let started = std::time::Instant::now();
    let findings = loop {
        match integrity::whole(&auth).await {
            Ok(findings) => break findings,
            Err(error) => tracing::warn!(%error, "the data could not be checked; it is tried again in ten minutes"),
        }
        tokio::time::sleep(CHECK_AGAIN).await;
    };
    for finding in &findings {
        tracing::error!(code = "store_corrupt", finding, "the check of the data found damage");
    }
    if findings.is_empty() {
        tracing::info!(seconds = started.elapsed().as_secs(), "the data was checked; no damage was found");
    }
}

async fn write_refusals(auth: &Auth, refusals: Vec<(TenantId, Refusal)>) {
    for (tenant, refusal) in refusals {
        let entry = Entry { tenant, at: refusal.at, bytes: refusal.encode() };
        if let Err(error) = auth.store.journal(entry).await {
            tracing::warn!(%error, count = refusal.count, "refused requests could not be journaled");
        }
    }
}

/// What no checkpoint covers: after a round, what came in during it or could not be signed.
async fn unsigned_leaves(auth: &Auth) -> u64 {
    let mut waiting = 0_u64;
    for tenant in tenants(auth).await {
        // A store that does not answer has a name of its own.
        waiting = waiting.saturating_add(record::unsigned_leaves(&auth.store, tenant.id).await.unwrap_or(0));
    }
    waiting
}

/// What became of a round over every tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    Whole,
    InPart,
    StoreAway,
}

/// Signs what is new in every tree.
async fn sequence_all(auth: &Auth, sequencer: &Sequencer) -> Signed {
    let mut signed = Signed::Whole;
    for tenant in tenants(auth).await {
        match sequence(auth, &tenant, sequencer, Extent::Everything).await {
            Ok(()) => {}
            Err(record::Error::Store(error)) if error.fault() == Fault::Busy => {
                tracing::warn!(%error, "the store does not answer; the checkpoints wait for it");
                return Signed::StoreAway;
            }
            Err(error) => {
                signed = Signed::InPart;
                tracing::error!(code = "audit_checkpoint_late", %error, tenant = &*tenant.slug, "no checkpoint was signed");
            }
        }
    }
    signed
}

async fn sequence(auth: &Auth, tenant: &Tenant, sequencer: &Sequencer, extent: Extent) -> Result<(), record::Error> {
    let signer = TreeSigner::of(auth, tenant).await?;
    if let Some(checkpoint) = sequencer.sequence(&auth.store, tenant.id, extent, auth.clock.now(), &signer).await? {
        tracing::debug!(tenant = &*tenant.slug, size = checkpoint.size, "a checkpoint was signed");
    }
    Ok(())
}

/// Signs the checkpoints of a tenant with its active key.
struct TreeSigner {
    origin: String,
    key: Arc<ActiveKey>,
    public: [u8; 32],
}

impl TreeSigner {
    async fn of(auth: &Auth, tenant: &Tenant) -> Result<Self, record::Error> {
        let keys = auth.keys(tenant).await?;
        let key = keys.active(KeyPurpose::Checkpoint, Alg::EdDsa).ok_or(NoteError::Key)?;
        let public = key.key.ed25519_public().ok_or(NoteError::Key)?;
        Ok(Self { origin: origin_of(&tenant.issuer), key: Arc::clone(key), public })
    }
}

impl CheckpointSigner for TreeSigner {
    fn name(&self) -> &str {
        &self.origin
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, NoteError> {
        Ok(self.key.key.sign(text)?)
    }

    fn public_key(&self) -> [u8; 32] {
        self.public
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test(start_paused = true)]
    async fn a_job_that_panics_is_started_again_and_a_stopped_one_ends() {
        let rounds = Arc::new(AtomicU32::new(0));
        let stop = watch::Sender::new(false);
        let counted = Arc::clone(&rounds);
        let rhythm = Rhythm { first: Duration::ZERO, every: Duration::from_secs(10) };
        let round = move || {
            let counted = Arc::clone(&counted);
            async move {
                assert!(counted.fetch_add(1, Ordering::SeqCst) != 0, "the first round panics");
            }
        };
        let job = tokio::spawn(supervise("test", rhythm, stop.subscribe(), round, |failures| assert!(failures < 2)));
        tokio::time::sleep(Duration::from_secs(32)).await;
        assert_eq!(rounds.load(Ordering::SeqCst), 5, "at 0, then at 1, 11, 21 and 31 seconds");
        stop.send_replace(true);
        job.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_panics_ten_times_in_a_row_is_parked_until_a_round_succeeds() {
        let rounds = Arc::new(AtomicU32::new(0));
        let stop = watch::Sender::new(false);
        let (counted, parked) = (Arc::clone(&rounds), Arc::new(std::sync::Mutex::new(Vec::new())));
        let said = Arc::clone(&parked);
        let rhythm = Rhythm { first: Duration::ZERO, every: Duration::from_secs(10) };
        let round = move || {
            let counted = Arc::clone(&counted);
            async move {
                assert!(counted.fetch_add(1, Ordering::SeqCst) >= 11, "the first eleven rounds panic");
            }
        };
        let report = move |failures| said.lock().unwrap().push(failures >= FAILURES_MAX);
        let job = tokio::spawn(supervise("test", rhythm, stop.subscribe(), round, report));
        tokio::time::sleep(Duration::from_mins(30)).await;
        assert_eq!(rounds.load(Ordering::SeqCst), 10, "then it waits for an hour");
        tokio::time::sleep(Duration::from_hours(2)).await;
        let said = std::mem::take(&mut *parked.lock().unwrap());
        assert_eq!(said[8..13], [false, true, true, false, false]);
        stop.send_replace(true);
        job.await.unwrap();
    }
}

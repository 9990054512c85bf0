//! Work that recurs: keys, the audit tree, refusals, what has expired. Each job is watched and survives its panics.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use auth::Auth;
use auth::key::{ActiveKey, KeyPurpose};
use auth::tenant::Tenant;
use jose::Alg;
use kernel::audit::Entry;
use kernel::tenant::TenantId;
use record::checkpoint::{NoteError, origin_of};
use record::entry::Refusal;
use record::{CheckpointSigner, Sequencer};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::integrity;

const KEYS_EVERY: Duration = Duration::from_secs(10);
const RECORD_EVERY: Duration = Duration::from_mins(1);
const SECRETS_EVERY: Duration = Duration::from_hours(1);
/// How often everything stored is looked at.
const CHECK_EVERY: Duration = Duration::from_hours(24);
/// When a check that could not be carried out is tried again.
const CHECK_AGAIN: Duration = Duration::from_mins(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What the last rounds may take when the process ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running jobs.
pub struct Jobs {
    auth: Arc<Auth>,
    sequencer: Arc<Sequencer>,
    stop: watch::Sender<bool>,
    running: Vec<JoinHandle<()>>,
    /// Not waited for: a check of much data takes long, and leaves nothing behind.
    checking: JoinHandle<()>,
}

impl Jobs {
    /// Starts all jobs.
    pub fn start(auth: &Arc<Auth>) -> Self {
        let stop = watch::Sender::new(false);
        let sequencer = Arc::new(Sequencer::new());
        let keys = {
            let auth = Arc::clone(auth);
            move || keys(Arc::clone(&auth))
        };
        let record = {
            let (auth, sequencer) = (Arc::clone(auth), Arc::clone(&sequencer));
            move || record(Arc::clone(&auth), Arc::clone(&sequencer))
        };
        let secrets = {
            let auth = Arc::clone(auth);
            move || secrets(Arc::clone(&auth))
        };
        let check = {
            let auth = Arc::clone(auth);
            move || check(Arc::clone(&auth))
        };
        let at_once = |every| Rhythm { first: Duration::ZERO, every };
        let first = if auth.store.is_check_due() { Duration::ZERO } else { CHECK_EVERY };
        let running = vec![
            tokio::spawn(supervise("keys", at_once(KEYS_EVERY), stop.subscribe(), keys)),
            tokio::spawn(supervise("record", at_once(RECORD_EVERY), stop.subscribe(), record)),
            tokio::spawn(supervise("secrets", at_once(SECRETS_EVERY), stop.subscribe(), secrets)),
        ];
        let rhythm = Rhythm { first, every: CHECK_EVERY };
        let checking = tokio::spawn(supervise("check", rhythm, stop.subscribe(), check));
        Self { auth: Arc::clone(auth), sequencer, stop, running, checking }
    }

    /// Lets the jobs finish their present round, writes the refusals still counted and signs what is new.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        self.checking.abort();
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

/// Runs a round at each interval until stopped; a round that panics is logged and the next one waits longer.
async fn supervise<F>(name: &'static str, rhythm: Rhythm, mut stop: watch::Receiver<bool>, round: impl Fn() -> F + Send)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    let mut wait = rhythm.first;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(wait) => {}
        }
        if tokio::spawn(round()).await.is_ok() {
            pause = FIRST_PAUSE;
            wait = rhythm.every;
        } else {
            tracing::error!(
                code = "job_parked",
                job = name,
                pause_seconds = pause.as_secs(),
                "a job panicked; it starts again"
            );
            wait = pause;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }
}

async fn tenants(auth: &Auth) -> Vec<Arc<Tenant>> {
    auth.all_tenants().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the tenants could not be read; the next round tries again");
        Vec::new()
    })
}

/// Whether a round would only fail: the store is away, or this process is fenced. What is counted in memory stays there.
fn must_wait(auth: &Auth) -> bool {
    !auth.store.troubles().is_empty()
}

async fn keys(auth: Arc<Auth>) {
    if must_wait(&auth) {
        return;
    }
    for tenant in tenants(&auth).await {
        if let Err(error) = auth.make_ready(&tenant.slug).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "what the tenant publishes could not be read");
        }
        if let Err(error) = auth.key_upkeep(&tenant).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "the key schedule was not carried out");
        }
    }
}

async fn record(auth: Arc<Auth>, sequencer: Arc<Sequencer>) {
    if must_wait(&auth) {
        return;
    }
    write_refusals(&auth, auth.refusals.drain(auth.clock.now())).await;
    for tenant in tenants(&auth).await {
        if let Err(error) = auth.record_failed_sign_ins(&tenant).await {
            tracing::warn!(%error, tenant = &*tenant.slug, "failed sign-ins could not be recorded");
        }
    }
    sequence_all(&auth, &sequencer).await;
    if let Err(error) = auth.purge().await {
        tracing::warn!(%error, "expired rows were not removed");
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

async fn sequence_all(auth: &Auth, sequencer: &Sequencer) {
    for tenant in tenants(auth).await {
        if let Err(error) = sequence(auth, &tenant, sequencer).await {
            tracing::error!(code = "audit_checkpoint_late", %error, tenant = &*tenant.slug, "no checkpoint was signed");
        }
    }
}

async fn sequence(auth: &Auth, tenant: &Tenant, sequencer: &Sequencer) -> Result<(), record::Error> {
    let signer = TreeSigner::of(auth, tenant).await?;
    if let Some(checkpoint) = sequencer.sequence(&auth.store, tenant.id, auth.clock.now(), &signer).await? {
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
    use std::sync::atomic::{AtomicU32, Ordering};

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
        let job = tokio::spawn(supervise("test", rhythm, stop.subscribe(), round));
        tokio::time::sleep(Duration::from_secs(32)).await;
        assert_eq!(rounds.load(Ordering::SeqCst), 5, "at 0, then at 1, 11, 21 and 31 seconds");
        stop.send_replace(true);
        job.await.unwrap();
    }
}

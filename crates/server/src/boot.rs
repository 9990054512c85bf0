//! Opening everything a server stands on, in the order in which each part may refuse.

use std::path::PathBuf;
use std::sync::Arc;

use auth::error::AdminError;
use auth::limit::Rate;
use auth::operator::OperatorError;
use auth::{Auth, Settings};
use jose::{BufferedEntropy, SystemEntropy};
use kernel::clock::Clock;
use kernel::principal::{Principal, Subject};
use kernel::secret::Secret;
use record::tenant::{Tenant, TenantKind};
use store::keyring::Keyring;
use store::{Lease, Location, Options, SchemaVersion, Store};

use crate::clock::WallClock;
use crate::config::Config;
use crate::data_dir::{DATABASE, DataDir, MasterKey, master_key};
use crate::failure::{Exit, Failure};
use crate::integrity;
use crate::terminal;

/// An open installation: its directory, its store and the product over it.
pub struct House {
    /// The data directory, held.
    pub dir: DataDir,
    /// The product.
    pub auth: Arc<Auth>,
    /// The tenant `default`.
    pub tenant: Arc<Tenant>,
    /// The right to serve the store.
    pub lease: Lease,
    /// The file of the master key, when this start made it.
    pub new_master_key: Option<PathBuf>,
}

impl House {
    /// Opens the store with the master key, makes what a first start needs, and takes the right to serve it.
    ///
    /// # Errors
    /// A [`Failure`] that names what refused.
    pub async fn open(config: &Config, dir: DataDir, issuer: String) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(WallClock::new());
        let mut entropy = SystemEntropy::new();
        let master = master_key(&dir, config.master_key_file.as_deref(), &mut entropy)?;
        let opened = open_store(config, &master, &clock).await;
        let (store, keyring, lease) = match opened {
            Ok(parts) => parts,
            Err(failure) => {
                if master.is_new && failure.exit == Exit::Denied {
                    // The store knows another key; the one made a moment ago opens nothing and would only mislead.
                    let _ = std::fs::remove_file(&master.file);
                }
                return Err(failure.exit_unless_conflict());
            }
        };
        let settings = settings(config, issuer);
        let auth = Auth::open(store, keyring, clock, Box::new(BufferedEntropy::new()), settings)
            .await
            .map_err(|error| store_failure("the store cannot be read", &error))?;
        if let Some(failure) = damage(&auth).await {
            // The answer to a failed start must not be a lease that blocks the next one.
            let _ = lease.release().await;
            auth.store.close().await;
            return Err(failure);
        }
        let tenant = auth.set_up().await.map_err(|error| match error {
            AdminError::Store(error) if is_damage(&error) => damaged(chain(&error)),
            error => Failure::new(
                "the first start did not complete",
                chain(&error),
                "Start again; what is there already is kept.",
            ),
        })?;
        let new_master_key = master.is_new.then_some(master.file);
        Ok(Self { dir, auth, tenant, lease, new_master_key })
    }

    /// Who acts for a person with access to this machine.
    pub fn operator(&self) -> Principal {
        operator(&self.auth, &self.tenant)
    }

    /// Gives the store back.
    pub async fn close(self) {
        if let Err(error) = self.lease.release().await {
            tracing::warn!(%error, "the lease was not given back; it ends by itself");
        }
        self.auth.store.close().await;
    }
}

impl Failure {
    /// Opening a store fails with 1 or, when another process has it, 5.
    fn exit_unless_conflict(self) -> Self {
        let exit = if self.exit == Exit::Conflict { Exit::Conflict } else { Exit::Failed };
        self.exit(exit)
    }
}

/// The principal of commands given on this machine.
pub fn operator(auth: &Auth, tenant: &Tenant) -> Principal {
    Principal { subject: Subject::LocalOperator, ..auth.system(tenant, "local") }
}

/// Where a configuration keeps the data.
pub fn location(config: &Config) -> Location {
    let file = || Location::File(config.data_dir.join(DATABASE));
    config.database_url.as_ref().map_or_else(file, |url| Location::Server(url.reveal().clone()))
}

/// Every version of the schema, applied or not; nothing is changed.
///
/// # Errors
/// When the data cannot be read, or needs a newer program.
pub async fn schema(config: &Config) -> Result<Vec<SchemaVersion>, Failure> {
    let options = Options {
        location: location(config),
        entropy: Box::new(BufferedEntropy::new()),
        clock: Arc::new(WallClock::new()),
        allow_unsafe_durability: config.allow_unsafe_durability,
    };
    Store::schema(options).await.map_err(|error| store_failure("the schema cannot be read", &error))
}

async fn open_store(
    config: &Config,
    master: &MasterKey,
    clock: &Arc<dyn Clock>,
) -> Result<(Store, Keyring, Lease), Failure> {
    let options = Options {
        location: location(config),
        entropy: Box::new(BufferedEntropy::new()),
        clock: Arc::clone(clock),
        allow_unsafe_durability: config.allow_unsafe_durability,
    };
    let store = Store::open(options).await.map_err(|error| store_failure("the store cannot be opened", &error))?;
    let detail = format!("process {} on {}", std::process::id(), host());
    let lease = match store.claim_single_writer(&detail).await {
        Ok(lease) => lease,
        Err(error) => {
            store.close().await;
            let is_held = matches!(error, store::Error::Refused(_));
            let failure = store_failure("the store is not free", &error);
            return Err(failure.exit(if is_held { Exit::Conflict } else { Exit::Failed }));
        }
    };
    match Keyring::open(&store, &master.key, clock.now(), &mut SystemEntropy::new()).await {
        Ok(keyring) => Ok((store, keyring, lease)),
        Err(error) => {
            // The answer to a failed start must not be a lease that blocks the next one.
            let _ = lease.release().await;
            store.close().await;
            let what = if master.is_new {
                format!("the master key {} is missing beside existing data", master.file.display())
            } else {
                format!("the master key {} does not open this store", master.file.display())
            };
            let remedy = "Put the key of this store back, or name it with BASTIONARY_MASTER_KEY_FILE.";
            let is_other = matches!(error, store::Error::Refused(_));
            let exit = if is_other { Exit::Denied } else { Exit::Failed };
            Err(Failure::new(what, chain(&error), remedy).exit(exit))
        }
    }
}

/// Why not to serve: what was signed last is not what stands there.
async fn damage(auth: &Auth) -> Option<Failure> {
    match integrity::newest_checkpoints(auth).await {
        Ok(None) => None,
        Ok(Some(found)) => Some(damaged(found)),
        Err(error) => Some(store_failure("the store cannot be read", &error)),
    }
}

/// Whether an error says that the data is not what was written. Every statement is prepared by the suite, so one that
/// fails here met another schema than its own.
pub const fn is_damage(error: &store::Error) -> bool {
    matches!(error, store::Error::RowCorrupt | store::Error::Defect(..))
}

/// The data is not what was written.
pub fn damaged(found: impl std::fmt::Display) -> Failure {
    Failure::new(
        "the store is damaged (store_corrupt)",
        found,
        "Nothing was changed. `bastionary audit verify` looks closer; restore from a backup.",
    )
}

fn store_failure(what: &str, error: &store::Error) -> Failure {
    let remedy = match error {
        error if is_damage(error) => return damaged(chain(error)),
        store::Error::Refused(_) => "",
        store::Error::NoSpace => "Free space on the volume of the data directory.",
        _ => "Check that the store is there and that this user may use it; `bastionary doctor` looks closer.",
    };
    Failure::new(what, chain(error), remedy)
}

/// An error and its sources in one sentence, without saying anything twice.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = inner.source();
    }
    text
}

/// The name of this machine.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "this machine".to_owned(), |h| h.trim().to_owned())
}

fn settings(config: &Config, issuer: String) -> Settings {
    let limits = &config.limits;
    let per_minute = |limit, burst| Rate { limit, window_s: 60, burst };
    // Half of the cores at most compute slow hashes, so that a flood of guesses leaves the rest to everyone else.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Settings {
        issuer,
        default_kind: if config.is_development { TenantKind::Sandbox } else { TenantKind::Live },
        auto_create_scopes: config.scopes_auto_create,
        hardened: config.hardened,
        max_jwt_ttl_seconds: config.max_jwt_ttl_seconds,
        reject_weak_secrets: config.reject_weak_secrets,
        client_rate: Rate::per_second(limits.client_rate, limits.client_burst),
        source_rate: Rate::per_second(limits.source_rate, limits.source_burst),
        pair_failures: per_minute(limits.auth_failure_client_rate, limits.auth_failure_client_burst),
        source_failures: per_minute(limits.auth_failure_source_rate, limits.auth_failure_source_burst),
        key_rotation_days: config.key_rotation_days,
        event_retention_days: config.event_retention_days,
        outbound: config.outbound.clone(),
        slow_hash_workers: cores.div_euclid(2).clamp(1, 8),
        second_factor_required: !config.is_development,
        ..Settings::default()
    }
}

/// On the first start: says where the master key is, makes the admin client that the configuration names, or says how to make one.
///
/// # Errors
/// When the configured client is refused or the store fails.
pub async fn first_admin(house: &House, config: &Config) -> Result<(), Failure> {
    if let Some(file) = &house.new_master_key {
        terminal::words(&format!(
            "A master key was made: {}. Keep a copy of it elsewhere; without it nobody opens this store.",
            file.display()
        ));
    }
    let broken = |error: AdminError| crate::operation::admin_failure("the admin client was not created", &error);
    let has_admin = house.auth.has_admin(&house.tenant).await.map_err(|error| broken(error.into()))?;
    match &config.admin_client {
        _ if has_admin => Ok(()),
        Some(admin) => {
            let secret = Secret::new(admin.secret.reveal().clone());
            let who = house.auth.system(&house.tenant, "setup");
            let planned = house.auth.plan_admin_client(&who, &house.tenant, Some(admin.id.clone()), Some(secret)).await;
            let planned = match planned {
                Err(AdminError::Taken(..)) => {
                    // No reason to keep everyone else waiting for a server.
                    tracing::warn!(
                        client_id = admin.id,
                        "the configured admin client exists without the scope `admin`"
                    );
                    return Ok(());
                }
                other => other.map_err(broken)?,
            };
            let view = house.auth.run(planned).await.map_err(broken)?;
            tracing::info!(client_id = &*view.client.client_id, "the admin client of the configuration was created");
            Ok(())
        }
        None => {
            terminal::words(&format!(
                "There is no administrator yet. Create one from another terminal of this user:\n\n  bastionary admin client create --data-dir {}\n",
                house.dir.path().display()
            ));
            Ok(())
        }
    }
}

/// Without an operator, prints a one-time link that sets one up; there is no default password anywhere.
///
/// # Errors
/// When the store fails.
pub async fn first_operator(house: &House) -> Result<(), Failure> {
    let broken = |error: OperatorError| crate::operation::operator_failure("the setup link was not made", &error);
    let is_there = house.auth.has_operator(house.tenant.id).await.map_err(|error| broken(error.into()))?;
    if is_there {
        return Ok(());
    }
    let who = house.auth.system(&house.tenant, "setup");
    let link = house.auth.create_setup_link(&who, &house.tenant).await.map_err(broken)?;
    terminal::words(&format!(
        "The console has no owner yet. This link sets one up; it works once, within an hour:\n\n  {}\n\n`bastionary admin setup-link` makes a new one.\n",
        link.address.reveal()
    ));
    Ok(())
}

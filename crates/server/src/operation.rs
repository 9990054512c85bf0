//! What a person on this machine may ask for: from a running server through its socket, or from the store itself.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use auth::Auth;
use auth::error::AdminError;
use auth::key::{KeyRecord, KeyState};
use auth::operator::OperatorError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::clock::Timestamp;
use kernel::error::Fault;
use record::tenant::Tenant;
use record::{Checkpoint, Verifier};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::params;

use crate::backup;
use crate::boot::{chain, operator};
use crate::failure::{Exit, Failure};
use crate::integrity;

/// How old the last backup may be: a day.
const BACKUP_MICROS: i64 = 86_400_000_000;
/// How a restored store is let go on.
pub(crate) const ACCEPT: &str = "Do again what was disabled, deleted or removed since, or accept the loss: `bastionary doctor accept restore_unconfirmed`.";

/// What a restored store does not know.
pub(crate) fn unconfirmed(taken_at: Timestamp) -> String {
    format!(
        "this store was restored from a copy of {taken_at}; what was disabled, deleted or removed since is not known to it"
    )
}

/// One request of a local command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Make a client that holds `admin`; the answer shows its secret once.
    CreateAdminClient {
        /// A chosen id.
        client_id: Option<String>,
    },
    /// Make a one-time link that sets up an owner of the console, in place of any older one.
    CreateSetupLink {
        /// Whose console; the tenant `default` when not given.
        #[serde(default)]
        tenant: Option<String>,
    },
    /// Recompute the audit trees of all tenants.
    VerifyAudit {
        /// Checkpoints that were kept elsewhere.
        known: Vec<String>,
    },
    /// Copy everything into a file.
    CreateBackup {
        /// A new file, by its whole path.
        file: PathBuf,
    },
    /// Let a restored store be served.
    AcceptRestore,
    /// Look at the store and the keys.
    Examine,
}

/// Carries an operation out; `listening` is where the server that does so is reached, when one runs.
///
/// # Errors
/// A [`Failure`] with the exit code of the command.
pub async fn perform(auth: &Arc<Auth>, operation: Operation, listening: Option<SocketAddr>) -> Result<Value, Failure> {
    match operation {
        Operation::CreateAdminClient { client_id } => create_admin_client(auth, client_id).await,
        Operation::CreateSetupLink { tenant } => create_setup_link(auth, tenant.as_deref()).await,
        Operation::VerifyAudit { known } => verify_audit(auth, &known).await,
        Operation::CreateBackup { file } => backup::create(auth, &file).await,
        Operation::AcceptRestore => accept_restore(auth).await,
        Operation::Examine => Ok(examine(auth, listening).await),
    }
}

async fn create_admin_client(auth: &Auth, client_id: Option<String>) -> Result<Value, Failure> {
    let broken = |error: AdminError| admin_failure("the admin client was not created", &error);
    let tenant = default_tenant(auth).await?;
    let who = operator(auth, &tenant);
    let planned = auth.plan_admin_client(&who, &tenant, client_id, None).await.map_err(broken)?;
    let view = auth.run(planned).await.map_err(broken)?;
    let secret = view.secret.as_ref().map(|secret| secret.reveal().clone());
    Ok(json!({
        "client_id": &*view.client.client_id,
        "client_secret": secret,
        "scopes": view.client.settings.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
    }))
}

async fn create_setup_link(auth: &Auth, tenant: Option<&str>) -> Result<Value, Failure> {
    let tenant = match tenant {
        None => default_tenant(auth).await?,
        Some(slug) => auth.tenant(slug).await.map_err(|error| unreadable(&error))?.ok_or_else(|| {
            Failure::new(
                format!("there is no tenant {slug}"),
                "no tenant has this slug",
                "List them with the admin API.",
            )
            .exit(Exit::Missing)
        })?,
    };
    let link = auth
        .create_setup_link(&operator(auth, &tenant), &tenant)
        .await
        .map_err(|error| operator_failure("the setup link was not made", &error))?;
    Ok(json!({
        "url": link.address.reveal(),
        "expires_at": link.link.expires_at.to_string(),
    }))
}

/// A refused use-case about operators as a failure of a command.
pub fn operator_failure(what: &str, error: &OperatorError) -> Failure {
    match error {
        OperatorError::Admin(error) => admin_failure(what, error),
        other => Failure::new(what, chain(other), "").exit(Exit::Failed),
    }
}

async fn default_tenant(auth: &Auth) -> Result<Arc<Tenant>, Failure> {
    let found = auth.tenant(kernel::tenant::DEFAULT_SLUG).await.map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| {
        Failure::new("there is no tenant `default`", "the first start did not complete", "Run `bastionary serve` once.")
    })
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new("the store cannot be read", chain(error), "Run `bastionary doctor`.")
}

/// A refused use-case as a failure of a command.
pub fn admin_failure(what: &str, error: &AdminError) -> Failure {
    if let AdminError::Store(error) = error
        && crate::boot::is_damage(error)
    {
        return crate::boot::damaged(chain(error));
    }
    let exit = match error {
        AdminError::NotFound(_) => Exit::Missing,
        AdminError::Forbidden(_) => Exit::Denied,
        AdminError::Invalid(_) => Exit::Usage,
        AdminError::Taken(..)
        | AdminError::TooMany(..)
        | AdminError::State(_)
        | AdminError::Illegal { .. }
        | AdminError::Stale => Exit::Conflict,
        AdminError::Store(error) if error.fault() == Fault::Caller => Exit::Conflict,
        AdminError::Store(_) | AdminError::Jose(_) => Exit::Failed,
    };
    let why = match error {
        AdminError::Invalid(problems) => {
            problems.iter().map(|p| format!("{}: {}", p.pointer, p.detail)).collect::<Vec<_>>().join("\n")
        }
        other => chain(other),
    };
    Failure::new(what, why, "").exit(exit)
}

async fn accept_restore(auth: &Auth) -> Result<Value, Failure> {
    let what = "the restore was not accepted";
    let Some(taken_at) = auth.unconfirmed_restore().await.map_err(|error| unreadable(&error))? else {
        let why = "this store was not restored, or the restore was accepted before";
        return Err(Failure::new(what, why, "Start the server.").exit(Exit::Missing));
    };
    let tenant = default_tenant(auth).await?;
    let planned = auth.plan_accept_restore(&operator(auth, &tenant), &tenant);
    auth.run(planned).await.map_err(|error| admin_failure(what, &error))?;
    Ok(json!({"accepted": "restore_unconfirmed", "taken_at": taken_at.to_string()}))
}

async fn verify_audit(auth: &Auth, known: &[String]) -> Result<Value, Failure> {
    let mut given = Vec::new();
    for note in known {
        let note = Checkpoint::parse(note).map_err(|error| {
            Failure::new(
                "the given checkpoint cannot be read",
                error,
                "Give the whole signed note, as `GET /api/audit/checkpoints` shows it.",
            )
            .exit(Exit::Usage)
        })?;
        given.push(note);
    }
    let mut reports = Vec::new();
    let mut is_good = true;
    let mut used = 0_usize;
    for tenant in auth.all_tenants().await.map_err(|error| unreadable(&error))? {
        let (origins, keys) = verifiers(auth, &tenant).await.map_err(|error| unreadable(&error))?;
        let mut believed = Vec::new();
        for note in given.iter().filter(|note| origins.contains(&note.origin)) {
            let checked = Checkpoint::verify(&note.note, &keys).map_err(|error| {
                Failure::new(
                    "the given checkpoint is not believed",
                    error,
                    "Give a checkpoint that this installation signed.",
                )
            })?;
            used = used.saturating_add(1);
            believed.push(checked);
        }
        let report = record::verify::verify(&auth.store, tenant.id, &believed, &keys)
            .await
            .map_err(|error| unreadable(&error))?;
        is_good &= report.is_good();
        reports.push(json!({
            "tenant": &*tenant.slug,
            "size": report.size,
            "root": STANDARD.encode(report.root),
            "records": report.records,
            "blocks": report.blocks,
            "entries": report.entries,
            "checkpoints": report.checkpoints,
            "unsequenced_records": report.unsequenced_records,
            "unsequenced_entries": report.unsequenced_entries,
            "first_bad": report.first_bad(),
            "findings": report.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }));
    }
    if used < given.len() {
        return Err(Failure::new(
            "a given checkpoint belongs to no tenant here",
            "its first line names another issuer's tree",
            "Give checkpoints of this installation.",
        )
        .exit(Exit::Missing));
    }
    Ok(json!({"good": is_good, "trees": reports}))
}

/// The names under which checkpoints of a tenant were signed, and every key that ever signed one.
pub(crate) async fn verifiers(
    auth: &Auth,
    tenant: &Tenant,
) -> Result<(BTreeSet<String>, Vec<Verifier>), record::Error> {
    let mut origins = BTreeSet::from([record::checkpoint::origin_of(&tenant.issuer)]);
    let mut past = 0;
    loop {
        let page = record::query::checkpoints(&auth.store, tenant.id, past).await?;
        let Some(last) = page.last() else { break };
        past = last.size;
        // The issuer may have changed since; older checkpoints keep the name they were signed under.
        origins.extend(page.into_iter().map(|checkpoint| checkpoint.origin));
    }
    let mut keys = Vec::new();
    for record in key_records(auth, tenant).await? {
        keys.extend(origins.iter().filter_map(|origin| record.verifier(origin)));
    }
    Ok((origins, keys))
}

/// All key records of a tenant, those of destroyed keys included.
pub(crate) async fn key_records(auth: &Auth, tenant: &Tenant) -> Result<Vec<KeyRecord>, store::Error> {
    let mut records: Vec<KeyRecord> = Vec::new();
    loop {
        let before = records.last().map(|record| record.id);
        let rows = auth.store.read_all(&auth::sql::KEYS_LIST, params![tenant.id, before, 200_i64]).await?;
        if rows.is_empty() {
            return Ok(records);
        }
        for row in &rows {
            records.push(KeyRecord::from_row(row)?);
        }
    }
}

async fn examine(auth: &Arc<Auth>, listening: Option<SocketAddr>) -> Value {
    let mut findings = Vec::new();
    let mut note = |check: &str, level: &str, detail: String, remedy: &str| {
        findings.push(json!({"check": check, "level": level, "detail": detail, "remedy": remedy}));
    };
    if let Some(address) = listening {
        note("listener", "ok", format!("the running server is reached at {address}"), "");
    }
    if let Ok(Some(taken_at)) = auth.unconfirmed_restore().await {
        note("restore", "critical", unconfirmed(taken_at), ACCEPT);
    }
    match auth.store.mark(backup::MADE_AT).await {
        Ok(Some(at)) if auth.clock.now().as_micros().saturating_sub(at) < BACKUP_MICROS => {
            note("backup", "ok", format!("the last one is of {}", Timestamp::from_micros(at)), "");
        }
        Ok(at) if auth.store.has_snapshots() => {
            let last = at.map_or_else(
                || "none was made yet".to_owned(),
                |at| format!("the last one is of {}", Timestamp::from_micros(at)),
            );
            note("backup", "warning", last, "Run `bastionary backup create` once a day, and keep the file elsewhere.");
        }
        // What a database server's own tools do is not known here; a store that cannot be read says so below.
        _ => {}
    }
    match auth.store.ping().await {
        Ok(()) => note(
            "store",
            "ok",
            format!("{} answers, schema version {}", auth.store.engine_name(), auth.store.schema_version()),
            "",
        ),
        Err(error) => note(
            "store",
            "critical",
            chain(&error),
            "Look at the disk or the database server; the page of `store_unreachable` says more.",
        ),
    }
    match integrity::whole(auth).await {
        Ok(found) if found.is_empty() => {
            note("data", "ok", "every page and every audit tree was looked at".to_owned(), "");
        }
        Ok(found) => {
            for damage in found {
                note("data", "critical", damage, "The page of `store_corrupt` says what to do; restore from a backup.");
            }
        }
        Err(error) => note("data", "critical", chain(&error), "The store must answer first."),
    }
    match auth.all_tenants().await {
        Err(error) => note("tenants", "critical", chain(&error), "The store must answer first."),
        Ok(tenants) => {
            for tenant in tenants {
                let name = format!("keys of {}", tenant.slug);
                match auth.keys(&tenant).await {
                    Err(error) => note(
                        &name,
                        "critical",
                        chain(&error),
                        "The master key or the store is damaged; restore from a backup.",
                    ),
                    Ok(keys) => {
                        let count = |state| keys.records.iter().filter(|r| r.state == state).count();
                        let (active, staged) = (count(KeyState::Active), count(KeyState::Staged));
                        let (level, remedy) = match (active, staged) {
                            (0, _) => ("critical", "Restart the server: it makes the keys every tenant needs."),
                            (_, 0) => ("warning", "Run `bastionary keys rotate`; it stages the next key."),
                            _ => ("ok", ""),
                        };
                        note(&name, level, format!("{active} active, {staged} staged"), remedy);
                    }
                }
                let name = format!("audit log of {}", tenant.slug);
                match record::query::checkpoint(&auth.store, tenant.id).await {
                    Ok(Some(last)) => {
                        note(&name, "ok", format!("the newest checkpoint covers {} leaves", last.size), "");
                    }
                    Ok(None) => {
                        note(&name, "ok", "no checkpoint yet; the first is signed within a minute".to_owned(), "");
                    }
                    Err(error) => note(&name, "critical", chain(&error), "Run `bastionary audit verify`."),
                }
            }
        }
    }
    json!({"at": auth.clock.now().to_string(), "findings": findings})
}

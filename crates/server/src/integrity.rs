//! Is the data what was written? A short look before serving, and a long one after an unclean end, once a day, and
//! when `bastionary doctor` asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::Auth;
use record::Checkpoint;
use record::tenant::Tenant;

use crate::boot::chain;
use crate::operation::{key_records, verifiers};

/// How long the checkpoints of tenants may be looked at before serving.
const BUDGET: Duration = Duration::from_millis(300);

/// The files of the store and the audit tree of every tenant; one sentence per damage. What is found is remembered by
/// the store, and from then on credentials are refused.
///
/// # Errors
/// When the store does not answer, which tells nothing about the data.
pub async fn whole(auth: &Arc<Auth>) -> Result<Vec<String>, store::Error> {
    let mut findings: Vec<String> = auth.store.check().await?.into_iter().collect();
    if findings.is_empty() {
        for tenant in auth.all_tenants().await? {
            findings.extend(tree(auth, &tenant).await?);
        }
    }
    if let Some(first) = findings.first() {
        auth.store.condemn(first);
    }
    Ok(findings)
}

async fn tree(auth: &Auth, tenant: &Tenant) -> Result<Vec<String>, store::Error> {
    let verified = async {
        let (_, keys) = verifiers(auth, tenant).await?;
        record::verify::verify(&auth.store, tenant.id, &[], &keys).await
    };
    let found = |what: String| format!("audit tree of {}: {what}", tenant.slug);
    match verified.await {
        Ok(report) => Ok(report.findings.iter().map(|finding| found(finding.to_string())).collect()),
        // A row that cannot be read is a finding; a store that does not answer is none.
        Err(record::Error::Store(error)) if !matches!(error, store::Error::RowCorrupt) => Err(error),
        Err(error) => Ok(vec![found(chain(&error))]),
    }
}

/// The newest checkpoint of each tenant, as far as there is time: the first that no key of its tenant signed.
///
/// # Errors
/// The store's.
pub async fn newest_checkpoints(auth: &Auth) -> Result<Option<String>, store::Error> {
    let started = Instant::now();
    for tenant in auth.all_tenants().await? {
        if started.elapsed() > BUDGET {
            break;
        }
        let newest = match record::query::checkpoint(&auth.store, tenant.id).await {
            Ok(None) => continue,
            Ok(Some(newest)) => newest,
            Err(record::Error::Store(error)) if !matches!(error, store::Error::RowCorrupt) => return Err(error),
            Err(error) => return Ok(Some(format!("newest checkpoint of {}: {}", tenant.slug, chain(&error)))),
        };
        let records = key_records(auth, &tenant).await?;
        let keys: Vec<_> = records.iter().filter_map(|key| key.verifier(&newest.origin)).collect();
        if Checkpoint::verify(&newest.note, &keys).is_err() {
            return Ok(Some(format!("newest checkpoint of {}: no key of the tenant signed it", tenant.slug)));
        }
    }
    Ok(None)
}

//! What is set, what it runs on, and a bundle of both for a report.

use auth::client::ACCESS_TTL_DEFAULT_SECONDS;
use auth::limit::Rate;
use auth::operator::{attempt, link, passphrase, recovery, session};
use axum::Json;
use axum::response::IntoResponse as _;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use kernel::tenant::DEFAULT_SLUG;
use record::tenant::TenantKind;
use serde_json::{Value, json};
use store::params;

use super::ask::Seat;
use super::refused::{Answer, Refused};
use crate::address::counted;
use crate::moment::{Grouped, duration};
use crate::pages::settings::{self, Fact, Group};

/// What the pages need: the settings concern the team and the server, so they belong to the same roles.
const READ: &str = "operators:read";
/// Most keys that a bundle lists.
const KEYS_MOST: i64 = 200;

fn fact(label: &'static str, value: impl Into<String>) -> Fact {
    Fact { label, value: value.into(), key: "" }
}

/// A fact that the configuration decides, with the key in its file.
fn set(label: &'static str, value: impl Into<String>, key: &'static str) -> Fact {
    Fact { label, value: value.into(), key }
}

fn group(title: &'static str, sentence: &'static str, facts: Vec<Fact>) -> Group {
    Group { title, sentence, facts }
}

fn yes(is_on: bool) -> &'static str {
    if is_on { "Yes" } else { "No" }
}

/// Bytes in the largest unit of which there is one.
fn bytes(count: u64) -> String {
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if count >= size {
            let tenths = count.saturating_mul(10).checked_div(size).unwrap_or(0);
            return format!("{}.{} {unit}", Grouped(tenths / 10), tenths % 10);
        }
    }
    format!("{count} B")
}

/// What concerns the whole server is shown to its first tenant alone.
fn is_house(seat: &Seat) -> bool {
    *seat.ask.tenant.slug == *DEFAULT_SLUG
}

pub(super) async fn show(seat: Seat) -> Answer {
    seat.need(READ)?;
    let mut groups = vec![general(&seat), clients(&seat), sign_in(&seat), transport(&seat)];
    if is_house(&seat) {
        groups.push(storage(&seat));
    }
    groups.push(retention());
    Ok(settings::show(&seat.visit(), &groups, is_house(&seat)).into_response())
}

fn general(seat: &Seat) -> Group {
    let (tenant, store) = (&seat.ask.tenant, &seat.ask.auth.store);
    let kind = if tenant.kind == TenantKind::Live { "Live" } else { "Sandbox" };
    let mut facts = vec![
        set("Issuer", &*tenant.issuer, "issuer"),
        fact("Tenant", format!("{} ({})", tenant.name, tenant.slug)),
        fact("Environment", kind),
        fact("Bastionary", crate::VERSION),
        fact("Schema", format!("version {}", store.schema_version())),
        fact("Time of the server", seat.ask.now.to_string()),
    ];
    if tenant.clock_ahead_micros != 0 {
        let seconds = tenant.clock_ahead_micros / 1_000_000;
        facts.push(fact("Business time", format!("{} ahead", duration(seconds))));
    }
    group("General", "", facts)
}

fn clients(seat: &Seat) -> Group {
    let rules = &seat.ask.auth.settings;
    let facts = vec![
        set("Hardened", yes(rules.hardened), "security.hardened"),
        set("A scope that is new is made with its client", yes(rules.auto_create_scopes), "scopes.auto_create"),
        set("Weak chosen secrets are refused", yes(rules.reject_weak_secrets), "security.reject_weak_secrets"),
        set("A signing key is replaced after", format!("{} d", rules.key_rotation_days), "keys.rotation_days"),
        fact("A token lives, unless its client or API says", duration(i64::from(ACCESS_TTL_DEFAULT_SECONDS))),
        set(
            "A JWT of a client that acts for a customer lives at most",
            duration(i64::from(rules.max_jwt_ttl_seconds)),
            "billing.max_jwt_ttl_seconds",
        ),
        fact("Live refresh families of a client", rules.max_families.to_string()),
    ];
    group("Clients and tokens", "", facts)
}

fn sign_in(seat: &Seat) -> Group {
    let second = if seat.ask.auth.settings.second_factor_required {
        "Owners, admins and billing"
    } else {
        "Nobody: this is a development server"
    };
    let facts = vec![
        fact("Passphrase", format!("{} characters or more, none that is common", passphrase::MIN_CHARACTERS)),
        fact("Who needs a second factor", second),
        fact("Recovery codes", recovery::CODES.to_string()),
        fact("A session ends unused after", duration(session::IDLE_SECONDS)),
        fact("A session ends in any case after", duration(session::ABSOLUTE_SECONDS)),
        fact("A fresh sign-in is one of the last", duration(session::FRESH_SECONDS)),
        fact("Failures in a row that turn the passphrase off", attempt::MOST_FAILURES.to_string()),
        fact("A setup link lives", duration(link::SETUP_SECONDS)),
        fact("An invitation lives", duration(link::INVITATION_SECONDS)),
    ];
    group("Sign-in", "", facts)
}

fn transport(seat: &Seat) -> Group {
    let issuer = if seat.ask.auth.settings.issuer.starts_with("https:") { "https" } else { "http" };
    let hop = if seat.ask.is_encrypted { "Encrypted, here or at a trusted proxy" } else { "Plain HTTP" };
    let facts =
        vec![set("Scheme of the issuer", issuer, "issuer"), set("How this page came to you", hop, "tls.cert_file")];
    group("TLS", "The certificate is read again when its file changes; /readyz says when it ends soon.", facts)
}

fn storage(seat: &Seat) -> Group {
    let store = &seat.ask.auth.store;
    let stats = store.stats();
    let mut facts = match store.size() {
        Some(size) => vec![
            set("Engine", "Embedded", "database_url"),
            set("Data", bytes(size.data), "data_dir"),
            fact("Write-ahead log", bytes(size.log)),
        ],
        None => vec![
            set("Engine", "Database server", "database_url"),
            fact("Data", "Kept by the database server, which knows its size"),
        ],
    };
    if let Some(space) = store.space() {
        facts.push(fact("Left on the disk", format!("{} of {}", bytes(space.free), bytes(space.total))));
    }
    facts.push(fact("Commits since the start", Grouped(stats.batches).to_string()));
    facts.push(fact("Journal entries since the start", Grouped(stats.entries).to_string()));
    let waiting = counted(store.queue_depth(), "commit");
    facts.push(fact("Waiting now", waiting));
    group("Storage", "", facts)
}

fn retention() -> Group {
    let until = |label, value: &str| fact(label, value);
    let facts = vec![
        until("Audit records and the journal of tokens", "Kept; nothing removes them"),
        until("Opaque access tokens", "Until they expire"),
        until("Revocations", "Until no token can live that they concern"),
        until("Refresh families", "A day past their last possible use"),
        until("Answers kept for an Idempotency-Key", "24 h"),
        until("Sessions of people", "Until they end"),
        until("One-time links", "A day past their end"),
        fact("Failed sign-ins", duration(attempt::MEMORY_SECONDS)),
    ];
    group("Retention", "", facts)
}

pub(super) async fn notices(seat: Seat) -> Answer {
    seat.need(READ)?;
    Ok(settings::notices(&seat.visit(), &settings::packages()).into_response())
}

/// What a person attaches to a report: no names of people or clients, no addresses, no secrets.
pub(super) async fn diagnostics(seat: Seat) -> Answer {
    seat.need(READ)?;
    if !is_house(&seat) {
        return Err(Refused::not_found());
    }
    let ask = &seat.ask;
    let (auth, store, rules) = (&ask.auth, &ask.auth.store, &ask.auth.settings);
    let rate = |rate: Rate| json!({"limit": rate.limit, "window_s": rate.window_s, "burst": rate.burst});
    let rows = store.read_all(&auth::sql::KEYS_LIST, params![ask.tenant.id, None::<Vec<u8>>, KEYS_MOST]).await?;
    let mut keys = Vec::new();
    for row in &rows {
        let key = auth::key::KeyRecord::from_row(row)?;
        keys.push(json!({
            "kid": key.kid, "purpose": key.purpose.name(), "alg": key.alg.name(), "state": key.state.name(),
            "created_at": key.created_at.to_string(), "promoted_at": key.promoted_at.map(|at| at.to_string()),
        }));
    }
    let shortfall = auth.key_shortfall(&ask.tenant).await?;
    let checkpoint = record::query::checkpoint(store, ask.tenant.id).await?;
    let stats = store.stats();
    let troubles = store
        .troubles()
        .into_iter()
        .map(|trouble| json!({"code": trouble.code, "reason": trouble.reason, "since": trouble.since.to_string()}));
    let bundle = json!({
        "made_at": ask.now.to_string(),
        "version": crate::VERSION,
        "settings": {
            "issuer_scheme": if rules.issuer.starts_with("https:") { "https" } else { "http" },
            "hardened": rules.hardened, "scopes_auto_create": rules.auto_create_scopes,
            "reject_weak_secrets": rules.reject_weak_secrets, "key_rotation_days": rules.key_rotation_days,
            "second_factor_required": rules.second_factor_required, "max_families": rules.max_families,
            "client_rate": rate(auth.default_rate(&ask.tenant)), "source_rate": rate(rules.source_rate),
        },
        "store": {
            "engine": store.engine_name(), "schema_version": store.schema_version(),
            "size": store.size().map(|size| json!({"data": size.data, "log": size.log})),
            "space": store.space().map(|space| json!({"free": space.free, "total": space.total, "is_full": space.is_full})),
            "queue_depth": store.queue_depth(), "reads": stats.reads, "groups": stats.groups,
            "batches": stats.batches, "entries": stats.entries, "conflicts": stats.conflicts,
            "troubles": troubles.collect::<Vec<Value>>(),
        },
        "keys": keys,
        "key_lacks_active": shortfall.lacks_active, "key_is_overdue": shortfall.is_overdue,
        "denied_entries": auth.denials.len(),
        "audit_tree_size": checkpoint.map(|checkpoint| checkpoint.size),
    });
    let name = "attachment; filename=\"bastionary-diagnostics.json\"";
    Ok(([(CONTENT_DISPOSITION, name), (CACHE_CONTROL, "no-store")], Json(bundle)).into_response())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_read_in_their_largest_unit() {
        assert_eq!(
            [bytes(0), bytes(1_536), bytes(5 << 20), bytes(3 << 40)],
            ["0 B", "1.5 KiB", "5.0 MiB", "3\u{202f}072.0 GiB"]
        );
    }
}

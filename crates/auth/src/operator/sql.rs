//! Every SQL statement about operators.

store::statements! {
    /// An operator by id, with the number of their passkeys; likewise below.
    OPERATOR_BY_ID =
        "SELECT o.id, o.email, o.name, o.role, o.passphrase, o.totp, o.totp_step, o.disabled_at, o.signed_in_at, o.version, o.created_at, o.updated_at, (SELECT CAST(COUNT(*) AS {int}) FROM operator_passkey p WHERE p.tenant_id = ?1 AND p.operator = o.id) FROM operator o WHERE o.tenant_id = ?1 AND o.id = ?2";
    /// See above.
    OPERATOR_BY_EMAIL =
        "SELECT o.id, o.email, o.name, o.role, o.passphrase, o.totp, o.totp_step, o.disabled_at, o.signed_in_at, o.version, o.created_at, o.updated_at, (SELECT CAST(COUNT(*) AS {int}) FROM operator_passkey p WHERE p.tenant_id = ?1 AND p.operator = o.id) FROM operator o WHERE o.tenant_id = ?1 AND o.email = ?2";
    /// Operators of a tenant in the order they joined.
    OPERATORS =
        "SELECT o.id, o.email, o.name, o.role, o.passphrase, o.totp, o.totp_step, o.disabled_at, o.signed_in_at, o.version, o.created_at, o.updated_at, (SELECT CAST(COUNT(*) AS {int}) FROM operator_passkey p WHERE p.tenant_id = ?1 AND p.operator = o.id) FROM operator o WHERE o.tenant_id = ?1 AND o.id > ?2 ORDER BY o.id LIMIT ?3";
    /// How many people who may sign in have nothing beside a passphrase.
    OPERATORS_BARE =
        "SELECT CAST(COUNT(*) AS {int}) FROM operator o WHERE o.tenant_id = ?1 AND o.disabled_at IS NULL AND o.totp IS NULL AND NOT EXISTS (SELECT p.id FROM operator_passkey p WHERE p.tenant_id = ?1 AND p.operator = o.id)";
    /// Whether a tenant has any operator.
    OPERATOR_ANY = "SELECT id FROM operator WHERE tenant_id = ?1 LIMIT 1";
    /// A new operator.
    OPERATOR_INSERT =
        "INSERT INTO operator (tenant_id, id, email, name, role, passphrase, totp, totp_step, disabled_at, signed_in_at, version, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, 0, NULL, ?7, 1, ?7, ?7)";
    /// A changed operator, guarded by the version.
    OPERATOR_UPDATE =
        "UPDATE operator SET name = ?3, role = ?4, disabled_at = ?5, version = version + 1, updated_at = ?6 WHERE tenant_id = ?1 AND id = ?2 AND version = ?7";
    /// Other factors, guarded by the version.
    OPERATOR_FACTORS =
        "UPDATE operator SET passphrase = ?3, totp = ?4, totp_step = ?5, version = version + 1, updated_at = ?6 WHERE tenant_id = ?1 AND id = ?2 AND version = ?7";
    /// Something beside the row changed: factors of another table; guarded by the version.
    OPERATOR_TOUCH =
        "UPDATE operator SET version = version + 1, updated_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND version = ?4";
    /// A sign-in, which only an operator who is as the decision saw them completes.
    OPERATOR_SIGNED_IN =
        "UPDATE operator SET signed_in_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND version = ?4 AND disabled_at IS NULL";
    /// The same passphrase at the present cost.
    OPERATOR_REHASH = "UPDATE operator SET passphrase = ?3 WHERE tenant_id = ?1 AND id = ?2 AND version = ?4";
    /// A one-time code used: a step is used once.
    OPERATOR_TOTP_USE = "UPDATE operator SET totp_step = ?3 WHERE tenant_id = ?1 AND id = ?2 AND version = ?4 AND totp_step < ?3";
    /// An operator removed, guarded by the version.
    OPERATOR_DELETE = "DELETE FROM operator WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";

    /// The number of owners who are not disabled, begun.
    OWNERS_OPEN = "INSERT INTO operator_owners (tenant_id, active) VALUES (?1, 0) ON CONFLICT (tenant_id) DO NOTHING";
    /// One owner more.
    OWNERS_MORE = "UPDATE operator_owners SET active = active + 1 WHERE tenant_id = ?1";
    /// One owner less, and never the last.
    OWNERS_LESS = "UPDATE operator_owners SET active = active - 1 WHERE tenant_id = ?1 AND active > 1";

    /// A recovery code.
    RECOVERY_INSERT = "INSERT INTO operator_recovery (tenant_id, operator, hash, used_at) VALUES (?1, ?2, ?3, NULL)";
    /// A recovery code used: once.
    RECOVERY_USE = "UPDATE operator_recovery SET used_at = ?4 WHERE tenant_id = ?1 AND operator = ?2 AND hash = ?3 AND used_at IS NULL";
    /// An unused recovery code.
    RECOVERY_READ = "SELECT hash FROM operator_recovery WHERE tenant_id = ?1 AND operator = ?2 AND hash = ?3 AND used_at IS NULL";
    /// How many recovery codes are left.
    RECOVERY_LEFT = "SELECT CAST(COUNT(*) AS {int}) FROM operator_recovery WHERE tenant_id = ?1 AND operator = ?2 AND used_at IS NULL";
    /// All recovery codes of an operator gone.
    RECOVERY_DELETE = "DELETE FROM operator_recovery WHERE tenant_id = ?1 AND operator = ?2";

    /// The passkeys of an operator.
    PASSKEYS = "SELECT id, operator, credential, public_jwk, counter, name, created_at, last_used_at FROM operator_passkey WHERE tenant_id = ?1 AND operator = ?2 ORDER BY id LIMIT 100";
    /// A passkey by the id its authenticator gave it.
    PASSKEY_BY_CREDENTIAL = "SELECT id, operator, credential, public_jwk, counter, name, created_at, last_used_at FROM operator_passkey WHERE tenant_id = ?1 AND credential = ?2";
    /// A new passkey.
    PASSKEY_INSERT = "INSERT INTO operator_passkey (tenant_id, id, operator, credential, public_jwk, counter, name, created_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)";
    /// A passkey used, as far as its counter had not moved since the decision read it.
    PASSKEY_USE = "UPDATE operator_passkey SET counter = ?3, last_used_at = ?4 WHERE tenant_id = ?1 AND id = ?2 AND counter = ?5";
    /// A passkey under another name.
    PASSKEY_RENAME = "UPDATE operator_passkey SET name = ?4 WHERE tenant_id = ?1 AND operator = ?2 AND id = ?3";
    /// A passkey removed.
    PASSKEY_DELETE = "DELETE FROM operator_passkey WHERE tenant_id = ?1 AND operator = ?2 AND id = ?3";
    /// All passkeys of an operator gone.
    PASSKEY_DELETE_ALL = "DELETE FROM operator_passkey WHERE tenant_id = ?1 AND operator = ?2";

    /// A link by the hash of its token.
    LINK_BY_HASH = "SELECT id, kind, email, role, made_by, created_at, expires_at, ended_at FROM operator_link WHERE tenant_id = ?1 AND hash = ?2";
    /// A link by id.
    LINK_BY_ID = "SELECT id, kind, email, role, made_by, created_at, expires_at, ended_at FROM operator_link WHERE tenant_id = ?1 AND id = ?2";
    /// Open links of a kind, expired ones included.
    LINKS_OPEN = "SELECT id, kind, email, role, made_by, created_at, expires_at, ended_at FROM operator_link WHERE tenant_id = ?1 AND kind = ?2 AND ended_at IS NULL ORDER BY id LIMIT 1000";
    /// A new link.
    LINK_INSERT = "INSERT INTO operator_link (tenant_id, id, kind, hash, email, role, made_by, created_at, expires_at, ended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL)";
    /// The end of an open link: used, or withdrawn.
    LINK_END = "UPDATE operator_link SET ended_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND ended_at IS NULL";
    /// The end of the open link of a kind for an address, so that a new one takes its place.
    LINK_END_OLDER = "UPDATE operator_link SET ended_at = ?4 WHERE tenant_id = ?1 AND kind = ?2 AND email = ?3 AND ended_at IS NULL";

    /// A session by the hash of its token.
    SESSION_BY_HASH = "SELECT id, operator, hash, method, browser, source, created_at, last_seen_at, fresh_until, absolute_deadline FROM operator_session WHERE tenant_id = ?1 AND hash = ?2";
    /// The sessions of an operator that have not passed their deadline.
    SESSIONS = "SELECT id, operator, hash, method, browser, source, created_at, last_seen_at, fresh_until, absolute_deadline FROM operator_session WHERE tenant_id = ?1 AND operator = ?2 AND absolute_deadline > ?3 ORDER BY id LIMIT 1000";
    /// Sessions that have not passed their deadline, by operator.
    SESSION_COUNTS = "SELECT operator, CAST(COUNT(*) AS {int}) FROM operator_session WHERE tenant_id = ?1 AND absolute_deadline > ?2 GROUP BY operator ORDER BY operator LIMIT 10000";
    /// A session by id.
    SESSION_BY_ID = "SELECT id FROM operator_session WHERE tenant_id = ?1 AND operator = ?2 AND id = ?3";
    /// A new session.
    SESSION_INSERT = "INSERT INTO operator_session (tenant_id, id, operator, hash, method, browser, source, created_at, last_seen_at, fresh_until, absolute_deadline) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10)";
    /// A session under a new token.
    SESSION_RENEW = "UPDATE operator_session SET hash = ?4, method = ?5, last_seen_at = ?6, fresh_until = ?7 WHERE tenant_id = ?1 AND id = ?2 AND hash = ?3";
    /// A session was seen.
    SESSION_SEEN = "UPDATE operator_session SET last_seen_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND last_seen_at < ?3";
    /// The end of a session.
    SESSION_DELETE = "DELETE FROM operator_session WHERE tenant_id = ?1 AND operator = ?2 AND id = ?3";
    /// The end of all sessions of an operator.
    SESSION_DELETE_ALL = "DELETE FROM operator_session WHERE tenant_id = ?1 AND operator = ?2";
    /// The end of all sessions of an operator but one.
    SESSION_DELETE_OTHERS = "DELETE FROM operator_session WHERE tenant_id = ?1 AND operator = ?2 AND id <> ?3";
    /// The end of every session of a tenant.
    SESSION_DELETE_TENANT = "DELETE FROM operator_session WHERE tenant_id = ?1";

    /// Attempts of an account from a place.
    ATTEMPT_READ = "SELECT failures, next_at, unrecorded, recorded_at FROM operator_attempt WHERE tenant_id = ?1 AND account = ?2 AND place = ?3";
    /// The first attempt from a place, counted before its outcome is known.
    ATTEMPT_FIRST = "INSERT INTO operator_attempt (tenant_id, account, place, failures, last_at, next_at, unrecorded, recorded_at, detail) VALUES (?1, ?2, ?3, 1, ?4, ?4, 0, 0, ?5) ON CONFLICT (tenant_id, account, place) DO NOTHING";
    /// A further attempt, counted before its outcome is known; guarded by the number the decision read.
    ATTEMPT_NEXT = "UPDATE operator_attempt SET failures = failures + 1, last_at = ?5, next_at = ?6, detail = ?7 WHERE tenant_id = ?1 AND account = ?2 AND place = ?3 AND failures = ?4";
    /// An attempt taken back that turned out right without being a whole sign-in.
    ATTEMPT_TAKE_BACK = "UPDATE operator_attempt SET failures = failures - 1, next_at = ?4 WHERE tenant_id = ?1 AND account = ?2 AND place = ?3 AND failures > 0";
    /// A whole sign-in: the row begins anew.
    ATTEMPT_CLEAR = "DELETE FROM operator_attempt WHERE tenant_id = ?1 AND account = ?2 AND place = ?3";
    /// A failure that the next record will count.
    ATTEMPT_UNRECORDED = "UPDATE operator_attempt SET unrecorded = unrecorded + 1 WHERE tenant_id = ?1 AND account = ?2 AND place = ?3";
    /// What was counted goes into the record of this commit.
    ATTEMPT_RECORDED = "UPDATE operator_attempt SET unrecorded = unrecorded - ?4, recorded_at = ?5 WHERE tenant_id = ?1 AND account = ?2 AND place = ?3 AND unrecorded = ?4 AND recorded_at = ?6";
    /// Failures whose record is due.
    ATTEMPTS_DUE = "SELECT account, place, unrecorded, recorded_at, detail FROM operator_attempt WHERE tenant_id = ?1 AND unrecorded > 0 AND recorded_at <= ?2 ORDER BY account, place LIMIT 1000";

    /// A ticket or challenge used: once.
    SPENT_INSERT = "INSERT INTO operator_spent (tenant_id, hash, expires_at) VALUES (?1, ?2, ?3)";

    /// Rows whose time has passed; likewise below.
    PURGE_SESSION across_tenants("upkeep covers every tenant") = "DELETE FROM operator_session WHERE absolute_deadline < ?1";
    /// See above.
    PURGE_ATTEMPT across_tenants("upkeep covers every tenant") = "DELETE FROM operator_attempt WHERE last_at < ?1 AND unrecorded = 0";
    /// See above.
    PURGE_SPENT across_tenants("upkeep covers every tenant") = "DELETE FROM operator_spent WHERE expires_at < ?1";
    /// See above.
    PURGE_LINK across_tenants("upkeep covers every tenant") = "DELETE FROM operator_link WHERE expires_at < ?1";
}

//! Every SQL statement of this product.

store::statements! {
    /// A tenant by slug.
    TENANT_BY_SLUG across_tenants("the slug is what finds the tenant") =
        "SELECT tenant_id, slug, name, kind, clock_ahead_us, settings, disabled_at, created_at, updated_at FROM tenant WHERE slug = ?1";
    /// Tenants in slug order.
    TENANTS across_tenants("the list for owners of the default tenant, and for jobs") =
        "SELECT tenant_id, slug, name, kind, clock_ahead_us, settings, disabled_at, created_at, updated_at FROM tenant WHERE slug > ?1 ORDER BY slug LIMIT ?2";
    /// A new tenant.
    TENANT_INSERT =
        "INSERT INTO tenant (tenant_id, slug, name, kind, clock_ahead_us, settings, disabled_at, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?7)";
    /// A changed tenant, guarded by its last change.
    TENANT_UPDATE =
        "UPDATE tenant SET name = ?2, settings = ?3, disabled_at = ?4, updated_at = ?5 WHERE tenant_id = ?1 AND updated_at = ?6";
    /// The business clock of a sandbox moved on from where it was read; no other statement writes it.
    TENANT_ADVANCE =
        "UPDATE tenant SET clock_ahead_us = ?2 WHERE tenant_id = ?1 AND clock_ahead_us = ?3 AND kind = 'sandbox'";

    /// A client by its public id.
    CLIENT_BY_CLIENT_ID =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND client_id = ?2";
    /// A client by its internal id.
    CLIENT_BY_ID by key =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND id = ?2";
    /// Credentials of the client with a public id, in no order: sorting here would walk all of a tenant's credentials.
    CREDENTIALS_BY_CLIENT_ID =
        "SELECT c.id, c.client, c.label, c.kind, c.hash, c.root_version, c.hint, c.scopes, c.not_before, c.expires_at, c.revoked_at, c.last_used_at, c.created_at FROM client k JOIN credential c ON c.client = k.id WHERE k.tenant_id = ?1 AND k.client_id = ?2 AND c.tenant_id = ?1";
    /// Any client that does not administer this server.
    CLIENT_PLAIN =
        "SELECT k.id FROM client k WHERE k.tenant_id = ?1 AND NOT EXISTS (SELECT s.client FROM client_scope s WHERE s.tenant_id = ?1 AND s.scope = 'admin' AND s.client = k.id) LIMIT 1";
    /// Any secret of such a client that was used.
    CREDENTIAL_PLAIN_USED =
        "SELECT c.id FROM credential c WHERE c.tenant_id = ?1 AND c.last_used_at IS NOT NULL AND NOT EXISTS (SELECT s.client FROM client_scope s WHERE s.tenant_id = ?1 AND s.scope = 'admin' AND s.client = c.client) LIMIT 1";
    /// A new client. Its versions begin at its time of creation, so that no later client of the same name repeats one.
    CLIENT_INSERT =
        "INSERT INTO client (tenant_id, id, client_id, client_id_key, name_key, settings, expires_at, expiry_key, disabled_at, version, created_at, updated_at, limited_key, customer_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, COALESCE(CAST(?7 AS {int}), 9223372036854775807), NULL, ?8, ?8, ?8, ?9, ?10)";
    /// A changed client, guarded by its version.
    CLIENT_UPDATE =
        "UPDATE client SET name_key = ?3, settings = ?4, expires_at = ?5, expiry_key = COALESCE(CAST(?5 AS {int}), 9223372036854775807), disabled_at = ?6, disabled_key = CASE WHEN CAST(?6 AS {int}) IS NULL THEN 0 ELSE 1 END, limited_key = ?9, customer_id = ?10, version = version + 1, updated_at = ?7 WHERE tenant_id = ?1 AND id = ?2 AND version = ?8";
    /// A deleted client, guarded by its version.
    CLIENT_DELETE = "DELETE FROM client WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";
    /// The version of a client raised, so that concurrent changes of its credentials meet a guard.
    CLIENT_TOUCH = "UPDATE client SET version = version + 1, updated_at = ?4 WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";
    /// One scope a client may request.
    CLIENT_SCOPE_INSERT = "INSERT INTO client_scope (tenant_id, scope, client) VALUES (?1, ?2, ?3)";
    /// All scopes a client may request, removed.
    CLIENT_SCOPE_CLEAR = "DELETE FROM client_scope WHERE tenant_id = ?1 AND client = ?2";

    /// A new credential.
    CREDENTIAL_INSERT =
        "INSERT INTO credential (tenant_id, id, client, label, kind, hash, root_version, hint, scopes, not_before, expires_at, revoked_at, last_used_at, announced_days, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL, NULL, NULL, ?12)";
    /// A credential ended by hand.
    CREDENTIAL_REVOKE = "UPDATE credential SET revoked_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND revoked_at IS NULL";
    /// A credential's end moved forward, never back.
    CREDENTIAL_EXPIRE =
        "UPDATE credential SET expires_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)";
    /// Credentials of a deleted client.
    CREDENTIAL_DELETE_CLIENT = "DELETE FROM credential WHERE tenant_id = ?1 AND client = ?2";
    /// Live credentials that nobody used since a time.
    CREDENTIALS_UNUSED =
        "SELECT c.id, c.client, c.label, c.kind, c.hash, c.root_version, c.hint, c.scopes, c.not_before, c.expires_at, c.revoked_at, c.last_used_at, c.created_at, k.client_id FROM credential c JOIN client k ON k.tenant_id = c.tenant_id AND k.id = c.client WHERE c.tenant_id = ?1 AND c.revoked_at IS NULL AND (c.last_used_at IS NULL OR c.last_used_at < ?2) AND c.created_at < ?2 AND c.id > ?3 ORDER BY c.id LIMIT ?4";
    /// Credentials that end before a time and have announcements outstanding.
    CREDENTIALS_EXPIRING across_tenants("the announcing job covers every tenant") =
        "SELECT c.tenant_id, c.id, k.client_id, c.label, c.expires_at FROM credential c JOIN client k ON k.tenant_id = c.tenant_id AND k.id = c.client WHERE c.expires_at > ?1 AND c.expires_at <= ?2 AND c.revoked_at IS NULL AND (c.announced_days IS NULL OR (c.announced_days > 7 AND c.expires_at <= ?3) OR (c.announced_days > 1 AND c.expires_at <= ?4)) ORDER BY c.expires_at LIMIT 1000";
    /// Secrets that end within a time while their client has no other that lives on.
    CREDENTIALS_LAST_ENDING =
        "SELECT c.id, c.expires_at, k.client_id, k.settings FROM credential c JOIN client k ON k.tenant_id = c.tenant_id AND k.id = c.client WHERE c.tenant_id = ?1 AND c.expires_at > ?2 AND c.expires_at <= ?3 AND c.revoked_at IS NULL AND k.disabled_at IS NULL AND NOT EXISTS (SELECT o.id FROM credential o WHERE o.tenant_id = ?1 AND o.client = c.client AND o.id <> c.id AND o.revoked_at IS NULL AND (o.expires_at IS NULL OR o.expires_at > c.expires_at)) ORDER BY c.expires_at LIMIT ?4";
    /// An announcement noted.
    CREDENTIAL_ANNOUNCED = "UPDATE credential SET announced_days = ?3 WHERE tenant_id = ?1 AND id = ?2 AND (announced_days IS NULL OR announced_days > ?3)";
    /// Forgets events older than a time, but for those that are still on their way to an endpoint.
    PURGE_EVENT across_tenants("upkeep covers every tenant") = "DELETE FROM event WHERE at < ?1 AND NOT EXISTS \
        (SELECT 1 FROM webhook_delivery d WHERE d.tenant_id = event.tenant_id AND d.event_position = event.position \
        AND d.state = 'pending')";
    /// Forgets deliveries older than a time that have ended, or that wait for a paused endpoint.
    PURGE_DELIVERY across_tenants("upkeep covers every tenant") = "DELETE FROM webhook_delivery \
        WHERE created_at < ?1 AND (state <> 'pending' OR next_at IS NULL)";
    /// Forgets attempts older than a time.
    PURGE_ATTEMPT across_tenants("upkeep covers every tenant") = "DELETE FROM webhook_attempt WHERE at < ?1";
    /// Secrets that ended lately, which was not told yet.
    CREDENTIALS_EXPIRED across_tenants("the announcing job covers every tenant") =
        "SELECT c.tenant_id, c.id, k.client_id, c.label, c.expires_at FROM credential c JOIN client k ON k.tenant_id = c.tenant_id AND k.id = c.client WHERE c.expires_at > ?1 AND c.expires_at <= ?2 AND c.revoked_at IS NULL AND (c.announced_days IS NULL OR c.announced_days > 0) ORDER BY c.expires_at LIMIT 1000";
    /// Clients that expired lately, which was not told yet.
    CLIENTS_EXPIRED across_tenants("the announcing job covers every tenant") =
        "SELECT tenant_id, id, client_id, expires_at FROM client WHERE expires_at > ?1 AND expires_at <= ?2 AND (expired_told IS NULL OR expired_told <> expires_at) ORDER BY expires_at LIMIT 1000";
    /// The end of a client noted as told.
    CLIENT_EXPIRED_TOLD = "UPDATE client SET expired_told = ?3 WHERE tenant_id = ?1 AND id = ?2 AND expires_at = ?3 AND (expired_told IS NULL OR expired_told <> ?3)";

    /// The APIs of a tenant.
    APIS = "SELECT id, identifier, name, builtin, token_ttl_seconds, signing_alg, version, created_at, updated_at FROM api WHERE tenant_id = ?1 ORDER BY id LIMIT 10000";
    /// The scopes of a tenant.
    SCOPES = "SELECT name, api, description, created_at, requires FROM scope WHERE tenant_id = ?1 ORDER BY name LIMIT 100000";
    /// Clients that may request a scope of an API, newest first.
    API_CLIENTS =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND id IN (SELECT u.client FROM scope s JOIN client_scope u ON u.tenant_id = s.tenant_id AND u.scope = s.name WHERE s.tenant_id = ?1 AND s.api = ?2) ORDER BY id DESC LIMIT ?3";
    /// The scopes of an API that a client may request.
    API_SCOPES_USED =
        "SELECT s.name FROM scope s WHERE s.tenant_id = ?1 AND s.api = ?2 AND EXISTS (SELECT 1 FROM client_scope u WHERE u.tenant_id = ?1 AND u.scope = s.name) ORDER BY s.name LIMIT 100000";
    /// A new API.
    API_INSERT =
        "INSERT INTO api (tenant_id, id, identifier, name, builtin, token_ttl_seconds, signing_alg, version, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8)";
    /// A changed API, guarded by its version.
    API_UPDATE =
        "UPDATE api SET name = ?3, token_ttl_seconds = ?4, signing_alg = ?5, version = version + 1, updated_at = ?6 WHERE tenant_id = ?1 AND id = ?2 AND version = ?7";
    /// A deleted API, guarded by its version.
    API_DELETE = "DELETE FROM api WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";
    /// A new scope.
    SCOPE_INSERT = "INSERT INTO scope (tenant_id, name, api, description, created_at, requires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    /// A changed scope, guarded by what it was; a scope that requires nothing compares as an empty text.
    SCOPE_UPDATE = "UPDATE scope SET description = ?3, requires = ?5 WHERE tenant_id = ?1 AND name = ?2 AND description = ?4 AND COALESCE(requires, '') = ?6";
    /// A deleted scope.
    SCOPE_DELETE = "DELETE FROM scope WHERE tenant_id = ?1 AND name = ?2";
    /// Whether a client may still request a scope.
    SCOPE_USED = "SELECT client FROM client_scope WHERE tenant_id = ?1 AND scope = ?2 LIMIT 1";

    /// The signing keys of a tenant that are not destroyed.
    KEYS =
        "SELECT id, purpose, alg, kid, state, public_jwk, sealed, created_at, promote_after, promoted_at, retired_at, remove_after, replace_at FROM signing_key WHERE tenant_id = ?1 AND state <> 'destroyed' ORDER BY id LIMIT 1000";
    /// All signing keys of a tenant, newest first.
    KEYS_LIST =
        "SELECT id, purpose, alg, kid, state, public_jwk, NULL, created_at, promote_after, promoted_at, retired_at, remove_after, replace_at FROM signing_key WHERE tenant_id = ?1 AND (CAST(?2 AS {bytes}) IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
    /// A new signing key.
    KEY_INSERT =
        "INSERT INTO signing_key (tenant_id, id, purpose, alg, kid, state, public_jwk, sealed, created_at, promote_after, promoted_at, retired_at, remove_after, replace_at, destroyed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL, NULL, NULL, NULL)";
    /// The active key steps down.
    KEY_RETIRE = "UPDATE signing_key SET state = 'retiring', retired_at = ?3, remove_after = ?4 WHERE tenant_id = ?1 AND id = ?2 AND state = 'active'";
    /// The staged key steps up.
    KEY_PROMOTE = "UPDATE signing_key SET state = 'active', promoted_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND state = 'staged'";
    /// The active key is to be replaced at a time.
    KEY_SCHEDULE = "UPDATE signing_key SET replace_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND state = 'active'";
    /// The rotation that was set for a time called off.
    KEY_UNSCHEDULE =
        "UPDATE signing_key SET replace_at = NULL WHERE tenant_id = ?1 AND id = ?2 AND state = 'active' AND replace_at = ?3";
    /// A key's private part erased.
    KEY_DESTROY = "UPDATE signing_key SET state = 'destroyed', sealed = NULL, destroyed_at = ?3 WHERE tenant_id = ?1 AND id = ?2 AND state <> 'destroyed'";

    /// A refresh family by the handle in its tokens.
    FAMILY_BY_HANDLE by key =
        "SELECT id, handle, client, credential, scope, audience, generation, rotations, created_at, idle_seconds, idle_deadline, absolute_deadline, ended_at, end_reason FROM family WHERE tenant_id = ?1 AND handle = ?2";
    /// A refresh family by id.
    FAMILY_BY_ID by key =
        "SELECT id, handle, client, credential, scope, audience, generation, rotations, created_at, idle_seconds, idle_deadline, absolute_deadline, ended_at, end_reason FROM family WHERE tenant_id = ?1 AND id = ?2";
    /// Live families of a client, oldest first.
    FAMILIES_OF_CLIENT =
        "SELECT id, handle, client, credential, scope, audience, generation, rotations, created_at, idle_seconds, idle_deadline, absolute_deadline, ended_at, end_reason FROM family WHERE tenant_id = ?1 AND client = ?2 AND ended_at IS NULL AND absolute_deadline > ?3 AND idle_deadline > ?3 AND id > ?4 ORDER BY id LIMIT ?5";
    /// Families with their client, newest first, ended ones included.
    FAMILIES_NEWEST =
        "SELECT f.id, f.handle, f.client, f.credential, f.scope, f.audience, f.generation, f.rotations, f.created_at, f.idle_seconds, f.idle_deadline, f.absolute_deadline, f.ended_at, f.end_reason, k.client_id, k.settings FROM family f LEFT JOIN client k ON k.tenant_id = f.tenant_id AND k.id = f.client WHERE f.tenant_id = ?1 AND (CAST(?2 AS {bytes}) IS NULL OR f.id < ?2) ORDER BY f.id DESC LIMIT ?3";
    /// The same of one client.
    FAMILIES_NEWEST_OF_CLIENT =
        "SELECT f.id, f.handle, f.client, f.credential, f.scope, f.audience, f.generation, f.rotations, f.created_at, f.idle_seconds, f.idle_deadline, f.absolute_deadline, f.ended_at, f.end_reason, k.client_id, k.settings FROM family f LEFT JOIN client k ON k.tenant_id = f.tenant_id AND k.id = f.client WHERE f.tenant_id = ?1 AND (CAST(?2 AS {bytes}) IS NULL OR f.id < ?2) AND f.client = ?4 ORDER BY f.id DESC LIMIT ?3";
    /// The same of those that ended because a used token came again.
    FAMILIES_REUSED =
        "SELECT f.id, f.handle, f.client, f.credential, f.scope, f.audience, f.generation, f.rotations, f.created_at, f.idle_seconds, f.idle_deadline, f.absolute_deadline, f.ended_at, f.end_reason, k.client_id, k.settings FROM family f LEFT JOIN client k ON k.tenant_id = f.tenant_id AND k.id = f.client WHERE f.tenant_id = ?1 AND (CAST(?2 AS {bytes}) IS NULL OR f.id < ?2) AND f.end_reason = 'reuse' ORDER BY f.id DESC LIMIT ?3";
    /// A new refresh family.
    FAMILY_INSERT =
        "INSERT INTO family (tenant_id, id, handle, client, credential, scope, audience, generation, rotations, created_at, idle_seconds, idle_deadline, absolute_deadline, ended_at, end_reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, '', ?8, ?9, ?10, ?11, NULL, NULL)";
    /// A rotation, guarded by the generation and by life.
    FAMILY_ROTATE =
        "UPDATE family SET generation = generation + 1, rotations = ?4, idle_deadline = ?5 WHERE tenant_id = ?1 AND id = ?2 AND generation = ?3 AND ended_at IS NULL";
    /// A repeat inside the window: nothing changes, but the family must still live at this generation.
    FAMILY_REPEAT = "UPDATE family SET generation = generation WHERE tenant_id = ?1 AND id = ?2 AND generation = ?3 AND ended_at IS NULL";
    /// The end of a family.
    FAMILY_END = "UPDATE family SET ended_at = ?3, end_reason = ?4 WHERE tenant_id = ?1 AND id = ?2 AND ended_at IS NULL";
    /// The end of every family of a client.
    FAMILY_END_CLIENT = "UPDATE family SET ended_at = ?3, end_reason = ?4 WHERE tenant_id = ?1 AND client = ?2 AND ended_at IS NULL";
    /// The end of every family that a credential started.
    FAMILY_END_CREDENTIAL = "UPDATE family SET ended_at = ?3, end_reason = ?4 WHERE tenant_id = ?1 AND credential = ?2 AND ended_at IS NULL";
    /// Families that a credential started and that still live.
    FAMILIES_OF_CREDENTIAL = "SELECT id FROM family WHERE tenant_id = ?1 AND credential = ?2 AND ended_at IS NULL LIMIT 10000";

    /// The row of an opaque access token.
    OPAQUE_INSERT = "INSERT INTO opaque_token (tenant_id, hash, claims, expires_at) VALUES (?1, ?2, ?3, ?4)";
    /// An opaque access token by its keyed hash.
    OPAQUE_BY_HASH by key = "SELECT claims, expires_at FROM opaque_token WHERE tenant_id = ?1 AND hash = ?2";

    /// An entry of the denylist.
    DENIED_INSERT =
        "INSERT INTO denied (tenant_id, key, client, expires_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (tenant_id, key) DO UPDATE SET expires_at = excluded.expires_at";
    /// The whole denylist that can still matter.
    DENIED_ALL across_tenants("read once at start") = "SELECT tenant_id, key, expires_at FROM denied WHERE expires_at > ?1";
    /// The end of every family, after a restore.
    FAMILY_END_ALL across_tenants("a restore concerns every tenant") =
        "UPDATE family SET ended_at = ?1, end_reason = ?2 WHERE ended_at IS NULL";
    /// The end of every session of an operator, after a restore.
    SESSION_FORGET_ALL across_tenants("a restore concerns every tenant") = "DELETE FROM operator_session";
    /// No link that was made before a restore may work again.
    LINK_FORGET_ALL across_tenants("a restore concerns every tenant") = "DELETE FROM operator_link";
    /// Public ids of the clients that act for a customer, the newest first.
    CLIENTS_OF_CUSTOMER =
        "SELECT client_id FROM client WHERE tenant_id = ?1 AND customer_id = ?2 ORDER BY id DESC LIMIT ?3";
    /// A client that acts for a customer.
    CLIENT_OF_CUSTOMER = "SELECT client_id FROM client WHERE tenant_id = ?1 AND customer_id = ?2 LIMIT 1";
    /// Restates that no client acts for a customer.
    CUSTOMER_WITHOUT_CLIENT = "UPDATE tenant SET updated_at = updated_at WHERE tenant_id = ?1 \
        AND NOT EXISTS (SELECT 1 FROM client c WHERE c.tenant_id = ?1 AND c.customer_id = ?2)";
    /// The epochs that can still matter.
    EPOCH_ALL across_tenants("read once at start") = "SELECT tenant_id, key, not_before_seq FROM epoch WHERE expires_at > ?1";

    /// A quota counter raised by one slice, within the maximum and inside the window.
    QUOTA_RAISE =
        "UPDATE quota SET used = used + ?5 WHERE tenant_id = ?1 AND client = ?2 AND span = ?3 AND window_start = ?4 AND used + ?5 <= ?6";
    /// A quota counter set up for a window, or moved to a new window.
    QUOTA_OPEN =
        "INSERT INTO quota (tenant_id, client, span, window_start, used) VALUES (?1, ?2, ?3, ?4, 0) ON CONFLICT (tenant_id, client, span) DO UPDATE SET window_start = excluded.window_start, used = 0 WHERE quota.window_start < excluded.window_start";
    /// A quota counter.
    QUOTA_READ = "SELECT window_start, used FROM quota WHERE tenant_id = ?1 AND client = ?2 AND span = ?3";

    /// A kept answer.
    IDEMPOTENCY_READ by key = "SELECT request_hash, answer, expires_at FROM idempotency WHERE tenant_id = ?1 AND key_hash = ?2";
    /// An answer kept in the commit of its effect.
    IDEMPOTENCY_INSERT = "INSERT INTO idempotency (tenant_id, key_hash, request_hash, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// An expired answer forgotten, so that its key can be used again.
    IDEMPOTENCY_FORGET = "DELETE FROM idempotency WHERE tenant_id = ?1 AND key_hash = ?2 AND expires_at <= ?3";

    /// Rows whose time has passed; likewise below.
    PURGE_OPAQUE across_tenants("upkeep covers every tenant") = "DELETE FROM opaque_token WHERE expires_at < ?1";
    /// See above.
    PURGE_DENIED across_tenants("upkeep covers every tenant") = "DELETE FROM denied WHERE expires_at < ?1";
    /// See above.
    PURGE_EPOCH across_tenants("upkeep covers every tenant") = "DELETE FROM epoch WHERE expires_at < ?1";
    /// See above.
    PURGE_IDEMPOTENCY across_tenants("upkeep covers every tenant") = "DELETE FROM idempotency WHERE expires_at < ?1";
    /// Families are kept for a day after their end, so that reuse is still recognized and explained.
    PURGE_FAMILY across_tenants("upkeep covers every tenant") = "DELETE FROM family WHERE absolute_deadline < ?1";
    /// The change feed is kept for a day.
    PURGE_CHANGE across_tenants("upkeep covers every tenant") = "DELETE FROM change WHERE at < ?1";
}

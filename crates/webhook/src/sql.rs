//! The SQL of webhook endpoints, their deliveries and attempts.
//!
//! A delivery is due while `next_at` is there and past. It is absent once the delivery has ended, and while its endpoint
//! is paused: such a delivery waits.

store::statements! {
    /// One endpoint.
    ENDPOINT_READ = "SELECT id, url, types, description, signing, rate_per_second, keys, public_key, old_keys, \
        old_public_key, old_until, state, reason, state_at, fanned_to, last_success_at, failing_since, slowed_at, \
        created_at, updated_at, version FROM webhook_endpoint WHERE tenant_id = ?1 AND id = ?2";
    /// Endpoints after an id.
    ENDPOINTS_AFTER = "SELECT id, url, types, description, signing, rate_per_second, keys, public_key, old_keys, \
        old_public_key, old_until, state, reason, state_at, fanned_to, last_success_at, failing_since, slowed_at, \
        created_at, updated_at, version FROM webhook_endpoint WHERE tenant_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    /// Holds the tenant until the commit, so that what the next statements count stays true.
    TENANT_HOLD = "UPDATE tenant SET updated_at = updated_at WHERE tenant_id = ?1";
    /// A new endpoint, while the tenant has fewer than so many; it hears what happens from here on.
    ENDPOINT_INSERT = "INSERT INTO webhook_endpoint (tenant_id, id, url, types, description, signing, rate_per_second, \
        keys, public_key, state, state_at, fanned_to, created_at, updated_at, version) \
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, CAST(?7 AS {int}), ?8, ?9, 'enabled', ?10, \
        COALESCE((SELECT last FROM event_head WHERE tenant_id = ?1 AND line = 'position'), 0), ?10, ?10, 1 \
        WHERE (SELECT COUNT(*) FROM webhook_endpoint WHERE tenant_id = ?1) < ?11";
    /// What a person may change of an endpoint.
    ENDPOINT_UPDATE = "UPDATE webhook_endpoint SET url = ?3, types = ?4, description = ?5, signing = ?6, \
        rate_per_second = ?7, keys = ?8, updated_at = ?9, version = version + 1 \
        WHERE tenant_id = ?1 AND id = ?2 AND version = ?10";
    /// New keys, with the old ones until a time.
    ENDPOINT_ROLL = "UPDATE webhook_endpoint SET keys = ?3, public_key = ?4, old_keys = ?5, old_public_key = ?6, \
        old_until = ?7, updated_at = ?8, version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?9";
    /// Pauses or disables an endpoint.
    ENDPOINT_STOP = "UPDATE webhook_endpoint SET state = ?3, reason = ?4, state_at = ?5, updated_at = ?5, \
        version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?6";
    /// Messages again, one at a time until one arrives. One that was disabled missed what happened meanwhile.
    ENDPOINT_RESUME = "UPDATE webhook_endpoint SET fanned_to = CASE WHEN state = 'disabled' THEN \
        COALESCE((SELECT last FROM event_head WHERE tenant_id = ?1 AND line = 'position'), 0) ELSE fanned_to END, \
        state = 'enabled', reason = NULL, state_at = ?3, failing_since = NULL, slowed_at = ?3, updated_at = ?3, \
        version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?4";
    /// Removes an endpoint.
    ENDPOINT_DELETE = "DELETE FROM webhook_endpoint WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";
    /// Lets the open deliveries of an endpoint wait.
    DELIVERIES_PARK = "UPDATE webhook_delivery SET next_at = NULL WHERE tenant_id = ?1 AND endpoint_id = ?2 \
        AND state = 'pending'";
    /// Makes the waiting deliveries of an endpoint due at a time.
    DELIVERIES_WAKE = "UPDATE webhook_delivery SET next_at = ?3 WHERE tenant_id = ?1 AND endpoint_id = ?2 \
        AND state = 'pending' AND next_at IS NULL";
    /// Gives the open deliveries of an endpoint up.
    DELIVERIES_CANCEL = "UPDATE webhook_delivery SET state = 'canceled', next_at = NULL, ended_at = ?3 \
        WHERE tenant_id = ?1 AND endpoint_id = ?2 AND state = 'pending'";
    /// A delivery of an event that the same commit wrote, due at once.
    DELIVERY_OF_EVENT = "INSERT INTO webhook_delivery (tenant_id, endpoint_id, id, event_position, event_id, kind, state, \
        attempts, tries, next_at, created_at) SELECT ?1, ?2, ?3, e.position, e.id, e.kind, 'pending', 0, 0, ?5, ?5 \
        FROM event e WHERE e.tenant_id = ?1 AND e.id = ?4";
    /// One delivery.
    DELIVERY_READ = "SELECT id, event_position, event_id, kind, state, attempts, tries, next_at, last_status, \
        last_error, created_at, ended_at FROM webhook_delivery WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id = ?3";
    /// Deliveries of an endpoint between two ids, newest first. Kinds stand between commas; an empty text is for any.
    DELIVERIES_BEFORE = "SELECT id, event_position, event_id, kind, state, attempts, tries, next_at, last_status, \
        last_error, created_at, ended_at FROM webhook_delivery WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id < ?3 \
        AND id >= ?4 AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') ORDER BY id DESC LIMIT ?6";
    /// Deliveries of an endpoint in a state.
    DELIVERIES_IN_STATE = "SELECT id, event_position, event_id, kind, state, attempts, tries, next_at, last_status, \
        last_error, created_at, ended_at FROM webhook_delivery WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id < ?3 \
        AND id >= ?4 AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') AND state = ?7 ORDER BY id DESC LIMIT ?6";
    /// The attempts at a delivery, in their order.
    ATTEMPTS = "SELECT number, at, duration_ms, status, error, node FROM webhook_attempt WHERE tenant_id = ?1 \
        AND delivery_id = ?2 ORDER BY number DESC LIMIT ?3";
    /// Makes a delivery due anew, with all attempts before it.
    RESEND_ONE = "UPDATE webhook_delivery SET state = 'pending', tries = 0, next_at = ?4, ended_at = NULL \
        WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id = ?3";
    /// How many ended deliveries a range holds, counted up to a number.
    RESEND_COUNT = "SELECT COUNT(*) FROM (SELECT id FROM webhook_delivery WHERE tenant_id = ?1 AND endpoint_id = ?2 \
        AND id < ?3 AND id >= ?4 AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') AND state <> 'pending' \
        AND (?6 = '' OR state = ?6) LIMIT ?7) AS found";
    /// Makes the ended deliveries of a range due anew.
    RESEND = "UPDATE webhook_delivery SET state = 'pending', tries = 0, next_at = ?7, ended_at = NULL \
        WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id < ?3 AND id >= ?4 \
        AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') AND state <> 'pending' AND (?6 = '' OR state = ?6)";
    /// How many deliveries of an endpoint are open, counted up to a number.
    BACKLOG = "SELECT COUNT(*) FROM (SELECT id FROM webhook_delivery WHERE tenant_id = ?1 AND endpoint_id = ?2 \
        AND state = 'pending' LIMIT ?3) AS found";
    /// What the latest attempts at an endpoint came to.
    ATTEMPTS_SINCE = "SELECT duration_ms, error FROM webhook_attempt WHERE tenant_id = ?1 AND endpoint_id = ?2 \
        AND at >= ?3 ORDER BY at DESC LIMIT ?4";
    /// Endpoints that lack deliveries of events that have happened, those that lack the fewest first.
    BEHIND across_tenants("the sender serves every tenant") = "SELECT e.tenant_id, e.id, e.types, e.state, e.fanned_to, h.last \
        FROM webhook_endpoint e JOIN event_head h ON h.tenant_id = e.tenant_id AND h.line = 'position' \
        WHERE e.state <> 'disabled' AND e.fanned_to < h.last ORDER BY h.last - e.fanned_to, e.tenant_id, e.id LIMIT ?1";
    /// A delivery of an event; without a time it waits for its endpoint to be resumed.
    DELIVERY_INSERT = "INSERT INTO webhook_delivery (tenant_id, endpoint_id, id, event_position, event_id, kind, state, \
        attempts, tries, next_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', 0, 0, ?7, ?8)";
    /// An endpoint has its deliveries up to a position, if it is still in the state for which they were made.
    ENDPOINT_FANNED = "UPDATE webhook_endpoint SET fanned_to = ?3 WHERE tenant_id = ?1 AND id = ?2 AND fanned_to = ?4 \
        AND state = ?5";
    /// Endpoints to which something is due.
    DUE_ENDPOINTS across_tenants("the sender serves every tenant") = "SELECT e.tenant_id, e.id FROM webhook_endpoint e \
        WHERE e.state = 'enabled' AND EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.tenant_id = e.tenant_id \
        AND d.endpoint_id = e.id AND d.next_at <= ?1)";
    /// What is due to an endpoint, the longest due first.
    DUE = "SELECT id FROM webhook_delivery WHERE tenant_id = ?1 AND endpoint_id = ?2 \
        AND next_at <= ?3 ORDER BY next_at LIMIT ?4";
    /// An attempt that has ended.
    ATTEMPT_INSERT = "INSERT INTO webhook_attempt (tenant_id, endpoint_id, delivery_id, number, at, duration_ms, status, \
        error, node) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// The receiver has it.
    DELIVERY_ARRIVED = "UPDATE webhook_delivery SET state = 'delivered', attempts = ?4, tries = tries + 1, next_at = NULL, \
        last_status = ?5, last_error = NULL, ended_at = ?6 \
        WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id = ?3 AND attempts + 1 = ?4";
    /// An attempt failed. Without a time it was the last one; one that was canceled or waits by now stays as it is.
    DELIVERY_TRIED = "UPDATE webhook_delivery SET \
        state = CASE WHEN state = 'pending' AND CAST(?7 AS {int}) IS NULL THEN 'failed' ELSE state END, \
        ended_at = CASE WHEN state = 'pending' AND CAST(?7 AS {int}) IS NULL THEN CAST(?8 AS {int}) ELSE ended_at END, \
        next_at = CASE WHEN next_at IS NULL THEN NULL ELSE CAST(?7 AS {int}) END, \
        attempts = ?4, tries = tries + 1, last_status = ?5, last_error = ?6 \
        WHERE tenant_id = ?1 AND endpoint_id = ?2 AND id = ?3 AND attempts + 1 = ?4";
    /// A message arrived.
    ENDPOINT_ARRIVED = "UPDATE webhook_endpoint SET last_success_at = ?3, failing_since = NULL, slowed_at = NULL \
        WHERE tenant_id = ?1 AND id = ?2";
    /// One did not, and from here on they go one at a time if a time for that is given.
    ENDPOINT_FAILED = "UPDATE webhook_endpoint SET failing_since = COALESCE(failing_since, ?3), \
        slowed_at = COALESCE(slowed_at, CAST(?4 AS {int})) WHERE tenant_id = ?1 AND id = ?2";
    /// The oldest event for which a delivery has yet to be made.
    OLDEST_UNMADE across_tenants("a figure of the process") = "SELECT v.at FROM webhook_endpoint e JOIN event v \
        ON v.tenant_id = e.tenant_id AND v.position = e.fanned_to + 1 WHERE e.state = 'enabled' ORDER BY v.at LIMIT 1";
    /// An endpoint that was paused because nothing arrived.
    FAILING_PAUSED across_tenants("a figure of the process") = "SELECT id FROM webhook_endpoint WHERE state = 'paused' \
        AND reason = 'failing' LIMIT 1";
    /// Endpoints with open deliveries, and since when the oldest of them waits.
    OPEN_ENDPOINTS across_tenants("a figure of the process") = "SELECT tenant_id, id, waits_since FROM (SELECT e.tenant_id, \
        e.id, (SELECT d.created_at FROM webhook_delivery d WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.id \
        AND d.state = 'pending' ORDER BY d.id LIMIT 1) AS waits_since FROM webhook_endpoint e WHERE e.state = 'enabled') AS found \
        WHERE waits_since IS NOT NULL ORDER BY waits_since LIMIT ?1";
    /// After a restore: what was on its way may have arrived since the copy was made.
    RESTORED_DELIVERIES across_tenants("a restore covers every tenant") = "UPDATE webhook_delivery \
        SET state = 'canceled', next_at = NULL, ended_at = ?1 WHERE state = 'pending'";
    /// After a restore: every endpoint hears what happens from here on.
    RESTORED_ENDPOINTS across_tenants("a restore covers every tenant") = "UPDATE webhook_endpoint SET fanned_to = \
        COALESCE((SELECT last FROM event_head h WHERE h.tenant_id = webhook_endpoint.tenant_id AND h.line = 'position'), 0)";
}

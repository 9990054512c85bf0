//! The SQL of customers, the catalog and subscriptions.

store::statements! {
    /// One customer.
    CUSTOMER_READ by key = "SELECT id, external_id, name, details, suspended_at, not_before, standing_version, created_at, \
        updated_at, version FROM customer WHERE tenant_id = ?1 AND id = ?2";
    /// The customer with an id of the operator's own.
    CUSTOMER_BY_EXTERNAL by key = "SELECT id, external_id, name, details, suspended_at, not_before, standing_version, created_at, \
        updated_at, version FROM customer WHERE tenant_id = ?1 AND external_id = ?2";
    /// Customers before an id, newest first.
    CUSTOMERS_BEFORE = "SELECT id, external_id, name, details, suspended_at, not_before, standing_version, created_at, \
        updated_at, version FROM customer WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    /// Customers whose folded name lies in a range, after a name and id.
    CUSTOMERS_NAMED = "SELECT id, external_id, name, details, suspended_at, not_before, standing_version, created_at, \
        updated_at, version, folded FROM customer WHERE tenant_id = ?1 AND folded >= ?2 AND folded < ?3 \
        AND (folded > ?4 OR (folded = ?4 AND id > ?5)) ORDER BY folded, id LIMIT ?6";
    /// A new customer.
    CUSTOMER_INSERT = "INSERT INTO customer (tenant_id, id, external_id, name, folded, details, standing_version, \
        created_at, updated_at, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7, 1)";
    /// What a person may change of a customer.
    CUSTOMER_UPDATE = "UPDATE customer SET external_id = ?3, name = ?4, folded = ?5, details = ?6, \
        updated_at = ?7, version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?8";
    /// Suspends a customer, or lifts it.
    CUSTOMER_SUSPEND = "UPDATE customer SET suspended_at = ?3, updated_at = ?4, version = version + 1 \
        WHERE tenant_id = ?1 AND id = ?2 AND version = ?5";
    /// Another standing, while it is still the one that was read.
    CUSTOMER_STANDING = "UPDATE customer SET standing_version = standing_version + 1, not_before = ?3 \
        WHERE tenant_id = ?1 AND id = ?2 AND standing_version = ?4";
    /// Restates that a customer is there.
    CUSTOMER_HOLD = "UPDATE customer SET updated_at = updated_at WHERE tenant_id = ?1 AND id = ?2";
    /// Removes a customer that is as it was read.
    CUSTOMER_DELETE = "DELETE FROM customer WHERE tenant_id = ?1 AND id = ?2 AND version = ?3 AND standing_version = ?4";

    /// One feature.
    FEATURE_READ = "SELECT id, key, kind, name, meter, combine, created_at, updated_at, version FROM feature \
        WHERE tenant_id = ?1 AND id = ?2";
    /// Features after a key.
    FEATURES_AFTER = "SELECT id, key, kind, name, meter, combine, created_at, updated_at, version FROM feature \
        WHERE tenant_id = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
    /// A new feature.
    FEATURE_INSERT = "INSERT INTO feature (tenant_id, id, key, kind, name, meter, combine, created_at, updated_at, version) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 1)";
    /// What may be changed of a feature.
    FEATURE_UPDATE = "UPDATE feature SET name = ?3, combine = ?4, updated_at = ?5, version = version + 1 \
        WHERE tenant_id = ?1 AND id = ?2 AND version = ?6";
    /// Removes a feature.
    FEATURE_DELETE = "DELETE FROM feature WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";

    /// Meters after a key: the newest version of each.
    METERS_AFTER = "SELECT id, key, number, state, definition, created_at, updated_at, version FROM meter m \
        WHERE tenant_id = ?1 AND key > ?2 AND number = (SELECT MAX(number) FROM meter n WHERE n.tenant_id = ?1 \
        AND n.key = m.key) ORDER BY key LIMIT ?3";
    /// The newest version of a meter.
    METER_NEWEST = "SELECT id, key, number, state, definition, created_at, updated_at, version FROM meter \
        WHERE tenant_id = ?1 AND key = ?2 ORDER BY number DESC LIMIT 1";
    /// One version of a meter.
    METER_READ = "SELECT id, key, number, state, definition, created_at, updated_at, version FROM meter \
        WHERE tenant_id = ?1 AND id = ?2";
    /// A new version of a meter, the next of its key.
    METER_INSERT = "INSERT INTO meter (tenant_id, id, key, number, event_type, state, definition, created_at, updated_at, \
        version) VALUES (?1, ?2, ?3, ?4, ?5, 'active', ?6, ?7, ?7, 1)";
    /// Archives a meter.
    METER_ARCHIVE = "UPDATE meter SET state = 'archived', updated_at = ?3, version = version + 1 \
        WHERE tenant_id = ?1 AND id = ?2 AND version = ?4 AND state = 'active'";

    /// One version of a plan.
    PLAN_READ = "SELECT id, key, number, state, definition, created_at, updated_at, version FROM plan \
        WHERE tenant_id = ?1 AND id = ?2";
    /// The versions of a plan, the newest first.
    PLAN_VERSIONS = "SELECT id, key, number, state, definition, created_at, updated_at, version FROM plan \
        WHERE tenant_id = ?1 AND key = ?2 ORDER BY number DESC LIMIT ?3";
    /// Versions of plans after a key and number.
    PLANS_AFTER = "SELECT id, key, number, state, definition, created_at, updated_at, version FROM plan \
        WHERE tenant_id = ?1 AND (key > ?2 OR (key = ?2 AND number > ?3)) ORDER BY key, number LIMIT ?4";
    /// A new version of a plan.
    PLAN_INSERT = "INSERT INTO plan (tenant_id, id, key, number, state, definition, created_at, updated_at, version) \
        VALUES (?1, ?2, ?3, ?4, 'draft', ?5, ?6, ?6, 1)";
    /// Another definition of a draft.
    PLAN_UPDATE = "UPDATE plan SET definition = ?3, updated_at = ?4, version = version + 1 \
        WHERE tenant_id = ?1 AND id = ?2 AND version = ?5 AND state = 'draft'";
    /// Another state.
    PLAN_STATE = "UPDATE plan SET state = ?3, updated_at = ?4, version = version + 1 \
        WHERE tenant_id = ?1 AND id = ?2 AND version = ?5";
    /// Removes a draft.
    PLAN_DELETE = "DELETE FROM plan WHERE tenant_id = ?1 AND id = ?2 AND version = ?3 AND state = 'draft'";
    /// Restates that a plan can be subscribed to.
    PLAN_HOLD = "UPDATE plan SET updated_at = updated_at WHERE tenant_id = ?1 AND id = ?2 AND state = 'active'";

    /// One subscription.
    SUBSCRIPTION_READ = "SELECT id, customer_id, document, updated_at, version FROM subscription \
        WHERE tenant_id = ?1 AND id = ?2";
    /// Subscriptions of a customer, newest first.
    SUBSCRIPTIONS_OF = "SELECT id, customer_id, document, updated_at, version FROM subscription \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
    /// Subscriptions before an id, newest first.
    SUBSCRIPTIONS_BEFORE = "SELECT id, customer_id, document, updated_at, version FROM subscription \
        WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    /// Whether somebody subscribes to a version of a plan, or did.
    SUBSCRIPTION_OF_PLAN = "SELECT id FROM subscription WHERE tenant_id = ?1 AND plan_id = ?2 LIMIT 1";
    /// How many subscriptions to a version of a plan last, up to a number.
    SUBSCRIBERS_COUNT = "SELECT COUNT(*) FROM (SELECT id FROM subscription WHERE tenant_id = ?1 AND plan_id = ?2 \
        AND status NOT IN ('canceled', 'ended') LIMIT ?3) s";
    /// A new subscription.
    SUBSCRIPTION_INSERT = "INSERT INTO subscription (tenant_id, id, customer_id, plan_id, status, document, next_at, \
        created_at, updated_at, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 1)";
    /// What became of a subscription.
    SUBSCRIPTION_UPDATE = "UPDATE subscription SET plan_id = ?3, status = ?4, document = ?5, next_at = ?6, \
        updated_at = ?7, version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?8";
    /// Removes the subscriptions of a customer, which have all ended.
    SUBSCRIPTIONS_DELETE = "DELETE FROM subscription WHERE tenant_id = ?1 AND customer_id = ?2 \
        AND status IN ('canceled', 'ended')";
    /// Customers of a tenant for whom something holds by time that is not recorded yet, after an id.
    DUE_AFTER = "SELECT DISTINCT customer_id FROM subscription WHERE tenant_id = ?1 AND next_at <= ?2 \
        AND customer_id > ?3 ORDER BY customer_id LIMIT ?4";
    /// The same in every tenant.
    DUE across_tenants("one job records for every tenant") = "SELECT DISTINCT t.slug, s.customer_id FROM subscription s \
        JOIN tenant t ON t.tenant_id = s.tenant_id WHERE s.next_at <= ?1 + t.clock_ahead_us LIMIT ?2";

    /// Numbers for so many events.
    USAGE_NUMBERS = "INSERT INTO usage_head (tenant_id, sequence) VALUES (?1, ?2) \
        ON CONFLICT (tenant_id) DO UPDATE SET sequence = usage_head.sequence + excluded.sequence";
    /// The number of the newest event.
    USAGE_NUMBER = "SELECT sequence FROM usage_head WHERE tenant_id = ?1";
    /// A new event; its number lies so far behind the newest that this commit drew.
    USAGE_INSERT = "INSERT INTO usage_event (tenant_id, source, event_id, sequence, customer_id, event_type, at, received_at, \
        reporter, state, hash, data, attributes, meter, quantity) VALUES (?1, ?2, ?3, \
        (SELECT sequence FROM usage_head WHERE tenant_id = ?1) - ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    /// What came before under a key.
    USAGE_HASH = "SELECT hash, customer_id, event_type, data FROM usage_event WHERE tenant_id = ?1 AND source = ?2 AND event_id = ?3";
    /// An event with its newest correction.
    USAGE_READ = "SELECT e.sequence, e.customer_id, e.event_type, e.at, e.received_at, e.source, e.event_id, e.reporter, \
        e.state, e.data, e.attributes, e.meter, e.quantity, c.number, c.quantity, c.reason, e.replaced FROM usage_event e \
        LEFT JOIN usage_correction c ON c.tenant_id = ?1 AND c.source = e.source AND c.event_id = e.event_id \
        AND c.number = (SELECT MAX(n.number) FROM usage_correction n WHERE n.tenant_id = ?1 AND n.source = e.source \
        AND n.event_id = e.event_id) WHERE e.tenant_id = ?1 AND e.source = ?2 AND e.event_id = ?3";
    /// Events before a number, the newest first.
    USAGE_BEFORE = "SELECT e.sequence, e.customer_id, e.event_type, e.at, e.received_at, e.source, e.event_id, e.reporter, \
        e.state, e.data, e.attributes, e.meter, e.quantity, c.number, c.quantity, c.reason, e.replaced FROM usage_event e \
        LEFT JOIN usage_correction c ON c.tenant_id = ?1 AND c.source = e.source AND c.event_id = e.event_id \
        AND c.number = (SELECT MAX(n.number) FROM usage_correction n WHERE n.tenant_id = ?1 AND n.source = e.source \
        AND n.event_id = e.event_id) WHERE e.tenant_id = ?1 AND e.sequence < ?2 ORDER BY e.sequence DESC LIMIT ?3";
    /// The same of one customer and type, from a time on and before another, up to a number, after a place; by time.
    USAGE_BETWEEN = "SELECT e.sequence, e.customer_id, e.event_type, e.at, e.received_at, e.source, e.event_id, e.reporter, \
        e.state, e.data, e.attributes, e.meter, e.quantity, c.number, c.quantity, c.reason, e.replaced FROM usage_event e \
        LEFT JOIN usage_correction c ON c.tenant_id = ?1 AND c.source = e.source AND c.event_id = e.event_id \
        AND c.number = (SELECT MAX(n.number) FROM usage_correction n WHERE n.tenant_id = ?1 AND n.source = e.source \
        AND n.event_id = e.event_id AND n.sequence <= ?6) WHERE e.tenant_id = ?1 AND e.customer_id = ?2 AND e.event_type = ?3 \
        AND (e.at > ?4 OR (e.at = ?4 AND e.sequence > ?8)) AND e.at < ?5 AND e.sequence <= ?6 \
        AND (e.replaced IS NULL OR e.replaced > ?6) \
        ORDER BY e.at, e.sequence LIMIT ?7";
    /// Whether a customer has events.
    USAGE_OF = "SELECT event_id FROM usage_event WHERE tenant_id = ?1 AND customer_id = ?2 LIMIT 1";
    /// Restates that no backfill took an event out of counting.
    USAGE_COUNTS = "UPDATE usage_event SET replaced = replaced WHERE tenant_id = ?1 AND source = ?2 AND event_id = ?3 \
        AND replaced IS NULL";
    /// A new correction of an event.
    CORRECTION_INSERT = "INSERT INTO usage_correction (tenant_id, source, event_id, number, sequence, quantity, reason, actor, \
        received_at) VALUES (?1, ?2, ?3, ?4, (SELECT sequence FROM usage_head WHERE tenant_id = ?1), ?5, ?6, ?7, ?8)";
    /// Why an event was not counted.
    REJECTION_INSERT = "INSERT INTO usage_rejection (tenant_id, id, customer_id, source, event_id, event_type, code, detail, \
        reporter, received_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    /// Rejections before an id, the newest first.
    REJECTIONS_BEFORE = "SELECT id, customer_id, source, event_id, event_type, code, detail, reporter, received_at \
        FROM usage_rejection WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    /// Restates under which standing usage was decided.
    CUSTOMER_AS_READ = "UPDATE customer SET standing_version = standing_version WHERE tenant_id = ?1 AND id = ?2 \
        AND standing_version = ?3";

    /// Whether a combination of dimensions is known in a month.
    SERIES_READ = "SELECT window_start FROM usage_series WHERE tenant_id = ?1 AND customer_id = ?2 AND meter = ?3 \
        AND window_start = ?4 AND series = ?5";
    /// How many there are, up to a number.
    SERIES_COUNT = "SELECT COUNT(*) FROM (SELECT window_start FROM usage_series WHERE tenant_id = ?1 AND customer_id = ?2 \
        AND meter = ?3 AND window_start = ?4 LIMIT ?5) AS known";
    /// Another one.
    SERIES_INSERT = "INSERT INTO usage_series (tenant_id, customer_id, meter, window_start, series) \
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant_id, customer_id, meter, window_start, series) DO NOTHING";

    /// The counter of a window.
    QUOTA_READ by key = "SELECT used_whole, used_part, reserved_whole, reserved_part, told, state, carried, version FROM usage_quota \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start = ?4";
    /// The counter of the window before.
    QUOTA_BEFORE = "SELECT used_whole, used_part, reserved_whole, reserved_part, told, state, carried, version FROM usage_quota \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start < ?4 ORDER BY window_start DESC LIMIT 1";
    /// A counter at zero, unless there is one.
    QUOTA_OPEN = "INSERT INTO usage_quota (tenant_id, customer_id, feature, window_start, window_end, used_whole, used_part, \
        reserved_whole, reserved_part, told, carried, version) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, 0, ?6, 1) \
        ON CONFLICT (tenant_id, customer_id, feature, window_start) DO NOTHING";
    /// Counts, while there is room for it beside what is reserved and no other threshold is reached.
    QUOTA_ADD = "UPDATE usage_quota SET used_whole = used_whole + ?5 + (used_part + ?6) / 1000000000000, \
        used_part = (used_part + ?6) % 1000000000000, told = ?7, version = version + 1 \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start = ?4 AND told = ?8 \
        AND (used_whole + reserved_whole + ?5 + (used_part + reserved_part + ?6) / 1000000000000 < ?9 \
        OR (used_whole + reserved_whole + ?5 + (used_part + reserved_part + ?6) / 1000000000000 = ?9 \
        AND (used_part + reserved_part + ?6) % 1000000000000 <= ?10)) \
        AND (used_whole + ?5 + (used_part + ?6) / 1000000000000 < ?11 \
        OR (used_whole + ?5 + (used_part + ?6) / 1000000000000 = ?11 AND (used_part + ?6) % 1000000000000 <= ?12))";
    /// Another state of a counter that does not add, while it is the one that was read.
    QUOTA_STATE = "UPDATE usage_quota SET used_whole = ?5, used_part = ?6, told = ?7, state = ?8, version = version + 1 \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start = ?4 AND version = ?9";
    /// Holds, while there is room for it.
    QUOTA_HOLD = "UPDATE usage_quota SET reserved_whole = reserved_whole + ?5 + (reserved_part + ?6) / 1000000000000, \
        reserved_part = (reserved_part + ?6) % 1000000000000, version = version + 1 \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start = ?4 \
        AND (used_whole + reserved_whole + ?5 + (used_part + reserved_part + ?6) / 1000000000000 < ?7 \
        OR (used_whole + reserved_whole + ?5 + (used_part + reserved_part + ?6) / 1000000000000 = ?7 \
        AND (used_part + reserved_part + ?6) % 1000000000000 <= ?8))";
    /// Frees what was held; the part is that of its complement to the next whole.
    QUOTA_FREE = "UPDATE usage_quota SET reserved_whole = reserved_whole + ?5 + (reserved_part + ?6) / 1000000000000, \
        reserved_part = (reserved_part + ?6) % 1000000000000, version = version + 1 \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start = ?4";

    /// A new reservation.
    RESERVATION_INSERT = "INSERT INTO usage_reservation (tenant_id, id, customer_id, feature, window_start, quantity, state, \
        expires_at, created_at, reporter) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'held', ?7, ?8, ?9)";
    /// One reservation.
    RESERVATION_READ = "SELECT id, customer_id, feature, window_start, quantity, state, used, expires_at, created_at \
        FROM usage_reservation WHERE tenant_id = ?1 AND id = ?2";
    /// What became of a reservation that is held.
    RESERVATION_SETTLE = "UPDATE usage_reservation SET state = ?3, used = ?4 WHERE tenant_id = ?1 AND id = ?2 AND state = 'held'";
    /// Reservations of a window that freed themselves and are still counted as held.
    RESERVATIONS_OVER = "SELECT id, customer_id, feature, window_start, quantity, state, used, expires_at, created_at \
        FROM usage_reservation WHERE tenant_id = ?1 AND customer_id = ?2 AND feature = ?3 AND window_start = ?4 \
        AND state = 'held' AND expires_at <= ?5 ORDER BY expires_at LIMIT ?6";

    /// One backfill.
    BACKFILL_READ by key = "SELECT id, customer_id, meter, event_type, from_at, to_at, mode, state, parts, events, accepted, \
        duplicates, replaced, reason, created_by, created_at, updated_at, version FROM usage_backfill \
        WHERE tenant_id = ?1 AND id = ?2";
    /// Backfills before an id, the newest first.
    BACKFILLS_BEFORE = "SELECT id, customer_id, meter, event_type, from_at, to_at, mode, state, parts, events, accepted, \
        duplicates, replaced, reason, created_by, created_at, updated_at, version FROM usage_backfill \
        WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
    /// A new backfill.
    BACKFILL_INSERT = "INSERT INTO usage_backfill (tenant_id, id, customer_id, meter, event_type, from_at, to_at, mode, state, \
        parts, events, accepted, duplicates, replaced, created_by, created_at, updated_at, version) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', 0, 0, 0, 0, 0, ?9, ?10, ?10, 1)";
    /// One more part of a backfill, while it is the one that was read.
    BACKFILL_STAGE = "UPDATE usage_backfill SET state = 'running', parts = parts + 1, events = events + ?4, updated_at = ?5, \
        version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";
    /// What a backfill ended as, while it is the one that was read.
    BACKFILL_END = "UPDATE usage_backfill SET state = ?4, accepted = ?5, duplicates = ?6, replaced = ?7, updated_at = ?8, \
        version = version + 1 WHERE tenant_id = ?1 AND id = ?2 AND version = ?3";
    /// A part of a backfill that came before.
    PART_READ = "SELECT hash, events FROM usage_backfill_part WHERE tenant_id = ?1 AND backfill_id = ?2 AND number = ?3";
    /// A part of a backfill.
    PART_INSERT = "INSERT INTO usage_backfill_part (tenant_id, backfill_id, number, hash, events) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// Forgets the parts of a backfill.
    PARTS_DELETE = "DELETE FROM usage_backfill_part WHERE tenant_id = ?1 AND backfill_id = ?2";
    /// The keys of the events that a backfill has brought.
    STAGED_KEYS = "SELECT source, event_id, hash FROM usage_backfill_event WHERE tenant_id = ?1 AND backfill_id = ?2 LIMIT ?3";
    /// An event that waits for its backfill to be completed.
    STAGED_INSERT = "INSERT INTO usage_backfill_event (tenant_id, backfill_id, source, event_id, place, at, hash, data, attributes) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// The events of a backfill after a key, each with what is kept under its own.
    STAGED_AFTER = "SELECT s.place, s.source, s.event_id, s.at, s.hash, s.data, e.hash, e.customer_id, e.replaced \
        FROM usage_backfill_event s LEFT JOIN usage_event e ON e.tenant_id = ?1 AND e.source = s.source \
        AND e.event_id = s.event_id WHERE s.tenant_id = ?1 AND s.backfill_id = ?2 AND (s.source, s.event_id) > (?3, ?4) \
        ORDER BY s.source, s.event_id LIMIT ?5";
    /// Forgets the events that wait for a backfill.
    STAGED_DELETE = "DELETE FROM usage_backfill_event WHERE tenant_id = ?1 AND backfill_id = ?2";
    /// Restates that after a number nothing came or was corrected among the events of a customer and type in a time.
    USAGE_QUIET = "UPDATE usage_head SET sequence = sequence WHERE tenant_id = ?1 AND NOT EXISTS (SELECT 1 FROM usage_event e \
        WHERE e.tenant_id = ?1 AND e.customer_id = ?2 AND e.event_type = ?3 AND e.at >= ?4 AND e.at < ?5 \
        AND (e.sequence > ?6 OR EXISTS (SELECT 1 FROM usage_correction c WHERE c.tenant_id = ?1 AND c.source = e.source \
        AND c.event_id = e.event_id AND c.sequence > ?6)))";
    /// Takes the events of a customer and type in a time out of counting, but those that the backfill brings itself.
    USAGE_REPLACE = "UPDATE usage_event SET replaced = (SELECT sequence FROM usage_head WHERE tenant_id = ?1) \
        WHERE tenant_id = ?1 AND customer_id = ?2 AND event_type = ?3 AND at >= ?4 AND at < ?5 AND replaced IS NULL \
        AND NOT EXISTS (SELECT 1 FROM usage_backfill_event s WHERE s.tenant_id = ?1 AND s.backfill_id = ?6 \
        AND s.source = usage_event.source AND s.event_id = usage_event.event_id)";
    /// Lets the events of a backfill that an earlier one took out of counting count again, under its own numbers.
    USAGE_RESTORE = "UPDATE usage_event SET replaced = NULL, received_at = ?3, sequence = (SELECT h.sequence - b.events + s.place \
        FROM usage_backfill_event s JOIN usage_backfill b ON b.tenant_id = ?1 AND b.id = ?2 JOIN usage_head h ON h.tenant_id = ?1 \
        WHERE s.tenant_id = ?1 AND s.backfill_id = ?2 AND s.source = usage_event.source AND s.event_id = usage_event.event_id) \
        WHERE tenant_id = ?1 AND replaced IS NOT NULL AND (source, event_id) IN (SELECT s.source, s.event_id \
        FROM usage_backfill_event s WHERE s.tenant_id = ?1 AND s.backfill_id = ?2)";
    /// Keeps the events of a backfill whose keys are new.
    USAGE_FILL = "INSERT INTO usage_event (tenant_id, source, event_id, sequence, customer_id, event_type, at, received_at, \
        reporter, state, hash, data, attributes) SELECT s.tenant_id, s.source, s.event_id, h.sequence - b.events + s.place, \
        b.customer_id, b.event_type, s.at, CAST(?3 AS {int}), b.created_by, 'counted', s.hash, s.data, s.attributes \
        FROM usage_backfill_event s JOIN usage_backfill b ON b.tenant_id = ?1 AND b.id = ?2 JOIN usage_head h ON h.tenant_id = ?1 \
        WHERE s.tenant_id = ?1 AND s.backfill_id = ?2 ON CONFLICT (tenant_id, source, event_id) DO NOTHING";

    /// The oldest events.
    USAGE_OLDEST = "SELECT sequence, received_at FROM usage_event WHERE tenant_id = ?1 ORDER BY sequence LIMIT ?2";
    /// Forgets events up to a number.
    PURGE_USAGE = "DELETE FROM usage_event WHERE tenant_id = ?1 AND sequence <= ?2";
    /// Forgets the corrections of those events.
    PURGE_CORRECTIONS = "DELETE FROM usage_correction WHERE tenant_id = ?1 AND EXISTS (SELECT 1 FROM usage_event e \
        WHERE e.tenant_id = ?1 AND e.source = usage_correction.source AND e.event_id = usage_correction.event_id \
        AND e.sequence <= ?2)";
    /// Forgets rejections of before a time.
    PURGE_REJECTIONS = "DELETE FROM usage_rejection WHERE tenant_id = ?1 AND received_at < ?2";
    /// Forgets counters of windows that ended before a time.
    PURGE_QUOTAS = "DELETE FROM usage_quota WHERE tenant_id = ?1 AND window_end < ?2";
    /// Forgets reservations that ended before a time.
    PURGE_RESERVATIONS = "DELETE FROM usage_reservation WHERE tenant_id = ?1 AND expires_at < ?2";
    /// Gives up backfills that nobody went on with since a time.
    BACKFILLS_FAIL = "UPDATE usage_backfill SET state = 'failed', reason = ?3, updated_at = ?4, version = version + 1 \
        WHERE tenant_id = ?1 AND state IN ('pending', 'running') AND updated_at < ?2";
    /// Forgets the parts of backfills that were given up.
    PURGE_PARTS = "DELETE FROM usage_backfill_part WHERE tenant_id = ?1 AND backfill_id IN (SELECT id FROM usage_backfill \
        WHERE tenant_id = ?1 AND state = 'failed')";
    /// Forgets the events that waited for them.
    PURGE_STAGED = "DELETE FROM usage_backfill_event WHERE tenant_id = ?1 AND backfill_id IN (SELECT id FROM usage_backfill \
        WHERE tenant_id = ?1 AND state = 'failed')";
    /// Forgets backfills that ended before a time.
    PURGE_BACKFILLS = "DELETE FROM usage_backfill WHERE tenant_id = ?1 AND state IN ('completed', 'failed', 'canceled') \
        AND updated_at < ?2";
    /// Forgets combinations of months before a time.
    PURGE_SERIES = "DELETE FROM usage_series WHERE tenant_id = ?1 AND window_start < ?2";
}

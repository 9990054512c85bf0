//! The SQL of customers, the catalog and subscriptions.

store::statements! {
    /// One customer.
    CUSTOMER_READ = "SELECT id, external_id, name, details, suspended_at, not_before, standing_version, created_at, \
        updated_at, version FROM customer WHERE tenant_id = ?1 AND id = ?2";
    /// The customer with an id of the operator's own.
    CUSTOMER_BY_EXTERNAL = "SELECT id, external_id, name, details, suspended_at, not_before, standing_version, created_at, \
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
}

//! The statements of the client list: one per order and direction, each a range of one index.
//!
//! `?1` is the tenant, `?2` the number of rows, `?3` a scope or an empty text; then the ends of the range, then what
//! narrows it. A range begins behind its first end and reaches to its last one.

macro_rules! key {
    (created) => {
        "id"
    };
    (name) => {
        "(name_key, id)"
    };
    (expiry) => {
        "(expiry_key, id)"
    };
    (status) => {
        "(disabled_key, expiry_key, id)"
    };
}
macro_rules! first {
    (created) => {
        "?4"
    };
    (name) => {
        "(?4, ?5)"
    };
    (expiry) => {
        "(?4, ?5)"
    };
    (status) => {
        "(?4, ?5, ?6)"
    };
}
macro_rules! last {
    (created) => {
        "?5"
    };
    (name) => {
        "(?6, ?7)"
    };
    (expiry) => {
        "(?6, ?7)"
    };
    (status) => {
        "(?7, ?8, ?9)"
    };
}
/// What a status adds to a range; the order by expiry has half of it in its range, the order by status all of it.
macro_rules! of_status {
    (created) => {
        " AND disabled_key >= ?6 AND disabled_key <= ?7 AND expiry_key > ?8 AND expiry_key <= ?9"
    };
    (name) => {
        " AND disabled_key >= ?8 AND disabled_key <= ?9 AND expiry_key > ?10 AND expiry_key <= ?11"
    };
    (expiry) => {
        " AND disabled_key >= ?8 AND disabled_key <= ?9"
    };
    (status) => {
        ""
    };
}
macro_rules! range {
    ($by:ident asc) => {
        concat!(key!($by), " > ", first!($by), " AND ", key!($by), " <= ", last!($by))
    };
    ($by:ident desc) => {
        concat!(key!($by), " < ", first!($by), " AND ", key!($by), " >= ", last!($by))
    };
}
macro_rules! order {
    (created asc) => {
        "id"
    };
    (created desc) => {
        "id DESC"
    };
    (name asc) => {
        "name_key, id"
    };
    (name desc) => {
        "name_key DESC, id DESC"
    };
    (expiry asc) => {
        "expiry_key, id"
    };
    (expiry desc) => {
        "expiry_key DESC, id DESC"
    };
    (status asc) => {
        "disabled_key, expiry_key, id"
    };
    (status desc) => {
        "disabled_key DESC, expiry_key DESC, id DESC"
    };
}
macro_rules! columns {
    () => {
        "k.id, k.client_id, k.settings, k.expires_at, k.disabled_at, k.version, k.created_at, k.updated_at, k.customer_id, k.name_key"
    };
}
macro_rules! of_scope {
    ($client:literal) => {
        concat!(
            " AND (CAST(?3 AS {text}) = '' OR EXISTS (SELECT 1 FROM client_scope s WHERE s.tenant_id = ?1 AND s.scope = CAST(?3 AS {text}) AND s.client = ",
            $client,
            "))"
        )
    };
}

/// A page of a range.
macro_rules! page {
    ($by:ident $to:ident) => {
        concat!(
            "SELECT ", columns!(), " FROM client k WHERE tenant_id = ?1 AND ", range!($by $to), of_status!($by),
            of_scope!("k.id"), " ORDER BY ", order!($by $to), " LIMIT ?2"
        )
    };
}
/// The key at a distance `?3` from the beginning of a range, and the one behind it.
macro_rules! edge {
    ($by:ident $to:ident) => {
        concat!(
            "SELECT disabled_key, expiry_key, id, name_key FROM client WHERE tenant_id = ?1 AND ", range!($by $to),
            " ORDER BY ", order!($by $to), " LIMIT ?2 OFFSET ?3"
        )
    };
}
/// The first `most` clients whose name begins with a prefix, and those of the first `most` ids of whom the id alone
/// does: `low ..high`. Each half is read from its index alone.
macro_rules! begins {
    ($low:literal, $high:literal, $most:literal) => {
        concat!(
            "(SELECT * FROM (SELECT id, name_key, expiry_key, disabled_key FROM client WHERE tenant_id = ?1 AND name_key >= ",
            $low, " AND name_key < ", $high, " ORDER BY name_key, id LIMIT ", $most, ") n UNION ALL \
            SELECT * FROM (SELECT id, name_key, expiry_key, disabled_key FROM client WHERE tenant_id = ?1 AND client_id_key >= ",
            $low, " AND client_id_key < ", $high, " ORDER BY client_id_key, id LIMIT ", $most, ") i WHERE NOT (name_key >= ",
            $low, " AND name_key < ", $high, ")) w"
        )
    };
}
macro_rules! found {
    (created) => {
        begins!("?10", "?11", "?12")
    };
    (name) => {
        begins!("?12", "?13", "?14")
    };
    (expiry) => {
        begins!("?10", "?11", "?12")
    };
    (status) => {
        begins!("?10", "?11", "?12")
    };
}
/// A page of the clients that a prefix finds.
macro_rules! search {
    ($by:ident $to:ident) => {
        concat!(
            "SELECT ", columns!(), " FROM (SELECT w.id AS found FROM ", found!($by), " WHERE ", range!($by $to),
            of_status!($by), of_scope!("w.id"), " ORDER BY ", order!($by $to), " LIMIT ?2) f \
            JOIN client k ON k.tenant_id = ?1 AND k.id = f.found ORDER BY ", order!($by $to)
        )
    };
}
macro_rules! count_search {
    () => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM ",
            begins!("?8", "?9", "?10"),
            " WHERE disabled_key >= ?4 AND disabled_key <= ?5 \
            AND expiry_key > ?6 AND expiry_key <= ?7",
            of_scope!("w.id"),
            " LIMIT ?2) c"
        )
    };
}

store::statements! {
    /// A page in the order of creation, oldest first; likewise below.
    BY_CREATED = page!(created asc);
    /// Newest first.
    BY_CREATED_DOWN = page!(created desc);
    /// By name.
    BY_NAME = page!(name asc);
    /// By name, last first.
    BY_NAME_DOWN = page!(name desc);
    /// By the end, those without one last.
    BY_EXPIRY = page!(expiry asc);
    /// By the end, those without one first.
    BY_EXPIRY_DOWN = page!(expiry desc);
    /// Expired, active, disabled; within each by the end.
    BY_STATUS = page!(status asc);
    /// Disabled, active, expired.
    BY_STATUS_DOWN = page!(status desc);

    /// Where a window of rows ends, oldest first; likewise below.
    EDGE_CREATED = edge!(created asc);
    /// Newest first.
    EDGE_CREATED_DOWN = edge!(created desc);
    /// By name.
    EDGE_NAME = edge!(name asc);
    /// By name, last first.
    EDGE_NAME_DOWN = edge!(name desc);
    /// By the end.
    EDGE_EXPIRY = edge!(expiry asc);
    /// By the end, latest first.
    EDGE_EXPIRY_DOWN = edge!(expiry desc);
    /// By status.
    EDGE_STATUS = edge!(status asc);
    /// By status, last first.
    EDGE_STATUS_DOWN = edge!(status desc);

    /// A page of what a prefix finds, oldest first; likewise below.
    SEARCH_CREATED = search!(created asc);
    /// Newest first.
    SEARCH_CREATED_DOWN = search!(created desc);
    /// By name.
    SEARCH_NAME = search!(name asc);
    /// By name, last first.
    SEARCH_NAME_DOWN = search!(name desc);
    /// By the end.
    SEARCH_EXPIRY = search!(expiry asc);
    /// By the end, latest first.
    SEARCH_EXPIRY_DOWN = search!(expiry desc);
    /// By status.
    SEARCH_STATUS = search!(status asc);
    /// By status, last first.
    SEARCH_STATUS_DOWN = search!(status desc);

    /// A page of the clients of a scope, oldest first.
    OF_SCOPE =
        "SELECT k.id, k.client_id, k.settings, k.expires_at, k.disabled_at, k.version, k.created_at, k.updated_at, k.customer_id, k.name_key FROM client_scope s JOIN client k ON k.tenant_id = s.tenant_id AND k.id = s.client WHERE s.tenant_id = ?1 AND s.scope = ?3 AND s.client > ?4 AND s.client <= ?5 AND k.disabled_key >= ?6 AND k.disabled_key <= ?7 AND k.expiry_key > ?8 AND k.expiry_key <= ?9 ORDER BY s.client LIMIT ?2";
    /// A page of the clients of a scope, newest first.
    OF_SCOPE_DOWN =
        "SELECT k.id, k.client_id, k.settings, k.expires_at, k.disabled_at, k.version, k.created_at, k.updated_at, k.customer_id, k.name_key FROM client_scope s JOIN client k ON k.tenant_id = s.tenant_id AND k.id = s.client WHERE s.tenant_id = ?1 AND s.scope = ?3 AND s.client < ?4 AND s.client >= ?5 AND k.disabled_key >= ?6 AND k.disabled_key <= ?7 AND k.expiry_key > ?8 AND k.expiry_key <= ?9 ORDER BY s.client DESC LIMIT ?2";
    /// Where a window of the clients of a scope ends, oldest first.
    EDGE_SCOPE =
        "SELECT client FROM client_scope WHERE tenant_id = ?1 AND scope = ?6 AND client > ?4 AND client <= ?5 ORDER BY client LIMIT ?2 OFFSET ?3";
    /// Where a window of the clients of a scope ends, newest first.
    EDGE_SCOPE_DOWN =
        "SELECT client FROM client_scope WHERE tenant_id = ?1 AND scope = ?6 AND client < ?4 AND client >= ?5 ORDER BY client DESC LIMIT ?2 OFFSET ?3";

    /// Clients with a rate or a quota of their own, newest first.
    LIMITED =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND limited_key = 1 AND id < ?2 ORDER BY id DESC LIMIT ?3";

    /// Clients of a customer, newest first.
    OF_CUSTOMER =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND customer_id = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";

    /// The first clients whose name begins with a prefix.
    FIRST_NAMES =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND name_key >= ?3 AND name_key < ?4 ORDER BY name_key, id LIMIT ?2";
    /// The first clients whose id begins with a prefix.
    FIRST_IDS =
        "SELECT id, client_id, settings, expires_at, disabled_at, version, created_at, updated_at, customer_id FROM client WHERE tenant_id = ?1 AND client_id_key >= ?3 AND client_id_key < ?4 ORDER BY client_id_key LIMIT ?2";

    /// How many clients there are, up to a bound.
    COUNT = "SELECT COUNT(*) FROM (SELECT 1 FROM client WHERE tenant_id = ?1 LIMIT ?2) c";
    /// How many clients are in a state, up to a bound.
    COUNT_STATUS =
        "SELECT COUNT(*) FROM (SELECT 1 FROM client WHERE tenant_id = ?1 AND disabled_key = ?3 AND expiry_key > ?4 AND expiry_key <= ?5 LIMIT ?2) c";
    /// How many of the first clients of a scope are in a state, and how many were looked at.
    COUNT_SCOPE =
        "SELECT CAST(COALESCE(SUM(CASE WHEN k.disabled_key >= ?4 AND k.disabled_key <= ?5 AND k.expiry_key > ?6 AND k.expiry_key <= ?7 THEN 1 ELSE 0 END), 0) AS {int}), COUNT(*) FROM (SELECT client FROM client_scope WHERE tenant_id = ?1 AND scope = ?3 ORDER BY client DESC LIMIT ?2) l JOIN client k ON k.tenant_id = ?1 AND k.id = l.client";
    /// How many of the clients that a prefix finds are in a state and may request a scope.
    COUNT_SEARCH = count_search!();
    /// How many names and how many ids begin with a prefix, up to a bound.
    WIDTHS =
        "SELECT COUNT(*) FROM (SELECT 1 FROM client WHERE tenant_id = ?1 AND name_key >= ?3 AND name_key < ?4 LIMIT ?2) n UNION ALL SELECT COUNT(*) FROM (SELECT 1 FROM client WHERE tenant_id = ?1 AND client_id_key >= ?3 AND client_id_key < ?4 LIMIT ?2) i";
}

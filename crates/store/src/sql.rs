//! Every SQL statement of the store itself.

crate::statements! {
    /// The audit record of a commit, not yet numbered.
    RECORD_INSERT = "INSERT INTO audit_record (tenant_id, commit_id, actor, credential, action, object_kind, object_id, before, after, at, business_at, source, request, leaf) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, NULL)";
    /// A segment of the issuance journal.
    SEGMENT_INSERT = "INSERT INTO journal_segment (tenant_id, id, first_at, last_at, entries, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    /// Takes the next number of a line of events; the row stays locked until the commit, so numbers rise in its order.
    EVENT_NUMBER = "INSERT INTO event_head (tenant_id, line, last) VALUES (?1, ?2, 1) ON CONFLICT (tenant_id, line) DO UPDATE SET last = event_head.last + 1";
    /// An event under the numbers just taken.
    EVENT_INSERT = "INSERT INTO event (tenant_id, position, id, customer_id, sequence, kind, object_id, at, data) SELECT ?1, p.last, ?2, ?3, s.last, ?4, ?5, ?6, ?7 FROM event_head p JOIN event_head s ON s.tenant_id = p.tenant_id AND s.line = ?8 WHERE p.tenant_id = ?1 AND p.line = 'position'";
    /// Takes the next feed number of a shard.
    HEAD_TAKE across_tenants("a shard holds many tenants") = "UPDATE change_head SET seq = seq + 1 WHERE shard = ?1 RETURNING seq";
    /// Where every shard stands.
    HEADS across_tenants("a shard holds many tenants") = "SELECT shard, seq FROM change_head ORDER BY shard";
    /// Makes a shard known.
    HEAD_SEED across_tenants("a shard holds many tenants") = "INSERT INTO change_head (shard, seq) VALUES (?1, 0) ON CONFLICT (shard) DO NOTHING";
    /// One line of the feed, under the number the commit has just taken.
    CHANGE_INSERT across_tenants("a shard holds many tenants") = "INSERT INTO change (shard, seq, part, tenant_id, kind, key, until, at) SELECT ?1, h.seq, ?2, ?3, ?4, ?5, ?6, ?7 FROM change_head h WHERE h.shard = ?1";
    /// Lines of the feed after a number.
    CHANGES_AFTER across_tenants("a shard holds many tenants") = "SELECT seq, tenant_id, kind, key, until FROM change WHERE shard = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq, part LIMIT 10000";
    /// Takes the right to write for a time, when it is free, over or one's own under this id or the last one, or when it
    /// is to be overruled. The engine's clock decides, so that the clocks of hosts need not agree.
    LEASE_CLAIM across_tenants("the process serves every tenant") = "INSERT INTO lease (name, holder, detail, lease_until) VALUES ('serve', ?1, ?2, {now} + ?3) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, detail = excluded.detail, lease_until = excluded.lease_until WHERE lease.holder IN (excluded.holder, ?4) OR lease.lease_until < {now} OR ?5 = 1";
    /// Keeps the right to write.
    LEASE_RENEW across_tenants("the process serves every tenant") = "UPDATE lease SET lease_until = {now} + ?2 WHERE name = 'serve' AND holder = ?1";
    /// Gives the right to write back.
    LEASE_RELEASE across_tenants("the process serves every tenant") = "DELETE FROM lease WHERE name = 'serve' AND holder = ?1";
    /// Who holds the right to write.
    LEASE_READ across_tenants("the process serves every tenant") = "SELECT holder, detail, lease_until FROM lease WHERE name = 'serve'";
    /// The wrapped root keys.
    ROOT_KEYS across_tenants("root keys are the installation's") = "SELECT purpose, version, wrapped FROM root_key ORDER BY purpose, version";
    /// A new root key.
    ROOT_KEY_INSERT across_tenants("root keys are the installation's") = "INSERT INTO root_key (purpose, version, wrapped, created_at) VALUES (?1, ?2, ?3, ?4)";
    /// A number kept under a name.
    MARK_READ across_tenants("marks are the installation's") = "SELECT value FROM mark WHERE name = ?1";
    /// A number kept under a new name.
    MARK_INSERT across_tenants("marks are the installation's") = "INSERT INTO mark (name, value) VALUES (?1, ?2)";
    /// A number kept under a name, whatever stood there.
    MARK_SET across_tenants("marks are the installation's") = "INSERT INTO mark (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    /// A name forgotten.
    MARK_FORGET across_tenants("marks are the installation's") = "DELETE FROM mark WHERE name = ?1";
    /// Every shard moved ahead, past all numbers that an earlier copy of the data can have given.
    HEADS_RAISE across_tenants("a shard holds many tenants") = "UPDATE change_head SET seq = seq + ?1";
    /// The newest data key of a tenant and purpose.
    DATA_KEY_READ = "SELECT version, wrapped FROM data_key WHERE tenant_id = ?1 AND purpose = ?2 ORDER BY version DESC LIMIT 1";
    /// A new data key.
    DATA_KEY_INSERT = "INSERT INTO data_key (tenant_id, purpose, version, wrapped, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// Whether the engine answers.
    PING across_tenants("reads no table") = "SELECT CAST(1 AS {int})";
}

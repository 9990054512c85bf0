//! The SQL of the audit tree, the journal and the outbox.

store::statements! {
    /// Records without a place in the tree, in commit order.
    UNSEQUENCED_RECORDS = "SELECT commit_id, actor, credential, action, object_kind, object_id, before, after, at, \
        business_at, source, request, leaf FROM audit_record WHERE tenant_id = ?1 AND leaf IS NULL \
        ORDER BY commit_id LIMIT ?2";
    /// How many records have no place in the tree.
    UNSEQUENCED_COUNT = "SELECT COUNT(*) FROM audit_record WHERE tenant_id = ?1 AND leaf IS NULL";
    /// Segments after an id, in commit order.
    SEGMENTS_AFTER = "SELECT id, entries, body FROM journal_segment WHERE tenant_id = ?1 AND id > ?2 \
        ORDER BY id LIMIT ?3";
    /// How many segments wait to be folded, and how many entries they hold.
    SEGMENTS_COUNT = "SELECT COUNT(*), CAST(COALESCE(SUM(entries), 0) AS {int}) FROM journal_segment \
        WHERE tenant_id = ?1";
    /// Segments before an id whose time span meets another, newest first.
    SEGMENTS_BEFORE = "SELECT id, body FROM journal_segment WHERE tenant_id = ?1 AND id < ?2 AND last_at >= ?3 \
        AND first_at <= ?4 ORDER BY id DESC LIMIT ?5";
    /// Forgets the segments of a range of ids once they are folded.
    DELETE_SEGMENTS = "DELETE FROM journal_segment WHERE tenant_id = ?1 AND id >= ?2 AND id <= ?3";
    /// Gives a record its place in the tree.
    NUMBER_RECORD = "UPDATE audit_record SET leaf = ?3 WHERE tenant_id = ?1 AND commit_id = ?2 AND leaf IS NULL";
    /// Adds a leaf hash.
    INSERT_LEAF = "INSERT INTO audit_leaf (tenant_id, leaf, hash) VALUES (?1, ?2, ?3)";
    /// Adds a folded block.
    INSERT_BLOCK = "INSERT INTO journal_block (tenant_id, leaf, first_at, last_at, entries, members, body) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    /// Adds a checkpoint.
    INSERT_CHECKPOINT = "INSERT INTO audit_checkpoint (tenant_id, size, root, note, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// Moves a credential's last use forward.
    TOUCH_CREDENTIAL = "UPDATE credential SET last_used_at = ?3 WHERE tenant_id = ?1 AND id = ?2 \
        AND (last_used_at IS NULL OR last_used_at < ?3)";
    /// Leaf hashes from an index on.
    LEAVES_FROM = "SELECT leaf, hash FROM audit_leaf WHERE tenant_id = ?1 AND leaf >= ?2 ORDER BY leaf LIMIT ?3";
    /// The newest leaf.
    LAST_LEAF = "SELECT leaf FROM audit_leaf WHERE tenant_id = ?1 ORDER BY leaf DESC LIMIT 1";
    /// The newest checkpoint.
    LAST_CHECKPOINT = "SELECT size, root, note, at FROM audit_checkpoint WHERE tenant_id = ?1 \
        ORDER BY size DESC LIMIT 1";
    /// Checkpoints past a size, oldest first.
    CHECKPOINTS_AFTER = "SELECT size, root, note, at FROM audit_checkpoint WHERE tenant_id = ?1 AND size > ?2 \
        ORDER BY size LIMIT ?3";
    /// Records after a commit, oldest first.
    RECORDS_AFTER = "SELECT commit_id, actor, credential, action, object_kind, object_id, before, after, at, \
        business_at, source, request, leaf FROM audit_record WHERE tenant_id = ?1 AND commit_id > ?2 \
        ORDER BY commit_id LIMIT ?3";
    /// Records before a commit, newest first; an empty text stands for any.
    RECORDS_BEFORE = "SELECT commit_id, actor, credential, action, object_kind, object_id, before, after, at, \
        business_at, source, request, leaf FROM audit_record WHERE tenant_id = ?1 AND commit_id < ?2 \
        AND at >= ?3 AND at < ?4 AND (?5 = '' OR actor = ?5) AND (?6 = '' OR action = ?6) \
        AND (?7 = '' OR object_kind = ?7) AND (?8 = '' OR object_id = ?8) ORDER BY commit_id DESC LIMIT ?9";
    /// Records about one object before a commit, newest first; an empty text stands for any.
    RECORDS_OF_OBJECT = "SELECT commit_id, actor, credential, action, object_kind, object_id, before, after, at, \
        business_at, source, request, leaf FROM audit_record WHERE tenant_id = ?1 AND object_kind = ?7 \
        AND object_id = ?8 AND commit_id < ?2 AND at >= ?3 AND at < ?4 AND (?5 = '' OR actor = ?5) \
        AND (?6 = '' OR action = ?6) ORDER BY commit_id DESC LIMIT ?9";
    /// Blocks after a leaf without their bodies, in leaf order.
    BLOCKS_AFTER = "SELECT leaf, entries FROM journal_block WHERE tenant_id = ?1 AND leaf > ?2 ORDER BY leaf LIMIT ?3";
    /// One block's body.
    BLOCK_BODY = "SELECT entries, body FROM journal_block WHERE tenant_id = ?1 AND leaf = ?2";
    /// Blocks whose time span meets another, latest first, from a place on.
    BLOCKS_BEFORE = "SELECT leaf, last_at, members FROM journal_block WHERE tenant_id = ?1 \
        AND (last_at, leaf) < (?2, ?3) AND last_at >= ?4 AND first_at <= ?5 \
        ORDER BY last_at DESC, leaf DESC LIMIT ?6";
    /// Time spans of the blocks since a time, and how many entries each holds.
    BLOCKS_SINCE = "SELECT first_at, last_at, entries FROM journal_block WHERE tenant_id = ?1 AND last_at >= ?2 \
        ORDER BY last_at DESC LIMIT ?3";
    /// The time span of all segments, and how many entries they hold.
    SEGMENTS_SPAN = "SELECT COALESCE(MIN(first_at), 0), COALESCE(MAX(last_at), 0), \
        CAST(COALESCE(SUM(entries), 0) AS {int}) FROM journal_segment WHERE tenant_id = ?1";
    /// Events before a position, newest first; an empty text stands for any. Kinds stand between commas.
    EVENTS_BEFORE = "SELECT position, id, kind, customer_id, sequence, at, data FROM event WHERE tenant_id = ?1 \
        AND position < ?2 AND at >= ?3 AND at < ?4 AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') \
        AND (?6 = '' OR customer_id = ?6) AND (?7 = '' OR object_id = ?7) ORDER BY position DESC LIMIT ?8";
    /// Events about one object, before a position, newest first.
    EVENTS_OF_OBJECT = "SELECT position, id, kind, customer_id, sequence, at, data FROM event WHERE tenant_id = ?1 \
        AND object_id = ?7 AND position < ?2 AND at >= ?3 AND at < ?4 AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') \
        AND (?6 = '' OR customer_id = ?6) ORDER BY position DESC LIMIT ?8";
    /// Events of one customer, before a position, newest first.
    EVENTS_OF_CUSTOMER = "SELECT position, id, kind, customer_id, sequence, at, data FROM event WHERE tenant_id = ?1 \
        AND customer_id = ?6 AND position < ?2 AND at >= ?3 AND at < ?4 \
        AND (?5 = '' OR ?5 LIKE '%,' || kind || ',%') AND (?7 = '' OR object_id = ?7) ORDER BY position DESC LIMIT ?8";
    /// Events after a position, in the order of their commits.
    EVENTS_AFTER = "SELECT position, id, kind, customer_id, sequence, at, data FROM event WHERE tenant_id = ?1 \
        AND position > ?2 ORDER BY position LIMIT ?3";
    /// One event.
    EVENT_READ = "SELECT position, id, kind, customer_id, sequence, at, data FROM event WHERE tenant_id = ?1 AND id = ?2";
    /// The last number of a line of events.
    EVENT_LATEST = "SELECT last FROM event_head WHERE tenant_id = ?1 AND line = ?2";
    /// The oldest event that is kept.
    EVENT_OLDEST = "SELECT position, id, kind, customer_id, sequence, at, data FROM event WHERE tenant_id = ?1 \
        ORDER BY position LIMIT 1";
    /// A not-before number: the feed number of this very commit.
    EPOCH_RAISE =
        "INSERT INTO epoch (tenant_id, key, not_before_seq, expires_at) SELECT ?1, ?2, h.seq, ?3 FROM change_head h WHERE h.shard = ?4 ON CONFLICT (tenant_id, key) DO UPDATE SET not_before_seq = excluded.not_before_seq, expires_at = excluded.expires_at";
}

CREATE TABLE usage_backfill (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  customer_id BLOB NOT NULL,
  meter TEXT NOT NULL,
  event_type TEXT NOT NULL,
  from_at INTEGER NOT NULL,
  to_at INTEGER NOT NULL,
  mode TEXT NOT NULL,
  state TEXT NOT NULL,
  parts INTEGER NOT NULL,
  events INTEGER NOT NULL,
  accepted INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  replaced INTEGER NOT NULL,
  reason TEXT,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX usage_backfill_by_state ON usage_backfill (tenant_id, state, updated_at);

CREATE TABLE usage_backfill_part (
  tenant_id BLOB NOT NULL,
  backfill_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, backfill_id, number)
) STRICT;

CREATE TABLE usage_backfill_event (
  tenant_id BLOB NOT NULL,
  backfill_id BLOB NOT NULL,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  place INTEGER NOT NULL,
  at INTEGER NOT NULL,
  hash BLOB NOT NULL,
  data TEXT,
  attributes TEXT NOT NULL,
  PRIMARY KEY (tenant_id, backfill_id, source, event_id)
) STRICT;

-- The number at which a backfill took an event out of counting.
ALTER TABLE usage_event ADD COLUMN replaced INTEGER;

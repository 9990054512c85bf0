CREATE TABLE usage_backfill (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  customer_id BYTEA NOT NULL,
  meter TEXT COLLATE "C" NOT NULL,
  event_type TEXT COLLATE "C" NOT NULL,
  from_at BIGINT NOT NULL,
  to_at BIGINT NOT NULL,
  mode TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  parts BIGINT NOT NULL,
  events BIGINT NOT NULL,
  accepted BIGINT NOT NULL,
  duplicates BIGINT NOT NULL,
  replaced BIGINT NOT NULL,
  reason TEXT COLLATE "C",
  created_by TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE INDEX usage_backfill_by_state ON usage_backfill (tenant_id, state, updated_at);

CREATE TABLE usage_backfill_part (
  tenant_id BYTEA NOT NULL,
  backfill_id BYTEA NOT NULL,
  number BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  events BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, backfill_id, number)
) ;

CREATE TABLE usage_backfill_event (
  tenant_id BYTEA NOT NULL,
  backfill_id BYTEA NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  place BIGINT NOT NULL,
  at BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  data TEXT COLLATE "C",
  attributes TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, backfill_id, source, event_id)
) ;

-- The number at which a backfill took an event out of counting.
ALTER TABLE usage_event ADD COLUMN replaced BIGINT;

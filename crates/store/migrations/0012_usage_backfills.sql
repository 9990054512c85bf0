CREATE TABLE usage_backfill (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  customer_id {id} NOT NULL,
  meter {text} NOT NULL,
  event_type {text} NOT NULL,
  from_at {int} NOT NULL,
  to_at {int} NOT NULL,
  mode {text} NOT NULL,
  state {text} NOT NULL,
  parts {int} NOT NULL,
  events {int} NOT NULL,
  accepted {int} NOT NULL,
  duplicates {int} NOT NULL,
  replaced {int} NOT NULL,
  reason {text},
  created_by {text} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE INDEX usage_backfill_by_state ON usage_backfill (tenant_id, state, updated_at);

CREATE TABLE usage_backfill_part (
  tenant_id {id} NOT NULL,
  backfill_id {id} NOT NULL,
  number {int} NOT NULL,
  hash {bytes} NOT NULL,
  events {int} NOT NULL,
  PRIMARY KEY (tenant_id, backfill_id, number)
) {table};

CREATE TABLE usage_backfill_event (
  tenant_id {id} NOT NULL,
  backfill_id {id} NOT NULL,
  source {text} NOT NULL,
  event_id {text} NOT NULL,
  place {int} NOT NULL,
  at {int} NOT NULL,
  hash {bytes} NOT NULL,
  data {text},
  attributes {text} NOT NULL,
  PRIMARY KEY (tenant_id, backfill_id, source, event_id)
) {table};

-- The number at which a backfill took an event out of counting.
ALTER TABLE usage_event ADD COLUMN replaced {int};

CREATE TABLE webhook_endpoint (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  url TEXT NOT NULL,
  types TEXT NOT NULL,
  description TEXT NOT NULL,
  signing TEXT NOT NULL,
  rate_per_second INTEGER,
  keys BLOB NOT NULL,
  public_key TEXT NOT NULL,
  old_keys BLOB,
  old_public_key TEXT,
  old_until INTEGER,
  state TEXT NOT NULL,
  reason TEXT,
  state_at INTEGER NOT NULL,
  fanned_to INTEGER NOT NULL,
  last_success_at INTEGER,
  failing_since INTEGER,
  slowed_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE TABLE webhook_delivery (
  tenant_id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  id BLOB NOT NULL,
  event_position INTEGER NOT NULL,
  event_id BLOB NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  next_at INTEGER,
  last_status INTEGER,
  last_error TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (tenant_id, endpoint_id, id)
) STRICT;
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (tenant_id, endpoint_id, state, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (tenant_id, endpoint_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_delivery_open ON webhook_delivery (tenant_id, event_position) WHERE state = 'pending';
CREATE INDEX webhook_delivery_by_time ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
  tenant_id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  delivery_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  node TEXT NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id, number)
) STRICT;
CREATE INDEX webhook_attempt_of_endpoint ON webhook_attempt (tenant_id, endpoint_id, at);
CREATE INDEX webhook_attempt_by_time ON webhook_attempt (at);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'webhooks:read', id, 'Read webhook endpoints and their deliveries', created_at FROM api WHERE builtin = 'management';
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'webhooks:write', id, 'Create, change and delete webhook endpoints, and send again', created_at FROM api WHERE builtin = 'management';

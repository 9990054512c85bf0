CREATE TABLE webhook_endpoint (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  url {text} NOT NULL,
  types {text} NOT NULL,
  description {text} NOT NULL,
  signing {text} NOT NULL,
  rate_per_second {int},
  keys {bytes} NOT NULL,
  public_key {text} NOT NULL,
  old_keys {bytes},
  old_public_key {text},
  old_until {int},
  state {text} NOT NULL,
  reason {text},
  state_at {int} NOT NULL,
  fanned_to {int} NOT NULL,
  last_success_at {int},
  failing_since {int},
  slowed_at {int},
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};

CREATE TABLE webhook_delivery (
  tenant_id {id} NOT NULL,
  endpoint_id {id} NOT NULL,
  id {id} NOT NULL,
  event_position {int} NOT NULL,
  event_id {id} NOT NULL,
  kind {text} NOT NULL,
  state {text} NOT NULL,
  attempts {int} NOT NULL,
  tries {int} NOT NULL,
  next_at {int},
  last_status {int},
  last_error {text},
  created_at {int} NOT NULL,
  ended_at {int},
  PRIMARY KEY (tenant_id, endpoint_id, id)
) {table};
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (tenant_id, endpoint_id, state, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (tenant_id, endpoint_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_delivery_open ON webhook_delivery (tenant_id, event_position) WHERE state = 'pending';
CREATE INDEX webhook_delivery_by_time ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
  tenant_id {id} NOT NULL,
  endpoint_id {id} NOT NULL,
  delivery_id {id} NOT NULL,
  number {int} NOT NULL,
  at {int} NOT NULL,
  duration_ms {int} NOT NULL,
  status {int},
  error {text},
  node {text} NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id, number)
) {table};
CREATE INDEX webhook_attempt_of_endpoint ON webhook_attempt (tenant_id, endpoint_id, at);
CREATE INDEX webhook_attempt_by_time ON webhook_attempt (at);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'webhooks:read', id, 'Read webhook endpoints and their deliveries', created_at FROM api WHERE builtin = 'management';
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'webhooks:write', id, 'Create, change and delete webhook endpoints, and send again', created_at FROM api WHERE builtin = 'management';

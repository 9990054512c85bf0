CREATE TABLE webhook_endpoint (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  url TEXT COLLATE "C" NOT NULL,
  types TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  signing TEXT COLLATE "C" NOT NULL,
  rate_per_second BIGINT,
  keys BYTEA NOT NULL,
  public_key TEXT COLLATE "C" NOT NULL,
  old_keys BYTEA,
  old_public_key TEXT COLLATE "C",
  old_until BIGINT,
  state TEXT COLLATE "C" NOT NULL,
  reason TEXT COLLATE "C",
  state_at BIGINT NOT NULL,
  fanned_to BIGINT NOT NULL,
  last_success_at BIGINT,
  failing_since BIGINT,
  slowed_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;

CREATE TABLE webhook_delivery (
  tenant_id BYTEA NOT NULL,
  endpoint_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  event_position BIGINT NOT NULL,
  event_id BYTEA NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  attempts BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT,
  last_status BIGINT,
  last_error TEXT COLLATE "C",
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  PRIMARY KEY (tenant_id, endpoint_id, id)
) ;
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (tenant_id, endpoint_id, state, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (tenant_id, endpoint_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_delivery_open ON webhook_delivery (tenant_id, event_position) WHERE state = 'pending';
CREATE INDEX webhook_delivery_by_time ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
  tenant_id BYTEA NOT NULL,
  endpoint_id BYTEA NOT NULL,
  delivery_id BYTEA NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL,
  status BIGINT,
  error TEXT COLLATE "C",
  node TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id, number)
) ;
CREATE INDEX webhook_attempt_of_endpoint ON webhook_attempt (tenant_id, endpoint_id, at);
CREATE INDEX webhook_attempt_by_time ON webhook_attempt (at);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'webhooks:read', id, 'Read webhook endpoints and their deliveries', created_at FROM api WHERE builtin = 'management';
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'webhooks:write', id, 'Create, change and delete webhook endpoints, and send again', created_at FROM api WHERE builtin = 'management';

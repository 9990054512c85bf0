CREATE TABLE usage_head (
  tenant_id BYTEA NOT NULL,
  sequence BIGINT NOT NULL,
  PRIMARY KEY (tenant_id)
) ;

CREATE TABLE usage_event (
  tenant_id BYTEA NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  sequence BIGINT NOT NULL,
  customer_id BYTEA NOT NULL,
  event_type TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  reporter TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  hash BYTEA NOT NULL,
  data TEXT COLLATE "C",
  attributes TEXT COLLATE "C" NOT NULL,
  meter TEXT COLLATE "C",
  quantity TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, source, event_id)
) ;
CREATE UNIQUE INDEX usage_event_by_receipt ON usage_event (tenant_id, sequence);
CREATE INDEX usage_event_by_time ON usage_event (tenant_id, customer_id, event_type, at, sequence);

CREATE TABLE usage_correction (
  tenant_id BYTEA NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  quantity TEXT COLLATE "C",
  reason TEXT COLLATE "C" NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, source, event_id, number)
) ;

CREATE TABLE usage_rejection (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  customer_id BYTEA,
  source TEXT COLLATE "C" NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  event_type TEXT COLLATE "C" NOT NULL,
  code TEXT COLLATE "C" NOT NULL,
  detail TEXT COLLATE "C" NOT NULL,
  reporter TEXT COLLATE "C" NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE INDEX usage_rejection_by_time ON usage_rejection (tenant_id, received_at);

CREATE TABLE usage_quota (
  tenant_id BYTEA NOT NULL,
  customer_id BYTEA NOT NULL,
  feature TEXT COLLATE "C" NOT NULL,
  window_start BIGINT NOT NULL,
  window_end BIGINT NOT NULL,
  used_whole BIGINT NOT NULL,
  used_part BIGINT NOT NULL,
  reserved_whole BIGINT NOT NULL,
  reserved_part BIGINT NOT NULL,
  told BIGINT NOT NULL,
  state TEXT COLLATE "C",
  carried TEXT COLLATE "C",
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, customer_id, feature, window_start)
) ;
CREATE INDEX usage_quota_by_end ON usage_quota (tenant_id, window_end);

CREATE TABLE usage_reservation (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  customer_id BYTEA NOT NULL,
  feature TEXT COLLATE "C" NOT NULL,
  window_start BIGINT NOT NULL,
  quantity TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  used TEXT COLLATE "C",
  expires_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  reporter TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE INDEX usage_reservation_of_quota ON usage_reservation (tenant_id, customer_id, feature, window_start, expires_at)
  WHERE state = 'held';
CREATE INDEX usage_reservation_by_end ON usage_reservation (tenant_id, expires_at);

CREATE TABLE usage_series (
  tenant_id BYTEA NOT NULL,
  customer_id BYTEA NOT NULL,
  meter TEXT COLLATE "C" NOT NULL,
  window_start BIGINT NOT NULL,
  series BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, customer_id, meter, window_start, series)
) ;
CREATE INDEX usage_series_by_month ON usage_series (tenant_id, window_start);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'usage:write', id, 'Report, correct and reserve usage', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'entitlements:check', id, 'Ask whether a customer, client or token may use a feature', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

CREATE TABLE usage_head (
  tenant_id BLOB NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (tenant_id)
) STRICT;

CREATE TABLE usage_event (
  tenant_id BLOB NOT NULL,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  customer_id BLOB NOT NULL,
  event_type TEXT NOT NULL,
  at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  reporter TEXT NOT NULL,
  state TEXT NOT NULL,
  hash BLOB NOT NULL,
  data TEXT,
  attributes TEXT NOT NULL,
  meter TEXT,
  quantity TEXT,
  PRIMARY KEY (tenant_id, source, event_id)
) STRICT;
CREATE UNIQUE INDEX usage_event_by_receipt ON usage_event (tenant_id, sequence);
CREATE INDEX usage_event_by_time ON usage_event (tenant_id, customer_id, event_type, at, sequence);

CREATE TABLE usage_correction (
  tenant_id BLOB NOT NULL,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  quantity TEXT,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, source, event_id, number)
) STRICT;

CREATE TABLE usage_rejection (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  customer_id BLOB,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  reporter TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX usage_rejection_by_time ON usage_rejection (tenant_id, received_at);

CREATE TABLE usage_quota (
  tenant_id BLOB NOT NULL,
  customer_id BLOB NOT NULL,
  feature TEXT NOT NULL,
  window_start INTEGER NOT NULL,
  window_end INTEGER NOT NULL,
  used_whole INTEGER NOT NULL,
  used_part INTEGER NOT NULL,
  reserved_whole INTEGER NOT NULL,
  reserved_part INTEGER NOT NULL,
  told INTEGER NOT NULL,
  state TEXT,
  carried TEXT,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, customer_id, feature, window_start)
) STRICT;
CREATE INDEX usage_quota_by_end ON usage_quota (tenant_id, window_end);

CREATE TABLE usage_reservation (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  customer_id BLOB NOT NULL,
  feature TEXT NOT NULL,
  window_start INTEGER NOT NULL,
  quantity TEXT NOT NULL,
  state TEXT NOT NULL,
  used TEXT,
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  reporter TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX usage_reservation_of_quota ON usage_reservation (tenant_id, customer_id, feature, window_start, expires_at)
  WHERE state = 'held';
CREATE INDEX usage_reservation_by_end ON usage_reservation (tenant_id, expires_at);

CREATE TABLE usage_series (
  tenant_id BLOB NOT NULL,
  customer_id BLOB NOT NULL,
  meter TEXT NOT NULL,
  window_start INTEGER NOT NULL,
  series BLOB NOT NULL,
  PRIMARY KEY (tenant_id, customer_id, meter, window_start, series)
) STRICT;
CREATE INDEX usage_series_by_month ON usage_series (tenant_id, window_start);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'usage:write', id, 'Report, correct and reserve usage', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'entitlements:check', id, 'Ask whether a customer, client or token may use a feature', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

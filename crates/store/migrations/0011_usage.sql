CREATE TABLE usage_head (
  tenant_id {id} NOT NULL,
  sequence {int} NOT NULL,
  PRIMARY KEY (tenant_id)
) {table};

CREATE TABLE usage_event (
  tenant_id {id} NOT NULL,
  source {text} NOT NULL,
  event_id {text} NOT NULL,
  sequence {int} NOT NULL,
  customer_id {id} NOT NULL,
  event_type {text} NOT NULL,
  at {int} NOT NULL,
  received_at {int} NOT NULL,
  reporter {text} NOT NULL,
  state {text} NOT NULL,
  hash {bytes} NOT NULL,
  data {text},
  attributes {text} NOT NULL,
  meter {text},
  quantity {text},
  PRIMARY KEY (tenant_id, source, event_id)
) {table};
CREATE UNIQUE INDEX usage_event_by_receipt ON usage_event (tenant_id, sequence);
CREATE INDEX usage_event_by_time ON usage_event (tenant_id, customer_id, event_type, at, sequence);

CREATE TABLE usage_correction (
  tenant_id {id} NOT NULL,
  source {text} NOT NULL,
  event_id {text} NOT NULL,
  number {int} NOT NULL,
  sequence {int} NOT NULL,
  quantity {text},
  reason {text} NOT NULL,
  actor {text} NOT NULL,
  received_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, source, event_id, number)
) {table};

CREATE TABLE usage_rejection (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  customer_id {id},
  source {text} NOT NULL,
  event_id {text} NOT NULL,
  event_type {text} NOT NULL,
  code {text} NOT NULL,
  detail {text} NOT NULL,
  reporter {text} NOT NULL,
  received_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE INDEX usage_rejection_by_time ON usage_rejection (tenant_id, received_at);

CREATE TABLE usage_quota (
  tenant_id {id} NOT NULL,
  customer_id {id} NOT NULL,
  feature {text} NOT NULL,
  window_start {int} NOT NULL,
  window_end {int} NOT NULL,
  used_whole {int} NOT NULL,
  used_part {int} NOT NULL,
  reserved_whole {int} NOT NULL,
  reserved_part {int} NOT NULL,
  told {int} NOT NULL,
  state {text},
  carried {text},
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, customer_id, feature, window_start)
) {table};
CREATE INDEX usage_quota_by_end ON usage_quota (tenant_id, window_end);

CREATE TABLE usage_reservation (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  customer_id {id} NOT NULL,
  feature {text} NOT NULL,
  window_start {int} NOT NULL,
  quantity {text} NOT NULL,
  state {text} NOT NULL,
  used {text},
  expires_at {int} NOT NULL,
  created_at {int} NOT NULL,
  reporter {text} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE INDEX usage_reservation_of_quota ON usage_reservation (tenant_id, customer_id, feature, window_start, expires_at)
  WHERE state = 'held';
CREATE INDEX usage_reservation_by_end ON usage_reservation (tenant_id, expires_at);

CREATE TABLE usage_series (
  tenant_id {id} NOT NULL,
  customer_id {id} NOT NULL,
  meter {text} NOT NULL,
  window_start {int} NOT NULL,
  series {bytes} NOT NULL,
  PRIMARY KEY (tenant_id, customer_id, meter, window_start, series)
) {table};
CREATE INDEX usage_series_by_month ON usage_series (tenant_id, window_start);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'usage:write', id, 'Report, correct and reserve usage', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'entitlements:check', id, 'Ask whether a customer, client or token may use a feature', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

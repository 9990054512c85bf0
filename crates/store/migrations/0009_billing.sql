CREATE TABLE customer (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  external_id {text},
  name {text} NOT NULL,
  folded {text} NOT NULL,
  details {text} NOT NULL,
  suspended_at {int},
  not_before {int},
  standing_version {int} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX customer_by_external ON customer (tenant_id, external_id);
CREATE INDEX customer_by_name ON customer (tenant_id, folded, id);

CREATE TABLE feature (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  key {text} NOT NULL,
  kind {text} NOT NULL,
  name {text} NOT NULL,
  meter {text},
  combine {text} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX feature_by_key ON feature (tenant_id, key);

CREATE TABLE meter (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  key {text} NOT NULL,
  number {int} NOT NULL,
  event_type {text} NOT NULL,
  state {text} NOT NULL,
  definition {text} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX meter_by_key ON meter (tenant_id, key, number);

CREATE TABLE plan (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  key {text} NOT NULL,
  number {int} NOT NULL,
  state {text} NOT NULL,
  definition {text} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX plan_by_key ON plan (tenant_id, key, number);

CREATE TABLE subscription (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  customer_id {id} NOT NULL,
  plan_id {id} NOT NULL,
  status {text} NOT NULL,
  document {text} NOT NULL,
  next_at {int},
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  version {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE INDEX subscription_of_customer ON subscription (tenant_id, customer_id, id);
CREATE INDEX subscription_of_plan ON subscription (tenant_id, plan_id, id);
CREATE INDEX subscription_due ON subscription (tenant_id, next_at) WHERE next_at IS NOT NULL;

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'customers:read', id, 'Read customers and their standing', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'customers:write', id, 'Create, change, suspend and delete customers', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'billing:read', id, 'Read meters, features, plans and subscriptions', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'billing:write', id, 'Change meters, features, plans and subscriptions, and say what is paid', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

CREATE TABLE customer (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  external_id TEXT,
  name TEXT NOT NULL,
  folded TEXT NOT NULL,
  details TEXT NOT NULL,
  suspended_at INTEGER,
  not_before INTEGER,
  standing_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX customer_by_external ON customer (tenant_id, external_id);
CREATE INDEX customer_by_name ON customer (tenant_id, folded, id);

CREATE TABLE feature (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  meter TEXT,
  combine TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX feature_by_key ON feature (tenant_id, key);

CREATE TABLE meter (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  key TEXT NOT NULL,
  number INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  state TEXT NOT NULL,
  definition TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX meter_by_key ON meter (tenant_id, key, number);

CREATE TABLE plan (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  key TEXT NOT NULL,
  number INTEGER NOT NULL,
  state TEXT NOT NULL,
  definition TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX plan_by_key ON plan (tenant_id, key, number);

CREATE TABLE subscription (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  customer_id BLOB NOT NULL,
  plan_id BLOB NOT NULL,
  status TEXT NOT NULL,
  document TEXT NOT NULL,
  next_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
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

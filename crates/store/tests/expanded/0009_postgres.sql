CREATE TABLE customer (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  external_id TEXT COLLATE "C",
  name TEXT COLLATE "C" NOT NULL,
  folded TEXT COLLATE "C" NOT NULL,
  details TEXT COLLATE "C" NOT NULL,
  suspended_at BIGINT,
  not_before BIGINT,
  standing_version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX customer_by_external ON customer (tenant_id, external_id);
CREATE INDEX customer_by_name ON customer (tenant_id, folded, id);

CREATE TABLE feature (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  meter TEXT COLLATE "C",
  combine TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX feature_by_key ON feature (tenant_id, key);

CREATE TABLE meter (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  event_type TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  definition TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX meter_by_key ON meter (tenant_id, key, number);

CREATE TABLE plan (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  definition TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX plan_by_key ON plan (tenant_id, key, number);

CREATE TABLE subscription (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  customer_id BYTEA NOT NULL,
  plan_id BYTEA NOT NULL,
  status TEXT COLLATE "C" NOT NULL,
  document TEXT COLLATE "C" NOT NULL,
  next_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
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

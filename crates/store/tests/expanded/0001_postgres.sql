CREATE TABLE tenant (
  tenant_id BYTEA NOT NULL PRIMARY KEY,
  slug TEXT COLLATE "C" NOT NULL UNIQUE,
  name TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  clock_ahead_us BIGINT NOT NULL,
  settings TEXT COLLATE "C" NOT NULL,
  disabled_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
) ;

CREATE TABLE client (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  client_id TEXT COLLATE "C" NOT NULL,
  client_id_key TEXT COLLATE "C" NOT NULL,
  name_key TEXT COLLATE "C" NOT NULL,
  settings TEXT COLLATE "C" NOT NULL,
  expires_at BIGINT,
  disabled_at BIGINT,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX client_by_client_id ON client (tenant_id, client_id);
CREATE INDEX client_by_client_id_key ON client (tenant_id, client_id_key);
CREATE INDEX client_by_name ON client (tenant_id, name_key);

CREATE TABLE client_scope (
  tenant_id BYTEA NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  client BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, scope, client)
) ;
CREATE INDEX client_scope_by_client ON client_scope (tenant_id, client);

CREATE TABLE credential (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  client BYTEA NOT NULL,
  label TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  hash BYTEA NOT NULL,
  root_version BIGINT NOT NULL,
  hint TEXT COLLATE "C" NOT NULL,
  scopes TEXT COLLATE "C",
  not_before BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  last_used_at BIGINT,
  announced_days BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE INDEX credential_by_client ON credential (tenant_id, client);
CREATE INDEX credential_by_expiry ON credential (expires_at);

CREATE TABLE api (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  identifier TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  builtin TEXT COLLATE "C",
  token_ttl_seconds BIGINT,
  signing_alg TEXT COLLATE "C",
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX api_by_identifier ON api (tenant_id, identifier);

CREATE TABLE scope (
  tenant_id BYTEA NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  api BYTEA NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name)
) ;
CREATE INDEX scope_by_api ON scope (tenant_id, api);

CREATE TABLE signing_key (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  purpose TEXT COLLATE "C" NOT NULL,
  alg TEXT COLLATE "C" NOT NULL,
  kid TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  public_jwk TEXT COLLATE "C" NOT NULL,
  sealed BYTEA,
  created_at BIGINT NOT NULL,
  promote_after BIGINT NOT NULL,
  promoted_at BIGINT,
  retired_at BIGINT,
  remove_after BIGINT,
  replace_at BIGINT,
  destroyed_at BIGINT,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX signing_key_active ON signing_key (tenant_id, purpose, alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_key_staged ON signing_key (tenant_id, purpose, alg) WHERE state = 'staged';

CREATE TABLE family (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  handle BYTEA NOT NULL,
  client BYTEA NOT NULL,
  credential BYTEA NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  audience TEXT COLLATE "C" NOT NULL,
  generation BIGINT NOT NULL,
  rotations TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  idle_seconds BIGINT NOT NULL,
  idle_deadline BIGINT NOT NULL,
  absolute_deadline BIGINT NOT NULL,
  ended_at BIGINT,
  end_reason TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX family_by_handle ON family (tenant_id, handle);
CREATE INDEX family_by_client ON family (tenant_id, client, created_at);
CREATE INDEX family_by_credential ON family (tenant_id, credential);
CREATE INDEX family_by_deadline ON family (absolute_deadline);

CREATE TABLE opaque_token (
  tenant_id BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  claims TEXT COLLATE "C" NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, hash)
) ;
CREATE INDEX opaque_token_by_expiry ON opaque_token (expires_at);

CREATE TABLE denied (
  tenant_id BYTEA NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  client BYTEA NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key)
) ;
CREATE INDEX denied_by_expiry ON denied (expires_at);

CREATE TABLE epoch (
  tenant_id BYTEA NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  not_before_seq BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key)
) ;

CREATE TABLE quota (
  tenant_id BYTEA NOT NULL,
  client BYTEA NOT NULL,
  span TEXT COLLATE "C" NOT NULL,
  window_start BIGINT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, client, span)
) ;

CREATE TABLE idempotency (
  tenant_id BYTEA NOT NULL,
  key_hash BYTEA NOT NULL,
  request_hash BYTEA NOT NULL,
  answer BYTEA NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key_hash)
) ;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE audit_record (
  tenant_id BYTEA NOT NULL,
  commit_id BYTEA NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  credential BYTEA,
  action TEXT COLLATE "C" NOT NULL,
  object_kind TEXT COLLATE "C" NOT NULL,
  object_id TEXT COLLATE "C" NOT NULL,
  before TEXT COLLATE "C",
  after TEXT COLLATE "C",
  at BIGINT NOT NULL,
  business_at BIGINT NOT NULL,
  source TEXT COLLATE "C",
  request BYTEA,
  leaf BIGINT,
  PRIMARY KEY (tenant_id, commit_id)
) ;
CREATE INDEX audit_record_by_object ON audit_record (tenant_id, object_kind, object_id, commit_id);
CREATE INDEX audit_record_unsequenced ON audit_record (tenant_id, commit_id) WHERE leaf IS NULL;

CREATE TABLE journal_segment (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;

CREATE TABLE journal_block (
  tenant_id BYTEA NOT NULL,
  leaf BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  members BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, leaf)
) ;
CREATE INDEX journal_block_by_time ON journal_block (tenant_id, last_at);

CREATE TABLE audit_leaf (
  tenant_id BYTEA NOT NULL,
  leaf BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, leaf)
) ;

CREATE TABLE audit_checkpoint (
  tenant_id BYTEA NOT NULL,
  size BIGINT NOT NULL,
  root BYTEA NOT NULL,
  note TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, size)
) ;

CREATE TABLE outbox (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  data TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;

CREATE TABLE change_head (
  shard BIGINT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL
) ;

CREATE TABLE change (
  shard BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  part BIGINT NOT NULL,
  tenant_id BYTEA NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  until BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (shard, seq, part)
) ;
CREATE INDEX change_by_time ON change (at);

CREATE TABLE lease (
  name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  holder BYTEA NOT NULL,
  detail TEXT COLLATE "C" NOT NULL,
  lease_until BIGINT NOT NULL
) ;

CREATE TABLE root_key (
  purpose TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  wrapped BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (purpose, version)
) ;

CREATE TABLE data_key (
  tenant_id BYTEA NOT NULL,
  purpose TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  wrapped BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, purpose, version)
) ;

CREATE TABLE mark (
  name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
) ;

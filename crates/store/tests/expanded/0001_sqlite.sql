CREATE TABLE tenant (
  tenant_id BLOB NOT NULL PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  clock_ahead_us INTEGER NOT NULL,
  settings TEXT NOT NULL,
  disabled_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE client (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  client_id TEXT NOT NULL,
  client_id_key TEXT NOT NULL,
  name_key TEXT NOT NULL,
  settings TEXT NOT NULL,
  expires_at INTEGER,
  disabled_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX client_by_client_id ON client (tenant_id, client_id);
CREATE INDEX client_by_client_id_key ON client (tenant_id, client_id_key);
CREATE INDEX client_by_name ON client (tenant_id, name_key);

CREATE TABLE client_scope (
  tenant_id BLOB NOT NULL,
  scope TEXT NOT NULL,
  client BLOB NOT NULL,
  PRIMARY KEY (tenant_id, scope, client)
) STRICT;
CREATE INDEX client_scope_by_client ON client_scope (tenant_id, client);

CREATE TABLE credential (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  client BLOB NOT NULL,
  label TEXT NOT NULL,
  kind TEXT NOT NULL,
  hash BLOB NOT NULL,
  root_version INTEGER NOT NULL,
  hint TEXT NOT NULL,
  scopes TEXT,
  not_before INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER,
  announced_days INTEGER,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX credential_by_client ON credential (tenant_id, client);
CREATE INDEX credential_by_expiry ON credential (expires_at);

CREATE TABLE api (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  identifier TEXT NOT NULL,
  name TEXT NOT NULL,
  builtin TEXT,
  token_ttl_seconds INTEGER,
  signing_alg TEXT,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX api_by_identifier ON api (tenant_id, identifier);

CREATE TABLE scope (
  tenant_id BLOB NOT NULL,
  name TEXT NOT NULL,
  api BLOB NOT NULL,
  description TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, name)
) STRICT;
CREATE INDEX scope_by_api ON scope (tenant_id, api);

CREATE TABLE signing_key (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  purpose TEXT NOT NULL,
  alg TEXT NOT NULL,
  kid TEXT NOT NULL,
  state TEXT NOT NULL,
  public_jwk TEXT NOT NULL,
  sealed BLOB,
  created_at INTEGER NOT NULL,
  promote_after INTEGER NOT NULL,
  promoted_at INTEGER,
  retired_at INTEGER,
  remove_after INTEGER,
  replace_at INTEGER,
  destroyed_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX signing_key_active ON signing_key (tenant_id, purpose, alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_key_staged ON signing_key (tenant_id, purpose, alg) WHERE state = 'staged';

CREATE TABLE family (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  handle BLOB NOT NULL,
  client BLOB NOT NULL,
  credential BLOB NOT NULL,
  scope TEXT NOT NULL,
  audience TEXT NOT NULL,
  generation INTEGER NOT NULL,
  rotations TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  idle_seconds INTEGER NOT NULL,
  idle_deadline INTEGER NOT NULL,
  absolute_deadline INTEGER NOT NULL,
  ended_at INTEGER,
  end_reason TEXT,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX family_by_handle ON family (tenant_id, handle);
CREATE INDEX family_by_client ON family (tenant_id, client, created_at);
CREATE INDEX family_by_credential ON family (tenant_id, credential);
CREATE INDEX family_by_deadline ON family (absolute_deadline);

CREATE TABLE opaque_token (
  tenant_id BLOB NOT NULL,
  hash BLOB NOT NULL,
  claims TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, hash)
) STRICT;
CREATE INDEX opaque_token_by_expiry ON opaque_token (expires_at);

CREATE TABLE denied (
  tenant_id BLOB NOT NULL,
  key TEXT NOT NULL,
  client BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, key)
) STRICT;
CREATE INDEX denied_by_expiry ON denied (expires_at);

CREATE TABLE epoch (
  tenant_id BLOB NOT NULL,
  key TEXT NOT NULL,
  not_before_seq INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, key)
) STRICT;

CREATE TABLE quota (
  tenant_id BLOB NOT NULL,
  client BLOB NOT NULL,
  span TEXT NOT NULL,
  window_start INTEGER NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, client, span)
) STRICT;

CREATE TABLE idempotency (
  tenant_id BLOB NOT NULL,
  key_hash BLOB NOT NULL,
  request_hash BLOB NOT NULL,
  answer BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, key_hash)
) STRICT;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE audit_record (
  tenant_id BLOB NOT NULL,
  commit_id BLOB NOT NULL,
  actor TEXT NOT NULL,
  credential BLOB,
  action TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_id TEXT NOT NULL,
  before TEXT,
  after TEXT,
  at INTEGER NOT NULL,
  business_at INTEGER NOT NULL,
  source TEXT,
  request BLOB,
  leaf INTEGER,
  PRIMARY KEY (tenant_id, commit_id)
) STRICT;
CREATE INDEX audit_record_by_object ON audit_record (tenant_id, object_kind, object_id, commit_id);
CREATE INDEX audit_record_unsequenced ON audit_record (tenant_id, commit_id) WHERE leaf IS NULL;

CREATE TABLE journal_segment (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE TABLE journal_block (
  tenant_id BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  members BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (tenant_id, leaf)
) STRICT;
CREATE INDEX journal_block_by_time ON journal_block (tenant_id, last_at);

CREATE TABLE audit_leaf (
  tenant_id BLOB NOT NULL,
  leaf INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (tenant_id, leaf)
) STRICT;

CREATE TABLE audit_checkpoint (
  tenant_id BLOB NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  note TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, size)
) STRICT;

CREATE TABLE outbox (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE TABLE change_head (
  shard INTEGER NOT NULL PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT;

CREATE TABLE change (
  shard INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  part INTEGER NOT NULL,
  tenant_id BLOB NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  until INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (shard, seq, part)
) STRICT;
CREATE INDEX change_by_time ON change (at);

CREATE TABLE lease (
  name TEXT NOT NULL PRIMARY KEY,
  holder BLOB NOT NULL,
  detail TEXT NOT NULL,
  lease_until INTEGER NOT NULL
) STRICT;

CREATE TABLE root_key (
  purpose TEXT NOT NULL,
  version INTEGER NOT NULL,
  wrapped BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (purpose, version)
) STRICT;

CREATE TABLE data_key (
  tenant_id BLOB NOT NULL,
  purpose TEXT NOT NULL,
  version INTEGER NOT NULL,
  wrapped BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, purpose, version)
) STRICT;

CREATE TABLE mark (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;

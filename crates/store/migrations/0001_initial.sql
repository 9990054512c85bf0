CREATE TABLE tenant (
  tenant_id {id} NOT NULL PRIMARY KEY,
  slug {text} NOT NULL UNIQUE,
  name {text} NOT NULL,
  kind {text} NOT NULL,
  clock_ahead_us {int} NOT NULL,
  settings {text} NOT NULL,
  disabled_at {int},
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL
) {table};

CREATE TABLE client (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  client_id {text} NOT NULL,
  client_id_key {text} NOT NULL,
  name_key {text} NOT NULL,
  settings {text} NOT NULL,
  expires_at {int},
  disabled_at {int},
  version {int} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX client_by_client_id ON client (tenant_id, client_id);
CREATE INDEX client_by_client_id_key ON client (tenant_id, client_id_key);
CREATE INDEX client_by_name ON client (tenant_id, name_key);

CREATE TABLE client_scope (
  tenant_id {id} NOT NULL,
  scope {text} NOT NULL,
  client {id} NOT NULL,
  PRIMARY KEY (tenant_id, scope, client)
) {table};
CREATE INDEX client_scope_by_client ON client_scope (tenant_id, client);

CREATE TABLE credential (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  client {id} NOT NULL,
  label {text} NOT NULL,
  kind {text} NOT NULL,
  hash {bytes} NOT NULL,
  root_version {int} NOT NULL,
  hint {text} NOT NULL,
  scopes {text},
  not_before {int} NOT NULL,
  expires_at {int},
  revoked_at {int},
  last_used_at {int},
  announced_days {int},
  created_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE INDEX credential_by_client ON credential (tenant_id, client);
CREATE INDEX credential_by_expiry ON credential (expires_at);

CREATE TABLE api (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  identifier {text} NOT NULL,
  name {text} NOT NULL,
  builtin {text},
  token_ttl_seconds {int},
  signing_alg {text},
  version {int} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX api_by_identifier ON api (tenant_id, identifier);

CREATE TABLE scope (
  tenant_id {id} NOT NULL,
  name {text} NOT NULL,
  api {id} NOT NULL,
  description {text} NOT NULL,
  created_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, name)
) {table};
CREATE INDEX scope_by_api ON scope (tenant_id, api);

CREATE TABLE signing_key (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  purpose {text} NOT NULL,
  alg {text} NOT NULL,
  kid {text} NOT NULL,
  state {text} NOT NULL,
  public_jwk {text} NOT NULL,
  sealed {bytes},
  created_at {int} NOT NULL,
  promote_after {int} NOT NULL,
  promoted_at {int},
  retired_at {int},
  remove_after {int},
  replace_at {int},
  destroyed_at {int},
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX signing_key_active ON signing_key (tenant_id, purpose, alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_key_staged ON signing_key (tenant_id, purpose, alg) WHERE state = 'staged';

CREATE TABLE family (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  handle {bytes} NOT NULL,
  client {id} NOT NULL,
  credential {id} NOT NULL,
  scope {text} NOT NULL,
  audience {text} NOT NULL,
  generation {int} NOT NULL,
  rotations {text} NOT NULL,
  created_at {int} NOT NULL,
  idle_seconds {int} NOT NULL,
  idle_deadline {int} NOT NULL,
  absolute_deadline {int} NOT NULL,
  ended_at {int},
  end_reason {text},
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX family_by_handle ON family (tenant_id, handle);
CREATE INDEX family_by_client ON family (tenant_id, client, created_at);
CREATE INDEX family_by_credential ON family (tenant_id, credential);
CREATE INDEX family_by_deadline ON family (absolute_deadline);

CREATE TABLE opaque_token (
  tenant_id {id} NOT NULL,
  hash {bytes} NOT NULL,
  claims {text} NOT NULL,
  expires_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, hash)
) {table};
CREATE INDEX opaque_token_by_expiry ON opaque_token (expires_at);

CREATE TABLE denied (
  tenant_id {id} NOT NULL,
  key {text} NOT NULL,
  client {id} NOT NULL,
  expires_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, key)
) {table};
CREATE INDEX denied_by_expiry ON denied (expires_at);

CREATE TABLE epoch (
  tenant_id {id} NOT NULL,
  key {text} NOT NULL,
  not_before_seq {int} NOT NULL,
  expires_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, key)
) {table};

CREATE TABLE quota (
  tenant_id {id} NOT NULL,
  client {id} NOT NULL,
  span {text} NOT NULL,
  window_start {int} NOT NULL,
  used {int} NOT NULL,
  PRIMARY KEY (tenant_id, client, span)
) {table};

CREATE TABLE idempotency (
  tenant_id {id} NOT NULL,
  key_hash {bytes} NOT NULL,
  request_hash {bytes} NOT NULL,
  answer {bytes} NOT NULL,
  expires_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, key_hash)
) {table};
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE audit_record (
  tenant_id {id} NOT NULL,
  commit_id {id} NOT NULL,
  actor {text} NOT NULL,
  credential {id},
  action {text} NOT NULL,
  object_kind {text} NOT NULL,
  object_id {text} NOT NULL,
  before {text},
  after {text},
  at {int} NOT NULL,
  business_at {int} NOT NULL,
  source {text},
  request {id},
  leaf {int},
  PRIMARY KEY (tenant_id, commit_id)
) {table};
CREATE INDEX audit_record_by_object ON audit_record (tenant_id, object_kind, object_id, commit_id);
CREATE INDEX audit_record_unsequenced ON audit_record (tenant_id, commit_id) WHERE leaf IS NULL;

CREATE TABLE journal_segment (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  first_at {int} NOT NULL,
  last_at {int} NOT NULL,
  entries {int} NOT NULL,
  body {bytes} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};

CREATE TABLE journal_block (
  tenant_id {id} NOT NULL,
  leaf {int} NOT NULL,
  first_at {int} NOT NULL,
  last_at {int} NOT NULL,
  entries {int} NOT NULL,
  members {bytes} NOT NULL,
  body {bytes} NOT NULL,
  PRIMARY KEY (tenant_id, leaf)
) {table};
CREATE INDEX journal_block_by_time ON journal_block (tenant_id, last_at);

CREATE TABLE audit_leaf (
  tenant_id {id} NOT NULL,
  leaf {int} NOT NULL,
  hash {bytes} NOT NULL,
  PRIMARY KEY (tenant_id, leaf)
) {table};

CREATE TABLE audit_checkpoint (
  tenant_id {id} NOT NULL,
  size {int} NOT NULL,
  root {bytes} NOT NULL,
  note {text} NOT NULL,
  at {int} NOT NULL,
  PRIMARY KEY (tenant_id, size)
) {table};

CREATE TABLE outbox (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  kind {text} NOT NULL,
  at {int} NOT NULL,
  data {text} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};

CREATE TABLE change_head (
  shard {int} NOT NULL PRIMARY KEY,
  seq {int} NOT NULL
) {table};

CREATE TABLE change (
  shard {int} NOT NULL,
  seq {int} NOT NULL,
  part {int} NOT NULL,
  tenant_id {id} NOT NULL,
  kind {text} NOT NULL,
  key {text} NOT NULL,
  until {int} NOT NULL,
  at {int} NOT NULL,
  PRIMARY KEY (shard, seq, part)
) {table};
CREATE INDEX change_by_time ON change (at);

CREATE TABLE lease (
  name {text} NOT NULL PRIMARY KEY,
  holder {id} NOT NULL,
  detail {text} NOT NULL,
  lease_until {int} NOT NULL
) {table};

CREATE TABLE root_key (
  purpose {text} NOT NULL,
  version {int} NOT NULL,
  wrapped {bytes} NOT NULL,
  created_at {int} NOT NULL,
  PRIMARY KEY (purpose, version)
) {table};

CREATE TABLE data_key (
  tenant_id {id} NOT NULL,
  purpose {text} NOT NULL,
  version {int} NOT NULL,
  wrapped {bytes} NOT NULL,
  created_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, purpose, version)
) {table};

CREATE TABLE mark (
  name {text} NOT NULL PRIMARY KEY,
  value {int} NOT NULL
) {table};

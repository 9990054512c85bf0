CREATE TABLE operator (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  email {text} NOT NULL,
  name {text} NOT NULL,
  role {text} NOT NULL,
  passphrase {bytes},
  totp {bytes},
  totp_step {int} NOT NULL,
  disabled_at {int},
  signed_in_at {int},
  version {int} NOT NULL,
  created_at {int} NOT NULL,
  updated_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX operator_by_email ON operator (tenant_id, email);

CREATE TABLE operator_owners (
  tenant_id {id} NOT NULL PRIMARY KEY,
  active {int} NOT NULL
) {table};

CREATE TABLE operator_recovery (
  tenant_id {id} NOT NULL,
  operator {id} NOT NULL,
  hash {bytes} NOT NULL,
  used_at {int},
  PRIMARY KEY (tenant_id, operator, hash)
) {table};

CREATE TABLE operator_passkey (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  operator {id} NOT NULL,
  credential {bytes} NOT NULL,
  public_jwk {text} NOT NULL,
  counter {int} NOT NULL,
  name {text} NOT NULL,
  created_at {int} NOT NULL,
  last_used_at {int},
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX operator_passkey_by_credential ON operator_passkey (tenant_id, credential);
CREATE INDEX operator_passkey_by_operator ON operator_passkey (tenant_id, operator);

CREATE TABLE operator_link (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  kind {text} NOT NULL,
  hash {bytes} NOT NULL,
  email {text} NOT NULL,
  role {text} NOT NULL,
  made_by {text} NOT NULL,
  created_at {int} NOT NULL,
  expires_at {int} NOT NULL,
  ended_at {int},
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX operator_link_by_hash ON operator_link (tenant_id, hash);
CREATE UNIQUE INDEX operator_link_open ON operator_link (tenant_id, kind, email) WHERE ended_at IS NULL;
CREATE INDEX operator_link_by_expiry ON operator_link (expires_at);

CREATE TABLE operator_session (
  tenant_id {id} NOT NULL,
  id {id} NOT NULL,
  operator {id} NOT NULL,
  hash {bytes} NOT NULL,
  method {text} NOT NULL,
  browser {text} NOT NULL,
  source {text} NOT NULL,
  created_at {int} NOT NULL,
  last_seen_at {int} NOT NULL,
  fresh_until {int} NOT NULL,
  absolute_deadline {int} NOT NULL,
  PRIMARY KEY (tenant_id, id)
) {table};
CREATE UNIQUE INDEX operator_session_by_hash ON operator_session (tenant_id, hash);
CREATE INDEX operator_session_by_operator ON operator_session (tenant_id, operator);
CREATE INDEX operator_session_by_deadline ON operator_session (absolute_deadline);

CREATE TABLE operator_attempt (
  tenant_id {id} NOT NULL,
  account {bytes} NOT NULL,
  place {bytes} NOT NULL,
  failures {int} NOT NULL,
  last_at {int} NOT NULL,
  next_at {int} NOT NULL,
  unrecorded {int} NOT NULL,
  recorded_at {int} NOT NULL,
  detail {text} NOT NULL,
  PRIMARY KEY (tenant_id, account, place)
) {table};
CREATE INDEX operator_attempt_by_time ON operator_attempt (last_at);

CREATE TABLE operator_spent (
  tenant_id {id} NOT NULL,
  hash {bytes} NOT NULL,
  expires_at {int} NOT NULL,
  PRIMARY KEY (tenant_id, hash)
) {table};
CREATE INDEX operator_spent_by_expiry ON operator_spent (expires_at);

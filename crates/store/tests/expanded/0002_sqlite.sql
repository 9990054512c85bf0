CREATE TABLE operator (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  passphrase BLOB,
  totp BLOB,
  totp_step INTEGER NOT NULL,
  disabled_at INTEGER,
  signed_in_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX operator_by_email ON operator (tenant_id, email);

CREATE TABLE operator_owners (
  tenant_id BLOB NOT NULL PRIMARY KEY,
  active INTEGER NOT NULL
) STRICT;

CREATE TABLE operator_recovery (
  tenant_id BLOB NOT NULL,
  operator BLOB NOT NULL,
  hash BLOB NOT NULL,
  used_at INTEGER,
  PRIMARY KEY (tenant_id, operator, hash)
) STRICT;

CREATE TABLE operator_passkey (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  operator BLOB NOT NULL,
  credential BLOB NOT NULL,
  public_jwk TEXT NOT NULL,
  counter INTEGER NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX operator_passkey_by_credential ON operator_passkey (tenant_id, credential);
CREATE INDEX operator_passkey_by_operator ON operator_passkey (tenant_id, operator);

CREATE TABLE operator_link (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  hash BLOB NOT NULL,
  email TEXT NOT NULL,
  role TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX operator_link_by_hash ON operator_link (tenant_id, hash);
CREATE UNIQUE INDEX operator_link_open ON operator_link (tenant_id, kind, email) WHERE ended_at IS NULL;
CREATE INDEX operator_link_by_expiry ON operator_link (expires_at);

CREATE TABLE operator_session (
  tenant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  operator BLOB NOT NULL,
  hash BLOB NOT NULL,
  method TEXT NOT NULL,
  browser TEXT NOT NULL,
  source TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  fresh_until INTEGER NOT NULL,
  absolute_deadline INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX operator_session_by_hash ON operator_session (tenant_id, hash);
CREATE INDEX operator_session_by_operator ON operator_session (tenant_id, operator);
CREATE INDEX operator_session_by_deadline ON operator_session (absolute_deadline);

CREATE TABLE operator_attempt (
  tenant_id BLOB NOT NULL,
  account BLOB NOT NULL,
  place BLOB NOT NULL,
  failures INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  unrecorded INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (tenant_id, account, place)
) STRICT;
CREATE INDEX operator_attempt_by_time ON operator_attempt (last_at);

CREATE TABLE operator_spent (
  tenant_id BLOB NOT NULL,
  hash BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, hash)
) STRICT;
CREATE INDEX operator_spent_by_expiry ON operator_spent (expires_at);

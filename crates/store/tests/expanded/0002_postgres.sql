CREATE TABLE operator (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  email TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  role TEXT COLLATE "C" NOT NULL,
  passphrase BYTEA,
  totp BYTEA,
  totp_step BIGINT NOT NULL,
  disabled_at BIGINT,
  signed_in_at BIGINT,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX operator_by_email ON operator (tenant_id, email);

CREATE TABLE operator_owners (
  tenant_id BYTEA NOT NULL PRIMARY KEY,
  active BIGINT NOT NULL
) ;

CREATE TABLE operator_recovery (
  tenant_id BYTEA NOT NULL,
  operator BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (tenant_id, operator, hash)
) ;

CREATE TABLE operator_passkey (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  operator BYTEA NOT NULL,
  credential BYTEA NOT NULL,
  public_jwk TEXT COLLATE "C" NOT NULL,
  counter BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX operator_passkey_by_credential ON operator_passkey (tenant_id, credential);
CREATE INDEX operator_passkey_by_operator ON operator_passkey (tenant_id, operator);

CREATE TABLE operator_link (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  hash BYTEA NOT NULL,
  email TEXT COLLATE "C" NOT NULL,
  role TEXT COLLATE "C" NOT NULL,
  made_by TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ended_at BIGINT,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX operator_link_by_hash ON operator_link (tenant_id, hash);
CREATE UNIQUE INDEX operator_link_open ON operator_link (tenant_id, kind, email) WHERE ended_at IS NULL;
CREATE INDEX operator_link_by_expiry ON operator_link (expires_at);

CREATE TABLE operator_session (
  tenant_id BYTEA NOT NULL,
  id BYTEA NOT NULL,
  operator BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  method TEXT COLLATE "C" NOT NULL,
  browser TEXT COLLATE "C" NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  fresh_until BIGINT NOT NULL,
  absolute_deadline BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) ;
CREATE UNIQUE INDEX operator_session_by_hash ON operator_session (tenant_id, hash);
CREATE INDEX operator_session_by_operator ON operator_session (tenant_id, operator);
CREATE INDEX operator_session_by_deadline ON operator_session (absolute_deadline);

CREATE TABLE operator_attempt (
  tenant_id BYTEA NOT NULL,
  account BYTEA NOT NULL,
  place BYTEA NOT NULL,
  failures BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  unrecorded BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  detail TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, account, place)
) ;
CREATE INDEX operator_attempt_by_time ON operator_attempt (last_at);

CREATE TABLE operator_spent (
  tenant_id BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, hash)
) ;
CREATE INDEX operator_spent_by_expiry ON operator_spent (expires_at);

DROP TABLE outbox;

CREATE TABLE event_head (
  tenant_id BYTEA NOT NULL,
  line TEXT COLLATE "C" NOT NULL,
  last BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, line)
) ;

CREATE TABLE event (
  tenant_id BYTEA NOT NULL,
  position BIGINT NOT NULL,
  id BYTEA NOT NULL,
  customer_id TEXT COLLATE "C",
  sequence BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  object_id TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  data TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, position)
) ;
CREATE UNIQUE INDEX event_by_id ON event (tenant_id, id);
CREATE INDEX event_by_object ON event (tenant_id, object_id, position);
CREATE INDEX event_by_customer ON event (tenant_id, customer_id, position);
CREATE INDEX event_by_time ON event (at);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'events:read', id, 'Read events', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

ALTER TABLE client ADD COLUMN expired_told BIGINT;
CREATE INDEX client_by_end ON client (expires_at) WHERE expires_at IS NOT NULL;

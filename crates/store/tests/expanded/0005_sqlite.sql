DROP TABLE outbox;

CREATE TABLE event_head (
  tenant_id BLOB NOT NULL,
  line TEXT NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, line)
) STRICT;

CREATE TABLE event (
  tenant_id BLOB NOT NULL,
  position INTEGER NOT NULL,
  id BLOB NOT NULL,
  customer_id TEXT,
  sequence INTEGER NOT NULL,
  kind TEXT NOT NULL,
  object_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (tenant_id, position)
) STRICT;
CREATE UNIQUE INDEX event_by_id ON event (tenant_id, id);
CREATE INDEX event_by_object ON event (tenant_id, object_id, position);
CREATE INDEX event_by_customer ON event (tenant_id, customer_id, position);
CREATE INDEX event_by_time ON event (at);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'events:read', id, 'Read events', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

ALTER TABLE client ADD COLUMN expired_told INTEGER;
CREATE INDEX client_by_end ON client (expires_at) WHERE expires_at IS NOT NULL;

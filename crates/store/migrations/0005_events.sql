DROP TABLE outbox;

CREATE TABLE event_head (
  tenant_id {id} NOT NULL,
  line {text} NOT NULL,
  last {int} NOT NULL,
  PRIMARY KEY (tenant_id, line)
) {table};

CREATE TABLE event (
  tenant_id {id} NOT NULL,
  position {int} NOT NULL,
  id {id} NOT NULL,
  customer_id {text},
  sequence {int} NOT NULL,
  kind {text} NOT NULL,
  object_id {text} NOT NULL,
  at {int} NOT NULL,
  data {text} NOT NULL,
  PRIMARY KEY (tenant_id, position)
) {table};
CREATE UNIQUE INDEX event_by_id ON event (tenant_id, id);
CREATE INDEX event_by_object ON event (tenant_id, object_id, position);
CREATE INDEX event_by_customer ON event (tenant_id, customer_id, position);
CREATE INDEX event_by_time ON event (at);

INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'events:read', id, 'Read events', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

ALTER TABLE client ADD COLUMN expired_told {int};
CREATE INDEX client_by_end ON client (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE client ADD COLUMN expiry_key {int} NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE client ADD COLUMN disabled_key {int} NOT NULL DEFAULT 0;
UPDATE client SET expiry_key = expires_at WHERE expires_at IS NOT NULL;
UPDATE client SET disabled_key = 1 WHERE disabled_at IS NOT NULL;
DROP INDEX client_by_name;
CREATE INDEX client_by_name ON client (tenant_id, name_key, id, disabled_key, expiry_key);
CREATE INDEX client_by_expiry ON client (tenant_id, expiry_key, id, disabled_key);
CREATE INDEX client_by_status ON client (tenant_id, disabled_key, expiry_key, id);

-- A search by a prefix reads names and ids from their indices alone; clients with limits of their own are few among many.
DROP INDEX client_by_client_id_key;
CREATE INDEX client_by_client_id_key ON client (tenant_id, client_id_key, id, name_key, disabled_key, expiry_key);
ALTER TABLE client ADD COLUMN limited_key {int} NOT NULL DEFAULT 0;
UPDATE client SET limited_key = 1 WHERE settings LIKE '%"rate_limit":_"limit":%' OR settings LIKE '%"token_quota":_"per_hour":%';
CREATE INDEX client_limited ON client (tenant_id, id) WHERE limited_key = 1;

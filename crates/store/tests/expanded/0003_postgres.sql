-- Refresh families that ended because a used token came again: few among many, and asked for on the first page.
CREATE INDEX family_reused ON family (tenant_id, id) WHERE end_reason = 'reuse';

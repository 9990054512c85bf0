-- Clients may hold the scopes for people now. A tenant that has a scope of its own under one of these names keeps it: the
-- admin API asks for those of its own API alone.
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'operators:read', id, 'Read operators, their sessions and invitations', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;
INSERT INTO scope (tenant_id, name, api, description, created_at)
  SELECT tenant_id, 'operators:write', id, 'Invite, change, disable and remove operators', created_at FROM api WHERE builtin = 'management'
  ON CONFLICT (tenant_id, name) DO NOTHING;

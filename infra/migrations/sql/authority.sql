-- Who asked, so that what is done later is done with what that caller holds then. `grants` are a person's scopes when it
-- asked; a key's are read anew.
ALTER TABLE jobs ADD COLUMN submitted_by text, ADD COLUMN grants text[];
ALTER TABLE batches ADD COLUMN submitted_by text, ADD COLUMN grants text[];

-- Which key or member made a key: it has seen the key's secret.
ALTER TABLE api_keys ADD COLUMN created_by text;

-- What an answer lets happen; null for a question that is no approval.
ALTER TABLE job_questions ADD COLUMN approves text
  CONSTRAINT job_questions_approves CHECK (approves IN ('write', 'money'));

-- What a caller holds now: {"scopes": […]} of a key, {"role": …} of a member, {"ended": true} once it was taken away;
-- null for everybody else.
CREATE FUNCTION caller_standing(organization uuid, api_key uuid, caller text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT CASE
    WHEN api_key IS NOT NULL THEN (
      SELECT jsonb_build_object('scopes', scopes, 'ended', revoked_at IS NOT NULL) FROM api_keys
      WHERE id = api_key AND organization_id = organization)
    WHEN starts_with(caller, 'mem_') THEN coalesce((
      SELECT jsonb_build_object('role', role) FROM members
      WHERE organization_id = organization AND typeid('mem', id) = caller), '{"ended": true}')
  END
$$;

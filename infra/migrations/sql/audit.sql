-- Whoever may write a record may not take one back: not the application, not the sealer, not by accident the owner.
CREATE FUNCTION audit_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_records_immutable BEFORE UPDATE OR DELETE ON audit_records
  FOR EACH ROW EXECUTE FUNCTION audit_immutable();
CREATE TRIGGER audit_records_untruncated BEFORE TRUNCATE ON audit_records
  FOR EACH STATEMENT EXECUTE FUNCTION audit_immutable();
CREATE TRIGGER audit_seals_immutable BEFORE UPDATE OR DELETE ON audit_seals
  FOR EACH ROW EXECUTE FUNCTION audit_immutable();
CREATE TRIGGER audit_seals_untruncated BEFORE TRUNCATE ON audit_seals
  FOR EACH STATEMENT EXECUTE FUNCTION audit_immutable();
CREATE TRIGGER audit_exports_immutable BEFORE UPDATE OR DELETE ON audit_exports
  FOR EACH ROW EXECUTE FUNCTION audit_immutable();
CREATE TRIGGER audit_retirements_immutable BEFORE UPDATE OR DELETE ON audit_retirements
  FOR EACH ROW EXECUTE FUNCTION audit_immutable();

-- A record in the inbox leaves it by being sealed, and changes in no other way.
CREATE TRIGGER audit_inbox_immutable BEFORE UPDATE ON audit_inbox
  FOR EACH ROW EXECUTE FUNCTION audit_immutable();

-- security_invoker: the view shows each role what row-level security lets it see of the two tables.
CREATE VIEW audit_log WITH (security_invoker = true) AS
  SELECT organization_id, NULL::bigint AS sequence, id, project_id, recorded_at, action, subject_id, actor_kind,
    actor_id, attempt, payload_digest, detail, NULL::bytea AS leaf, NULL::uuid AS seal_id
  FROM audit_inbox
  UNION ALL
  SELECT organization_id, sequence, id, project_id, recorded_at, action, subject_id, actor_kind,
    actor_id, attempt, payload_digest, detail, leaf, seal_id
  FROM audit_records;
GRANT SELECT ON audit_log TO waybill_app, waybill_system;

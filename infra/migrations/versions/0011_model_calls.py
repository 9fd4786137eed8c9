"""Every model call that is settled leaves an audit record, whoever settled it."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A trigger, because calls are settled from two places, the worker's statement and the sweep's loop, and a third could
# be added: what moves money must not be able to forget its record.
_RECORD = """
CREATE FUNCTION ledger_entries_audited() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO audit_inbox (organization_id, project_id, action, subject_id, actor_kind, attempt, detail)
  VALUES (NEW.organization_id, NEW.project_id, 'worker:model:call', typeid('job', NEW.job_id),
    CASE NEW.reason WHEN 'worker_lost' THEN 'dispatcher' ELSE 'worker' END, NEW.attempt,
    jsonb_strip_nulls(jsonb_build_object('call', NEW.call, 'provider', NEW.provider, 'model', NEW.model,
      'model_version', NEW.model_version, 'step', NEW.step, 'amount_usd', NEW.amount_usd::text,
      'quantities', NEW.quantities, 'estimated', NEW.estimated, 'reason', NEW.reason)));
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ledger_entries_audited FROM PUBLIC;
CREATE TRIGGER ledger_entries_audited AFTER INSERT ON ledger_entries
  FOR EACH ROW WHEN (NEW.kind = 'settlement') EXECUTE FUNCTION ledger_entries_audited();
"""


def upgrade() -> None:
    """Put the trigger on the ledger."""
    op.execute(_RECORD)


def downgrade() -> None:
    """Take it off."""
    op.execute("DROP TRIGGER ledger_entries_audited ON ledger_entries")
    op.execute("DROP FUNCTION ledger_entries_audited")

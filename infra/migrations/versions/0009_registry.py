"""Models, their immutable versions, aliases and prompts."""

from pathlib import Path

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "registry.sql"
_TABLES = ("models", "model_versions", "model_stages", "model_stage_changes", "model_aliases", "prompts")
_IMMUTABLE = ("model_versions", "model_stage_changes", "prompts")

# The embedded models are everybody's. The digests are those that `core.registry.digests` gives to what stands here.
_BUILT_IN = """
WITH given (name, description, context_window, abilities, provider_model, digest) AS (VALUES
  ('local/extractive', 'Quotes documents word for word; needs no key and invents nothing.', NULL::bigint,
   ARRAY['abstains', 'quotes', 'streams'], 'local/extractive',
   'sha256:1354f4e368361d805f9899ea4f1494046356ba7007b9f38fa950daad04323fb3'),
  ('local/minilm', 'all-MiniLM-L6-v2 in 8 bits: embeddings of 384 dimensions, on this machine.', NULL,
   ARRAY[]::text[], 'local/all-MiniLM-L6-v2-int8',
   'sha256:937489f9b24b67ba4479be2c30ebe8eb6a3b6dc3911d439479d76d23158b6948'),
  ('local/smollm2', 'SmolLM2-135M-Instruct on this machine: for trying things out, its answers are mostly wrong.', 4096,
   ARRAY['json_schema', 'streams', 'writes'], 'local/smollm2',
   'sha256:d3127f7d04ad78b9ed2d0a2d7a766100bb0753825a66517bd69b5f362978ff8a')
), model AS (
  INSERT INTO models (name, description) SELECT name, description FROM given RETURNING id, name
), version AS (
  INSERT INTO model_versions (model_id, number, provider, deployment, provider_model, context_window, abilities,
    price_provider, price_model, data_class_ceiling, digest)
  SELECT model.id, 1, 'local', provider_model, provider_model, context_window, abilities, 'local', provider_model,
    'restricted', digest
  FROM given JOIN model USING (name) RETURNING id, model_id
), stage AS (
  INSERT INTO model_stages (version_id, model_id, stage) SELECT id, model_id, 'champion' FROM version
), history AS (
  INSERT INTO model_stage_changes (model_id, model_version_id, number, stage, cause, reason, actor_kind)
  SELECT model_id, id, number, stage, cause, 'built in', 'system'
  FROM version, (VALUES (1, 'candidate', 'created'), (2, 'champion', 'promoted')) AS change (number, stage, cause)
)
INSERT INTO model_aliases (alias, model_id)
SELECT alias, model.id
FROM model, (VALUES ('embedding'), ('local/all-MiniLM-L6-v2-int8')) AS known (alias) WHERE name = 'local/minilm'
"""


def upgrade() -> None:
    """Create the tables, close what is immutable to changes, and enter the embedded models."""
    op.execute(_SQL.read_text(encoding="utf-8"))
    for table in _TABLES:
        fence_tenant(table)
        op.execute(f"CREATE POLICY everybody ON {table} FOR SELECT TO waybill_app USING (organization_id IS NULL)")
    for table in _IMMUTABLE:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM waybill_app, waybill_system")
    # Who may update a column may lock the row: that is how changes of one model wait for each other.
    op.execute("REVOKE UPDATE, DELETE ON models FROM waybill_app, waybill_system")
    op.execute("GRANT UPDATE (description) ON models TO waybill_app, waybill_system")
    op.execute("REVOKE DELETE ON model_stages FROM waybill_app, waybill_system")
    op.execute(_BUILT_IN)


def downgrade() -> None:
    """Remove them."""
    op.execute(f"DROP TABLE {', '.join(reversed(_TABLES))}")
    op.execute("DROP FUNCTION registry_refuse_change")

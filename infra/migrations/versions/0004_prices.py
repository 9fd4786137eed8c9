"""The price book: dated prices, never edited in place."""

from alembic import op

from infra.migrations.support import fence_tenant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PRICES = """
CREATE TABLE prices (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  organization_id uuid REFERENCES organizations,
  provider text NOT NULL CONSTRAINT prices_provider CHECK (length(provider) BETWEEN 1 AND 100),
  model text NOT NULL CONSTRAINT prices_model CHECK (length(model) BETWEEN 1 AND 200),
  unit text NOT NULL CONSTRAINT prices_unit CHECK (unit IN (
    'input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens',
    'embedding_tokens', 'image', 'audio_second', 'ocr_page', 'worker_second')),
  above_input_tokens bigint NOT NULL DEFAULT 0 CONSTRAINT prices_above_input_tokens CHECK (above_input_tokens >= 0),
  usd_per_unit numeric(24, 15) NOT NULL CONSTRAINT prices_usd_per_unit CHECK (usd_per_unit >= 0),
  valid_from timestamptz NOT NULL DEFAULT now(),
  recorded_at timestamptz NOT NULL DEFAULT now(),
  source text NOT NULL CONSTRAINT prices_source CHECK (source IN ('genai-prices', 'operator', 'built-in'))
);
CREATE UNIQUE INDEX prices_model_unit ON prices
  (provider, model, unit, organization_id, valid_from, recorded_at, above_input_tokens) NULLS NOT DISTINCT;
"""

# Rows answer for money already spent, so nobody changes them, not even the owner of the table.
_IMMUTABLE = """
CREATE FUNCTION prices_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'prices are never changed: add a new dated one' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER prices_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON prices
  FOR EACH STATEMENT EXECUTE FUNCTION prices_refuse_change();
REVOKE UPDATE, DELETE ON prices FROM waybill_app, waybill_system;
CREATE POLICY everybody ON prices FOR SELECT TO waybill_app USING (organization_id IS NULL);
"""

# The embedded models run on the operator's own machines and are billed by nobody.
_BUILT_IN = """
INSERT INTO prices (provider, model, unit, usd_per_unit, valid_from, source)
SELECT 'local', '*', unit, 0, '1970-01-01Z', 'built-in'
FROM unnest(ARRAY['input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens',
  'embedding_tokens', 'image', 'audio_second', 'ocr_page', 'worker_second']) AS unit;
"""


def upgrade() -> None:
    """Create the table, close it to changes, and price what costs nothing. The units repeat `core.ledger.records`."""
    op.execute(_PRICES)
    fence_tenant("prices")
    op.execute(_IMMUTABLE)
    op.execute(_BUILT_IN)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE prices")
    op.execute("DROP FUNCTION prices_refuse_change")

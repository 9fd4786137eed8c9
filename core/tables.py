"""Every table, imported for its effect on the metadata that Alembic and the migration test compare."""

from core.audit import models as _audit
from core.batches import models as _batches
from core.files import models as _files
from core.guard import models as _guard
from core.guard import pseudonym_rows as _pseudonyms
from core.jobs import models as _jobs
from core.jobs.effects import models as _effects
from core.jobs.retention import models as _retention
from core.jobs.suspension import models as _suspension
from core.keys import models as _keys
from core.kit.db import Base
from core.knowledge import models as _knowledge
from core.ledger import models as _ledger
from core.ledger.prices import models as _prices
from core.limits import models as _limits
from core.quality import models as _quality
from core.registry import models as _registry
from core.registry.experiments import models as _experiments
from core.rollups import models as _rollups
from core.webhooks import models as _webhooks

metadata = Base.metadata

__all__ = [
    "_audit",
    "_batches",
    "_effects",
    "_experiments",
    "_files",
    "_guard",
    "_jobs",
    "_keys",
    "_knowledge",
    "_ledger",
    "_limits",
    "_prices",
    "_pseudonyms",
    "_quality",
    "_registry",
    "_retention",
    "_rollups",
    "_suspension",
    "_webhooks",
    "metadata",
]

"""The capabilities. Adding one is a folder and a line in `CAPABILITIES`."""

from core.capability import Manifest
from pipelines.agent.manifest import RUN
from pipelines.customer_operations.manifest import RESOLVE
from pipelines.knowledge.manifest import INGEST, SEARCH
from pipelines.models.manifest import CHAT, EMBED
from pipelines.multimodal.manifest import UNDERSTAND
from pipelines.research.manifest import REPORT

CAPABILITIES: tuple[Manifest, ...] = (SEARCH, INGEST, RESOLVE, RUN, UNDERSTAND, REPORT, CHAT, EMBED)

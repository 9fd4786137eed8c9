"""Opens a knowledge base for a job: on behalf of its project, and with a model that fits the vectors in it."""

from core.capability import JobContext
from core.keys.principal import Principal
from core.kit.errors import CapabilityFailure, NotFound
from core.kit.ids import KNOWLEDGE_BASE, decode
from core.knowledge.records import KnowledgeBase
from core.knowledge.service import KnowledgeService

# A base names the space of its vectors; several builds of one model share a space.
_BUILDS = {"local/minilm-l6-v2": frozenset({"local/all-MiniLM-L6-v2-int8"})}


def principal_of(ctx: JobContext) -> Principal:
    """The job's project. `JobContext.require` decides what the job may do there."""
    return Principal(ctx.organization_id, ctx.project_id, None, frozenset())


def open_base(
    knowledge: KnowledgeService,
    ctx: JobContext,
    base_id: str,
    embedding_model: str,
    scope: str = "knowledge:read",
) -> KnowledgeBase:
    """The base with that API id, for what `scope` allows. The job's class becomes the base's, if that is higher.

    Call it outside of a transaction: the class is written in a transaction of its own.

    Raises `CapabilityFailure` when the base is gone or was embedded with another model, and when the caller lacks the
    scope.
    """
    ctx.require(scope)
    try:
        with ctx.transaction() as session:
            base = knowledge.get_base(session, principal_of(ctx), decode(KNOWLEDGE_BASE, base_id))
    except NotFound as error:
        raise CapabilityFailure(error.detail, code=error.code) from error
    if embedding_model != base.embedding_model and embedding_model not in _BUILDS.get(base.embedding_model, ()):
        raise CapabilityFailure(
            f"the knowledge base was embedded with {base.embedding_model}, and this worker has {embedding_model};"
            " vectors of two models cannot be compared",
            code="embedding_model_mismatch",
        )
    ctx.raise_class(base.data_class, base_id)
    return base

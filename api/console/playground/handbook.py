"""Gives a project the sample documents, so that there is something to ask about: through the functions of ``/v1``."""

import hashlib

from fastapi import Request

from api.answers import parse_id
from api.console.jobs.acts import run
from api.console.work import read
from api.deps import Runtime, get_runtime
from api.knowledge_bases.documents import store
from api.knowledge_bases.routes import make_base
from api.knowledge_bases.schemas import CreateKnowledgeBase
from api.knowledge_bases.uploads import Upload
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.kit.errors import NotFound
from core.kit.ids import JOB, KNOWLEDGE_BASE, encode
from core.knowledge import samples
from core.knowledge.records import KnowledgeBase
from pipelines.knowledge.documents.formats import SUFFIXES

SCOPES = frozenset({"knowledge:read", "knowledge:write", "jobs:write"})
_INGEST = "knowledge.ingest"


def may_add(principal: Principal) -> bool:
    """Whether the sample documents are here, and the caller may add them."""
    return principal.scopes >= SCOPES and principal.may_use(_INGEST) and bool(samples.documents())


async def add_samples(request: Request, once: str) -> str:
    """Put the sample documents into a base of the caller's project, and start the job that reads them; its id.

    Done again, it changes nothing and reads nothing twice. Raises `NotFound` where there are no sample documents.
    """
    if not samples.documents():
        raise NotFound("the sample documents are only in a checkout of the repository", code="samples_not_found")
    base_id = await get_runtime(request).in_thread(_store, request, await read(request, _find))
    return encode(JOB, await run(request, _INGEST, {"knowledge_base": base_id}, once))


def _find(runtime: Runtime, session: SingleStatement, principal: Principal) -> KnowledgeBase | None:
    found = runtime.knowledge.list_bases(session, principal, cursor=None, limit=1, name=samples.NAME)
    return found[0] if found else None


def _store(request: Request, base: KnowledgeBase | None) -> str:
    if base is None:
        body = CreateKnowledgeBase(name=samples.NAME, description=samples.DESCRIPTION)
        location = make_base(request, body, None).location or ""
        base_id = parse_id(KNOWLEDGE_BASE, location.rpartition("/")[2], "knowledge_base")
    else:
        base_id = base.id
    for path in samples.documents():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            media_type = SUFFIXES[path.suffix][1]
            store(request, base_id, path.name, Upload(file, path.stat().st_size, digest, media_type), None)
    return encode(KNOWLEDGE_BASE, base_id)

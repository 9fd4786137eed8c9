"""What knowledge and administration show, with markup in every text that someone may write."""

import hashlib
import secrets

from core.audit import sealer
from core.keys.members import repository as members
from core.keys.principal import Principal
from core.keys.roles import Role
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import AUDIT, DOCUMENT, KEY, KNOWLEDGE_BASE, MEMBER, MESSAGE, WEBHOOK_ENDPOINT, encode
from core.kit.signing import Signer
from core.knowledge.records import NewChunk
from core.knowledge.service import KnowledgeService
from core.webhooks.records import NewEndpoint
from core.webhooks.service import WebhookService
from tests.factories.api import RunningApi, issue_key, principal_of
from tests.factories.knowledge import upload

_DIMENSIONS = 384


def made_admin_things(api: RunningApi, text: str) -> dict[str, str]:
    """Ids of a base, a document in it, a key, a member, an endpoint, a message to it, and a sealed audit record."""
    database, principal = Database(api.settings, application_name="test-things", pool_size=2), principal_of(api.key)
    organization_id = principal.organization_id
    try:
        things = _knowledge(api, database, principal, text)
        with database.tenant(organization_id) as session:
            member = members.insert(
                session,
                organization_id,
                issuer="https://id.example",
                subject=f"{secrets.token_hex(4)} {text}"[:200],
                email=None,
                role=Role.AUDITOR,
            )
            assert member is not None
            service = WebhookService(api.settings)
            issued = service.create(session, principal, NewEndpoint("https://hooks.example/x", text[:400]))
            assert issued.endpoint is not None
            message = service.test(session, principal, issued.endpoint.id)
        while sealer.seal_once(database, Signer.from_settings(api.settings), 100):
            pass
        with api.client() as client:
            named = client.post("/v1/keys", json={"name": text[:100], "role": "auditor"})
            assert named.status_code == 201, named.text
            records = client.get("/v1/audit", params={"limit": 100}).json()["data"]
    finally:
        database.close()
    sealed = next(each for each in records if each["sequence"] is not None)
    assert str(sealed["id"]).startswith(f"{AUDIT}_")
    return {
        **things,
        "key_id": encode(KEY, issue_key(api.settings).id),
        "member_id": encode(MEMBER, member.id),
        "endpoint_id": encode(WEBHOOK_ENDPOINT, issued.endpoint.id),
        "delivery_id": encode(MESSAGE, message.id),
        "record_id": str(sealed["id"]),
    }


def _knowledge(api: RunningApi, database: Database, principal: Principal, text: str) -> dict[str, str]:
    service, blobs = KnowledgeService(), open_blob_store(api.settings)
    with database.tenant(principal.organization_id) as session:
        base = service.create_base(session, principal, f"{secrets.token_hex(4)} {text}"[:200], text)
    documents = [
        upload(database, principal, base, blobs, name=f"{number} {text}"[:200], data=text.encode())
        for number in range(3)
    ]
    chunk = NewChunk(
        0,
        1,
        text,
        0,
        len(text),
        text,
        text,
        hashlib.sha256(text.encode()).hexdigest(),
        [1.0] + [0.0] * (_DIMENSIONS - 1),
    )
    left_out = [{"what": "running_head", "text": text[:200], "pages": [1], "count": 2}]
    with database.tenant(principal.organization_id) as session:
        assert service.store_chunks(session, principal, documents[0], [chunk], ingested="x", pages=1, left_out=left_out)
        service.fail_document(session, principal, documents[1], "document_unreadable", text)
    return {"base_id": encode(KNOWLEDGE_BASE, base.id), "document_id": encode(DOCUMENT, documents[0].id)}

"""A knowledge base on real Postgres, filled from files as the API and the ingest job would fill it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from core.gateway.service import Gateway, open_gateway
from core.keys.principal import Principal
from core.kit.blob import BlobStore, open_blob_store
from core.kit.db import Database
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE, encode, new_id
from core.kit.settings import Settings
from core.knowledge.records import DocumentRecord, KnowledgeBase
from core.knowledge.service import KnowledgeService
from pipelines.knowledge import ingest, search
from pipelines.knowledge.documents.isolation import IsolatedReader
from pipelines.knowledge.intake import Intake
from pipelines.knowledge.schemas import IngestInput, IngestOutput, Mode, SearchInput, SearchOutput
from tests.factories.context import RecordingContext

CORPUS = Path(__file__).resolve().parents[2] / "samples" / "corpus"
BROKEN = Path(__file__).resolve().parents[2] / "samples" / "broken"


def upload(
    database: Database,
    principal: Principal,
    base: KnowledgeBase,
    blobs: BlobStore,
    *,
    name: str,
    data: bytes,
    content_type: str = "application/octet-stream",
) -> DocumentRecord:
    """Register a file's content in a base, as the API does."""
    digest = hashlib.sha256(data).hexdigest()
    key = f"knowledge/{base.id}/{digest}"
    blobs.put(key, data, content_type)
    with database.tenant(principal.organization_id) as session:
        return KnowledgeService().put_document(
            session,
            principal,
            base.id,
            name=name,
            content_type=content_type,
            size_bytes=len(data),
            sha256=digest,
            blob_key=key,
        )


@dataclass
class Library:
    """One project with one knowledge base."""

    database: Database
    principal: Principal
    base: KnowledgeBase
    blobs: BlobStore
    reader: IsolatedReader
    gateway: Gateway
    knowledge: KnowledgeService = field(default_factory=KnowledgeService)

    @property
    def base_id(self) -> str:
        """The base's API id."""
        return encode(KNOWLEDGE_BASE, self.base.id)

    def context(self, on_check: Callable[[], None] | None = None) -> RecordingContext:
        """A fresh job of the project."""
        return RecordingContext(
            organization_id=self.principal.organization_id,
            project_id=self.principal.project_id,
            database=self.database,
            on_check=on_check,
        )

    def upload(self, name: str, data: bytes, content_type: str = "application/octet-stream") -> DocumentRecord:
        """Register a file's content."""
        return upload(
            self.database, self.principal, self.base, self.blobs, name=name, data=data, content_type=content_type
        )

    def upload_files(self, paths: Iterable[Path]) -> list[DocumentRecord]:
        """Register files by their names."""
        return [self.upload(path.name, path.read_bytes()) for path in sorted(paths)]

    def document(self, record: DocumentRecord) -> DocumentRecord:
        """The document as it is now."""
        with self.database.tenant(self.principal.organization_id) as session:
            return self.knowledge.get_document(session, self.principal, self.base.id, record.id)

    def delete(self, record: DocumentRecord) -> None:
        """Delete a document."""
        with self.database.tenant(self.principal.organization_id) as session:
            self.knowledge.delete_document(session, self.principal, self.base.id, record.id)

    def ingest(self, *records: DocumentRecord, ctx: RecordingContext | None = None) -> IngestOutput:
        """Run the ingest capability over these documents, or over all that wait."""
        documents = [encode(DOCUMENT, record.id) for record in records] or None
        payload = IngestInput(knowledge_base=self.base_id, documents=documents)
        return ingest.make_runner(self.intake()).run(ctx or self.context(), payload)

    def intake(self) -> Intake:
        """What ingestion works with."""
        return Intake(self.knowledge, self.gateway, self.blobs, self.reader)

    def ask(
        self,
        query: str,
        *,
        mode: Mode = Mode.ANSWER,
        limit: int = 8,
        ctx: RecordingContext | None = None,
        gateway: Gateway | None = None,
    ) -> SearchOutput:
        """Run the search capability."""
        payload = SearchInput(knowledge_base=self.base_id, query=query, mode=mode, limit=limit)
        return search.make_runner(gateway or self.gateway, self.knowledge, self.blobs).run(
            ctx or self.context(), payload
        )


@contextmanager
def open_library(settings: Settings, name: str = "library") -> Iterator[Library]:
    """An empty library of a new organisation."""
    database = Database(settings, application_name="test-knowledge", pool_size=6)
    principal = Principal(new_id(), new_id(), None, frozenset())
    with database.system() as session:
        session.execute(
            text("INSERT INTO organizations (id, name) VALUES (:id, :name)"),
            {"id": principal.organization_id, "name": f"org-{principal.organization_id}"},
        )
        session.execute(
            text("INSERT INTO projects (id, organization_id, name) VALUES (:id, :organization, 'p')"),
            {"id": principal.project_id, "organization": principal.organization_id},
        )
    with database.tenant(principal.organization_id) as session:
        base = KnowledgeService().create_base(session, principal, name)
    gateway = open_gateway(Settings(model_base_url=None))
    with IsolatedReader() as reader:
        yield Library(database, principal, base, open_blob_store(settings), reader, gateway)
    gateway.close()
    database.close()

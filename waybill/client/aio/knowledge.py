"""Knowledge bases: create, find, list; upload, list and read documents."""

from collections.abc import AsyncIterator

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.errors import Conflict
from waybill.client.models import Document, KnowledgeBase, Page

_BASES = "/v1/knowledge-bases"
_PAGE = 200
_UPLOAD_SECONDS = 120.0


class AsyncKnowledgeBases(AsyncEndpoints):
    """``/v1/knowledge-bases`` and the documents below them."""

    async def create(self, name: str, description: str = "", *, data_class: str | None = None) -> KnowledgeBase:
        """A new, empty base. Raises `Conflict` when the project has one of that name.

        `data_class` says how sensitive its documents are; jobs that search it are of this class at least.
        """
        return await self._post(KnowledgeBase, _BASES, given(name=name, description=description, data_class=data_class))

    async def update(
        self, base_id: str, *, description: str | None = None, data_class: str | None = None
    ) -> KnowledgeBase:
        """Set what is given. Raises `NotFound`."""
        return await self._patch(
            KnowledgeBase, f"{_BASES}/{base_id}", given(description=description, data_class=data_class)
        )

    async def get(self, base_id: str) -> KnowledgeBase:
        """The base with that id. Raises `NotFound`."""
        return await self._get(KnowledgeBase, f"{_BASES}/{base_id}")

    async def find(self, name: str) -> KnowledgeBase | None:
        """The base of that name, if the project has one."""
        found = await self._get(Page[KnowledgeBase], _BASES, {"name": name, "limit": 1})
        return found.data[0] if found.data else None

    async def ensure(self, name: str, description: str = "") -> tuple[KnowledgeBase, bool]:
        """The base of that name, and whether it had to be created. Safe when two do it at once."""
        found = await self.find(name)
        if found is not None:
            return found, False
        try:
            return await self.create(name, description), True
        except Conflict:
            found = await self.find(name)
            if found is None:
                raise
            return found, False

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[KnowledgeBase]:
        """One page of the project's bases, newest first."""
        params = given(limit=limit, cursor=cursor)
        return await self._get(Page[KnowledgeBase], _BASES, params)

    async def documents(self, base_id: str) -> AsyncIterator[Document]:
        """Every document of a base, newest first, page by page."""
        cursor: str | None = None
        while True:
            params = given(limit=_PAGE, cursor=cursor)
            page = await self._get(Page[Document], f"{_BASES}/{base_id}/documents", params)
            for document in page.data:
                yield document
            cursor = page.next_cursor
            if cursor is None:
                return

    async def document(self, base_id: str, document_id: str) -> Document:
        """One document of a base. Raises `NotFound`."""
        return await self._get(Document, f"{_BASES}/{base_id}/documents/{document_id}")

    async def delete_document(self, base_id: str, document_id: str) -> None:
        """Remove a document and what was read from it. Raises `NotFound`."""
        await self._transport.delete(f"{_BASES}/{base_id}/documents/{document_id}")

    async def delete(self, base_id: str) -> None:
        """Remove a base with all its documents. Raises `NotFound`."""
        await self._transport.delete(f"{_BASES}/{base_id}")

    async def upload(self, base_id: str, name: str, content: bytes, media_type: str) -> Document:
        """Store a file under `name`; a known name gets new content. It is searchable after a ``knowledge.ingest`` job.

        `content` is the whole file. Raises `InvalidRequest` above the server's limit and for an empty file.
        """
        return await self._post(
            Document,
            f"{_BASES}/{base_id}/documents",
            content=content,
            headers={"Content-Type": media_type},
            params={"name": name},
            wait_seconds=_UPLOAD_SECONDS,
        )

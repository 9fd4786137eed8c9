"""Knowledge bases: create, find, list; upload, list and read documents."""

from collections.abc import Iterator

from waybill.client.errors import ApiProblem
from waybill.client.models import Document, KnowledgeBase, Page
from waybill.client.transport import Transport

_BASES = "/v1/knowledge-bases"
_PAGE = 200
_UPLOAD_SECONDS = 120.0
_CONFLICT = 409


class KnowledgeBases:
    """``/v1/knowledge-bases`` and the documents below them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, description: str = "") -> KnowledgeBase:
        """A new, empty base. Raises `ApiProblem` 409 when the project has one of that name."""
        answer = self._transport.post(_BASES, {"name": name, "description": description})
        return KnowledgeBase.model_validate(answer.json())

    def get(self, base_id: str) -> KnowledgeBase:
        """The base with that id. Raises `ApiProblem` 404."""
        return KnowledgeBase.model_validate(self._transport.get(f"{_BASES}/{base_id}").json())

    def find(self, name: str) -> KnowledgeBase | None:
        """The base of that name, if the project has one."""
        answer = self._transport.get(_BASES, {"name": name, "limit": 1})
        found = Page[KnowledgeBase].model_validate(answer.json()).data
        return found[0] if found else None

    def ensure(self, name: str, description: str = "") -> tuple[KnowledgeBase, bool]:
        """The base of that name, and whether it had to be created. Safe when two do it at once."""
        found = self.find(name)
        if found is not None:
            return found, False
        try:
            return self.create(name, description), True
        except ApiProblem as problem:
            if problem.status != _CONFLICT:
                raise
            found = self.find(name)
            if found is None:
                raise
            return found, False

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[KnowledgeBase]:
        """One page of the project's bases, newest first."""
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return Page[KnowledgeBase].model_validate(self._transport.get(_BASES, params).json())

    def documents(self, base_id: str) -> Iterator[Document]:
        """Every document of a base, newest first, page by page."""
        cursor: str | None = None
        while True:
            params = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
            answer = self._transport.get(f"{_BASES}/{base_id}/documents", params)
            page = Page[Document].model_validate(answer.json())
            yield from page.data
            cursor = page.next_cursor
            if cursor is None:
                return

    def upload(self, base_id: str, name: str, content: bytes, media_type: str) -> Document:
        """Store a file under `name`; a known name gets new content. It is searchable after a ``knowledge.ingest`` job.

        `content` is the whole file. Raises `ApiProblem` 413 above the server's limit and 422 for an empty file.
        """
        answer = self._transport.post(
            f"{_BASES}/{base_id}/documents",
            content=content,
            headers={"Content-Type": media_type},
            params={"name": name},
            wait_seconds=_UPLOAD_SECONDS,
        )
        return Document.model_validate(answer.json())

"""Files and images inside a request to a capability.

Capabilities read files of the project, so these are added to it.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

from fastapi import Request
from sqlalchemy.orm import Session

from api.deps import Runtime
from api.openai.errors import refuse
from api.openai.responses.schemas import CreateResponse, FilePart, ImagePart, MessageItem
from api.routing import caller, require_scope
from core.files.service import check_name
from core.keys.principal import Principal
from core.kit.data_classes import DataClass
from core.kit.ids import FILE, encode, new_id

_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file of a request, and its future id in the project."""

    id: UUID
    name: str
    media_type: str
    content: bytes


def take_out(request: Request, body: CreateResponse) -> list[InlineFile]:
    """The files in the body's parts; the parts get their ids. Raises `Refused`, also for a missing scope."""
    found: list[InlineFile] = []
    for part, param in _parts(body):
        url = part.file_data if isinstance(part, FilePart) else part.image_url
        if url is None:
            continue
        if not found:
            require_scope(caller(request), "files:write")
        media_type, content = _decoded(url, param)
        given = part.filename if isinstance(part, FilePart) else None
        name = check_name(given or f"file.{_ENDINGS.get(media_type, 'bin')}")
        file_id = new_id()
        part.file_id = encode(FILE, file_id)
        found.append(InlineFile(file_id, name, media_type, content))
    return found


@contextmanager
def stored(
    runtime: Runtime, session: Session, principal: Principal, files: Sequence[InlineFile], data_class: DataClass | None
) -> Iterator[None]:
    """Adds the files to the project in `session`'s transaction; if the block fails, none is added. Blocks."""
    places = []
    try:
        for file in files:
            opened = BytesIO(file.content)
            file_id, place, kind = runtime.files.store(principal.project_id, opened, file.media_type, file.id)
            places.append(place)
            runtime.files.register(
                session,
                principal,
                file_id,
                name=file.name,
                content_type=kind,
                size_bytes=len(file.content),
                sha256=hashlib.sha256(file.content).hexdigest(),
                data_class=data_class or DataClass.INTERNAL,
            )
        yield
    except BaseException:
        for place in places:
            runtime.blobs.delete(place)
        raise


def _parts(body: CreateResponse) -> Iterator[tuple[FilePart | ImagePart, str]]:
    for at, item in enumerate(body.input if isinstance(body.input, list) else ()):
        if isinstance(item, MessageItem) and isinstance(item.content, list):
            for number, part in enumerate(item.content):
                if isinstance(part, FilePart | ImagePart) and part.file_id is None:
                    yield part, f"input.{at}.content.{number}"


def _decoded(url: str, param: str) -> tuple[str, bytes]:
    head, has_data, data = url.partition(";base64,")
    if not has_data or not head.startswith("data:"):
        raise refuse(param, f"{param}: send the bytes as data:…;base64,…; addresses are not fetched")
    try:
        return head.removeprefix("data:").lower(), base64.b64decode(data, validate=True)
    except binascii.Error:
        raise refuse(param, f"{param}: the base64 is not valid") from None

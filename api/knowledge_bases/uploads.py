"""Receives a file into a temporary file, and counts and digests it on the way, whatever its size."""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from starlette.requests import ClientDisconnect, Request

from api.bodies import BodyTimeout, drain, refuse_declared_length, refuse_encoding, too_large
from core.kit.errors import BadRequest, Unprocessable, UnsupportedMedia

_SPOOL_BYTES = 1024 * 1024
_SILENCE_SECONDS = 30.0
_UNKNOWN_TYPE = "application/octet-stream"
# RFC 9110, section 8.3.1: type "/" subtype, both tokens.
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file. Close `file` after storing it."""

    file: BinaryIO
    size_bytes: int
    sha256: str
    media_type: str


async def receive(request: Request, max_bytes: int) -> Upload:
    """Receive the request's body as a file.

    Raises `PayloadTooLarge` above `max_bytes`, `Unprocessable` for an empty file, `UnsupportedMedia` for a form or a
    compressed body, and `BodyTimeout` when nothing comes for 30 seconds.
    """
    media_type = _media_type(request)
    await refuse_declared_length(request, max_bytes)
    # Spooled files provide BinaryIO's methods without declaring it.
    file = cast("BinaryIO", SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115 - it goes to the caller
    try:
        size, digest = await _copy(request, file, max_bytes)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return Upload(file, size, digest, media_type)


async def _copy(request: Request, file: BinaryIO, max_bytes: int) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    chunks = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise BodyTimeout(f"no part of the file arrived for {_SILENCE_SECONDS:g} seconds") from None
        except ClientDisconnect:
            raise BadRequest("the file did not arrive completely", code="upload_aborted") from None
        if chunk is None:
            break
        size += len(chunk)
        if size > max_bytes:
            await drain(request)
            raise too_large(max_bytes)
        digest.update(chunk)
        file.write(chunk)
    if size == 0:
        raise Unprocessable("the file is empty; send its bytes as the body of the request", code="document_empty")
    return size, digest.hexdigest()


def _media_type(request: Request) -> str:
    refuse_encoding(request)
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower() or _UNKNOWN_TYPE
    if declared.startswith("multipart/") or declared == "application/x-www-form-urlencoded":
        raise UnsupportedMedia("send the file itself as the body, not a form; pass its name as ?name=")
    if _TYPE.fullmatch(declared) is None:
        raise UnsupportedMedia("the Content-Type must have the form type/subtype")
    return declared

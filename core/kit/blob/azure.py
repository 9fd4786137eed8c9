"""Blobs in a container of Azure Blob Storage.

Timeouts: 3 s for a connection, 20 s for the next bytes of an answer. A request with a transient failure (connection,
408, 429, 5xx) is sent again twice, after about 2 and 4 s. Then `Unavailable` is raised, and callers retry by their own
rules. The SDK's defaults (20 s, 60 s, and pauses up to 42 s) would hold one of our requests for minutes. No request
carries more than 4 MiB, so that each can be repeated and fits its timeout.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings, ExponentialRetry

from core.kit.blob.interface import BlobInfo, BlobNotFound, require_key
from core.kit.errors import Unavailable
from core.kit.settings import Settings

BLOCK_BYTES = 4 * 1024 * 1024
_CONNECT_SECONDS = 3
_READ_SECONDS = 20
_DELETE_BATCH = 256  # the service's limit (learn.microsoft.com, "Blob Batch")
_NOT_FOUND, _RANGE_NOT_SATISFIABLE = 404, 416
_DENIED = (401, 403)
_SHA256 = "sha256"
_MISCONFIGURED = "blob_misconfigured"


class AzureBlobStore:
    """Implements `BlobStore`. The container must exist; the identity needs "Storage Blob Data Contributor" on it."""

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)

    @classmethod
    def from_settings(cls, settings: Settings, *, container: str) -> "AzureBlobStore":
        """The store of `container` in the account that the settings name.

        With a connection string its key is used; with an account URL, the identity of the environment (workload or
        managed identity, environment variables, `az login`). Raises `Unavailable` when neither is set or usable.
        """
        if not container:
            raise Unavailable("WAYBILL_BLOB_URL names no container; write azure://container", code=_MISCONFIGURED)
        # At info the SDK logs every request with its headers.
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        options: dict[str, Any] = {
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retry_policy": ExponentialRetry(initial_backoff=0, increment_base=2, retry_total=2, random_jitter_range=1),
            "max_single_put_size": BLOCK_BYTES,
            "max_block_size": BLOCK_BYTES,
            "max_single_get_size": BLOCK_BYTES,
            "max_chunk_get_size": BLOCK_BYTES,
        }
        try:
            if settings.azure_storage_connection_string is not None:
                secret = settings.azure_storage_connection_string.get_secret_value()
                return cls(BlobServiceClient.from_connection_string(secret, **options), container)
            if settings.azure_storage_account_url is not None:
                # Imported here because it is slow to load, and a connection string does not need it.
                from azure.identity import DefaultAzureCredential

                service = BlobServiceClient(
                    settings.azure_storage_account_url, credential=DefaultAzureCredential(), **options
                )
                return cls(service, container)
        except ValueError as error:
            raise Unavailable(
                f"the address of the storage account is not usable: {error}", code=_MISCONFIGURED
            ) from None
        raise Unavailable(
            "WAYBILL_BLOB_URL begins with azure:, but neither AZURE_STORAGE_CONNECTION_STRING nor "
            "WAYBILL_AZURE_STORAGE_ACCOUNT_URL is set",
            code=_MISCONFIGURED,
        )

    @property
    def url(self) -> str:
        """The address of the container, without credentials."""
        return str(self._container.url.partition("?")[0])

    def put(self, key: str, data: bytes | BinaryIO, content_type: str) -> BlobInfo:
        """Store `data`, replacing existing content atomically. Raises `Unavailable`.

        Up to 4 MiB are sent in one request, more as blocks that a last request assembles into the blob. When two calls
        put many blocks under one key at once, the service discards the blocks of one, which raises `Unavailable`.
        """
        blob = self._container.get_blob_client(require_key(key))
        source = BytesIO(data) if isinstance(data, bytes) else data
        digest = hashlib.sha256()
        size = 0
        blocks: list[BlobBlock] = []
        prefix = secrets.token_hex(8)
        settings = ContentSettings(content_type=content_type)
        with _translated(key):
            block = _read_block(source)
            following = _read_block(source) if len(block) == BLOCK_BYTES else b""
            while following:
                digest.update(block)
                size += len(block)
                blocks.append(BlobBlock(f"{prefix}-{len(blocks):06d}"))
                blob.stage_block(blocks[-1].id, block, length=len(block))
                block, following = following, _read_block(source)
            digest.update(block)
            size += len(block)
            # The digest is sent with the content in one request; it is known only now.
            metadata = {_SHA256: digest.hexdigest()}
            if blocks:
                blocks.append(BlobBlock(f"{prefix}-{len(blocks):06d}"))
                blob.stage_block(blocks[-1].id, block, length=len(block))
                blob.commit_block_list(blocks, content_settings=settings, metadata=metadata)
            else:
                blob.upload_blob(block, length=len(block), overwrite=True, content_settings=settings, metadata=metadata)
        return BlobInfo(key, size, digest.hexdigest(), content_type)

    def get(self, key: str) -> bytes:
        """The whole content. Raises `BlobNotFound`, or `Unavailable`, which includes a digest mismatch."""
        with _translated(key):
            download = self._container.download_blob(require_key(key))
            content = download.readall()
            expected = (download.properties.metadata or {}).get(_SHA256)
        if expected is not None and hashlib.sha256(content).hexdigest() != expected:
            raise Unavailable(f"the blob {key} is not what was stored: its SHA-256 differs", code="blob_corrupt")
        return content

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content from `start` up to `end`, in chunks of up to 4 MiB. Raises `BlobNotFound` or `Unavailable`.

        All chunks are of one version of the blob: replacing it meanwhile makes the next one raise `Unavailable`.
        """
        blob = self._container.get_blob_client(require_key(key))
        with _translated(key):
            if end is not None and end <= start:
                blob.get_blob_properties()
                return iter(())
            try:
                download = blob.download_blob(offset=start, length=None if end is None else end - start)
            except HttpResponseError as error:
                if error.status_code != _RANGE_NOT_SATISFIABLE:
                    raise
                return iter(())
        return _chunks(key, download)

    def exists(self, key: str) -> bool:
        """Whether there is a blob under `key`. Raises `Unavailable`."""
        with _translated(key):
            return self._container.get_blob_client(require_key(key)).exists()

    def delete(self, key: str) -> None:
        """Remove the blob if it exists. Raises `Unavailable`."""
        try:
            with _translated(key):
                self._container.delete_blob(require_key(key), delete_snapshots="include")
        except BlobNotFound:
            return

    def delete_prefix(self, prefix: str) -> int:
        """Remove every blob whose key starts with `prefix`; returns how many there were. Raises `Unavailable`."""
        keys = list(self.list(prefix))
        for first in range(0, len(keys), _DELETE_BATCH):
            batch = keys[first : first + _DELETE_BATCH]
            with _translated(prefix):
                answers = self._container.delete_blobs(*batch, delete_snapshots="include", raise_on_any_failure=False)
                refused = {int(answer.status_code) for answer in answers} - {202, _NOT_FOUND}
            if refused:
                raise Unavailable(
                    f"some blobs below {prefix} were not removed: {sorted(refused)}", code="blob_unavailable"
                )
        return len(keys)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, in order. Raises `Unavailable`."""
        with _translated(prefix):
            yield from self._container.list_blob_names(name_starts_with=prefix)


def _read_block(source: BinaryIO) -> bytes:
    # A raw or network stream may return less than requested before its end.
    block = bytearray()
    while len(block) < BLOCK_BYTES and (part := source.read(BLOCK_BYTES - len(block))):
        block += part
    return bytes(block)


def _chunks(key: str, download: Any) -> Iterator[bytes]:
    with _translated(key):
        yield from download.chunks()


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except ResourceNotFoundError as error:
        if _code(error) == "ContainerNotFound":
            raise Unavailable(
                "the container that WAYBILL_BLOB_URL names does not exist", code=_MISCONFIGURED
            ) from error
        raise BlobNotFound(f"there is no blob {key}") from error
    except HttpResponseError as error:
        if error.status_code in _DENIED:
            message = f"the storage account refuses our credentials ({_code(error)})"
            raise Unavailable(message, code=_MISCONFIGURED) from error
        message = f"the storage account answered {error.status_code} ({_code(error)})"
        raise Unavailable(message, code="blob_unavailable", retry_after_seconds=5) from error
    except AzureError as error:
        message = f"the storage account cannot be reached ({type(error).__name__})"
        raise Unavailable(message, code="blob_unavailable", retry_after_seconds=5) from error


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or type(error).__name__)

"""Opens the store that the settings select."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.kit.blob.interface import BlobStore
from core.kit.blob.local import LocalBlobStore
from core.kit.errors import Unavailable
from core.kit.settings import Settings


def open_blob_store(settings: Settings) -> BlobStore:
    """The store that ``blob_url`` names: ``file:///folder``, ``azure://container``, or by default a local folder."""
    if settings.blob_url is None:
        return LocalBlobStore(settings.blob_folder)
    url = urlsplit(settings.blob_url)
    if url.scheme == "file":
        return LocalBlobStore(Path(unquote(url.path)))
    if url.scheme == "azure":
        # Imported only when needed: the SDK is an extra and slow to import.
        from core.kit.blob.azure import AzureBlobStore

        return AzureBlobStore.from_settings(settings, container=url.netloc)
    raise Unavailable(
        f"WAYBILL_BLOB_URL begins with {url.scheme}:, but only file: and azure: are known", code="blob_misconfigured"
    )

"""The blob store: whether a blob can be written, read and removed."""

import secrets

from core.kit.blob import open_blob_store
from core.kit.errors import WaybillError
from core.kit.settings import Settings
from waybill.stack.doctor.check import Check, fail, ok, one_line

_NAME = "blob store"


def check_storage(settings: Settings) -> list[Check]:
    """Write, read and remove one small blob."""
    where = settings.blob_url or f"file://{settings.blob_folder}"
    key, content = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(32)
    try:
        store = open_blob_store(settings)
        store.put(key, content, "application/octet-stream")
        try:
            came_back = store.get(key) == content
        finally:
            store.delete(key)
    except ModuleNotFoundError:
        return [fail(_NAME, f"the client for {where} is not installed", "pip install 'waybill[azure]'")]
    except WaybillError as error:
        return [fail(_NAME, error.detail, "check WAYBILL_BLOB_URL and the credentials of the storage account")]
    except OSError as error:
        return [fail(_NAME, one_line(error), "make the folder writable, or set WAYBILL_BLOB_URL or WAYBILL_HOME")]
    if not came_back:
        return [fail(_NAME, f"{where} returned different content than was written", "use another store")]
    return [ok(_NAME, f"{where} can be written to, read and deleted from")]

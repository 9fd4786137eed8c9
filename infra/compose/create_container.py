"""Creates the blob container in WAYBILL_BLOB_URL, as soon as the storage account responds."""

from time import monotonic, sleep
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import BlobServiceClient

from core.kit.settings import get_settings

_PAUSE_SECONDS = 1.0

settings = get_settings()
assert settings.blob_url is not None
assert settings.azure_storage_connection_string is not None
account = BlobServiceClient.from_connection_string(
    settings.azure_storage_connection_string.get_secret_value(), retry_total=0, connection_timeout=3
)
deadline = monotonic() + settings.start_timeout_seconds
while True:
    try:
        account.create_container(urlsplit(settings.blob_url).netloc)
    except ResourceExistsError:
        break
    except AzureError:
        if monotonic() >= deadline:
            raise
        sleep(_PAUSE_SECONDS)
    else:
        break

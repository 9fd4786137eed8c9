"""The contract of a blob store, held by each implementation on its real service."""

import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from azure.storage.blob import BlobServiceClient
from pydantic import SecretStr

from core.kit.blob import BlobNotFound, BlobStore, open_blob_store
from core.kit.blob.azure import BLOCK_BYTES, AzureBlobStore
from core.kit.errors import Unavailable, Unprocessable
from core.kit.settings import Settings
from tests.factories.azurite import AzuriteMissing, azurite
from waybill.stack.postgres import free_port

# One emulator is enough.
pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("azurite")]
CONTAINER = "waybill"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        with azurite(tmp_path_factory.mktemp("azurite")) as connection_string:
            with BlobServiceClient.from_connection_string(connection_string) as service:
                service.create_container(CONTAINER)
            yield connection_string
    except AzuriteMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def azure_settings(emulator: str) -> Settings:
    return Settings(blob_url=f"azure://{CONTAINER}", azure_storage_connection_string=SecretStr(emulator))


@pytest.fixture(params=["local", "azure"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    if request.param == "local":
        yield open_blob_store(Settings(blob_url=f"file://{tmp_path}/blobs"))
        return
    opened = open_blob_store(request.getfixturevalue("azure_settings"))
    yield opened
    opened.delete_prefix("")


def test_what_was_put_comes_back(store: BlobStore) -> None:
    info = store.put("jobs/1/result.json", b'{"a": 1}', "application/json")
    assert (info.key, info.size_bytes, info.content_type) == ("jobs/1/result.json", 8, "application/json")
    assert info.sha256 == hashlib.sha256(b'{"a": 1}').hexdigest()
    assert store.get("jobs/1/result.json") == b'{"a": 1}'
    assert store.exists("jobs/1/result.json")


def test_putting_again_replaces(store: BlobStore) -> None:
    store.put("a", b"first, and longer", "text/plain")
    store.put("a", b"second", "text/plain")
    assert store.get("a") == b"second"


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])
def test_every_size_comes_back_whole_and_with_its_digest(store: BlobStore, size: int) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    info = store.put("big", io.BytesIO(content), "application/octet-stream")
    assert info.size_bytes == size
    assert info.sha256 == hashlib.sha256(content).hexdigest()
    assert store.get("big") == content
    assert b"".join(store.open("big")) == content


class Trickle(io.RawIOBase):
    """A stream that returns less than it was asked for, as a socket does."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        part, self._left = self._left[: min(size, 65_000)], self._left[min(size, 65_000) :]
        return part


def test_a_stream_that_trickles_is_stored_whole(store: BlobStore) -> None:
    content = bytes(range(256)) * 20_000
    info = store.put("trickled", Trickle(content), "application/octet-stream")  # type: ignore[arg-type]
    assert info.sha256 == hashlib.sha256(content).hexdigest()
    assert store.get("trickled") == content


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 6, b"345"),
        (8, 99, b"89"),
        (4, 4, b""),
        (10, None, b""),
        (50, 60, b""),
    ],
)
def test_ranges(store: BlobStore, start: int, end: int | None, expected: bytes) -> None:
    store.put("digits", b"0123456789", "text/plain")
    assert b"".join(store.open("digits", start, end)) == expected


def test_a_range_across_blocks(store: BlobStore) -> None:
    content = bytes(range(256)) * (3 * BLOCK_BYTES // 256)
    store.put("blocks", io.BytesIO(content), "application/octet-stream")
    chunks = list(store.open("blocks", BLOCK_BYTES - 10, 2 * BLOCK_BYTES + 10))
    assert b"".join(chunks) == content[BLOCK_BYTES - 10 : 2 * BLOCK_BYTES + 10]
    assert max(len(chunk) for chunk in chunks) <= BLOCK_BYTES


def test_what_is_not_there_is_said_at_once(store: BlobStore) -> None:
    with pytest.raises(BlobNotFound):
        store.get("nothing")
    with pytest.raises(BlobNotFound):
        store.open("nothing")
    with pytest.raises(BlobNotFound):
        store.open("nothing", 5, 5)
    assert not store.exists("nothing")
    store.delete("nothing")


def test_deleting(store: BlobStore) -> None:
    store.put("a", b"1", "text/plain")
    store.delete("a")
    assert not store.exists("a")
    with pytest.raises(BlobNotFound):
        store.get("a")


def test_prefixes_are_listed_in_order_and_deleted_alone(store: BlobStore) -> None:
    for key in ("kb/2/b", "kb/1/a", "kb/10/c", "kbx", "other"):
        store.put(key, b"x", "text/plain")
    assert list(store.list("kb/")) == ["kb/1/a", "kb/10/c", "kb/2/b"]
    assert list(store.list("kb/1")) == ["kb/1/a", "kb/10/c"]
    assert list(store.list("absent/")) == []
    assert store.delete_prefix("kb/") == 3
    assert list(store.list("")) == ["kbx", "other"]
    assert store.delete_prefix("kb/") == 0


@pytest.mark.parametrize("key", ["wörter/übung.pdf", "a b+c%20d?e#f&g", "x=1;y:2@z", "…/日本語.txt"])
def test_unusual_names_are_kept(store: BlobStore, key: str) -> None:
    store.put(key, key.encode(), "text/plain")
    assert store.get(key) == key.encode()
    assert list(store.list("")) == [key]


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\\b", "a\nb", "a" * 701])
def test_names_that_could_leave_the_store_are_refused(store: BlobStore, key: str) -> None:
    for refused in (
        lambda: store.put(key, b"", "text/plain"),
        lambda: store.get(key),
        lambda: store.open(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(Unprocessable):
            refused()


def test_readers_see_the_old_or_the_new_content_never_a_part(store: BlobStore) -> None:
    contents = [letter * (2 * BLOCK_BYTES + 5) for letter in (b"a", b"b")]
    store.put("swapped", contents[0], "text/plain")
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                content = store.get("swapped")
            except Unavailable:
                # The blob was replaced between two requests of one reader, who is told.
                continue
            seen.add(hashlib.sha256(content).digest())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(6):
        store.put("swapped", io.BytesIO(contents[(turn + 1) % 2]), "text/plain")
    done.set()
    reader.join()
    assert seen <= {hashlib.sha256(content).digest() for content in contents}
    assert store.get("swapped") == contents[0]


def test_azure_keeps_digest_and_type_with_the_blob(azure_settings: Settings, emulator: str) -> None:
    store = open_blob_store(azure_settings)
    small = store.put("small", b"x", "text/csv")
    large = store.put("large", io.BytesIO(b"x" * (BLOCK_BYTES + 1)), "application/pdf")
    with BlobServiceClient.from_connection_string(emulator) as service:
        for info in (small, large):
            properties = service.get_blob_client(CONTAINER, info.key).get_blob_properties()
            assert properties.metadata == {"sha256": info.sha256}
            assert properties.content_settings.content_type == info.content_type
            assert properties.size == info.size_bytes
        service.get_blob_client(CONTAINER, "small").upload_blob(b"y", overwrite=True, metadata={"sha256": small.sha256})
    with pytest.raises(Unavailable) as corrupt:
        store.get("small")
    assert corrupt.value.code == "blob_corrupt"


def test_azure_more_blobs_than_one_batch_are_deleted(azure_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.kit.blob.azure._DELETE_BATCH", 10)
    store = open_blob_store(azure_settings)
    for number in range(25):
        store.put(f"many/{number:03d}", b"", "text/plain")
    assert store.delete_prefix("many/") == 25
    assert list(store.list("many/")) == []


def test_azure_a_missing_container_and_wrong_credentials_are_named(emulator: str) -> None:
    absent = Settings(blob_url="azure://absent", azure_storage_connection_string=SecretStr(emulator))
    with pytest.raises(Unavailable, match="does not exist") as missing:
        open_blob_store(absent).put("a", b"", "text/plain")
    assert missing.value.code == "blob_misconfigured"
    wrong = emulator.replace("AccountKey=E", "AccountKey=F")
    settings = Settings(blob_url=f"azure://{CONTAINER}", azure_storage_connection_string=SecretStr(wrong))
    with pytest.raises(Unavailable, match="refuses our credentials"):
        open_blob_store(settings).put("a", b"", "text/plain")


def test_azure_without_an_account_is_refused() -> None:
    with pytest.raises(Unavailable, match="AZURE_STORAGE_CONNECTION_STRING"):
        open_blob_store(Settings(blob_url="azure://waybill"))
    with pytest.raises(Unavailable, match="names no container"):
        open_blob_store(Settings(blob_url="azure://"))
    with pytest.raises(Unavailable, match="not usable"):
        AzureBlobStore.from_settings(
            Settings(azure_storage_connection_string=SecretStr("nonsense")), container=CONTAINER
        )


def test_azure_with_an_identity_instead_of_a_key_is_opened_without_asking_for_a_token() -> None:
    account = "https://waybill.blob.core.windows.net"
    store = open_blob_store(Settings(blob_url="azure://documents", azure_storage_account_url=account))
    assert isinstance(store, AzureBlobStore)
    assert store.url == f"{account}/documents"


def test_azure_that_does_not_answer_is_given_up_in_seconds(emulator: str) -> None:
    port = emulator.partition("127.0.0.1:")[2].partition("/")[0]
    away = emulator.replace(f":{port}/", f":{free_port()}/")
    settings = Settings(blob_url=f"azure://{CONTAINER}", azure_storage_connection_string=SecretStr(away))
    began = monotonic()
    with pytest.raises(Unavailable, match="cannot be reached") as error:
        open_blob_store(settings).get("a")
    assert monotonic() - began < 15
    assert error.value.code == "blob_unavailable"

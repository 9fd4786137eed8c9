"""Azurite, Microsoft's own emulator of Azure Storage, as a process of the tests.

Installed once per user with npm, into the user's cache folder, under a lock; started on a free port.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

from tests.factories.waiting import wait_until
from waybill.stack.child import guarded
from waybill.stack.postgres import free_port

VERSION = "3.35.0"
# Public: the account and key that every emulator of Azure Storage has (learn.microsoft.com, "Use Azurite").
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# Less than what a test may take.
_INSTALL_SECONDS = 150


class AzuriteMissing(Exception):
    """Azurite can be neither found nor installed; the message says why."""


def installed() -> Path:
    """The script that starts the blob service. Raises `AzuriteMissing`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise AzuriteMissing("Azurite needs node and npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waybill" / f"azurite-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    script = cache / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    done = cache / "installed"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            quietly = ["--no-audit", "--no-fund", "--fetch-retries=1"]
            command = ["npm", "install", f"azurite@{VERSION}", "--prefix", str(cache), *quietly]
            try:
                ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise AzuriteMissing(f"npm did not install Azurite within {_INSTALL_SECONDS} s") from error
            if ran.returncode != 0 or not script.exists():
                raise AzuriteMissing(f"npm could not install Azurite: {ran.stderr.strip()[-300:]}")
            done.touch()
    return script


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """A running blob service that keeps its data in `folder`; yields a connection string."""
    script = installed()
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    # The client speaks a newer version of the API than the emulator knows; and the emulator would call home.
    options = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    where = ["--location", str(folder), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with (folder / "azurite.log").open("wb") as log:
        process = subprocess.Popen(guarded(["node", str(script), *where, *options]), stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port), timeout_seconds=60, what="Azurite to answer", pause_seconds=0.1)
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{_ACCOUNT};"
        )
    finally:
        process.kill()
        process.wait(10)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", f"/{_ACCOUNT}?comp=list")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()

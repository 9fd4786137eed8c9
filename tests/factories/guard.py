"""The guard's process with recognizers that load at once and obey their texts: they wait, stand still, crash."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.guard.detection import Detector
from core.guard.records import EntityKind, Finding
from core.kit.settings import Settings, get_settings
from tests.factories.forking import fork
from tests.factories.identifiers import Listed
from tests.factories.listed_analyzer import ListedAnalyzer
from tests.factories.processes import ROOT, Process
from workers.analyzer.child import Handler, handler_of

_MODULE = "tests.factories.guard"
_ENTRY = f"{_MODULE}:open_light"
ADDRESSES = f"{_MODULE}:open_addresses"
IDENTIFIERS = f"{_MODULE}:open_identifiers"
STAND_STILL, CRASH = "stand still", "crash"


class Digits:
    """Takes every digit for a phone number."""

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        for text in texts:
            if text.startswith("mark "):
                Path(text.split()[1]).touch()
                time.sleep(1)
            if STAND_STILL in text:
                time.sleep(3600)
            if CRASH in text:
                os._exit(7)
            if text.startswith("wait "):
                time.sleep(float(text.split()[1]))
        return [
            [Finding(EntityKind.PHONE, at, at + 1, 0.5, "digits") for at, letter in enumerate(text) if letter.isdigit()]
            for text in texts
        ]


class Addresses:
    """Finds e-mail addresses and telephone numbers."""

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        return ListedAnalyzer().analyze(texts)


class Orders:
    """Takes a text that begins with "ignore" for an injection."""

    def score(self, texts: Sequence[str]) -> list[float]:
        return [0.9 if text.startswith("ignore") else 0.0 for text in texts]


def open_light() -> Handler:
    """What a child of the process below loads."""
    return handler_of(Detector(Digits(), Orders()))


def open_addresses() -> Handler:
    """Another that a child may load."""
    return handler_of(Detector(Addresses(), Orders()))


def open_identifiers() -> Handler:
    """One that knows `tests.factories.identifiers`."""
    return handler_of(Detector(Listed(), Orders()))


@contextmanager
def analyzer(settings: Settings, url: str, entry: str | None = _ENTRY) -> Iterator[Process]:
    """The process, once its child has loaded `entry`, None for the product's own; stopped at the end, or killed."""
    process = start_analyzer(settings, url, entry)
    try:
        process.wait_for("analyzer_child_ready")
        yield process
    finally:
        try:
            process.stop(20)
        except TimeoutError:
            process.kill()


def start_analyzer(settings: Settings, url: str, entry: str | None = _ENTRY) -> Process:
    """The process, not waited for."""
    log = settings.home / f"guard-{time.monotonic_ns()}.log"
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "WAYBILL_HOME": str(settings.home),
        "WAYBILL_GUARD_TIMEOUT_SECONDS": str(settings.guard_timeout_seconds),
        "WAYBILL_GUARD_PROCESSES": str(settings.guard_processes),
    }
    log.touch()
    arguments = ("waybill", "guard", "serve", "--listen", url) if entry is None else (_MODULE, url, entry)
    return Process(fork(arguments, variables, ROOT, log), log)


def socket_below(folder: Path) -> str:
    """The URL of a socket in `folder`, which must not be deep: the kernel takes 107 characters."""
    return f"unix://{folder / 'guard.sock'}"


if __name__ == "__main__":
    import sys

    from workers.analyzer.server import main

    sys.exit(main(get_settings(), sys.argv[1], entry=sys.argv[2]))

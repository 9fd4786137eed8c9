"""The client against the real process, and against servers that are slow, talk nonsense or are not there."""

import gc
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import psutil
import pytest

from core.guard.analyzer import open_analyzer
from core.guard.analyzer_client import AnalyzerClient
from core.guard.records import Finding
from core.guard.windows import WINDOW_CHARACTERS
from core.guard.wire import CHARACTERS_MAX, TEXTS_MAX
from core.kit.errors import Unavailable
from core.kit.settings import Settings
from tests.factories.guard import analyzer, socket_below, start_analyzer
from tests.factories.guard_child import CRASH, STAND_STILL
from tests.factories.processes import Process
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.heavy, pytest.mark.xdist_group("guard")]
# A child has half of it, and a busy machine needs the other half to load its successor.
_TIMEOUT = 20.0
# httpcore leaves the socket to the garbage collector when a Unix socket refuses the connection.
_UNCLOSED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect what a test left over while its own filter holds: Python 3.13 collects later, in another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    return Settings(home=home, guard_timeout_seconds=_TIMEOUT, guard_url=socket_below(home))


@pytest.fixture(scope="module")
def process(settings: Settings, home: Path) -> Iterator[Process]:
    with analyzer(settings, socket_below(home)) as running:
        yield running


@pytest.fixture
def client(settings: Settings, process: Process) -> Iterator[AnalyzerClient]:
    assert process.exit_code is None
    opened = open_analyzer(settings)
    assert opened is not None
    with opened:
        wait_until(lambda: is_ready(opened), timeout_seconds=60, what="the analyzer")
        yield opened


def is_ready(client: AnalyzerClient) -> bool:
    try:
        client.check()
    except Unavailable:
        return False
    return True


def places(found: list[list[Finding]]) -> list[list[int]]:
    return [[each.start for each in findings] for findings in found]


def test_without_a_url_there_is_none() -> None:
    assert open_analyzer(Settings(guard_url=None)) is None
    assert Settings.model_validate({"guard_url": ""}).guard_url is None


def test_findings_come_back_as_they_were_found(client: AnalyzerClient) -> None:
    assert client.analyze(["ignore 🙂 7", "", "8"]) == [
        [Finding("injection", 0, 10, 0.9, "injection"), Finding("phone", 9, 10, 0.5, "digits")],
        [],
        [Finding("phone", 0, 1, 0.5, "digits")],
    ]
    assert client.analyze([]) == []


def test_what_cannot_be_sent_moves_no_place(client: AnalyzerClient) -> None:
    assert places(client.analyze(["\ud800 1 \udfff 2", "\0\0 3", "null \\u0000 4"])) == [[2, 6], [3], [7, 8, 9, 10, 12]]


def test_more_than_one_request_holds_is_several(client: AnalyzerClient) -> None:
    many = [f"{'x' * (number % 7)}1" for number in range(3 * TEXTS_MAX)]
    assert places(client.analyze(many)) == [[number % 7] for number in range(3 * TEXTS_MAX)]
    long = "x" * (3 * CHARACTERS_MAX)
    at = [1, WINDOW_CHARACTERS - 1, WINDOW_CHARACTERS, 2 * CHARACTERS_MAX + 5]
    for each in at:
        long = f"{long[:each]}9{long[each + 1 :]}"
    assert places(client.analyze([long, "no 1"])) == [at, [3]]


def test_threads_get_their_own_results(client: AnalyzerClient) -> None:
    def ask(number: int) -> list[list[int]]:
        return places(client.analyze(["x" * number + "1", "y" * number + "22"]))

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(ask, range(100))) == [[[number], [number, number + 1]] for number in range(100)]


def test_what_was_found_is_remembered(client: AnalyzerClient) -> None:
    first = client.analyze(["wait 5 1"])
    began = monotonic()
    assert client.analyze(["wait 5 1"] * 50) == first * 50
    assert monotonic() - began < 5


def test_only_the_kinds_that_are_asked_for_come_back(client: AnalyzerClient) -> None:
    injection = Finding("injection", 0, 8, 0.9, "injection")
    phone = Finding("phone", 7, 8, 0.5, "digits")
    assert client.analyze(["ignore 3"], frozenset({"phone"})) == [[phone]]
    assert client.analyze(["ignore 3"], frozenset({"injection", "secret"})) == [[injection]]
    assert client.analyze(["ignore 3"]) == [[injection, phone]]
    assert client.analyze(["ignore 3"], frozenset({"phone"})) == [[phone]]


def test_what_was_found_of_more_kinds_serves_fewer_and_not_the_other_way_round(client: AnalyzerClient) -> None:
    def seconds(*kinds: str) -> float:
        began = monotonic()
        assert places(client.analyze(["wait 3 1"], frozenset(kinds))) == [[5, 7] if "phone" in kinds else []]
        return monotonic() - began

    assert seconds("secret") >= 3
    assert seconds("phone", "secret") >= 3
    assert max(seconds("phone"), seconds("secret"), seconds("phone", "secret")) < 3


def test_a_text_that_stands_still_is_unavailable_in_time(client: AnalyzerClient) -> None:
    began = monotonic()
    with pytest.raises(Unavailable) as caught:
        client.analyze([f"{STAND_STILL} 4111 1111 1111 1111"])
    assert monotonic() - began < _TIMEOUT + 3
    assert caught.value.code == "guard_unavailable"
    assert caught.value.retry_after_seconds == 2
    assert "4111" not in str(caught.value)


def test_a_text_that_crashes_the_recognizers_is_unavailable(client: AnalyzerClient) -> None:
    with pytest.raises(Unavailable):
        client.analyze([CRASH])
    wait_until(lambda: is_ready(client), timeout_seconds=60, what="the next child")
    assert places(client.analyze(["a1"])) == [[1]]


@_UNCLOSED
@pytest.mark.usefixtures("collected")
def test_a_process_killed_in_the_middle_is_unavailable_and_its_successor_is_found() -> None:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        own = Settings(home=Path(folder), guard_timeout_seconds=20, guard_url=socket_below(Path(folder)))
        first = start_analyzer(own, socket_below(own.home))
        first.wait_for("analyzer_child_ready")
        left = psutil.Process(first.pid).children(recursive=True)
        opened = open_analyzer(own)
        assert opened is not None
        with opened, ThreadPoolExecutor(1) as threads:
            mark = own.home / "begun"
            pending = threads.submit(opened.analyze, [f"mark {mark} {STAND_STILL}"])
            wait_until(mark.exists, timeout_seconds=60, what="the request")
            began = monotonic()
            os.kill(first.pid, signal.SIGKILL)
            with pytest.raises(Unavailable):
                pending.result()
            with pytest.raises(Unavailable, match="cannot be reached"):
                opened.analyze(["1"])
            assert monotonic() - began < 15
            first.wait(20)
            wait_until(lambda: not any(map(_runs, left)), timeout_seconds=60, what="the end of its children")
            with analyzer(own, socket_below(own.home)):
                assert places(opened.analyze(["1"])) == [[0]]


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """What another process at that address might say: reads a request and lets `answer` do as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(30)
                    connection.recv(65536)
                    try:
                        answer(connection)
                    except OSError:
                        continue

        Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def said(body: bytes, status: str = "200 OK") -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nretry-after: 7\r\nconnection: close\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + body)


def trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(300):
        connection.sendall(b" ")
        sleep(0.1)


@pytest.mark.parametrize(
    "answer",
    [
        said(b""),
        said(b"{}"),
        said(b'{"findings": []}'),
        said(b'{"findings": [[], []]}'),
        said(b'{"findings": [[{"kind": "phone"}]]}'),
        said(b'{"findings": [[{"kind": "phone", "start": 0, "end": 4, "score": 0.5, "recognizer": "r"}]]}'),
        said(b'{"findings": [[{"kind": "phone", "start": 2, "end": 2, "score": 0.5, "recognizer": "r"}]]}'),
        said(b'{"findings": [[{"kind": "phone", "start": 0, "end": 1, "score": 1.5, "recognizer": "r"}]]}'),
        said(b"no", "500 Internal Server Error"),
        trickle,
        lambda _: sleep(20),
        lambda connection: connection.close(),
    ],
)
def test_a_wrong_or_slow_answer_is_no_answer(answer: Callable[[socket.socket], None]) -> None:
    with server(answer) as url, AnalyzerClient(url, timeout_seconds=0.5) as client:
        began = monotonic()
        with pytest.raises(Unavailable) as caught:
            client.analyze(["abc"])
        assert monotonic() - began < 10
        assert caught.value.status == 503


def test_it_says_when_to_come_back() -> None:
    with server(said(b"{}", "503 Service Unavailable")) as url, AnalyzerClient(url, timeout_seconds=5) as client:
        with pytest.raises(Unavailable) as caught:
            client.analyze(["abc"])
        assert caught.value.retry_after_seconds == 7


@_UNCLOSED
@pytest.mark.usefixtures("collected")
def test_no_one_at_the_address_is_unavailable_at_once(tmp_path: Path) -> None:
    with AnalyzerClient(f"unix://{tmp_path}/none.sock", timeout_seconds=60) as client:
        began = monotonic()
        with pytest.raises(Unavailable, match="cannot be reached"):
            client.analyze(["abc"])
        assert monotonic() - began < 10


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE

"""The guard's process over real sockets: whose results are whose, what it refuses, what hostile texts cost whom."""

import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import httpx
import psutil
import pytest

from core.guard.wire import BODY_MAX_BYTES, CHARACTERS_MAX, TEXTS_MAX
from core.kit.settings import Settings
from tests.factories.guard import analyzer, socket_below, start_analyzer
from tests.factories.guard_child import CRASH, STAND_STILL
from tests.factories.processes import Process
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.heavy, pytest.mark.xdist_group("guard")]
# A child has half of it, and a busy machine needs the other half to load its successor.
_TIMEOUT = 20.0


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    return Settings(home=home, guard_timeout_seconds=_TIMEOUT)


@pytest.fixture(scope="module")
def process(settings: Settings) -> Iterator[Process]:
    with analyzer(settings, socket_below(settings.home)) as running:
        yield running


@pytest.fixture
def client(process: Process, home: Path) -> Iterator[httpx.Client]:
    assert process.exit_code is None
    with httpx.Client(
        base_url="http://guard", transport=httpx.HTTPTransport(uds=str(home / "guard.sock")), timeout=60
    ) as opened:
        yield opened


def analyze(client: httpx.Client, *texts: str) -> httpx.Response:
    return client.post("/analyze", json={"texts": texts})


def starts(response: httpx.Response) -> list[list[int]]:
    assert response.status_code == 200, response.text
    return [[each["start"] for each in found] for found in response.json()["findings"]]


def children(process: Process) -> set[int]:
    return {each.pid for each in psutil.Process(process.pid).children(recursive=True)}


def test_a_finding_is_said_with_its_place_in_code_points(client: httpx.Client) -> None:
    [found] = analyze(client, "ignore 🙂 7").json()["findings"]
    assert found == [
        {"kind": "injection", "start": 0, "end": 10, "score": 0.9, "recognizer": "injection"},
        {"kind": "phone", "start": 9, "end": 10, "score": 0.5, "recognizer": "digits"},
    ]
    assert starts(analyze(client)) == []
    assert starts(analyze(client, "")) == [[]]


def test_requests_that_were_analyzed_together_get_their_own_results(client: httpx.Client) -> None:
    texts = [["x" * number + "1", "y" * (2 * number) + "22"] for number in range(60)]

    def ask(each: list[str]) -> list[list[int]]:
        return starts(analyze(client, *each))

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(ask, texts))
    assert found == [[[number], [2 * number, 2 * number + 1]] for number in range(60)]


def test_requests_for_different_kinds_that_wait_together_get_what_they_asked_for(client: httpx.Client) -> None:
    kinds = [["phone"], ["injection"], ["secret"], ["phone", "injection"]]

    def ask(number: int) -> list[str]:
        sent = {"texts": [f"ignore {'x' * number} 7"], "kinds": kinds[number % 4]}
        [found] = client.post("/analyze", json=sent).json()["findings"]
        return [each["kind"] for each in found]

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(ask, range(60)))
    assert found == [["phone"], ["injection"], [], ["injection", "phone"]] * 15


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"texts": "one"}', 400),
        (b'{"texts": [1]}', 400),
        (b'{"texts": [], "policy": 1}', 400),
        (b'{"kinds": []}', 400),
        (b'{"texts": [], "kinds": null}', 400),
        (b'{"texts": [], "kinds": [[]]}', 400),
        (b'{"texts": [], "kinds": ["badge"]}', 400),
        (b'{"texts": ["\\ud800"]}', 400),
        (b'{"texts": [' + b'"",' * TEXTS_MAX + b'""]}', 400),
        (b'{"texts": ["' + b"x" * (CHARACTERS_MAX + 1) + b'"]}', 400),
        (b" " * (BODY_MAX_BYTES + 1), 413),
    ],
)
def test_what_is_no_request_is_refused_without_quoting_it(client: httpx.Client, body: bytes, status: int) -> None:
    response = client.post("/analyze", content=body)
    assert response.status_code == status
    assert len(response.content) < 200


def test_the_largest_request_is_taken(client: httpx.Client) -> None:
    assert starts(analyze(client, "\x01" * (CHARACTERS_MAX - 1) + "5")) == [[CHARACTERS_MAX - 1]]


def test_a_text_that_stands_still_is_given_up_in_time_and_the_next_one_is_answered(
    client: httpx.Client, process: Process
) -> None:
    before = children(process)
    began = monotonic()
    with ThreadPoolExecutor(1) as threads:
        pending = threads.submit(analyze, client, STAND_STILL)
        # Beside it, the process answers at once.
        wait_until(lambda: client.get("/healthz").status_code == 200, timeout_seconds=60, what="health")
        assert monotonic() - began < _TIMEOUT / 2
        refused = pending.result()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "2"
    assert monotonic() - began < _TIMEOUT + 2
    wait_until(lambda: client.get("/readyz").status_code == 200, timeout_seconds=60, what="a new child")
    assert starts(analyze(client, "a1")) == [[1]]
    assert not before & children(process)


def test_a_text_that_kills_its_child_costs_no_other_request(client: httpx.Client, process: Process) -> None:
    with ThreadPoolExecutor(4) as threads:
        # While this one is analyzed the others wait, and are then one batch.
        first = threads.submit(analyze, client, "wait 0.5")
        wait_until(first.running, timeout_seconds=60, what="the first request")
        crash = threads.submit(analyze, client, CRASH)
        others = [threads.submit(analyze, client, f"{'x' * number}1") for number in range(2)]
        assert crash.result().status_code == 503
        assert [starts(each.result()) for each in others] == [[[0]], [[1]]]
        assert starts(first.result()) == [[5, 7]]
    assert "analyzer_child_lost" in process.output()


def test_no_text_is_in_the_log(client: httpx.Client, process: Process) -> None:
    analyze(client, "the-secret-of-the-log")
    analyze(client, f"{CRASH} the-secret-of-the-log")
    client.post("/analyze", content=b'{"texts": the-secret-of-the-log')
    assert "the-secret-of-the-log" not in process.output()


def test_it_counts(client: httpx.Client) -> None:
    wait_until(lambda: client.get("/readyz").status_code == 200, timeout_seconds=60, what="a child")
    assert starts(analyze(client, "abc")) == [[]]
    text = client.get("/metrics").text
    assert 'waybill_guard_request_duration_seconds_count{outcome="answered"}' in text
    assert "waybill_guard_characters_total" in text
    assert 'waybill_guard_children_lost_total{cause="crashed"}' in text


def test_its_socket_is_its_users_alone(process: Process, home: Path) -> None:
    assert process.exit_code is None
    mode = (home / "guard.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_second_process_does_not_take_the_address(process: Process, settings: Settings) -> None:
    second = start_analyzer(settings, socket_below(settings.home))
    assert second.wait(60) != 0
    assert "guard_address_unusable" in second.output() or "cannot listen" in second.output()
    assert process.exit_code is None


def test_a_stopped_process_answers_what_it_has_begun_and_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        own = Settings(home=Path(folder), guard_timeout_seconds=10)
        url = socket_below(own.home)
        killed = start_analyzer(own, url)
        killed.wait_for("analyzer_child_ready")
        left = children(killed)
        killed.kill()
        wait_until(
            lambda: not any(psutil.pid_exists(pid) for pid in left), timeout_seconds=60, what="the end of its children"
        )
        assert (own.home / "guard.sock").exists()
        # The file of a killed process is no obstacle.
        with analyzer(own, url) as process, ThreadPoolExecutor(1) as threads:
            with httpx.Client(
                base_url="http://guard", transport=httpx.HTTPTransport(uds=str(own.home / "guard.sock")), timeout=60
            ) as client:
                mark = own.home / "begun"
                pending = threads.submit(analyze, client, f"mark {mark} 1")
                wait_until(mark.exists, timeout_seconds=60, what="the request")
                process.signal(signal.SIGTERM)
                assert starts(pending.result())
            assert process.wait(20) == 0
        assert not (own.home / "guard.sock").exists()


def test_it_listens_on_tcp(settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with analyzer(settings, f"http://127.0.0.1:{port}"):
        response = httpx.post(f"http://127.0.0.1:{port}/analyze", json={"texts": ["1"]}, timeout=30)
    assert starts(response) == [[0]]


def test_a_child_that_cannot_load_ends_the_process(settings: Settings, home: Path) -> None:
    process = start_analyzer(settings, f"unix://{home / 'other.sock'}", "tests.factories.guard:missing")
    assert process.wait(60) == 1
    assert "analyzer_child_not_started" in process.output()
    assert not (home / "other.sock").exists()

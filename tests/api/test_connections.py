"""What a connection may cost before anyone knows who is asking, on real sockets against the product's own process."""

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from statistics import median
from urllib.parse import urlsplit

import httpx
import pytest

from api.connections import HEADERS_MAX, TARGET_MAX_BYTES
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, running_api
from tests.factories.processes import Process, running, settings_of
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

HEAD_SECONDS = 1.5
HEAD_MAX = 32 * 1024
MEGABYTES_150 = 150 * 1024 * 1024
LINE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


class Served:
    """An API in a process of its own, so that what it is busy with is not this test."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


@pytest.fixture(scope="module")
def served(module_settings: Settings) -> Iterator[Served]:
    port = free_port()
    settings = {"WAYBILL_API_PORT": str(port), "WAYBILL_API_HEAD_SECONDS": str(HEAD_SECONDS)}
    with running(module_settings, "api", until="Uvicorn running", **settings) as process:
        yield Served(process, port)


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    read = b""
    try:
        while piece := connection.recv(65536):
            read += piece
    except ConnectionResetError:
        pass
    return read


def sent_until_refused(connection: socket.socket, pieces: Iterator[bytes], most_bytes: int) -> int:
    """Bytes that could be sent before the server had had enough."""
    sent = 0
    try:
        for piece in pieces:
            connection.sendall(piece)
            sent += len(piece)
            if sent >= most_bytes:
                break
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


def probe(url: str, seconds: float, during: Callable[[], object] | None = None) -> tuple[float, float]:
    """Median and longest time of ``/healthz`` in seconds, asked all the while that `during` runs, or for `seconds`."""
    taken: list[float] = []
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        client.get("/healthz")
        worker = None if during is None else threading.Thread(target=during)
        if worker is not None:
            worker.start()
        until = time.monotonic() + seconds
        while (worker is not None and worker.is_alive()) or time.monotonic() < until:
            began = time.perf_counter()
            assert client.get("/healthz").status_code == 200
            taken.append(time.perf_counter() - began)
            time.sleep(0.002)
        if worker is not None:
            worker.join()
    return median(taken), max(taken)


def figures(idle: float, beside: float, longest: float) -> str:
    """Times of ``/healthz`` for the table."""
    return f"healthz {idle * 1e3:.1f} ms idle, {beside * 1e3:.1f} ms beside, longest {longest * 1e3:.0f} ms"


@pytest.mark.survive("A2")
def test_150_megabytes_of_headers_are_refused_early(
    served: Served, record_property: Callable[[str, object], None]
) -> None:
    def headers() -> Iterator[bytes]:
        yield LINE
        number = 0
        while True:
            yield b"".join(b"x-%d: %s\r\n" % (number + each, b"v" * 60) for each in range(100))
            number += 100

    with closing(served.connect()) as connection:
        sent = sent_until_refused(connection, headers(), MEGABYTES_150)
    record_property("figure", f"{sent / 1e6:.1f} MB of 150 were taken from the client")
    # What the kernels of both ends hold, and the little that is read so that a client can see the answer.
    assert sent < 16 * 1024 * 1024
    assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        pytest.param(b"GET /" + b"a" * TARGET_MAX_BYTES + b" HTTP/1.1\r\n\r\n", 414, "target_too_long", id="target"),
        pytest.param(LINE + b"x: " + b"v" * HEAD_MAX + b"\r\n\r\n", 431, "headers_too_large", id="one-header"),
        pytest.param(LINE + b"v" * (HEAD_MAX + 1) + b": v\r\n\r\n", 431, "headers_too_large", id="one-name"),
        pytest.param(LINE + b"x: v\r\n" * (HEADERS_MAX + 1) + b"\r\n", 431, "headers_too_large", id="many"),
        pytest.param(LINE + b"x: " + b"v" * HEAD_MAX * 10, 431, "headers_too_large", id="no-end"),
    ],
)
def test_a_head_over_its_bounds_gets_the_bound_named(served: Served, head: bytes, status: int, code: str) -> None:
    with closing(served.connect()) as connection:
        sent_until_refused(connection, iter([head]), len(head))
        read = answer(connection)
    assert read.startswith(b"HTTP/1.1 %d " % status), read[:200]
    assert code.encode() in read
    assert b"connection: close" in read


@pytest.mark.parametrize("trailers", [b"x: v\r\n" * 8000, b"x: " + b"v" * HEAD_MAX * 10], ids=["many", "no-end"])
def test_trailers_over_the_bounds_of_a_head_end_the_connection(served: Served, trailers: bytes) -> None:
    chunked = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with closing(served.connect()) as connection:
        began = time.monotonic()
        sent_until_refused(connection, iter([chunked, trailers]), len(chunked + trailers))
        assert b" 200 " not in answer(connection)
        assert time.monotonic() - began < HEAD_SECONDS + 8


def test_a_head_within_its_bounds_is_served(served: Served) -> None:
    headers = {f"x-{number}": "v" * 250 for number in range(HEADERS_MAX - 8)}
    target = "/healthz/" + "a" * (TARGET_MAX_BYTES - 200)
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        assert client.get("/healthz", headers=headers).status_code == 200
        assert client.get(target).status_code == 404


def test_a_second_head_on_the_connection_is_bounded_as_the_first(served: Served) -> None:
    with closing(served.connect()) as connection:
        assert is_served(connection)
        sent_until_refused(connection, iter([LINE + b"x: " + b"v" * HEAD_MAX + b"\r\n\r\n"]), HEAD_MAX)
        assert b" 431 " in answer(connection)


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /hea", LINE, LINE + b"x: y"], ids=repr)
def test_a_head_that_does_not_end_is_waited_for_once(served: Served, begun: bytes) -> None:
    with closing(served.connect()) as connection:
        connection.sendall(begun)
        began = time.monotonic()
        read = answer(connection)
        waited = time.monotonic() - began
    assert HEAD_SECONDS * 0.5 < waited < HEAD_SECONDS + 8
    assert b" 408 " in read if begun else read == b""


@pytest.mark.parametrize("begun", [b"\r\n", LINE], ids=repr)
def test_the_next_head_is_waited_for_no_longer_than_the_first(served: Served, begun: bytes) -> None:
    with closing(served.connect()) as connection:
        assert is_served(connection)
        connection.sendall(begun)
        began = time.monotonic()
        assert b" 408 " in answer(connection)
        assert time.monotonic() - began < HEAD_SECONDS + 8


def test_bytes_that_trickle_do_not_extend_the_time(served: Served) -> None:
    with closing(served.connect()) as connection:
        began = time.monotonic()

        def slowly() -> Iterator[bytes]:
            while True:
                yield b"x"
                time.sleep(0.1)

        connection.sendall(LINE)
        sent_until_refused(connection, slowly(), 200)
        assert time.monotonic() - began < HEAD_SECONDS + 8


def test_a_body_that_no_one_reads_does_not_hold_the_connection(served: Served) -> None:
    with closing(served.connect()) as connection:
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\n\r\n")
        began = time.monotonic()

        def endless() -> Iterator[bytes]:
            while True:
                yield b"x" * 1000
                time.sleep(0.02)

        sent_until_refused(connection, endless(), 10_000_000)
        assert time.monotonic() - began < 15


@pytest.mark.survive("A2")
def test_3000_silent_connections_are_closed_and_no_one_waits(
    served: Served, record_property: Callable[[str, object], None]
) -> None:
    idle, _ = probe(served.url, 0.5)
    with ExitStack() as stack, closing(selectors.DefaultSelector()) as selector:
        began = time.monotonic()

        def connect_all() -> None:
            for _ in range(3000):
                made = stack.enter_context(closing(served.connect()))
                made.setblocking(False)
                selector.register(made, selectors.EVENT_READ)

        beside, longest = probe(served.url, 0.0, connect_all)
        closed = 0
        while closed < 3000 and time.monotonic() - began < 60:
            for key, _ in selector.select(1):
                assert key.fileobj.recv(10) == b""  # type: ignore[union-attr]
                selector.unregister(key.fileobj)
                closed += 1
        assert closed == 3000
        record_property(
            "figure", f"healthz {idle * 1e3:.1f} ms idle, {beside * 1e3:.1f} ms beside, longest {longest * 1e3:.0f}"
        )
        record_property("figure", f"all closed {time.monotonic() - began:.1f} s after the first was opened")
    assert beside <= 10 * idle


@pytest.mark.survive("A2")
def test_bodies_of_very_many_values_leave_the_loop_free(
    served: Served, module_settings: Settings, record_property: Callable[[str, object], None]
) -> None:
    key = issue_key(module_settings)
    most = 4 * 1024 * 1024 - 64
    bodies = {
        item: b'{"capability":"probe.act","input":{"a":[' + b",".join([item] * (most // (len(item) + 1) - 20)) + b"]}}"
        for item in (b"{}", b"[]", b'{"a":{}}', b"1", b'""', b'"\\\\"', b"x" * 1000)
    }

    def post_all() -> None:
        headers = {"authorization": f"Bearer {key.plaintext}", "content-type": "application/json"}
        with httpx.Client(base_url=served.url, headers=headers, trust_env=False, timeout=60) as client:
            for body in bodies.values():
                assert client.post("/v1/jobs", content=body).status_code in {400, 413, 422}

    idle, _ = probe(served.url, 1.0)
    beside, longest = probe(served.url, 0.0, post_all)
    record_property(
        "figure", f"healthz {idle * 1e3:.1f} ms idle, {beside * 1e3:.1f} ms beside, longest {longest * 1e3:.0f}"
    )
    assert beside <= 10 * idle
    assert longest < 0.5


def of_address(running_one: RunningApi, address: str | None, key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    if address is not None:
        headers["x-forwarded-for"] = address
    return httpx.get(f"{running_one.url}/v1/capabilities", headers=headers, trust_env=False)


def test_wrong_keys_are_bounded_by_the_address_of_the_client_and_no_one_else_is(settings: Settings) -> None:
    with running_api(settings_of(settings, api_failed_authentications_per_minute=5)) as api:
        wrong = [issue_key(settings, organization="other").plaintext[:-6] + f"{number:06d}" for number in range(30)]
        statuses = [of_address(api, "203.0.113.7", each).status_code for each in wrong[:10]]
        assert statuses == [401] * 5 + [429] * 5
        # An address that a proxy hands on from further left is the client's to make up, and changes nothing.
        assert of_address(api, "198.51.100.1, 203.0.113.7", wrong[11]).status_code == 429
        refused = of_address(api, "203.0.113.7", issue_key(settings).plaintext)
        assert refused.status_code == 429
        assert refused.json()["code"] == "too_many_failed_authentications"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # Others, and whoever is behind a proxy that names no client, go on.
        assert of_address(api, "203.0.113.8", api.key.plaintext).status_code == 200
        assert {of_address(api, None, each).status_code for each in wrong} == {401}
        # Its key was good here a moment ago, so that nobody can lock it out by making up its address.
        assert of_address(api, "203.0.113.7", api.key.plaintext).status_code == 200


@pytest.mark.parametrize(("trusted", "served_count"), [([], 3), (["127.0.0.0/8"], 8)])
def test_connections_of_one_address_are_bounded_and_a_proxys_are_not(
    settings: Settings, trusted: list[str], served_count: int
) -> None:
    bounded = settings_of(settings, api_connections_per_address=3, api_trusted_proxies=trusted)
    with running_api(bounded) as api, ExitStack() as stack:
        port = urlsplit(api.url).port
        made = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(8)]
        assert [is_served(connection) for connection in made].count(True) == served_count
        made[0].close()
        wait_until(lambda: is_served_again(port), timeout_seconds=5, what="the place to be free again")


def is_served_again(port: int | None) -> bool:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        return is_served(connection)


def is_served(connection: socket.socket) -> bool:
    try:
        connection.sendall(LINE + b"\r\n")
        return connection.recv(12) == b"HTTP/1.1 200"
    except (BrokenPipeError, ConnectionResetError):
        return False


def test_a_new_connection_takes_the_place_of_the_longest_silent_one(settings: Settings) -> None:
    with running_api(settings_of(settings, api_connections_max=4)) as api, ExitStack() as stack:
        port = urlsplit(api.url).port
        silent = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(4)]
        with api.client("") as client:
            assert client.get("/healthz").status_code == 200
            silent[0].settimeout(5)
            assert answer(silent[0]) == b""
            assert is_served(silent[1])

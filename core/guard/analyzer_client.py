"""A client of the analyzer in another process, over a local socket or the network, with a cache of its results.

Results are cached by a digest of the text under a key of this process, so that the cache identifies no text elsewhere.
There is no circuit breaker: a refused connection costs a millisecond, and both letting texts pass unscreened and
refusing them after the analyzer has recovered would be wrong.
"""

import hashlib
import math
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from time import monotonic, sleep

import httpx

from core.guard.analyzer import Analyzer
from core.guard.records import Finding
from core.guard.windows import joined, windows_of
from core.guard.wire import (
    ANSWER_MAX_BYTES,
    CHARACTERS_MAX,
    PATH,
    TEXTS_MAX,
    Malformed,
    pack_request,
    unpack_findings,
)
from core.kit.clock import utc_now
from core.kit.closing import Closing
from core.kit.errors import Unavailable
from core.kit.metrics import GUARD_UNAVAILABLE
from core.kit.retry_after import retry_after_seconds
from core.kit.trust import authorities

DEPENDENCY = "guard"
_CONNECT_SECONDS = 1.0
_CONNECTIONS_MAX = 64
# Longer than the analyzer's own timeout, after which it responds that it was too slow.
_SPARE_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
_RETRY_AFTER_SECONDS = 2
_REMEMBERED_MAX = 10_000
# A text with more findings is not cached, so that memory stays bounded by the number of texts.
_REMEMBERED_FINDINGS_MAX = 100
_UNIX = "unix://"


class AnalyzerClient(Closing, Analyzer):
    """An `Analyzer` at `url`, which answers within `timeout_seconds`. Thread-safe; opened after any fork."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds + _SPARE_SECONDS
        limits = httpx.Limits(max_connections=_CONNECTIONS_MAX)
        is_local = url.startswith(_UNIX)
        self._client = httpx.Client(
            base_url="http://guard" if is_local else url,
            transport=httpx.HTTPTransport(
                verify=authorities(by_environment=False),
                uds=url.removeprefix(_UNIX) if is_local else None,
                limits=limits,
                trust_env=False,
            ),
            trust_env=False,
        )
        self._remembered = _Remembered()

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """See `Analyzer`. Long texts are analyzed in windows, many in several requests, each with its own timeout."""
        windows = [windows_of(len(text)) for text in texts]
        pieces = [
            text[window.start : window.end] for text, parts in zip(texts, windows, strict=True) for window in parts
        ]
        found = iter(self._of_pieces(pieces, kinds))
        return [
            joined(len(text), parts, [next(found) for _ in parts]) for text, parts in zip(texts, windows, strict=True)
        ]

    def check(self) -> None:
        """Raise `Unavailable` unless the analyzer reports that it is ready."""
        response = self._send("GET", "/readyz", None, _CONNECT_SECONDS)
        if response.status_code != httpx.codes.OK:
            raise _unavailable("is not ready", response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _of_pieces(self, pieces: Sequence[str], kinds: frozenset[str] | None) -> list[list[Finding]]:
        known = {piece: self._remembered.get(piece, kinds) for piece in pieces}
        for request in _requests([piece for piece, found in known.items() if found is None]):
            for piece, found in zip(request, self._ask(request, kinds), strict=True):
                known[piece] = found
                self._remembered.add(piece, kinds, found)
        return [known[piece] or [] for piece in pieces]

    def _ask(self, texts: Sequence[str], kinds: frozenset[str] | None) -> list[list[Finding]]:
        try:
            response = self._send("POST", PATH, pack_request(texts, kinds), self._timeout_seconds)
            if response.status_code != httpx.codes.OK:
                raise _unavailable("did not analyze a text", response)
            try:
                return unpack_findings(response.content, texts)
            except Malformed as error:
                raise _unavailable(f"answered what it should not: {error}") from None
        except Unavailable:
            GUARD_UNAVAILABLE.inc()
            raise

    def _send(self, method: str, path: str, body: bytes | None, seconds: float) -> httpx.Response:
        try:
            try:
                return self._exchange(method, path, body, seconds)
            except httpx.ConnectError:
                # It may be restarting.
                sleep(_PAUSE_SECONDS)
                return self._exchange(method, path, body, seconds)
        except httpx.TimeoutException as error:
            raise _unavailable("does not answer in time") from error
        except httpx.HTTPError as error:
            raise _unavailable(f"cannot be reached ({type(error).__name__})") from error

    def _exchange(self, method: str, path: str, body: bytes | None, seconds: float) -> httpx.Response:
        """One request, completed within `seconds`: httpx bounds each wait for bytes, not their sum."""
        ends = monotonic() + seconds
        timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        content, size = [], 0
        with self._client.stream(method, path, content=body, timeout=timeout) as response:
            for piece in response.iter_bytes():
                size += len(piece)
                if monotonic() > ends or size > ANSWER_MAX_BYTES:
                    raise httpx.ReadTimeout("the answer is too slow or too long")
                content.append(piece)
        return httpx.Response(response.status_code, headers=response.headers, content=b"".join(content))


class _Remembered:
    """The findings of the texts requested last. Thread-safe.

    Each text has one result, the last, unless an earlier one covers more kinds and so serves fewer too.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._found: OrderedDict[bytes, tuple[frozenset[str] | None, tuple[Finding, ...]]] = OrderedDict()
        self._lock = Lock()

    def get(self, text: str, kinds: frozenset[str] | None) -> list[Finding] | None:
        digest = self._digest(text)
        with self._lock:
            if digest not in self._found or not _covers(self._found[digest][0], kinds):
                return None
            self._found.move_to_end(digest)
            found = self._found[digest][1]
        return [each for each in found if kinds is None or each.kind in kinds]

    def add(self, text: str, kinds: frozenset[str] | None, found: Sequence[Finding]) -> None:
        if len(found) > _REMEMBERED_FINDINGS_MAX:
            return
        digest = self._digest(text)
        with self._lock:
            # Another thread may have requested more kinds meanwhile.
            if digest not in self._found or not _covers(self._found[digest][0], kinds):
                self._found[digest] = kinds, tuple(found)
                self._found.move_to_end(digest)
            if len(self._found) > _REMEMBERED_MAX:
                self._found.popitem(last=False)

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=20).digest()


def _covers(of: frozenset[str] | None, kinds: frozenset[str] | None) -> bool:
    return of is None or (kinds is not None and kinds <= of)


def _requests(pieces: Sequence[str]) -> Iterator[list[str]]:
    """The pieces in lists, each the content of one request."""
    request: list[str] = []
    characters = 0
    for piece in pieces:
        if request and (len(request) == TEXTS_MAX or characters + len(piece) > CHARACTERS_MAX):
            yield request
            request, characters = [], 0
        request.append(piece)
        characters += len(piece)
    if request:
        yield request


def _unavailable(what: str, response: httpx.Response | None = None) -> Unavailable:
    status = "" if response is None else f" (HTTP {response.status_code})"
    asked = None if response is None else retry_after_seconds(response.headers, utc_now())
    return Unavailable(
        f"the guard's analyzer {what}{status}",
        code="guard_unavailable",
        retry_after_seconds=_RETRY_AFTER_SECONDS if asked is None else math.ceil(asked),
    )

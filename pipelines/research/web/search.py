"""The interface of web search services, and their HTTP client: https, bounded, no redirects."""

import html
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpcore
import httpx

from core.kit.errors import CapabilityFailure
from core.kit.json_values import loads_foreign
from core.kit.metrics.effects import observe_tool_call
from core.kit.names import NamedBackend, install

_BODY_MAX_BYTES = 2 * 1024 * 1024
_TEXT_MAX_CHARACTERS = 2000
_TITLE_MAX_CHARACTERS = 200
_TAG = re.compile(r"<[^<>]{0,500}>")


@dataclass(frozen=True, slots=True)
class WebHit:
    """One result: unverified outside content. `text` is the service's excerpt of the page."""

    title: str
    url: str
    text: str


class WebSearch(Protocol):
    """A web search service. Safe in threads."""

    name: str

    def search(self, query: str, limit: int) -> list[WebHit]:
        """At most `limit` results, best first. Raises `WebSearchFailed`."""

    def close(self) -> None:
        """Release the connections."""


class WebSearchFailed(CapabilityFailure):
    """The service gave no usable answer; a report continues without it and states that."""

    default_code = "web_search_failed"


class WebClient:
    """JSON over https to one service: no redirects, no more than 2 MiB, no longer than the timeout."""

    def __init__(
        self, url: str, *, timeout_seconds: float, headers: Mapping[str, str], verify: ssl.SSLContext | bool = True
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            raise ValueError("the address of a web search service begins with https:// and holds no credentials")
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            timeout=timeout_seconds, headers=dict(headers), follow_redirects=False, verify=verify, trust_env=False
        )
        install(self._client, NamedBackend(httpcore))

    def get(self, path: str, parameters: Mapping[str, Any]) -> Any:
        """The JSON answer to a GET. Raises `WebSearchFailed`."""
        return self._ask(self._client.build_request("GET", self._url + path, params=dict(parameters)))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to a POST. Raises `WebSearchFailed`."""
        return self._ask(self._client.build_request("POST", self._url + path, json=dict(body)))

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _ask(self, request: httpx.Request) -> Any:
        began, outcome = perf_counter(), "failed"
        try:
            answer = self._fetch(request)
            outcome = "done"
            return answer
        finally:
            observe_tool_call("web_search", "search", outcome, perf_counter() - began)

    def _fetch(self, request: httpx.Request) -> Any:
        try:
            response = self._client.send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    raise WebSearchFailed(f"the web search service answered with status {response.status_code}")
                return loads_foreign(_read(response))
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WebSearchFailed(f"the web search service did not answer: {type(error).__name__}") from error
        except ValueError as error:
            raise WebSearchFailed("the web search service did not answer with JSON") from error


def _read_hit(title: object, url: object, text: object) -> WebHit | None:
    """A result as plain text; None when it has no text, or an address that is not one of the web's."""
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        return None
    body = _plain(text)[:_TEXT_MAX_CHARACTERS]
    return WebHit(_plain(title)[:_TITLE_MAX_CHARACTERS] or url, url, body) if body else None


def read_hits(found: object, limit: int, title: str, text: str) -> list[WebHit]:
    """At most `limit` of the results `found`, read from their members `title`, ``url`` and `text`.

    Raises `WebSearchFailed` when they are no list.
    """
    if not isinstance(found, list):
        raise WebSearchFailed("the web search service did not answer with results")
    lines = [line for line in found if isinstance(line, dict)]
    hits = [_read_hit(line.get(title), line.get("url"), line.get(text)) for line in lines]
    return [hit for hit in hits if hit is not None][:limit]


def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > _BODY_MAX_BYTES:
            raise WebSearchFailed("the answer of the web search service is too large")
    return bytes(body)


def _plain(value: object) -> str:
    """Text without markup: services highlight the matching words."""
    text = html.unescape(_TAG.sub("", value)) if isinstance(value, str) else ""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

"""A browser as far as HTTP goes: it keeps the console's cookies, says where a form comes from, and sends its token."""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from api.console.security import CSRF_FIELD, SESSION_COOKIE
from core.keys.service import IssuedKey
from tests.factories.api import RunningApi

SAME_ORIGIN = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
_TOKEN = re.compile(rf'name="{CSRF_FIELD}" value="([0-9a-f]{{64}})"')


@dataclass
class Browser:
    """One browser. httpx's own jar would not send Secure cookies over http, as browsers do to loopback addresses."""

    api: RunningApi
    cookies: dict[str, str] = field(default_factory=dict)
    csrf_token: str = ""

    def __enter__(self) -> Self:
        self._client = self.api.client("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def session(self) -> str | None:
        """The session's cookie."""
        return self.cookies.get(SESSION_COOKIE)

    def get(self, path: str, **sent: Any) -> httpx.Response:
        """Open a page; redirects are not followed."""
        return self._send("GET", path, {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, **sent)

    def part(self, path: str, **sent: Any) -> httpx.Response:
        """Ask for a part of a page, as htmx does."""
        headers = {
            "hx-request": "true",
            "hx-request-type": "partial",
            "sec-fetch-site": "same-origin",
            "sec-fetch-mode": "cors",
        }
        return self._send("GET", path, headers, **sent)

    def post(self, path: str, fields: dict[str, Any] | None = None, **sent: Any) -> httpx.Response:
        """Send a form of a page of the console."""
        # The header is for routes that take a file, as the console's script sends one.
        token = {"x-csrf-token": self.csrf_token}
        return self._send(
            "POST", path, {**SAME_ORIGIN, **token}, data={CSRF_FIELD: self.csrf_token, **(fields or {})}, **sent
        )

    def upload(self, path: str, content: bytes, headers: Mapping[str, str | None] | None = None) -> httpx.Response:
        """Send a file as the console's script does."""
        given = {"content-type": "text/plain", "x-csrf-token": self.csrf_token, **(headers or {})}
        fetch = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
        return self._send("POST", path, fetch, headers=given, content=content)

    def open(self, path: str, **sent: Any) -> httpx.Response:
        """Open a page and follow redirects."""
        response = self.get(path, **sent)
        for _ in range(5):
            if response.status_code != 303:
                break
            response = self.get(response.headers["location"])
        return response

    def stream(self, path: str) -> AbstractContextManager[httpx.Response]:
        """Follow a stream, as EventSource does."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"cookie": cookies, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
        return self._client.stream("GET", path, headers=headers)

    def sign_in(self, key: IssuedKey | str) -> Self:
        """Sign in with a key."""
        plaintext = key if isinstance(key, str) else key.plaintext
        answer = self.post("/console/sign-in", {"key": plaintext})
        assert answer.status_code == 303, answer.text
        assert self.open("/console/sessions").status_code == 200
        return self

    def _send(self, method: str, path: str, fetch: dict[str, str], **sent: Any) -> httpx.Response:
        given = {name: value for name, value in {**fetch, **sent.pop("headers", {})}.items() if value is not None}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            given.setdefault("origin", "{0.scheme}://{0.netloc}".format(urlsplit(self.api.url)))
        response = self._client.request(method, path, headers=given, **sent)
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        if found := _TOKEN.search(response.text):
            self.csrf_token = found[1]
        return response

"""Holds what an API answers against its own OpenAPI document, as a response hook of an httpx client."""

import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator


class Documented:
    """Fails for a JSON answer that is not as `document` says, or that it does not say."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = {_pattern(path): path for path in document["paths"]}

    def __call__(self, response: httpx.Response) -> None:
        """Check one answer; events and files pass."""
        if response.headers.get("content-type", "").partition(";")[0] != "application/json":
            return
        response.read()
        asked = response.request
        path = next((path for pattern, path in self._paths.items() if pattern.fullmatch(asked.url.path)), None)
        operation = {} if path is None else self._document["paths"][path].get(asked.method.lower(), {})
        if not operation:
            assert response.status_code in {404, 405}, f"{asked.method} {asked.url.path} is not in the document"
            return
        said = operation["responses"]
        status = str(response.status_code)
        found = said.get(status) or said[f"{status[0]}XX"]
        schema = found["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": self._document["components"]}).validate(response.json())


def _pattern(path: str) -> re.Pattern[str]:
    """Of the addresses that `path` stands for: only a model's name holds slashes."""
    fixed = re.escape(path).replace(r"/openai/v1/models/\{name\}", "/openai/v1/models/.+")
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", fixed))

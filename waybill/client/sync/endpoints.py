"""A part of the API: requests whose answers are typed values."""

# Written by `python -m waybill.client.generate` from aio/endpoints.py: change that, and run it again.

from collections.abc import Mapping
from typing import Any, TypeVar

from waybill.client.models import Resource
from waybill.client.sync.transport import Transport
from waybill.client.wire import parsed

R = TypeVar("R", bound=Resource)


class Endpoints:
    """Some of the API's routes, over one transport. `kind` is the type of the answer."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(
        self, kind: type[R], path: str, params: Mapping[str, Any] | None = None, *, wait_seconds: float = 0.0
    ) -> R:
        answer = self._transport.get(path, params, wait_seconds=wait_seconds)
        return parsed(kind, answer)

    def _post(self, kind: type[R], path: str, body: Mapping[str, Any] | None = None, **options: Any) -> R:
        answer = self._transport.post(path, body, **options)
        return parsed(kind, answer)

    def _patch(self, kind: type[R], path: str, body: Mapping[str, Any]) -> R:
        answer = self._transport.patch(path, body)
        return parsed(kind, answer)

    def _put(self, kind: type[R], path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> R:
        answer = self._transport.put(path, body, params)
        return parsed(kind, answer)

    def _delete(self, kind: type[R], path: str, params: Mapping[str, Any] | None = None) -> R:
        answer = self._transport.delete(path, params)
        return parsed(kind, answer)

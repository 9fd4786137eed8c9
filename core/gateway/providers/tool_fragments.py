"""Assembles tool calls from fragments. By the protocol an index identifies each call; some servers do not set it.

Ids change within a call, names come with every piece, indexes are text. In doubt, a call ends once its arguments are
complete JSON.
"""

import json
from dataclasses import dataclass
from typing import Any

from core.gateway.models import ToolCall
from core.gateway.providers import failures
from core.gateway.providers.json_reading import read_json
from core.gateway.providers.reported import count_of

_MAX_READ = 256 * 1024


@dataclass(eq=False)
class _Call:
    """A tool call whose fragments are still coming."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def is_whole(self) -> bool:
        # Parsing only when a piece ends like an object avoids rereading all earlier pieces for most of them.
        if len(self.arguments) > _MAX_READ or not self.arguments.rstrip().endswith("}"):
            return False
        try:
            return isinstance(read_json(self.arguments), dict)
        except ValueError:
            return False


class ToolCalls:
    """The calls of one answer, in the order in which they started."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def add(self, fragment: object) -> str:
        """Add a raw fragment. Returns its piece of the arguments, as produced by the model."""
        function = fragment.get("function") if isinstance(fragment, dict) else None
        if not isinstance(fragment, dict) or not isinstance(function, dict):
            return ""
        arguments = function.get("arguments")
        # Some servers send the object itself where the protocol expects its text.
        piece = json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict | list) else word(arguments)
        call = self._call_of(fragment.get("index"), word(fragment.get("id")), word(function.get("name")), piece)
        call.arguments += piece
        return piece

    def whole(self) -> tuple[ToolCall, ...]:
        """The calls, once no more fragments come. Raises `BadResponse` for one without a name."""
        if not all(call.name for call in self._calls):
            raise failures.not_the_protocol("a tool call without a name")
        return tuple(
            ToolCall(call.id or f"call_{number}", call.name, call.arguments)
            for number, call in enumerate(self._calls, start=1)
        )

    def _call_of(self, at: Any, given: str, name: str, piece: str) -> _Call:
        index = count_of(at)
        known = next((call for call in self._calls if call.id == given), None) if given else None
        before = self._by_index.get(index) if index is not None else self._last()
        call = known or before
        # A known id identifies that call, unless it belongs to another call's index.
        if known is not None and index is not None and before is not None and before is not known:
            call = before if before.id in {"", given} else known
        elif known is None and before is not None and _begins(before, given, name, piece, has_index=index is not None):
            call = None
        if call is None:
            call = _Call()
            self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        call.id = call.id or given
        call.name = call.name or name
        return call

    def _last(self) -> _Call | None:
        return self._calls[-1] if self._calls else None


def _begins(before: _Call, given: str, name: str, piece: str, *, has_index: bool) -> bool:
    """Whether a fragment starts a new call, although `before` has the same index."""
    is_other_id = bool(given and before.id)
    if not name:
        # Arguments without a name continue a call; a different id may be one that the server creates for every piece.
        return is_other_id and before.is_whole
    if name != before.name and before.name:
        return True
    if is_other_id:
        return not before.arguments or before.is_whole
    if has_index or given:
        return bool(piece) and before.is_whole
    return before.is_whole


def word(value: object) -> str:
    """`value` when it is text, else the empty string."""
    return value if isinstance(value, str) else ""

"""Validates lines. The whole input comes first: every line is checked before the first one is accepted."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from core.batches.records import CUSTOM_ID_MAX_CHARACTERS, LINES_MAX, BatchLine, LineProblem, LineRule
from core.capability import Manifest
from core.jobs.records import CLASS_LABEL, declared_class
from core.kit.errors import Unprocessable
from core.kit.json_values import loads

PROBLEMS_MAX = 100
LINE_MAX_BYTES = 1024 * 1024
METADATA_MAX = 32
_METADATA_NAME_MAX, _METADATA_VALUE_MAX = 64, 512
_DEPTH_MAX = 64
_OF_ONE_LINE_MAX = 5
_MEMBERS = frozenset({"custom_id", "capability", "input", "metadata"})


class _Wrong(Exception):
    def __init__(self, path: str, code: str, message: str) -> None:
        super().__init__(message)
        self.problem = (path, code, message)


class LineValidator:
    """Validates the lines of one batch in order. Holds every custom_id and the first problems, but no lines.

    `offered` are the existing capabilities, `allowed` those that the caller may use, `scopes` its scopes for the things
    that inputs name, `default` the capability of lines that name none. `shared_metadata` is added to every line's own.
    `needs_cap`: the batch has a cap and its lines have none, so each capability must declare what it sets aside.
    """

    def __init__(
        self,
        offered: Mapping[str, Manifest],
        allowed: frozenset[str],
        scopes: frozenset[str],
        *,
        default: str | None,
        shared_metadata: Mapping[str, str],
        needs_cap: bool,
    ) -> None:
        self._offered = offered
        self._allowed = allowed
        self._scopes = scopes
        self._default = default
        self._shared_metadata = shared_metadata
        self._needs_cap = needs_cap
        self._seen: dict[str, int] = {}
        self.problems: list[LineProblem] = []
        self.bad_lines = 0
        self.total = 0

    def read(self, number: int, raw: bytes) -> BatchLine | None:
        """The line in the JSON text `raw`; None when it has a problem, which is recorded."""
        if len(raw) > LINE_MAX_BYTES:
            self._refuse(number, [("", LineRule.LINE_TOO_LONG, f"a line has at most {LINE_MAX_BYTES} bytes of JSON")])
            return None
        try:
            value = loads(raw)
        except ValueError as error:
            self._refuse(number, [("", LineRule.MALFORMED_JSON, f"one JSON object a line is expected: {error}")])
            return None
        return self.check(number, value)

    def check(self, number: int, value: Any) -> BatchLine | None:
        """The line in the JSON value `value`, or None as in `read`."""
        try:
            made = self._line(value)
            if (first := self._seen.get(made.custom_id)) is not None:
                message = f"line {first} has this custom_id too; every line needs its own"
                raise _Wrong("custom_id", LineRule.DUPLICATE_CUSTOM_ID, message)  # noqa: TRY301 - as what `_line` raises
        except _Wrong as wrong:
            self._refuse(number, [wrong.problem])
            return None
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)[:_OF_ONE_LINE_MAX]
            self._refuse(
                number,
                [(".".join(("input", *map(str, each["loc"]))), str(each["type"]), str(each["msg"])) for each in found],
            )
            return None
        self._seen[made.custom_id] = number
        self.total += 1
        return made

    def refuse_all(self, code: str, message: str) -> None:
        """Record a problem of the whole input."""
        self._refuse(1, [("", code, message)])

    def refuse_number(self, number: int) -> None:
        """Record that line `number` exceeds the maximum."""
        self._refuse(number, [("", LineRule.TOO_MANY_LINES, f"a batch has at most {LINES_MAX} lines; split it")])

    def _refuse(self, number: int, problems: list[tuple[str, str, str]]) -> None:
        self.bad_lines += 1
        room = PROBLEMS_MAX - len(self.problems)
        self.problems.extend(LineProblem(number, *each) for each in problems[:room])

    def _line(self, value: Any) -> BatchLine:
        if not isinstance(value, dict):
            raise _Wrong("", LineRule.OBJECT_EXPECTED, 'a line is an object: {"custom_id": "…", "input": {…}}')
        if unknown := sorted(value.keys() - _MEMBERS):
            known = ", ".join(sorted(_MEMBERS))
            raise _Wrong(unknown[0][:100], LineRule.EXTRA_FORBIDDEN, f"a line has no such member; it has {known}")
        _require_storable(value)
        custom_id = value.get("custom_id")
        if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= CUSTOM_ID_MAX_CHARACTERS:
            message = f"should be a string of 1 to {CUSTOM_ID_MAX_CHARACTERS} characters, and no other line's"
            raise _Wrong("custom_id", LineRule.CUSTOM_ID, message)
        manifest = self._manifest(value.get("capability", self._default))
        given = value.get("input")
        if not isinstance(given, dict):
            raise _Wrong("input", LineRule.OBJECT_EXPECTED, "should be an object: the capability's input")
        metadata = self._metadata(value.get("metadata", {}))
        for scope in sorted(manifest.needs(given) - self._scopes):
            raise _Wrong("input", LineRule.SCOPE_MISSING, f"this key or role lacks the scope {scope}")
        return BatchLine(custom_id, manifest.id, given, metadata)

    def _manifest(self, capability: Any) -> Manifest:
        if capability is None:
            raise _Wrong("capability", LineRule.MISSING, "name a capability in the line, or one for the whole batch")
        manifest = self._offered.get(capability) if isinstance(capability, str) else None
        if manifest is None:
            message = f"not available; available capabilities: {', '.join(sorted(self._offered))}"
            raise _Wrong("capability", LineRule.CAPABILITY_UNKNOWN, message)
        if manifest.id not in self._allowed:
            raise _Wrong(
                "capability", LineRule.CAPABILITY_DENIED, "this key is not for the capability, or lacks its scopes"
            )
        if self._needs_cap and not manifest.reserve_usd:
            message = (
                "the capability sets nothing aside by itself: say with max_line_cost_usd what a line may cost at most"
            )
            raise _Wrong("capability", LineRule.MAX_LINE_COST_MISSING, message)
        return manifest

    def _metadata(self, given: Any) -> dict[str, str]:
        message = (
            f"should be at most {METADATA_MAX} labels with the batch's own: names of 1 to 64 characters, texts of 512"
        )
        if not isinstance(given, dict) or len({**self._shared_metadata, **given}) > METADATA_MAX:
            raise _Wrong("metadata", LineRule.METADATA, message)
        for name, text in given.items():
            if not isinstance(text, str) or len(text) > _METADATA_VALUE_MAX or not 1 <= len(name) <= _METADATA_NAME_MAX:
                raise _Wrong(f"metadata.{name[:_METADATA_NAME_MAX]}", LineRule.METADATA, message)
        try:
            declared_class({**self._shared_metadata, **given})
        except Unprocessable as refusal:
            raise _Wrong(f"metadata.{CLASS_LABEL}", LineRule.METADATA, refusal.detail) from None
        return given


def _require_storable(value: dict[str, Any]) -> None:
    """Refuse values that Postgres cannot store, and implausibly deep nesting."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, str):
            if "\x00" in each:
                raise _Wrong("", LineRule.INVALID_TEXT, "holds U+0000, which cannot be stored")
        elif isinstance(each, dict | list):
            if depth > _DEPTH_MAX:
                raise _Wrong("", LineRule.NESTING_TOO_DEEP, f"is nested deeper than {_DEPTH_MAX} levels")
            inside = [*each.keys(), *each.values()] if isinstance(each, dict) else each
            waiting.extend((item, depth + 1) for item in inside)

"""Regular expressions from an operator or a service, applied to untrusted texts in linear time, on RE2.

Python's own expressions backtrack: one that looks harmless (``(a+)+$``) holds the process for hours on a crafted text.
Those in this code base are proven linear by a test; others are compiled here, or refused with the reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

import re2
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry


class Match(Protocol):
    """The position of an expression's match and of each group in it; -1 for a group that took no part."""

    def start(self, group: int = 0, /) -> int:
        """The index of its first character."""
        ...

    def end(self, group: int = 0, /) -> int:
        """The index after its last character."""
        ...


class Expression:
    """An expression in RE2's syntax. Raises ValueError for any other, such as lookaheads or backreferences."""

    def __init__(self, pattern: str, *, ignore_case: bool = False, memory_bytes: int | None = None) -> None:
        options = re2.Options()
        options.case_sensitive = not ignore_case
        if memory_bytes is not None:
            options.max_mem = memory_bytes
        options.log_errors = False
        self.pattern = pattern
        try:
            self._compiled = re2.compile(pattern, options)
        except re2.error as error:
            why = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
            raise ValueError(f"{pattern[:200]!r} is not an expression that RE2 takes: {why}") from None

    def is_in(self, text: str) -> bool:
        """Whether a part of `text` matches."""
        return self._compiled.search(text) is not None

    def matches_in(self, text: str) -> Iterator[Match]:
        """The matches in `text`, from left to right and not overlapping."""
        return cast("Iterator[Match]", self._compiled.finditer(text))

    def match_at_start(self, text: str) -> Match | None:
        """The match that starts with the first character of `text`, if any."""
        return cast("Match | None", self._compiled.match(text))

    def all_in(self, text: str) -> list[str]:
        """Every part of `text` that matches."""
        return [match.group() for match in self._compiled.finditer(text)]

    def spans_in(self, text: str) -> Iterator[tuple[int, int]]:
        """The start and end of each matching part of `text`, in characters."""
        return (match.span() for match in self._compiled.finditer(text))

    def replaced(self, text: str, by: str) -> str:
        """`text` with `by` in place of every part that matches."""
        return str(self._compiled.sub(lambda _: by, text))


def check_patterns(schema: Any) -> None:
    """Raise ValueError for a JSON Schema whose expressions cannot be applied in linear time."""
    for name, value in _members(schema):
        if name == "pattern" and isinstance(value, str):
            _compiled(value)
        # The validator searches for the remaining ones with Python's expressions.
        if name == "patternProperties" and isinstance(value, Mapping):
            raise ValueError("patternProperties is not supported: name the properties")


def validator_of(schema: Mapping[str, Any], **given: Any) -> Validator:
    """A validator of a schema that passed `check_patterns`; it reads no remote reference."""
    return cast("Validator", _LinearValidator(schema, registry=Registry(), **given))


def _members(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            yield name, value
            yield from _members(value)
    elif isinstance(schema, Sequence) and not isinstance(schema, str):
        for value in schema:
            yield from _members(value)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Expression:
    return Expression(pattern)


def _pattern(validator: Validator, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _compiled(pattern).is_in(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_LinearValidator = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]

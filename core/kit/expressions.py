"""Expressions that an operator or a service wrote, applied to texts from outside in linear time, on RE2.

Python's own expressions backtrack: one that looks harmless (``(a+)+$``) holds the process for hours on a text made for
it. Those of this code base are proven linear by a test; those of others are compiled here, or refused with the reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import re2
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry


class Expression:
    """An expression of RE2's syntax. Raises ValueError for another, such as one that looks ahead or refers back."""

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        options = re2.Options()
        options.case_sensitive = not ignore_case
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

    def all_in(self, text: str) -> list[str]:
        """Every part of `text` that matches."""
        return [match.group() for match in self._compiled.finditer(text)]

    def replaced(self, text: str, by: str) -> str:
        """`text` with `by` in place of every part that matches."""
        return str(self._compiled.sub(lambda _: by, text))


def check_patterns(schema: Any) -> None:
    """Raise ValueError for a JSON Schema whose expressions cannot be applied in linear time."""
    for name, value in _members(schema):
        if name == "pattern" and isinstance(value, str):
            _compiled(value)
        # The validator looks for what is left over with Python's expressions.
        if name == "patternProperties" and isinstance(value, Mapping):
            raise ValueError("patternProperties is not supported: name the properties")


def validator_of(schema: Mapping[str, Any], **given: Any) -> Validator:
    """A validator of a schema that `check_patterns` let pass; it reads no remote reference."""
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

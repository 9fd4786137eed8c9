"""No expression that meets text from outside costs more than in proportion to it."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import StringConstraints, TypeAdapter, ValidationError

from tests.factories.expressions import (
    ANCHORED,
    Pieces,
    collect,
    declared_patterns,
    files,
    files_with_expressions,
    hostile_texts,
)

SIZE = 64 * 1024
SCREENED_SIZE = SIZE // 32
SLOWEST = 2
# Processor time of this thread. A linear expression reads 64 kB in one to twenty milliseconds, a quadratic one needs
# seconds; between them, what decides is how the time grows with the text.
CHEAP_SECONDS = 0.05
GIVEN_UP_SECONDS = 1.0
RATIO_MAX = 8.0  # of a text four times as long: 4 when linear, 16 when quadratic

PLACES = files_with_expressions()


class GivenUp(Exception):
    pass


@contextmanager
def given_up_after(seconds: float) -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise GivenUp

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def seconds_of(work: Callable[[Any], Any], text: Any) -> float:
    begun = time.thread_time()
    try:
        with given_up_after(GIVEN_UP_SECONDS):
            work(text)
    except GivenUp:
        return float("inf")
    return time.thread_time() - begun


def runs_of(pattern: re.Pattern[Any], methods: frozenset[str]) -> list[Callable[[Any], Any]]:
    runs: list[Callable[[Any], Any]] = [getattr(pattern, name) for name in sorted(methods & ANCHORED)]
    if methods - ANCHORED:
        runs.append(lambda text: sum(1 for _ in pattern.finditer(text)))
    return runs


@cache
def fault_of(pattern: re.Pattern[Any], methods: frozenset[str]) -> str | None:
    """The text that makes the expression cost out of proportion, if there is one; many modules share expressions."""
    texts = hostile_texts(pattern)

    def text(pieces: Pieces, size: int) -> Any:
        grown = pieces.grown(size)
        return grown if isinstance(pattern.pattern, str) else grown.encode("latin-1", "replace")

    for run in runs_of(pattern, methods):
        screened = []
        for pieces in texts:
            # An exponential one is caught while the text is short.
            if seconds_of(run, text(pieces, 48)) > CHEAP_SECONDS:
                return f"{pieces} of 48 characters"
            seconds = seconds_of(run, text(pieces, SCREENED_SIZE))
            screened.append((seconds, pieces))
            if seconds > CHEAP_SECONDS:
                break
        screened.sort(key=lambda each: -each[0])
        for _, pieces in screened[:SLOWEST]:
            if is_out_of_proportion(run, text(pieces, SIZE), text(pieces, SIZE // 4)):
                return f"{pieces} under {getattr(run, '__name__', 'search')}"
    return None


def is_out_of_proportion(run: Callable[[Any], Any], long: Any, short: Any) -> bool:
    """Timed again before it is believed, unless it did not end at all."""
    for _ in range(3):
        seconds = seconds_of(run, long)
        if seconds > GIVEN_UP_SECONDS:
            return True
        if seconds <= CHEAP_SECONDS or seconds <= RATIO_MAX * seconds_of(run, short):
            return False
    return True


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_each_costs_in_proportion_to_the_text(place: Path) -> None:
    expressions, _ = collect(place)
    for expression in expressions:
        fault = fault_of(expression.pattern, expression.methods)
        assert fault is None, f"{expression.where}: {expression.pattern.pattern!r} is slow on {fault}"


def test_every_expression_is_among_them() -> None:
    """What is put together at run time is said here, with what drives it below."""
    expressions, unknown = zip(*map(collect, PLACES), strict=True)
    assert sum(map(len, expressions)) > 100
    assert sorted(each for several in unknown for each in several) == [
        # Compiled once into constants, which are collected from there.
        "core/gateway/extraction/expectations.py: pattern",
        # Words of the operator's policy, escaped.
        r"pipelines/customer_operations/details.py: f'\\b(?:{pattern})\\b'",
    ]


@pytest.mark.parametrize("source", [r"(a+)+$", r"[a-z]+://", r"\s*,", r"<!--.*?-->", r"^(\D+?)[\s#:]+\d", r"(a|a)*b"])
def test_an_expression_that_backtracks_is_found(source: str) -> None:
    assert fault_of(re.compile(source, re.DOTALL), frozenset({"search", "match"})) is not None


def test_the_patterns_of_fields_run_in_an_engine_without_backtracking() -> None:
    """pydantic's engine is linear unless a model asks for Python's; then a text like these would hang it."""
    found = declared_patterns()
    assert len(found) > 20
    for where, source in found.items():
        checked: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(pattern=source)])

        def validate(text: str, checked: TypeAdapter[str] = checked) -> None:
            with suppress(ValidationError):
                checked.validate_python(text)

        slowest = max(seconds_of(validate, pieces.grown(SIZE)) for pieces in hostile_texts(re.compile(source))[:40])
        assert slowest < GIVEN_UP_SECONDS / 2, where
    assert "regex_engine" not in "".join(path.read_text(encoding="utf-8") for path in files())

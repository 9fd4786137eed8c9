"""What an operator or a service wrote cannot hang the process on a text that was made for it (row 1)."""

from time import thread_time

import pytest

from core.jobs.suspension.questions import _validate, schema_of
from core.kit.errors import Unprocessable
from core.kit.expressions import Expression, check_patterns, validator_of
from pipelines.customer_operations.details import orders_named
from pipelines.customer_operations.policies.tables import load_policy

HOSTILE = "a" * 64_000 + "!"
SLOW = r"^(a+)+$"
SECONDS = 2.0  # Python's engine would take longer than the universe is old


def test_row_1_an_expression_that_backtracks_takes_linear_time() -> None:
    began = thread_time()
    expression = Expression(SLOW, ignore_case=True)
    assert not expression.is_in(HOSTILE)
    assert expression.all_in("AAA") == ["AAA"]
    assert expression.replaced(HOSTILE, "x") == HOSTILE
    assert Expression("a").replaced("banana", r"\1") == r"b\1n\1n\1"
    assert thread_time() - began < SECONDS


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", "(", r"(?<!x)y"])
def test_row_1_what_is_no_linear_expression_is_refused_where_it_is_loaded(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not an expression that RE2 takes: "):
        Expression(pattern)
    with pytest.raises(ValueError, match="RE2"):
        check_patterns({"type": "object", "properties": {"name": {"anyOf": [{"pattern": pattern}]}}})
    with pytest.raises(ValueError, match=r"RE2|is not a 'regex'"):
        schema_of({"type": "string", "pattern": pattern})


def test_row_1_a_schema_of_others_is_applied_in_linear_time() -> None:
    schema = {"type": "object", "properties": {"pattern": {"type": "string", "pattern": SLOW}}}
    check_patterns(schema)
    began = thread_time()
    assert [error.validator for error in validator_of(schema).iter_errors({"pattern": HOSTILE})] == ["pattern"]
    assert validator_of(schema).is_valid({"pattern": "aaa"})
    assert thread_time() - began < SECONDS
    with pytest.raises(ValueError, match="patternProperties"):
        check_patterns({"patternProperties": {SLOW: {}}})


def test_row_1_an_answer_to_a_question_cannot_hang_the_api() -> None:
    began = thread_time()
    with pytest.raises(Unprocessable):
        _validate(schema_of({"type": "string", "pattern": SLOW}), HOSTILE)
    assert thread_time() - began < SECONDS


def test_row_1_the_number_of_an_order_is_found_by_the_linear_engine() -> None:
    pattern = load_policy().order_pattern
    assert isinstance(pattern, Expression)
    assert orders_named("Where is vh-300002, and VHD300003? Not XVH-300004.", pattern) == {"VH-300002", "VHD300003"}

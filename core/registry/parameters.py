"""Parameters that a version may send along with every call: a closed list.

They are sent to the provider unchanged. A parameter that requests several answers, more tokens, another model
or a more expensive service would make a call cost more than its reservation, so none of these is on the list.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_INTEGER_MAX = 2**31 - 1


def _between(least: float, most: float) -> tuple[Callable[[Any], bool], str]:
    def fits(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most

    return fits, f"a number from {least:g} to {most:g}"


def _integer(least: int, most: int) -> tuple[Callable[[Any], bool], str]:
    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return fits, f"a whole number from {least} to {most}"


def _one_of(*choices: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(choices)}"


def _is_thinking(value: Any) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"type", "budget_tokens"}:
        return False
    budget = value.get("budget_tokens", 1)
    is_number = isinstance(budget, int) and not isinstance(budget, bool)
    return value.get("type") in {"enabled", "disabled", "adaptive"} and is_number and 1 <= budget <= _INTEGER_MAX


PARAMETERS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "frequency_penalty": _between(-2, 2),
    "min_p": _between(0, 1),
    "parallel_tool_calls": (lambda value: isinstance(value, bool), "true or false"),
    "presence_penalty": _between(-2, 2),
    "reasoning_effort": _one_of("none", "minimal", "low", "medium", "high", "xhigh"),
    "repetition_penalty": _between(0, 2),
    "seed": _integer(0, _INTEGER_MAX),
    "temperature": _between(0, 2),
    "thinking": (_is_thinking, '{"type": "enabled", "budget_tokens": 2000}, or of type disabled or adaptive'),
    "top_k": _integer(1, _INTEGER_MAX),
    "top_p": _between(0, 1),
    "verbosity": _one_of("low", "medium", "high"),
}


def faults(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name and the problem of each parameter that may not be sent, or not with this value."""
    for name, value in parameters.items():
        known = PARAMETERS.get(name)
        if known is None:
            yield name[:100], f"not a parameter a version may set; these are: {', '.join(PARAMETERS)}"
        elif not known[0](value):
            yield name, f"{name} is {known[1]}"

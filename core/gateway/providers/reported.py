"""Usage as providers report it. A report is a claim: read loosely, and believed where it can be true."""

from typing import Any

from core.gateway.streams import Meter

# Reasoning that is counted beside the answer is not held by its limit; more than this is no thought but a mistake.
MAX_REASONING_TOKENS = 131_072


def read_usage(usage: object, meter: Meter) -> None:
    """Hand the counts of a chat-completions usage to `meter`; what is absent or no count stays unsaid.

    By the protocol, cached and reasoning tokens are inside the totals. Servers that count them beside the totals are
    known by their sums: what is read and produced makes the ``total_tokens``, or a part would exceed its whole.
    """
    if not isinstance(usage, dict):
        return
    read = _first(usage, "prompt_tokens", "input_tokens")
    produced = _first(usage, "completion_tokens", "output_tokens")
    total = count_of(usage.get("total_tokens"))
    cached = (
        _inner(usage, "cached_tokens", "prompt_tokens_details", "input_tokens_details")
        or _first(usage, "prompt_cache_hit_tokens", "cached_tokens")
        or 0
    )
    reasoning = (
        _inner(usage, "reasoning_tokens", "completion_tokens_details", "output_tokens_details")
        or count_of(usage.get("reasoning_tokens"))
        or 0
    )
    if read is not None and cached > read:
        read += cached
    if read and total is not None and produced is None and total > read:
        produced = total - read
    if produced is not None:
        beside = total - read - produced if read and total is not None else 0
        if not reasoning and 0 < beside <= MAX_REASONING_TOKENS:
            reasoning = beside
        if reasoning and (reasoning == beside or reasoning > produced):
            produced += reasoning
    meter.report_input(read, cached=cached)
    meter.report_output(produced, reasoning=reasoning)


def count_of(value: object) -> int | None:
    """`value` as a count, also when it was sent as a whole float or as text; None when it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:  # noqa: PLR2004 - 64 bits
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _first(usage: dict[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := count_of(usage.get(name))) is not None), None)


def _inner(usage: dict[str, Any], name: str, *groups: str) -> int | None:
    return next(
        (
            count
            for group in groups
            if isinstance(usage.get(group), dict) and (count := count_of(usage[group].get(name))) is not None
        ),
        None,
    )

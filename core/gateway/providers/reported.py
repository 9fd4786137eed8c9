"""Usage as providers report it. A report is a claim: parsed leniently, and accepted where plausible."""

from typing import Any

from core.gateway.streams import Meter

# Reasoning counted outside the answer is not bound by the answer's limit; more than this must be an error.
MAX_REASONING_TOKENS = 131_072


# The spellings of OpenAI's two interfaces, Anthropic's, Google's and Ollama's.
_READ = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count", "prompt_eval_count")
_PRODUCED = (
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "candidates_token_count",
    "eval_count",
    "generated_tokens",
)
_TOTAL = ("total_tokens", "totalTokenCount", "total_token_count")
_READ_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_PRODUCED_DETAILS = ("completion_tokens_details", "output_tokens_details", "completion_token_details")
_CACHED = (
    "cached_tokens",
    "cache_read_tokens",
    "cache_read_input_tokens",
    "prompt_cache_hit_tokens",
    "cachedContentTokenCount",
    "cached_content_token_count",
    "cached_input_tokens",
)
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens", "cache_write_input_tokens")
_REASONING = ("reasoning_tokens", "thinking_tokens", "thoughtsTokenCount", "thoughts_token_count")


def read_usage(usage: object, meter: Meter) -> None:
    """Pass the counts of a chat-completions usage to `meter`; absent or invalid counts stay unset.

    By the protocol, cached and reasoning tokens are inside the totals. Servers that count them outside are detected by
    their sums: input and output make up the ``total_tokens``, or a part would exceed its whole. The deployment's
    declaration (`Meter.reading`) takes precedence over the sums.
    """
    if not isinstance(usage, dict):
        return
    read, produced, total = (_first(usage, *names) for names in (_READ, _PRODUCED, _TOTAL))
    cached = _part(usage, _CACHED, _READ_DETAILS)
    written = _part(usage, _WRITTEN, _READ_DETAILS)
    reasoning = _part(usage, _REASONING, _PRODUCED_DETAILS)
    cached_place = meter.reading.cached or _place_of_cached(usage, cached + written, read, total, produced)
    if read is not None and cached + written and cached_place == "beside":
        read += cached + written
        meter.read_as = "cached_beside"
    if read and total is not None and produced is None and total > read:
        produced = total - read
    if produced is not None:
        unexplained = total - read - produced if read and total is not None else 0
        place = meter.reading.reasoning
        if not reasoning and 0 < unexplained <= MAX_REASONING_TOKENS and place != "included":
            reasoning = unexplained
        if place is None and (reasoning == unexplained or reasoning > produced):
            place = "beside"
        if reasoning and place == "beside":
            produced += reasoning
            meter.read_as = "reasoning_beside"
    meter.report_input(read, cached=cached, written=written)
    meter.report_output(produced, reasoning=reasoning)


def _place_of_cached(
    usage: dict[str, Any], parts: int, read: int | None, total: int | None, produced: int | None
) -> str:
    """Whether `parts`, read from or written to a cache, are included in `read`."""
    if read is None or parts > read:
        is_beside = read is not None
    elif total is not None and produced is not None:
        is_beside = total == read + parts + produced
    else:
        # Anthropic's spelling of both implies Anthropic's meaning.
        is_beside = "prompt_tokens" not in usage and "input_tokens" in usage and "cache_read_input_tokens" in usage
    return "beside" if is_beside else "included"


def count_of(value: object) -> int | None:
    """`value` as a count, including a whole float or a text; None when it is not a count."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:  # noqa: PLR2004 - 64 bits
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _first(usage: dict[str, Any], *names: str) -> int | None:
    counts = [count for name in names if (count := count_of(usage.get(name))) is not None]
    return next((count for count in counts if count), counts[0] if counts else None)


def _part(usage: dict[str, Any], names: tuple[str, ...], groups: tuple[str, ...]) -> int:
    """A part of a total, from the details or from beside the totals. Zero means unknown: another place may have it."""
    places = (*(usage.get(group) for group in groups), usage)
    found = (_first(place, *names) for place in places if isinstance(place, dict))
    return next((count for count in found if count), 0)

"""Which parameters one deployment's server refuses. They are no longer sent where a call can do without."""

import re
from collections.abc import Mapping
from typing import Any

from core.gateway.providers.error_bodies import Reported
from core.gateway.providers.failures import is_too_long
from core.kit.logging import get_logger

# Optional parameters. Those that shape the answer (messages, tools, stop, response_format, …) are not here.
OPTIONAL = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "stream_options",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "parallel_tool_calls",
        "reasoning_effort",
        "verbosity",
        "service_tier",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "strict",
    }
)
REFUSALS = frozenset({400, 422})
_REFUSED = re.compile(
    r"unsupported|not support|not allowed|not permitted|unknown|unrecognized|unexpected|unrecognised|extra|deprecated"
    r"|not available|no longer|cannot be|is not valid|only [a-z0-9. ]{0,20}allowed|forbidden|not enabled|removed"
)
# A value out of range does not mean that the parameter is refused.
_OUT_OF_RANGE = re.compile(
    r"must be|between|too large|too small|too high|too low|less than|greater than|at most|at least|exceed|out of range"
)
# A parameter refused in combination with another may be sent without it.
_CONDITION = re.compile(r"\b(?:when|unless|only if|together|both)\b")
_WORD = re.compile(r"[a-z_]+")
_QUOTED = re.compile(r"[`'\"]([a-z_]{1,40})[`'\"]")
_CAMEL = re.compile(r"\b[a-z]{1,20}(?:[A-Z][a-z]{1,20}){1,4}\b")
_CAPITAL = re.compile(r"[A-Z]")
# Names that a message may contain as ordinary English words, unless quoted.
_EVERYDAY = frozenset({"user", "strict", "seed"})
_log = get_logger(__name__)


class RefusedParameters:
    """The parameters that one deployment is known to refuse. Thread-safe: names are only ever added."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._names: set[str] = set()

    def left_out(self, body: Mapping[str, Any], also: frozenset[str] = frozenset()) -> dict[str, Any]:
        """`body` without refused parameters, and without `also`, which this one call must omit."""
        names = self._names | also
        if not names:
            return dict(body)
        kept = {name: value for name, value in body.items() if name not in names}
        if "max_tokens" in names and "max_tokens" in body and "max_completion_tokens" not in names:
            kept.setdefault("max_completion_tokens", body["max_tokens"])
        return _without_strict(kept) if "strict" in names else kept

    def learn(self, sent: Mapping[str, Any], reported: Reported) -> frozenset[str]:
        """The optional parameters of `sent` that an error refuses, remembered unless it concerns this call only."""
        if is_too_long(reported):
            return frozenset()
        names = _named(reported, frozenset(sent) | (_STRICT if _has_strict(sent) else frozenset()))
        if names and not _CONDITION.search(reported.message.lower()):
            self._names |= names
            _log.info("parameter_left_out", model=self._model, parameters=sorted(names))
        return names


_STRICT = frozenset({"strict"})


def missing(wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> frozenset[str]:
    """The parameters of `wanted` that `sent` lacks under any name."""
    names = set(wanted) - set(sent)
    if "max_completion_tokens" in sent:
        names -= {"max_tokens"}
    return frozenset(names) | (_STRICT if _has_strict(wanted) and not _has_strict(sent) else frozenset())


def _named(reported: Reported, sent: frozenset[str]) -> frozenset[str]:
    said = reported.message.lower()
    places = [*reported.places, *([reported.param] if reported.param else [])]
    if _OUT_OF_RANGE.search(said) and not _REFUSED.search(said):
        return frozenset()
    words = {word for place in places for word in _WORD.findall(place.lower())}
    if not places and _REFUSED.search(said):
        # Some servers name it only in the message, and a few spell it in their own language's style.
        words = {word for word in _WORD.findall(said) if "_" in word or word not in _EVERYDAY}
        words |= {_CAPITAL.sub(r"_\g<0>", word).lower() for word in _CAMEL.findall(reported.message)}
        words |= set(_QUOTED.findall(said))
    return OPTIONAL & words & sent


def _has_strict(sent: Mapping[str, Any]) -> bool:
    return _without_strict(sent) != sent


def _without_strict(body: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(body)
    if isinstance(kept.get("tools"), list):
        kept["tools"] = [_tool(tool) for tool in kept["tools"]]
    form = kept.get("response_format")
    if isinstance(form, Mapping) and isinstance(form.get("json_schema"), Mapping):
        kept["response_format"] = {**form, "json_schema": _dropped(form["json_schema"])}
    return kept


def _tool(tool: Any) -> Any:
    if isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping):
        return {**tool, "function": _dropped(tool["function"])}
    return _dropped(tool) if isinstance(tool, Mapping) else tool


def _dropped(each: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in each.items() if name != "strict"}

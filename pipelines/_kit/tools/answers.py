"""Checks that a tool's answer holds what its operation needs, before the answer is used."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from pipelines._kit.tools.client import ToolAnswerInvalid
from pipelines._kit.tools.policies import ToolPolicy

# By operation: reads an answer, and raises ValueError, TypeError, KeyError or ArithmeticError for an unreadable one.
AnswerReader = Callable[[Mapping[str, Any]], object]
AnswerReaders = Mapping[str, AnswerReader]
_PLACES_MAX = 20


def require_readable(reader: AnswerReader | None, result: Mapping[str, Any], policy: ToolPolicy) -> None:
    """Try `reader` on `result`. Raises `ToolAnswerInvalid`, which names the field and quotes nothing of the answer."""
    if reader is None:
        return
    try:
        reader(result)
    except (ArithmeticError, KeyError, TypeError, ValueError, AttributeError) as error:
        place = _place(error)
        invalid = ToolAnswerInvalid(
            f"the answer of {policy.tool} at {policy.server.name} is not what {policy.operation} needs"
            f"{f' ({place})' if place else ''}; map its fields in the file of tool servers"
        )
    else:
        return
    # Outside of the handler: the reader's error may hold the tool's answer.
    raise invalid


def _place(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        # All at once, so that the operator mends the file once. No part of the tool's answer is in the message.
        places = dict.fromkeys(
            f"{'.'.join(str(step) for step in each['loc'])[:60]}{' is missing' if each['type'] == 'missing' else ''}"
            for each in found
        )
        return ", ".join(list(places)[:_PLACES_MAX])
    # A reader uses other names.
    return str(error.args[0])[:60] if isinstance(error, KeyError) and error.args else ""

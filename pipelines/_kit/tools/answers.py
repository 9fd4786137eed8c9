"""Whether a tool answered what its operation needs, tried before anybody uses the answer."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from pipelines._kit.tools.client import ToolAnswerInvalid
from pipelines._kit.tools.policies import ToolPolicy

# By operation: reads an answer, and raises ValueError, TypeError, KeyError or ArithmeticError for one that it cannot.
AnswerReader = Callable[[Mapping[str, Any]], object]
AnswerReaders = Mapping[str, AnswerReader]
_PLACES_MAX = 20


def require_readable(reader: AnswerReader | None, result: Mapping[str, Any], policy: ToolPolicy) -> None:
    """Try `reader` on `result`. Raises `ToolAnswerInvalid`, which names the field and nothing that the tool said."""
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
    # Outside of the handler: the reader's error may hold what the tool said.
    raise invalid


def _place(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        # All at once: who attaches a system mends its file once. What the tool said stands in none of it.
        places = dict.fromkeys(
            f"{'.'.join(str(step) for step in each['loc'])[:60]}{' is missing' if each['type'] == 'missing' else ''}"
            for each in found
        )
        return ", ".join(list(places)[:_PLACES_MAX])
    # A reader asks by names of its own.
    return str(error.args[0])[:60] if isinstance(error, KeyError) and error.args else ""

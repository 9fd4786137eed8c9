"""Writes the reference of the Python client: ``python -m waybill.client.reference > docs/reference/client.md``."""

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from waybill.client import EventStream, Job, WaybillClient, errors

_INTRODUCTION = """\
# The Python client

`waybill.client` is a typed client of the API with two doors: `WaybillClient`, and `AsyncWaybillClient` for programs
that work with `await`. Both have the resources, methods and parameters below; with the second, `await` every method,
and go through iterators with `async for`. It needs `httpx` and `pydantic`, and nothing else of Waybill.
[How to use it](../howto/use-the-python-client.md); [why it is written once](../adr/0020-one-client-written-once.md).
This page is written by `python -m waybill.client.reference`; a test keeps it true.

## Requests

| | |
|---|---|
| asked again | after a connection that failed or broke, and after 429, 502, 503 and 504; `attempts` (4) times in all |
| | after 409 with `Retry-After`: the first request under this idempotency key still runs |
| not asked again | after every other refusal, 500 among them, and when `Retry-After` is above 60 seconds |
| pauses | of random length, up to 0.1 s, doubling to 2 s; on top of what `Retry-After` asks for, never before |
| idempotency | every POST carries an `Idempotency-Key`, the same at all attempts: yours, or a fresh UUID |
| timeouts | `timeout_seconds` (30) each attempt, 3 to connect; long polls and uploads have their own time on top |
| other options | `client.with_options(timeout_seconds=…, attempts=…)`, over the same connections |
| proxies, certificates | `http_client=`: your own `httpx.Client` or `httpx.AsyncClient` |
| connections | up to 1,000; a stream holds one while it is read |
| log | what was asked again, and why: the logger `waybill.client`, at `DEBUG` |

Answers are frozen values (`waybill.client.models`). Members that this version does not know are kept: `model_extra`,
`as_json()`. Times are aware, the cost of a job is a `Decimal`. A parameter that takes a time takes a `datetime` with a
zone, or RFC 3339 text.

## Streams

`job.stream()`, `client.jobs.events()` and `client.events.stream()` are iterators over as many connections as it takes.
A connection that breaks, or is silent for 35 seconds, is replaced by one that begins after the last event that was
handed out (`stream.last_event_id`): nothing is skipped, nothing comes twice. After `give_up_seconds` (60) without a
usable connection they raise `StreamLost` or `EventsLost`, which hold the position to resume from. To leave one early,
close it or use it as a context manager.

## Errors

```text
{errors}
```

"""
_MODULES = re.compile(r"~|\b(?:waybill\.client\.[\w.]+|collections\.abc|typing|pathlib|datetime|decimal)\.")
_STARS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}


def page() -> str:
    """The whole page."""
    tree = str(errors.__doc__).split("\n\n", 1)[1].strip()
    with WaybillClient("http://127.0.0.1:8080") as client:
        resources = {name: type(value) for name, value in vars(client).items() if hasattr(value, "_transport")}
    sections = [
        _section("The client", "client", WaybillClient),
        _section("A job", "job", Job),
        _section("A stream of events", "stream", EventStream),
        *(_section(f"`client.{name}`", f"client.{name}", kind) for name, kind in resources.items()),
    ]
    return _INTRODUCTION.format(errors=tree) + "\n".join(sections)


def _section(title: str, owner: str, kind: type) -> str:
    rows = "".join(f"| `{owner}.{call}` | `{gives}` | {summary} |\n" for call, gives, summary in _methods(kind))
    return f"## {title}\n\n{_paragraph(kind)}\n\n| | gives | |\n|---|---|---|\n{rows}"


def _methods(kind: type) -> Iterator[tuple[str, str, str]]:
    for name in _names(kind):
        found = inspect.getattr_static(kind, name)
        function = getattr(found, "__func__", getattr(found, "fget", found))
        if isinstance(function, FunctionType):
            call = name if isinstance(found, property) else f"{name}{_parameters(function)}"
            gives = _text(typing.get_type_hints(function)["return"]).replace("Self", kind.__name__)
            yield call, gives.replace("|", "\\|"), _paragraph(function).replace("|", "\\|")


def _names(kind: type) -> Iterator[str]:
    """The public members in the order in which they are written, those of the class itself first."""
    for each in kind.__mro__:
        yield from (name for name in vars(each) if not name.startswith("_") and name != "transport")


def _parameters(function: Callable[..., Any]) -> str:
    shown: list[str] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        given = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        shown.append(f"{_STARS.get(parameter.kind.name, '')}{parameter.name}{given}")
    return f"({', '.join(shown)})"


def _text(annotation: Any) -> str:
    if annotation is type(None):
        return "None"
    is_plain = isinstance(annotation, type) and not typing.get_args(annotation)
    return _MODULES.sub("", annotation.__name__ if is_plain else str(annotation))


def _paragraph(described: object) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(str(inspect.getdoc(described)).split("\n\n", 1)[0].split())


if __name__ == "__main__":
    sys.stdout.write(page())

"""The two clients are one: the same resources, methods, parameters and types, but for what `await` asks for."""

import inspect
import re
import typing
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

from waybill.client import AsyncEventStream, AsyncJob, AsyncWaybillClient, EventStream, Job, JobRecord, WaybillClient
from waybill.client.aio.transport import AsyncByteStream, AsyncTransport
from waybill.client.generate import TARGET, WRITTEN_BY_HAND, generate, without_await
from waybill.client.handles import JobHandle
from waybill.client.sync.transport import ByteStream, Transport

NAMES = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}


def resources(client: WaybillClient | AsyncWaybillClient) -> dict[str, type]:
    return {name: type(value) for name, value in vars(client).items() if hasattr(value, "_transport")}


def pairs() -> list[tuple[type, type]]:
    plain = resources(WaybillClient("http://127.0.0.1:9"))
    awaited = resources(AsyncWaybillClient("http://127.0.0.1:9"))
    assert list(plain) == list(awaited)
    doors = [(WaybillClient, AsyncWaybillClient), (Job, AsyncJob), (EventStream, AsyncEventStream)]
    return [*doors, (Transport, AsyncTransport), (ByteStream, AsyncByteStream), *zip(plain.values(), awaited.values())]  # noqa: B905


def functions(kind: type) -> dict[str, Callable[..., Any]]:
    special = {"__init__", *NAMES.keys(), *NAMES.values()}
    members = {
        NAMES.get(name, name): getattr(value, "fget", getattr(value, "__func__", value))
        for name, value in inspect.getmembers_static(kind)
        if not name.startswith("_") or name in special
    }
    return {name: value for name, value in members.items() if isinstance(value, FunctionType)}


def plainly(annotation: Any) -> str:
    """An annotation as text, without what tells one twin from the other."""
    text = annotation if isinstance(annotation, str) else repr(annotation)
    text = text.replace("client.aio", "client.sync").replace("<class ", "").replace(">", "").replace("'", "")
    text = re.sub(r"\bAsync(?=[A-Z])", "", text)
    return re.sub(r"collections\.abc\.Awaitable\[(.*)\](?=\])", r"\1", text)


def surface(function: Callable[..., Any]) -> list[tuple[str, str, str, str]]:
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    shown = [(each.name, str(each.kind), repr(each.default), plainly(hints.get(each.name))) for each in parameters]
    return [*shown, ("return", "", "", plainly(hints.get("return")))]


@pytest.mark.parametrize(("plain", "awaited"), pairs(), ids=lambda kind: kind.__name__)
def test_both_have_the_same_methods_parameters_and_types(plain: type, awaited: type) -> None:
    assert awaited.__name__ == f"Async{plain.__name__}"
    assert plainly(plain.__doc__) == plainly(awaited.__doc__)
    ours, theirs = functions(plain), functions(awaited)
    assert ours.keys() == theirs.keys()
    assert ours
    for name, function in ours.items():
        assert surface(function) == surface(theirs[name]), name
        assert not inspect.iscoroutinefunction(function)
        assert not inspect.isasyncgenfunction(function)


def test_whatever_asks_the_api_is_awaited_or_iterated_over() -> None:
    unawaited = {
        f"{kind.__name__}.{name}": plainly(typing.get_type_hints(function)["return"])
        for kind in [AsyncJob, *resources(AsyncWaybillClient("http://127.0.0.1:9")).values()]
        for name, function in functions(kind).items()
        if not inspect.iscoroutinefunction(function) and not hasattr(JobHandle, name) and name != "__init__"
    }
    iterated = {name: kind for name, kind in unawaited.items() if re.search(r"\b(EventStream|Iterator)\[", kind)}
    assert unawaited.keys() - iterated.keys() == {"AsyncJobs.transport"}
    assert iterated.keys() >= {"AsyncJob.stream", "AsyncJobs.events", "AsyncEvents.stream", "AsyncPrices.list"}


def test_the_written_twin_is_up_to_date() -> None:
    written = {
        path: path.read_text(encoding="utf-8") for path in TARGET.glob("*.py") if path.name not in WRITTEN_BY_HAND
    }
    assert written == generate(), "run `python -m waybill.client.generate`"


def test_what_await_asks_for_is_taken_away() -> None:
    source = '''"""Text."""

from waybill.client.aio.things import AsyncThing


class AsyncOther:
    """Of an AsyncThing."""

    async def each(self, call: Callable[[], Awaitable[list[int]]]) -> AsyncIterator[list[int]]:
        async with await self.open() as things:
            found = [await thing.read()  async for thing in things]  # AsyncThing
        yield await call()
'''
    assert (
        without_await(source, "other.py")
        == '''"""Text."""

# Written by `python -m waybill.client.generate` from aio/other.py: change that, and run it again.

from waybill.client.sync.things import Thing


class Other:
    """Of an Thing."""

    def each(self, call: Callable[[], list[int]]) -> Iterator[list[int]]:
        with self.open() as things:
            found = [thing.read()  for thing in things]  # Thing
        yield call()
'''
    )


def test_a_handle_shows_every_member_of_the_job_it_stands_for() -> None:
    shown = {
        name: typing.get_type_hints(value.fget)["return"]
        for name, value in inspect.getmembers_static(JobHandle)
        if isinstance(value, property) and value.fget is not None
    }
    assert shown.pop("is_terminal") is shown.pop("is_whole") is bool
    assert shown == {name: field.rebuild_annotation() for name, field in JobRecord.model_fields.items()}

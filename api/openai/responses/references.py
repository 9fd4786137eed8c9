"""Resolves references to items of stored responses: clients send the ids of items they know to be stored."""

from collections.abc import Sequence

from fastapi import Request
from pydantic import TypeAdapter

from api.openai.errors import Refused
from api.openai.responses.items import input_items
from api.openai.responses.schemas import Item, ItemReference
from api.openai.responses.stored import RESPONSE, Stored, load
from api.openai.responses.wire import output
from core.kit.data_classes import DataClass

_READER: TypeAdapter[Item] = TypeAdapter(Item)


async def look_up(request: Request, given: Sequence[Item]) -> tuple[list[Item], list[DataClass]]:
    """The items with references replaced by their targets, and the data classes of the targets.

    A reference without a target stays.
    """
    responses: dict[str, Stored | None] = {}
    found: list[Item] = []
    for item in given:
        if not isinstance(item, ItemReference):
            found.append(item)
            continue
        tail = item.id.split("_")[1] if "_" in item.id else ""
        if tail not in responses:
            responses[tail] = await _response(request, tail)
        stored = responses[tail]
        items = [] if stored is None else [*output(stored), *input_items(stored.tail, stored.messages)]
        found.append(next((_READER.validate_python(each) for each in items if each["id"] == item.id), item))
    return found, [stored.job.data_class for stored in responses.values() if stored is not None]


async def _response(request: Request, tail: str) -> Stored | None:
    try:
        return await load(request, f"{RESPONSE}_{tail}")
    except Refused:
        return None

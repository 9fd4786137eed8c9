"""The order of precedence when several things have the same name, as a table read from the top."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from core.registry.records import ResolvedModel


class Key(NamedTuple):
    """The meaning of a name: its owner, whether it is an alias, and where it applies."""

    is_own: bool
    is_alias: bool
    project_id: UUID | None
    capability: str | None
    name: str


class Entry(NamedTuple):
    """The model, and the version that it resolves to; None as long as it has no champion."""

    model: str
    resolved: ResolvedModel | None


Names = dict[Key, Entry]


@dataclass(frozen=True, slots=True)
class Found:
    """The entry for a name, and the line of the table that it comes from."""

    by: str
    entry: Entry


def lines(project_id: UUID, capability: str, name: str) -> Iterator[tuple[str, Key]]:
    """The table, from the first line to the last. A pin comes before it, and the names in the settings after it."""
    yield "project_capability_alias", Key(True, True, project_id, capability, name)
    yield "project_alias", Key(True, True, project_id, None, name)
    yield "organization_capability_alias", Key(True, True, None, capability, name)
    yield "organization_alias", Key(True, True, None, None, name)
    yield "champion", Key(True, False, None, None, name)
    yield "shared_capability_alias", Key(False, True, None, capability, name)
    yield "shared_alias", Key(False, True, None, None, name)
    yield "shared_champion", Key(False, False, None, None, name)


def find(names: Mapping[Key, Entry], project_id: UUID, capability: str, name: str) -> Found | None:
    """The first line of the table found in `names`."""
    for by, key in lines(project_id, capability, name):
        entry = names.get(key)
        if entry is not None:
            return Found(by, entry)
    return None


def reachable(names: Mapping[Key, Entry], project_id: UUID, capability: str) -> set[str]:
    """Every name that resolves in this place."""
    return {
        key.name
        for key, entry in names.items()
        if entry.resolved is not None and key.project_id in {None, project_id} and key.capability in {None, capability}
    }

"""Reads a folder of Terraform: its blocks, and the references in its code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hcl2  # type: ignore[import-not-found, unused-ignore] # in the environment of this check only

from tests.azure.expressions import code

IS_BLOCK = "__is_block__"
# An address and the attribute that is read of it: var.x, local.x, data.azurerm_x.y.z, azurerm_x.y["k"].z.
_REFERENCE = re.compile(
    r"(?<![\w.])(?:(?P<named>var|local)\.(?P<name>\w+)"
    r"|(?P<data>data\.)?(?P<kind>azurerm_\w+)\.(?P<label>\w+)(?:\[[^\]]*\])?(?:\.(?P<attribute>\w+))?)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A resource, a data source or a provider with all that stands in it."""

    mode: str
    kind: str
    label: str
    body: dict[str, Any]

    @property
    def address(self) -> str:
        """How problems name it."""
        return ".".join(each for each in (self.mode, self.kind, self.label) if each)


@dataclass(frozen=True, slots=True)
class Reference:
    """A mention of something that must be declared elsewhere. `kind` is var, local or a kind of resource."""

    where: str
    mode: str
    kind: str
    name: str
    attribute: str | None


class Configuration:
    """The Terraform files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf"))}
        self._files = {name: _plain(hcl2.loads(text)) for name, text in self._texts.items()}

    def blocks(self) -> Iterator[Block]:
        """All resources, data sources and providers."""
        for file in self._files.values():
            for mode in ("resource", "data"):
                for each in file.get(mode, []):
                    ((kind, labelled),) = each.items()
                    ((label, body),) = labelled.items()
                    yield Block(mode, kind, label, body)
            for each in file.get("provider", []):
                ((kind, body),) = each.items()
                yield Block("provider", kind, "", body)

    @cached_property
    def variables(self) -> dict[str, dict[str, Any]]:
        """Declared variables and what stands in them."""
        return {
            name: body
            for file in self._files.values()
            for each in file.get("variable", [])
            for name, body in each.items()
        }

    @cached_property
    def local_names(self) -> frozenset[str]:
        """Declared locals."""
        return frozenset(name for file in self._files.values() for each in file.get("locals", []) for name in each) - {
            IS_BLOCK
        }

    def references(self) -> Iterator[Reference]:
        """All mentions of variables, locals, resources and data sources."""
        for file, text in self._texts.items():
            for number, line in enumerate(code(text).splitlines(), start=1):
                for found in _REFERENCE.finditer(line):
                    yield Reference(
                        where=f"{file}:{number}",
                        mode="data" if found["data"] else "resource",
                        kind=found["named"] or found["kind"],
                        name=found["name"] or found["label"],
                        attribute=found["attribute"],
                    )

    def assignments(self, file: str) -> frozenset[str]:
        """The names that a file of variables' values sets."""
        return frozenset(_plain(hcl2.loads((self.folder / file).read_text(encoding="utf-8"))))


def _plain(value: Any) -> Any:
    """What python-hcl2 gives, without its notes and the quotes around names and texts."""
    if isinstance(value, dict):
        return {_unquoted(key): _plain(each) for key, each in value.items() if not _is_note(key)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _unquoted(value) if isinstance(value, str) else value


def _is_note(key: str) -> bool:
    return key.startswith("__") and key != IS_BLOCK


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text

"""The schema of Terraform's azurerm provider, as the prebuilt bindings of CDK Terrain carry it.

The wheel ``cdktn-provider-azurerm`` holds an npm package, which holds ``.jsii``: every resource of the provider with
its arguments, their types, which of them are required, and its attributes. Allowed values are not in it.
"""

import io
import json
import re
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

Kind = Literal["block", "string", "number", "boolean", "list", "map", "any"]


def canonical(name: str) -> str:
    """One spelling of `error_404_document` and `error404Document`, between which bindings cannot tell."""
    return re.sub(r"_(?=\d)|(?<=\d)_", "", re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: of which kind, whether required, and for a block the name of its structure in the schema."""

    name: str
    kind: Kind
    required: bool
    structure: str | None


class Schema:
    """Answers what a resource, a data source or a nested block may hold."""

    def __init__(self, version: str, types: dict[str, Any]) -> None:
        self.version = version
        self._types = types
        self._arguments: dict[str, dict[str, Argument]] = {}

    @classmethod
    def from_wheel(cls, wheel: Path) -> "Schema":
        """Read the schema, and the provider's version, out of the downloaded wheel."""
        with zipfile.ZipFile(wheel) as outer:
            (inner,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
            package = io.BytesIO(outer.read(inner))
        with tarfile.open(fileobj=package, mode="r:gz") as files:
            assembly, about = (json.load(_file(files, name)) for name in (".jsii", "package.json"))
        return cls(about["cdktf"]["provider"]["version"], assembly["types"])

    def structure(self, mode: str, kind: str) -> str | None:
        """The name in the schema of what a block `mode "kind"` may hold, or None if the provider has no such block."""
        if mode == "provider":
            return self._structures["provider"]
        return self._structures.get(canonical(f"data_{kind}" if mode == "data" else kind.removeprefix("azurerm_")))

    def arguments(self, structure: str) -> dict[str, Argument]:
        """The arguments of a structure by canonical name."""
        if structure not in self._arguments:
            found: dict[str, Argument] = {}
            for base in self._types[structure].get("interfaces", []):
                if base in self._types:
                    found |= self.arguments(base)
            for each in self._types[structure].get("properties", []):
                kind, nested = self._kind(each["type"])
                name = canonical(each["name"])
                found[name] = Argument(name, kind, not each.get("optional", False), nested)
            self._arguments[structure] = found
        return self._arguments[structure]

    def attributes(self, mode: str, kind: str) -> frozenset[str]:
        """The canonical names of what may be read of a resource or data source; none if there is no such kind."""
        structure = self.structure(mode, kind)
        if structure is None:
            return frozenset()
        properties = self._types[structure.removesuffix("Config")].get("properties", [])
        return frozenset(canonical(each["name"]) for each in properties)

    @cached_property
    def _structures(self) -> dict[str, str]:
        found = {}
        for name in self._types:
            module, _, last = name.rpartition(".")
            module = canonical(module.rpartition(".")[2])
            if last.endswith("Config") and canonical(last) in {f"{module}_config", f"azurerm_{module}_config"}:
                found[module] = name
        return found

    def _kind(self, described: dict[str, Any]) -> tuple[Kind, str | None]:
        if "fqn" in described:
            known = self._types.get(described["fqn"])
            return ("block", described["fqn"]) if known and known["kind"] == "interface" else ("any", None)
        if "primitive" in described:
            kind = described["primitive"]
            return (kind if kind in {"string", "number", "boolean"} else "any"), None
        if "collection" in described:
            element, nested = self._kind(described["collection"]["elementtype"])
            if described["collection"]["kind"] == "map":
                return "map", None
            return ("block", nested) if element == "block" else ("list", None)
        kinds = [self._kind(each) for each in described["union"]["types"]]
        return next((each for each in kinds if each[0] != "any"), ("any", None))


def _file(files: tarfile.TarFile, name: str) -> IO[bytes]:
    found = files.extractfile(f"package/{name}")
    assert found is not None
    return found

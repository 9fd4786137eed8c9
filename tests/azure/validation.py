"""What is wrong with a folder of Terraform, as far as the provider's schema and the files themselves tell."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.azure.configuration import IS_BLOCK, Block, Configuration, Reference
from tests.azure.schema import Argument, Schema, canonical

_META = frozenset({"count", "for_each", "depends_on", "provider", "lifecycle"})
_LIFECYCLE = frozenset(
    {
        "create_before_destroy",
        "ignore_changes",
        "postcondition",
        "precondition",
        "prevent_destroy",
        "replace_triggered_by",
    }
)
_SIZE = re.compile(r'(?:vm_size|sku_name|replication) *= "([^"]+)"')
_SHARED_VALUES = "company.auto.tfvars.example"


def problems(configuration: Configuration, schema: Schema, environments: Sequence[str]) -> list[str]:
    """One line for each fault, in the order of the checks below."""
    return [
        *blocks_match_the_schema(configuration, schema),
        *references_resolve(configuration, schema),
        *variables_are_set(configuration, environments),
    ]


def blocks_match_the_schema(configuration: Configuration, schema: Schema) -> Iterator[str]:
    """Unknown kinds, unknown and missing arguments at every depth, and literals of the wrong kind."""
    for block in configuration.blocks():
        structure = schema.structure(block.mode, block.kind)
        if structure is None:
            yield f"{block.address}: the provider has no such {block.mode}"
        else:
            yield from _body(schema, structure, block.address, _without_meta(block))
        for name in _unknown_lifecycle(block):
            yield f"{block.address}.lifecycle: unknown argument {name}"


def references_resolve(configuration: Configuration, schema: Schema) -> Iterator[str]:
    """References to what is not declared or has no such attribute, and what is declared for nothing."""
    declared = {(block.mode, block.kind, block.label) for block in configuration.blocks()}
    used: dict[str, set[str]] = {"var": set(), "local": set()}
    names = {"var": frozenset(configuration.variables), "local": configuration.local_names}
    for each in configuration.references():
        if each.kind in used:
            used[each.kind].add(each.name)
            if each.name not in names[each.kind]:
                yield f"{each.where}: {each.kind}.{each.name} is not declared"
        else:
            yield from _resource_reference(each, declared, schema)
    for kind, all_names in names.items():
        for name in sorted(all_names - used[kind]):
            yield f"{kind}.{name} is declared and never used"


def variables_are_set(configuration: Configuration, environments: Sequence[str]) -> Iterator[str]:
    """Values for variables that do not exist, and variables without default for which an environment has no value."""
    required = {name for name, body in configuration.variables.items() if "default" not in body}
    shared = configuration.assignments(_SHARED_VALUES)
    for file in (_SHARED_VALUES, *environments):
        for name in sorted(configuration.assignments(file) - set(configuration.variables)):
            yield f"{file}: {name} is not a variable"
    for file in environments:
        for name in sorted(required - shared - configuration.assignments(file)):
            yield f"{file}: {name} has no value"


def sizes(root: Path) -> list[str]:
    """The sizes of an environment that the sheet of sizes does not name under its heading."""
    sheet = (root / "docs" / "reference" / "azure-sizing.md").read_text(encoding="utf-8")
    problems_found = []
    for environment in ("dev", "prod"):
        (listed,) = re.findall(rf"^## {environment}$(.*?)^## ", sheet, re.MULTILINE | re.DOTALL)
        values = (root / "infra" / "azure" / f"{environment}.tfvars").read_text(encoding="utf-8")
        problems_found += [
            f"{environment}: {size} is not in the sheet" for size in _SIZE.findall(values) if f"`{size}`" not in listed
        ]
    return problems_found


def _resource_reference(each: Reference, declared: set[tuple[str, str, str]], schema: Schema) -> Iterator[str]:
    address = f"{'data.' if each.mode == 'data' else ''}{each.kind}.{each.name}"
    if (each.mode, each.kind, each.name) not in declared:
        yield f"{each.where}: {address} is not declared"
    elif each.attribute and canonical(each.attribute) not in schema.attributes(each.mode, each.kind):
        yield f"{each.where}: {address} has no attribute {each.attribute}"


def _body(schema: Schema, structure: str, path: str, body: dict[str, Any]) -> Iterator[str]:
    arguments = schema.arguments(structure)
    given = {**body, **_dynamic(body)}
    for name, value in given.items():
        if name in {IS_BLOCK, "dynamic"}:
            continue
        argument = arguments.get(canonical(name))
        if argument is None:
            yield f"{path}: unknown argument {name}"
        elif argument.kind != "block":
            yield from _value(argument, f"{path}.{name}", value)
        elif not _is_blocks(value):
            yield f"{path}.{name}: is a block, and is given a value"
        else:
            assert argument.structure is not None
            for each in value:
                yield from _body(schema, argument.structure, f"{path}.{name}", each)
    have = {canonical(name) for name in given}
    for name, argument in arguments.items():
        if argument.required and name not in have:
            yield f"{path}: missing required argument {argument.name}"


def _value(argument: Argument, path: str, value: object) -> Iterator[str]:
    if _is_blocks(value):
        yield f"{path}: is no block"
        return
    if isinstance(value, str) and value.startswith("${"):
        return  # an expression; its kind shows when it is evaluated
    fits = {
        "string": isinstance(value, str | int | float) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "list": isinstance(value, list),
        "map": isinstance(value, dict),
        "any": True,
    }
    if value is not None and not fits[argument.kind]:
        yield f"{path}: takes a {argument.kind}, and is given {value!r}"


def _is_blocks(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict) and IS_BLOCK in each for each in value)


def _dynamic(body: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The blocks that `dynamic` makes, as if written out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in body.get("dynamic", []):
        for name, made in each.items():
            if name != IS_BLOCK:
                found.setdefault(name, []).extend(made["content"])
    return found


def _without_meta(block: Block) -> dict[str, Any]:
    return {name: value for name, value in block.body.items() if block.mode == "provider" or name not in _META}


def _unknown_lifecycle(block: Block) -> list[str]:
    return [name for each in block.body.get("lifecycle", []) for name in each if name not in _LIFECYCLE | {IS_BLOCK}]

"""The form of a capability: its schema's fields, with choices where the project has things with ids to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from api.console.playground.samples import SAMPLE_BASES
from api.console.schema_forms import PREFIX, Field, fields_of
from api.deps import Runtime
from core.capability import Manifest
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.kit.ids import KNOWLEDGE_BASE, encode
from core.knowledge.records import KnowledgeBase

_BASES_MAX = 100
_MODEL, _BASE, _BASES, _FILE = "model", "^kb_", "knowledge_bases", "^file_"


@dataclass(frozen=True, slots=True)
class CapabilityForm:
    """Fields that must be filled in, and the others; `files` takes an upload, by the field's name."""

    main: list[Field]
    more: list[Field]
    files: frozenset[str]
    # The names of models that the field of the model offers; empty for capabilities without one.
    models: tuple[str, ...]
    has_bases: bool

    @property
    def fields(self) -> list[Field]:
        """All of them."""
        return [*self.main, *self.more]


def form_of(
    runtime: Runtime,
    session: SingleStatement,
    principal: Principal,
    manifest: Manifest,
    given: Mapping[str, Any] | None,
) -> CapabilityForm:
    """The form of `manifest`, filled with `given`, else with an example that this project can run. Blocks."""
    schema = manifest.input.model_json_schema()
    bases = _bases(runtime, session, principal)
    models = _models(runtime, session, principal, manifest.id) if _MODEL in schema.get("properties", {}) else ()
    values = _example(manifest, bases, models) if given is None else given
    fields = [_with_choices(each, schema, bases, models) for each in fields_of(schema, values)]
    required = set(schema.get("required", ()))
    main = [each for each in fields if _name(each) in required or values.get(_name(each)) not in (None, [], {}, "")]
    # A default is no reason to show a field first.
    main = [each for each in main if _name(each) in required or given is not None or _is_in_example(manifest, each)]
    files = frozenset(each.name for each in fields if _takes_files(schema, _name(each)))
    main = [*main, *(each for each in fields if each.name in files and each not in main)]
    return CapabilityForm(main, [each for each in fields if each not in main], files, models, bool(bases))


def _name(field: Field) -> str:
    return field.name.removeprefix(PREFIX)


def _is_in_example(manifest: Manifest, field: Field) -> bool:
    return any(_name(field) in example for example in manifest.examples[:1])


def _bases(runtime: Runtime, session: SingleStatement, principal: Principal) -> list[KnowledgeBase]:
    if "knowledge:read" not in principal.scopes:
        return []
    return runtime.knowledge.list_bases(session, principal, cursor=None, limit=_BASES_MAX)


def _models(runtime: Runtime, session: SingleStatement, principal: Principal, capability: str) -> tuple[str, ...]:
    return tuple(
        runtime.catalogue.known(
            session,
            organization_id=principal.organization_id,
            project_id=principal.project_id,
            capability=capability,
        )
    )


def _example(manifest: Manifest, bases: Sequence[KnowledgeBase], models: Sequence[str]) -> dict[str, Any]:
    """The capability's first example, with ids of this project in place of the example's own.

    The question of the example is about the sample documents: it is asked only where a base of them is.
    """
    found = dict(manifest.examples[0]) if manifest.examples else {}
    sample = next((each for each in bases if each.name in SAMPLE_BASES), None)
    base = sample or (bases[0] if bases else None)
    if "knowledge_base" in found:
        found["knowledge_base"] = "" if base is None else encode(KNOWLEDGE_BASE, base.id)
        if sample is None:
            found.pop("query", None)
    if _BASES in found:
        found[_BASES] = [] if base is None else [encode(KNOWLEDGE_BASE, base.id)]
    if "files" in found:
        found["files"] = []
    if models and found.get(_MODEL) not in models:
        found[_MODEL] = models[0]
    return found


def _with_choices(
    field: Field, schema: Mapping[str, Any], bases: Sequence[KnowledgeBase], models: Sequence[str]
) -> Field:
    name = _name(field)
    if name == _MODEL and models:
        names = tuple(models) if not field.default or field.default in models else (field.default, *models)
        return replace(field, kind="choice", options=names, values=names, default=field.default or names[0])
    if bases and str(_property(schema, name).get("pattern", "")).startswith(_BASE):
        ids = tuple(encode(KNOWLEDGE_BASE, each.id) for each in bases)
        options = tuple(each.name for each in bases)
        default = next((option for option, each in zip(options, ids, strict=True) if each == field.default), options[0])
        return replace(field, kind="choice", options=options, values=ids, default=default, help="")
    return field


def _takes_files(schema: Mapping[str, Any], name: str) -> bool:
    found = _property(schema, name)
    items = found.get("items")
    inner = items if isinstance(items, Mapping) else found
    return str(inner.get("pattern", "")).startswith(_FILE)


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get("properties", {}).get(name, {})
    return found if isinstance(found, Mapping) else {}

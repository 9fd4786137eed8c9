"""The shape of a graph: its nodes, its edges and what it keeps between steps, as text that a diff shows well.

``python -m tests.factories.graph_shapes`` records the versions that are new. It never changes a recorded one: what has
been released is in the checkpoints of somebody's jobs.
"""

import json
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from core.capability import Manifest
from pipelines._kit.graph import GraphRunner
from pipelines.capabilities import CAPABILITIES
from tests.factories.processes import ROOT

RECORDED = ROOT / "tests/architecture/graph_shapes.json"
Shape = Mapping[str, Any]


def shapes_of(manifest: Manifest) -> dict[str, Shape]:
    """The shape of every graph version that this release runs; none for a capability without a graph."""
    runners = {
        version: manifest.load(version) for version in (*sorted(manifest.earlier_graphs), manifest.graph_version)
    }
    return {str(version): shape_of(runner) for version, runner in runners.items() if isinstance(runner, GraphRunner)}


def shape_of(runner: GraphRunner[Any, Any]) -> Shape:
    """The shape of the graph that `runner` runs."""
    graph = runner._graph.builder
    edges = [f"{before} -> {after}" for before, after in graph.edges]
    edges += [f"{' & '.join(sorted(before))} -> {after}" for before, after in graph.waiting_edges]
    for before, branches in graph.branches.items():
        for branch in branches.values():
            edges += [f"{before} ?> {after}" for after in (branch.ends or {"(any)": "(any)"}).values()]
    kept = get_type_hints(graph.state_schema, include_extras=True)
    return {
        "nodes": sorted(graph.nodes),
        "edges": sorted(set(edges)),
        "state": {name: _named(hint) for name, hint in sorted(kept.items())},
    }


def _named(hint: Any) -> str:
    """A type as text, the same in every version of Python; that of a TypedDict says its members."""
    if is_typeddict(hint):
        members = get_type_hints(hint, include_extras=True).items()
        return f"{hint.__name__}{{{', '.join(f'{name}: {_named(member)}' for name, member in sorted(members))}}}"
    if get_origin(hint) is not None:
        return _composed(get_origin(hint), get_args(hint))
    return "None" if hint in {None, types.NoneType} else str(getattr(hint, "__name__", hint))


def _composed(origin: Any, args: tuple[Any, ...]) -> str:
    if origin is Annotated:
        return f"{_named(args[0])} by {', '.join(getattr(extra, '__name__', str(extra)) for extra in args[1:])}"
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is NotRequired:
        return f"{_named(args[0])}?"
    if origin in {Union, types.UnionType}:
        return " | ".join(map(_named, args))
    return f"{origin.__name__}[{', '.join(map(_named, args))}]"


def difference(recorded: Shape, found: Shape) -> list[str]:
    """What of a graph is not as it was recorded; empty when nothing is."""
    lines: list[str] = []
    for part in ("nodes", "edges", "state"):
        before, after = _lines(recorded[part]), _lines(found[part])
        lines += [f"{part}: {line} is new" for line in sorted(after - before)]
        lines += [f"{part}: {line} is gone" for line in sorted(before - after)]
    return lines


def _lines(part: list[str] | Mapping[str, str]) -> set[str]:
    return {f"{name}: {hint}" for name, hint in part.items()} if isinstance(part, Mapping) else set(part)


def read() -> dict[str, dict[str, Shape]]:
    """Shapes by capability and version, as recorded."""
    found: dict[str, dict[str, Shape]] = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    return found


def main() -> None:
    """Record what is new."""
    recorded = read()
    for manifest in CAPABILITIES:
        for version, shape in shapes_of(manifest).items():
            if recorded.setdefault(manifest.id, {}).setdefault(version, shape) is shape:
                print(f"recorded graph version {version} of {manifest.id}")  # noqa: T201 - for who runs it
    kept = {name: versions for name, versions in sorted(recorded.items()) if versions}
    RECORDED.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Whoever changes the shape of a graph raises its version: jobs in flight hold the state of the one they began with."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START
from pydantic import BaseModel

from core.capability import Manifest
from pipelines._kit.graph import GraphRunner, add_step, new_graph
from pipelines.capabilities import CAPABILITIES
from tests.factories.graph_shapes import RECORDED, Shape, difference, read, shape_of, shapes_of

RECORD = "python -m tests.factories.graph_shapes"


def help_for(capability: str, version: str, faults: list[str]) -> str:
    listed = "\n  ".join(faults)
    return (
        f"the graph of {capability} is not what was recorded as version {version}:\n  {listed}\n"
        f"Jobs that began with version {version} would be resumed by another graph. Raise `graph_version` in the"
        " manifest, keep the old graph in `earlier_graphs` or write a function for `migrations`"
        f" (docs/howto/add-a-capability.md), then run `{RECORD}`."
        f" A version that was never released may be deleted from {RECORDED.name} instead, and recorded again."
    )


# CrewAI takes seconds to import, and warns of itself meanwhile.
CREWS = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ImportWarning"),
]


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(manifest, id=manifest.id, marks=CREWS if manifest.pool == "research" else [])
        for manifest in CAPABILITIES
    ],
)
def test_a_graph_keeps_its_shape_as_long_as_it_keeps_its_version(manifest: Manifest) -> None:
    recorded = read().get(manifest.id, {})
    for version, shape in shapes_of(manifest).items():
        assert version in recorded, f"graph version {version} of {manifest.id} is not recorded: {RECORD}"
        faults = difference(recorded[version], shape)
        assert not faults, help_for(manifest.id, version, faults)
    newest = max(map(int, recorded), default=manifest.graph_version)
    assert manifest.graph_version == newest, f"{manifest.id} had graph version {newest}: versions only rise"
    for earlier in manifest.migrations:
        assert callable(manifest.load_migration(earlier))
        assert hasattr(manifest.load(), "migrate")


def test_what_is_recorded_is_a_graph_of_ours() -> None:
    assert set(read()) <= {manifest.id for manifest in CAPABILITIES}


class Note(TypedDict):
    text: str


class State(TypedDict, total=False):
    notes: Annotated[list[Note], operator.add]
    done: bool | None


class Longer(TypedDict):
    text: str
    page: int


class Other(TypedDict, total=False):
    notes: Annotated[list[Longer], operator.add]
    done: bool | None


class Empty(BaseModel):
    pass


def shape(state: type[Any] = State, *, review: bool = False, loops: bool = False) -> Shape:
    graph = new_graph(state)
    for name in ("read", "write", *(["review"] if review else [])):
        add_step(graph, name, lambda _state, _ctx: {})
    graph.add_edge(START, "read")
    graph.add_edge("read", "write")
    graph.add_conditional_edges("write", lambda _state: END, ["read", END] if loops else [END])
    if review:
        graph.add_edge("write", "review")
    return shape_of(GraphRunner(graph, begin=lambda _: {}, finish=lambda _: Empty()))


def test_a_shape_says_what_a_checkpoint_depends_on() -> None:
    assert shape() == {
        "nodes": ["read", "write"],
        "edges": ["__start__ -> read", "read -> write", "write ?> __end__"],
        "state": {"done": "bool | None", "notes": "list[Note{text: str}] by add"},
    }


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        (shape(), []),
        (shape(review=True), ["nodes: review is new", "edges: write -> review is new"]),
        (shape(loops=True), ["edges: write ?> read is new"]),
        (
            shape(Other),
            [
                "state: notes: list[Longer{page: int, text: str}] by add is new",
                "state: notes: list[Note{text: str}] by add is gone",
            ],
        ),
    ],
    ids=["nothing", "a node", "an edge", "the form of what is kept"],
)
def test_every_change_of_a_shape_is_found_and_named(changed: Shape, faults: list[str]) -> None:
    assert difference(shape(), changed) == faults
    reported = help_for("probe.graph", "1", faults)
    assert all(fault in reported for fault in faults)
    assert "graph_version" in reported

"""What the releases in `tests/factories/releases` ship: a graph and a crew whose steps name their version.

Each release is a folder with a package `shipped` of its own, which a worker finds on its ``PYTHONPATH``.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.capability import JobContext, Manifest, StoredCheckpoint

# The step in which a job is killed or asks a person.
ACT = "act"


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gate: str | None = None
    ask: bool = False


class Taken(BaseModel):
    path: list[str]


def graph_manifest(version: int, **declared: Any) -> Manifest:
    return _manifest("probe.graph", "shipped.graph:build_graph", version, **declared)


def crew_manifest(version: int, **declared: Any) -> Manifest:
    return _manifest("probe.crew", "shipped.graph:build_crew", version, **declared)


def _manifest(id_: str, entry: str, version: int, **declared: Any) -> Manifest:
    return Manifest(
        id=id_,
        version="1",
        title="t",
        description="d",
        input=Order,
        output=Taken,
        entry=entry,
        graph_version=version,
        **declared,
    )


class Crew:
    """Tasks one after the other, whose outputs are kept: what has no graph."""

    def __init__(self, version: int, tasks: Sequence[str]) -> None:
        self._version, self._tasks = version, tasks

    def run(self, ctx: JobContext, payload: Order) -> Taken:
        store = ctx.checkpoints()
        outputs = {found.id: found.metadata["output"] for found in store.list("", None, None)}
        for number, task in enumerate(self._tasks):
            if str(number) in outputs:
                continue
            with ctx.step(f"{self._version}:{task}"):
                if task == ACT:
                    pause(ctx, payload.gate, ask=payload.ask)
                output = f"{self._version}:{task}"
                store.save(StoredCheckpoint("", str(number), None, "json", b"{}", {"output": output}))
                outputs[str(number)] = output
        return Taken(path=[outputs[number] for number in sorted(outputs)])


def pause(ctx: JobContext, gate: str | None, *, ask: bool) -> None:
    """Ask a person; or wait until `gate` exists."""
    if ask:
        ctx.ask("go", "Go on?", {"type": "object"})
    while gate is not None and not Path(gate).exists():
        ctx.check()
        time.sleep(0.02)

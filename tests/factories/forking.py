"""What becomes a process of the product when a test asks for one: a fork of a process that has imported what it needs.

The standard library's fork server imports the modules below once a test process; to import them anew for each of some
250 dispatchers and workers takes longer than what they do, and half of a worker's start is the models that LangGraph
and MCP define with pydantic. None of them reads a setting while it is imported, or makes
memory that forks share.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import sys
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "celery.apps.worker",
        "celery.concurrency.thread",
        "celery.fixups.django",
        "celery.worker.consumer",
        "kombu.transport.redis",
        "langchain_mcp_adapters.sessions",
        "langgraph.checkpoint.serde.jsonplus",
        "langgraph.graph",
        "langgraph.runtime",
        "langsmith.run_helpers",
        "mcp.types",
        "core.jobs.queue",
        "core.tables",
        "core.webhooks.delivery",
        "pipelines.capabilities",
        "tests.factories.capabilities",
        "workers.batches",
        "workers.maintenance",
        "workers.context",
        "workers.heartbeat",
        "workers.services",
        "workers.shadows",
    ]
)


def fork(arguments: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path) -> ForkServerProcess:
    """What ``python -m`` with `arguments` does, in a process of that environment and folder that logs to `log`."""
    process = _CONTEXT.Process(target=_become, args=(tuple(arguments), dict(variables), folder, log), daemon=True)
    process.start()
    return process


def _become(arguments: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path) -> None:
    # A collection would touch, and so copy, every page of what was imported: half of what a start costs.
    gc.freeze()
    os.setsid()
    with log.open("ab", buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(variables)
    # A fork has read it long ago.
    sys.path[:0] = [place for place in variables.get("PYTHONPATH", "").split(os.pathsep) if place not in sys.path]
    os.chdir(folder)
    sys.argv = list(arguments)
    warnings.simplefilter("default")
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    finally:
        # The fork server's processes end without them.
        sys.stdout.flush()
        atexit._run_exitfuncs()

"""Chooses the version of a capability's graph for an attempt: the one that its job began with or was migrated to.

A job whose version this worker does not have returns to the queue, as in an outage: it waits for a worker that has it,
without spending an attempt, and is never run by another version.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

from core.capability import Manifest, Migrating, Runner
from core.jobs.states import Reason
from core.kit.db import is_unavailable
from core.kit.errors import CapabilityFailure, Outage
from core.kit.logging import get_logger
from workers.context import AttemptContext

# Each wait is half as long again as the one before: one worker in ten is found within minutes, and a job that waits for
# a release to come back, perhaps for days, asks rarely.
_FIRST_SECONDS, _GROWTH, _MAX_SECONDS = 2.0, 1.5, 300.0
_log = get_logger(__name__)


def choose_runner(load: Callable[[Manifest, int], Runner], manifest: Manifest, ctx: AttemptContext) -> Runner:
    """The runner for this attempt, loaded with `load`; from now on the attempt's checkpoints are of its version.

    Raises `CapabilityFailure` with an outage when this worker neither has nor migrates the job's version, or when the
    migration fails: a release that cannot resume a job does not end it.
    """
    begun = ctx.graph_begun()
    version = begun if begun is not None and begun in manifest.earlier_graphs else manifest.graph_version
    if begun is not None and not manifest.resumes(begun):
        here = ", ".join(str(known) for known in sorted({manifest.graph_version, *manifest.earlier_graphs}))
        message = f"The job began with graph version {begun} of {manifest.id}, and this worker has {here}"
        outage = _outage(ctx, f"release with graph version {begun} of {manifest.id}")
        raise CapabilityFailure(message, code="graph_version_missing", outage=outage)
    runner = load(manifest, version)
    ctx.use_graph(version, begun=begun)
    if begun is not None and begun != version:
        _migrate(manifest, runner, ctx, begun)
    return runner


def unknown_capability(ctx: AttemptContext) -> CapabilityFailure:
    """The error for a job of a newer release on a worker of an older one, in a rollout or after a rollback."""
    message = f"This worker does not know the capability {ctx.capability}"
    outage = _outage(ctx, f"release with the capability {ctx.capability}")
    return CapabilityFailure(message, code=Reason.CAPABILITY_UNKNOWN, outage=outage)


def _migrate(manifest: Manifest, runner: Runner, ctx: AttemptContext, begun: int) -> None:
    try:
        migration = manifest.load_migration(begun)
        ctx.migrate_graph(begun, partial(cast("Migrating", runner).migrate, migration))
    except Exception as error:
        if is_unavailable(error):
            raise
        shown = ctx.guard.traceback(error)
        _log.error("graph_not_migrated", begun=begun, graph_version=manifest.graph_version, exception=shown)
        kind = type(error).__name__
        message = f"Graph version {begun} of {manifest.id} could not be migrated to {manifest.graph_version} ({kind})"
        outage = _outage(ctx, f"release that can resume graph version {begun} of {manifest.id}")
        raise CapabilityFailure(message, code="graph_migration_failed", outage=outage) from error
    _log.info("graph_migrated", begun=begun, graph_version=manifest.graph_version)


def _outage(ctx: AttemptContext, dependency: str) -> Outage:
    seconds = min(_MAX_SECONDS, _FIRST_SECONDS * _GROWTH ** min(ctx.job.outages, 20))
    return Outage(dependency, retry_after_seconds=seconds)

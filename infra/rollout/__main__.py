"""``python -m infra.rollout TAG [TARGET…]``: a canary of TAG, raised in steps, then the release; or all as it was.

TARGET is `api` or a pool; `knowledge=2` gives its canary two pods. Between the steps Prometheus is asked whether the
canary answers or works as well as what runs beside it. A breach, or no answer, brings back what was there. Ends with 0
when TAG is the release, 1 when all is as before, 2 when nothing was begun, 3 when the way back failed.

Blue-green is `--steps 100`. `--dry-run` prints what it would ask and do, and changes nothing.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.rollout.cluster import Cluster, CommandFailed
from infra.rollout.judgment import Limits
from infra.rollout.prometheus import Prometheus, Target
from infra.rollout.steps import Breach, NotBegun, Plan, Rollout

_CHART = Path(__file__).resolve().parents[1] / "helm" / "waybill"
_ALL_PERCENT = 100
_DONE, _ROLLED_BACK, _NOT_BEGUN, _STUCK = range(4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry a rollout out; returns the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    cluster = Cluster(
        options.release, options.namespace, options.chart, options.timeout, _report, is_rehearsal=options.dry_run
    )
    prometheus = Prometheus(options.prometheus, options.namespace)
    limits = Limits(
        options.max_errors,
        options.max_slowdown,
        options.fast,
        options.max_failures,
        options.min_requests,
        options.min_attempts,
    )
    try:
        revision = cluster.revision()
        replicas = {
            target: cluster.replicas(target) if pods is None and target.is_api else pods or 1
            for target, pods in options.targets or [_target("api")]
        }
        weights = options.steps if any(target.is_api for target in replicas) else [0]
        plan = Plan(options.tag, replicas, weights, options.observe, options.interval)
        rollout = Rollout(cluster, prometheus, limits, plan, _report)
        if options.dry_run:
            _show_queries(prometheus, plan)
        else:
            rollout.look()
    except (CommandFailed, NotBegun) as error:
        _report(f"nothing was changed: {error}")
        return _NOT_BEGUN
    return _carry_out(rollout, cluster, revision)


def _carry_out(rollout: Rollout, cluster: Cluster, revision: int) -> int:
    try:
        rollout.run()
    except (Breach, CommandFailed, KeyboardInterrupt) as reason:
        # A second signal must not stop the way back.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _report(f"back to revision {revision}: {str(reason) or 'interrupted'}")
        try:
            cluster.roll_back(revision)
        except CommandFailed as error:
            _report(f"the way back failed, act by hand (docs/runbooks/bad-release.md): {error}")
            return _STUCK
        _report("all is as before; the newer schema stays")
        return _ROLLED_BACK
    _report("done" if not cluster.is_rehearsal else "nothing was changed")
    return _DONE


def _show_queries(prometheus: Prometheus, plan: Plan) -> None:
    for target in plan.replicas:
        for side in (target, target.canary):
            for name, query in prometheus.queries(side, plan.observe_seconds).items():
                _report(f"{side.process} {name}: {query}")


def _target(text: str) -> tuple[Target, int | None]:
    name, _, pods = text.partition("=")
    if pods and not (pods.isdigit() and int(pods)):
        raise argparse.ArgumentTypeError(f"{text}: a number of pods stands behind the =")
    process = name if name == "api" else f"worker-{name.replace('_', '-')}"
    return Target(name, process), int(pods) if pods else None


def _weights(text: str) -> list[int]:
    try:
        weights = [int(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if not weights or weights != sorted(set(weights)) or not 1 <= weights[0] <= weights[-1] <= _ALL_PERCENT:
        raise argparse.ArgumentTypeError(f"{text}: rising percentages from 1 to 100, such as 5,25,50")
    return weights


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.rollout", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("tag", help="the release's tag of the images")
    add("targets", nargs="*", type=_target, metavar="target", help="api, or a pool; api when none is named")
    add("--prometheus", required=True, metavar="URL", help="the Prometheus that scrapes the installation")
    add("--release", default="waybill", help="of Helm (%(default)s)")
    add("--namespace", default="waybill", help="(%(default)s)")
    add("--chart", default=str(_CHART), help="(this checkout's)")
    add("--steps", type=_weights, default=[5, 25, 50], help="the canary's shares in percent (5,25,50)")
    add("--observe", type=int, default=300, metavar="SECONDS", help="how long each step is watched (%(default)s)")
    add("--interval", type=float, default=15, metavar="SECONDS", help="between two looks (%(default)s)")
    add("--timeout", default="15m", help="until pods must be ready; above the pools' drains (%(default)s)")
    limits = Limits()
    add("--max-errors", type=float, default=limits.errors, help="share of 5xx above the stable's (%(default)s)")
    add("--max-slowdown", type=float, default=limits.slowdown, help="p95 as a multiple of the stable's (%(default)s)")
    add("--fast", type=float, default=limits.fast_seconds, help="a p95 below it is never slow, seconds (%(default)s)")
    add("--max-failures", type=float, default=limits.failures, help="share of failed attempts above it (%(default)s)")
    add("--min-requests", type=int, default=limits.min_requests, help="fewer say nothing (%(default)s)")
    add("--min-attempts", type=int, default=limits.min_attempts, help="fewer say nothing (%(default)s)")
    add("--dry-run", action="store_true", help="print what it would ask and do")
    return parser


def _report(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())

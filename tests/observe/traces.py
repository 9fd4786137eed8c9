"""``make observe-traces``: a stack, a job of each capability, and what Phoenix then shows of them.

Every job has to be one tree, whole, with what the ledger says that it cost, and without a word of what it was about;
also where the worker was killed, and whatever the guard's policy is.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from core.kit import semconv
from core.kit.settings import Settings
from tests.factories.webhook_receiver import WebhookReceiver
from tests.observe.phoenix import PROGRAM, Phoenix, Seen, running_phoenix
from tests.observe.story import CANARIES, EMAIL, Caller, caller
from waybill.client import Job
from waybill.stack.supervisor import Stack

_CALLS = frozenset({semconv.Operation.CHAT, semconv.Operation.EMBEDDINGS})
_WHOSE = frozenset({semconv.ORGANIZATION_ID, semconv.PROJECT_ID, semconv.JOB_ID})
_QUANTUM = Decimal("1e-9")
# Spans are sent within a second, and a webhook soon after a job's end.
_SETTLED_SECONDS = 60.0


def main() -> int:
    """Run it all; returns 0 when everything holds."""
    if not PROGRAM.exists():
        sys.exit("Phoenix is not installed; run: make observe-traces")
    with TemporaryDirectory(prefix="waybill-observe-") as name:
        folder = Path(name)
        with running_phoenix(_made(folder / "phoenix")) as phoenix:
            _say(f"Phoenix at {phoenix.url}")
            failed = [*_observe_jobs(phoenix, folder / "home"), *_observe_content(phoenix, folder / "home")]
    for line in failed:
        _say(f"FAILED {line}")
    _say("all of it holds" if not failed else f"{len(failed)} checks failed")
    return 1 if failed else 0


def _observe_jobs(phoenix: Phoenix, home: Path) -> list[str]:
    """A job of each capability, with the guard off and on; what is wrong with their trees."""
    failed: list[str] = []
    with _stack(phoenix, home) as (stack, settings), WebhookReceiver() as receiver:
        for project, template in (("open", None), ("guarded", "balanced")):
            with caller(stack, settings, project, receiver.url) as asking:
                asking.price_models()
                if template is not None:
                    asking.client.guard.use_template(template)
                jobs = asking.run_each(with_kill=template is None)
                failed += _check_all(phoenix, project, asking, jobs)
    return failed


def _observe_content(phoenix: Phoenix, home: Path) -> list[str]:
    """A search with its messages on its spans, where the guard redacts."""
    with (
        _stack(phoenix, home, WAYBILL_TRACE_CONTENT="true") as (stack, settings),
        WebhookReceiver() as receiver,
        caller(stack, settings, "shown", receiver.url) as asking,
    ):
        asking.client.guard.use_template("balanced")
        base, _ = asking.new_base()
        job = asking.run("knowledge.search", {"knowledge_base": base, "query": f"Who is reachable at {EMAIL}?"})
        spans = _settled(phoenix, [job])
    reported = [each for each in spans.values() if semconv.INPUT_MESSAGES in each.attributes]
    _say(f"messages are on {len(reported)} spans, where the operator wants them")
    return [*([] if reported else ["content on: no span has messages"]), *_leaks("content on", spans)]


def _check_all(phoenix: Phoenix, project: str, whose: Caller, jobs: Mapping[str, Job]) -> list[str]:
    spans = _settled(phoenix, list(jobs.values()))
    failed = _leaks(project, spans)
    for capability, job in jobs.items():
        found = list(_faults(spans, whose.client.jobs.get(job.id)))
        trace = [each for each in spans.values() if each.trace_id == _span_of(spans, job).trace_id]
        _say(
            f"{project:8} {capability:28} {job.state:10} attempts {job.attempt}  spans {len(trace):3}"
            f"  cost {job.record.cost_usd}  {'holds' if not found else 'FAILS'}"
        )
        failed += [f"{project} {capability}: {each}" for each in found]
    if project == "open" and not any(_is_rebuilt(each) for each in spans.values()):
        failed.append("no worker was killed in the middle of an attempt")
    return failed


def _faults(spans: Mapping[str, Seen], job: Job) -> Iterator[str]:
    own = _span_of(spans, job)
    trace = {each.span_id: each for each in spans.values() if each.trace_id == own.trace_id}
    roots = [each.name for each in trace.values() if each.parent_id is None]
    if len(roots) != 1 or not roots[0].startswith("POST /v1/"):
        yield f"roots are {roots}"
    orphans = [each.name for each in trace.values() if each.parent_id is not None and each.parent_id not in trace]
    if orphans:
        yield f"without their parent: {orphans}"
    if {each.trace_id for each in spans.values() if each.job_id == job.id} != {own.trace_id}:
        yield "has spans in another trace"
    attempts = [each for each in trace.values() if each.job_id == job.id and each.name.startswith("attempt ")]
    if {each.parent_id for each in attempts} != {own.span_id} or len(attempts) != job.attempt:
        yield f"{len(attempts)} attempts of {job.attempt} stand below it"
    for each in trace.values():
        if each.name == "webhook POST" and each.job_id == job.id and each.parent_id != own.span_id:
            yield "its webhook is not below it"
    if not any(each.name == "webhook POST" and each.job_id == job.id for each in trace.values()):
        yield "its webhook is not in the tree"
    nameless = [each.name for each in trace.values() if not each.attributes.keys() >= _WHOSE]
    if nameless:
        yield f"does not say whose it is: {nameless}"
    yield from _wrong_places(trace, job, own)
    yield from _wrong_costs(trace, job, own)


def _wrong_places(trace: Mapping[str, Seen], job: Job, own: Seen) -> Iterator[str]:
    for each in trace.values():
        is_own = each.job_id == job.id and each.span_id not in {own.span_id, own.parent_id}
        is_child = each.attributes.get(semconv.PARENT_JOB_ID) == job.id
        if (is_own or is_child) and own.span_id not in set(_above(trace, each)):
            yield f"{each.name} is not below it"


def _wrong_costs(trace: Mapping[str, Seen], job: Job, own: Seen) -> Iterator[str]:
    ledger = Decimal(job.record.cost_usd or 0)
    if _usd(own) != ledger.quantize(_QUANTUM):
        yield f"its span says {_usd(own)} USD, the ledger {ledger}"
    calls = [
        each for each in trace.values() if each.job_id == job.id and each.attributes.get(semconv.OPERATION) in _CALLS
    ]
    total = sum((_usd(each) for each in calls), Decimal(0))
    # What a killed process had not written of its calls is in the job's total alone.
    is_killed = any(_is_rebuilt(each) and each.job_id == job.id for each in trace.values())
    if total > ledger if is_killed else total != ledger.quantize(_QUANTUM):
        yield f"its {len(calls)} calls cost {total} USD, the ledger says {ledger}"


def _above(trace: Mapping[str, Seen], span: Seen) -> Iterator[str]:
    above = trace.get(span.parent_id or "")
    while above is not None:
        yield above.span_id
        above = trace.get(above.parent_id or "")


def _is_rebuilt(span: Seen) -> bool:
    return bool(span.attributes.get(semconv.REBUILT))


def _leaks(project: str, spans: Mapping[str, Seen]) -> list[str]:
    return [
        f"{project}: {canary} is in {each.name}" for each in spans.values() for canary in CANARIES if canary in each.raw
    ]


def _usd(span: Seen) -> Decimal:
    return Decimal(repr(float(span.attributes.get(semconv.COST_USD, 0)))).quantize(_QUANTUM)


def _span_of(spans: Mapping[str, Seen], job: Job) -> Seen:
    return next(
        each for each in spans.values() if each.job_id == job.id and each.name == f"invoke_agent {job.capability}"
    )


def _settled(phoenix: Phoenix, jobs: list[Job]) -> dict[str, Seen]:
    """The spans, once those of the jobs and of their webhooks are there, and no more have come for two looks."""
    deadline = monotonic() + _SETTLED_SECONDS
    before = -1
    while True:
        spans = phoenix.spans()
        kinds: dict[str, set[str]] = defaultdict(set)
        for each in spans.values():
            kinds[each.job_id or ""].add(each.name)
        are_there = all({f"invoke_agent {job.capability}", "webhook POST"} <= kinds[job.id] for job in jobs)
        if (are_there and len(spans) == before) or monotonic() > deadline:
            return spans
        before = len(spans)
        sleep(1.0)


@contextmanager
def _stack(phoenix: Phoenix, home: Path, **extra: str) -> Iterator[tuple[Stack, Settings]]:
    """Everything on this machine, as ``waybill up --guard`` starts it, with its spans sent to Phoenix."""
    given = {
        "WAYBILL_HOME": str(_made(home)),
        "OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url,
        # Phoenix takes traces only.
        "OTEL_LOGS_EXPORTER": "none",
        # Phoenix may be slow on a busy machine, and what it does not take in time is lost.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "20",
        "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        **extra,
    }
    with ExitStack() as undo:
        for name, value in given.items():
            undo.callback(_restore, name, os.environ.get(name))
            os.environ[name] = value
        with Stack(Settings(), flower=False, guard=True) as stack:
            assert stack.running is not None
            yield stack, stack.running.settings


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.evals.customer_operations``: the score on the embedded models, and what went wrong where.

``--data DIR`` adds sets of other authors: ``operations/messages.jsonl`` and ``intents/banking77/test.csv`` below it.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.evals.customer_operations import reading
from tests.evals.customer_operations.requests import (
    Part,
    is_learned,
    read_foreign,
    read_operations,
    read_requests,
    run_messages,
)
from tests.evals.customer_operations.run import Score, run
from tests.evals.scores import Row, publish
from tests.factories.knowledge import Library, open_library
from tests.factories.sample_system import Attached, attached
from waybill.stack.postgres import EmbeddedPostgres

MARK = 0.9
DONE_MARK = 0.85
NEVER_LEARNED = ", never learned"
# The same messages before text-speak was spelled out and a repeating question was no request: without an effect that is
# not asked for, and done as asked.
BEFORE: dict[str, tuple[float, float | None]] = {
    "requests that the reader has learned from": (1.0, 0.996),
    f"requests of a blind author{NEVER_LEARNED}": (1.0, 0.796),
    f"requests of another blind author{NEVER_LEARNED}": (0.995, 0.882),
    "many registers, the half that was looked at": (1.0, 0.943),
    "many registers, the half that was set aside": (1.0, 0.899),
    "another company's messages (banking77)": (1.0, None),
}
_MEASURES = ("intent", "decision", "actions", "human")
_FOREIGN_STEP = 10


def main() -> int:
    """Start what it needs, score, print."""
    parser = argparse.ArgumentParser(prog="tests.evals.customer_operations", description=__doc__)
    named = os.environ.get("WAYBILL_EVALS_DATA")
    parser.add_argument("--data", type=Path, default=named, help="a folder with sets of other authors")
    data: Path | None = parser.parse_args().data
    readings = {name: list(reading.read_messages(reading.read_set(name))) for name in reading.SETS}
    for name, reads in readings.items():
        sys.stdout.write(reading.report(name, reads))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        postgres = EmbeddedPostgres(home / "postgres")
        postgres.start()
        try:
            upgrade(postgres.url)
            settings = Settings(home=home, database_url=SecretStr(postgres.url))
            with open_library(settings) as library, attached(postgres.url, home) as system:
                score = run(library, system)
                sys.stdout.write(report(score))
                parts = list(_parts(library, system, data))
        finally:
            postgres.stop()
    publish("customer_operations", [*_rows(score), *(row for part in parts for row in _part_rows(part))])
    failed = [part for part in parts if part.acted_wrongly or part.share_done < DONE_MARK]
    misread = [each for reads in readings.values() for each in reads if each.is_wrong]
    return int(
        bool(failed)
        or bool(misread)
        or score.forbidden > 0
        or min(score.share(measure) for measure in _MEASURES) < MARK
    )


def _parts(library: Library, system: Attached, data: Path | None) -> Iterator[Part]:
    messages = read_requests()
    sets = {
        "requests that the reader has learned from": [each for each in messages if is_learned(each)],
        f"requests of a blind author{NEVER_LEARNED}": read_requests(kept=True, split="blind"),
        f"requests of another blind author{NEVER_LEARNED}": read_requests(split="fresh"),
        "many registers, the half that was looked at": read_requests(kept=False, split="registers"),
        "many registers, the half that was set aside": read_requests(kept=True, split="registers"),
        "varied styles, what was looked at": read_requests(kept=False, split="varied"),
        f"varied styles, what was set aside{NEVER_LEARNED}": read_requests(kept=True, split="varied"),
    }
    if data is not None:
        foreign = data / "intents" / "banking77" / "test.csv"
        sets["another company's messages (banking77)"] = read_foreign(foreign, _FOREIGN_STEP)
    for name, messages in sets.items():
        part = Part(name, list(run_messages(library, system, messages)))
        sys.stdout.write(report_part(part))
        yield part
    if data is not None:
        read = read_operations(data / "operations" / "messages.jsonl")
        for outcome in run_messages(library, system, read):
            sys.stdout.write(
                f"  {outcome.id}: wanted: {outcome.kind}; came: {outcome.output.decision},"
                f" {', '.join(outcome.effects) or 'nothing changed'}\n"
            )


def _rows(score: Score) -> Iterator[Row]:
    for measure in _MEASURES:
        yield Row("mailbox", "looked at", measure, len(score.figures), score.share(measure), mark=MARK)


def _part_rows(part: Part) -> Iterator[Row]:
    seen = "never looked at" if part.name.endswith(NEVER_LEARNED) else "looked at"
    n, name = len(part.outcomes), "before" if part.name in BEFORE else ""
    silent, done = BEFORE.get(part.name, (None, None))
    yield Row(part.name, seen, "nothing done unasked", n, 1 - len(part.acted_wrongly) / n, silent, name, 1.0)
    if part.asking:
        yield Row(part.name, seen, "done as asked", part.asking, part.share_done, done, name, DONE_MARK)


def report(score: Score) -> str:
    """The score as text."""
    lines = [f"{measure:10} {score.share(measure):.3f}" for measure in _MEASURES]
    lines += [f"{'messages':10} {len(score.figures)}", f"{'effects that must not be':25} {score.forbidden}"]
    for figure in score.figures:
        if figure.wrong:
            got = figure.output
            lines.append(
                f"  {figure.id}: {', '.join(figure.wrong)}; {got.intent.name} {got.intent.confidence},"
                f" {got.decision}, {[action.operation for action in got.actions]}"
            )
    return "\n".join(lines) + "\n"


def report_part(part: Part) -> str:
    """What was done without a request and what was left undone."""
    silent = len(part.outcomes) - part.asking
    lines = [
        part.name,
        f"  must not act: n {silent}, acted {len(part.acted_wrongly)}",
        f"  must act:     n {part.asking}, done {part.share_done:.3f}",
    ]
    for each in [*part.acted_wrongly, *part.left_undone]:
        request = each.output.request
        against = request.against if request is not None else each.output.decision
        lines.append(f"    {each.id}: wanted {list(each.wanted)}, did {list(each.effects)}; {against}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

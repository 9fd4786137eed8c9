"""``waybill evals guard``."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from waybill.cli.output import Output, open_console


def guard(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            exists=True,
            file_okay=False,
            help="A folder with injection.jsonl or injection/*.jsonl, personal.json(l) or pii/*.json(l), or both.",
        ),
    ],
    with_baseline: Annotated[
        bool, typer.Option("--baseline", help="Also measure Presidio as it comes, on the same language model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure what the guard finds, and finds wrongly, in labeled texts: personal data, secrets and injections.

    Works without a server, and prints no value of a text. 2,000 short texts take some ten seconds on two cores.
    """
    # The recognizers need numpy, and a language model with its libraries.
    from waybill.evals.files import UnreadableData
    from waybill.evals.guard.injections import THRESHOLDS
    from waybill.evals.guard.report import run_guard_eval
    from waybill.evals.guard.tables import tables_of

    output = Output(as_json=as_json)
    with Progress(console=open_console(sys.stderr), transient=True, disable=as_json) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total)

        try:
            report = run_guard_eval(data, with_baseline=with_baseline, progress=draw)
        except UnreadableData as error:
            raise typer.BadParameter(str(error), param_hint="--data") from error
    if as_json:
        output.document(report.as_json())
    else:
        output.show(*tables_of(report, THRESHOLDS))

"""``waybill evals``: the measuring commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from waybill.cli.output import Output, open_console
from waybill.evals.documents.command import documents
from waybill.evals.guard.command import guard

if TYPE_CHECKING:
    from waybill.evals.intents import Report as IntentsReport
    from waybill.evals.metrics import Mean
    from waybill.evals.retrieval import Report

app = typer.Typer(name="evals", no_args_is_help=True, help="Measure quality on a data set.")


@app.callback()
def root() -> None:
    """Measure quality on a data set."""


@app.command()
def retrieval(
    data: Annotated[
        Path,
        typer.Option("--data", exists=True, file_okay=False, help="A data set in the BEIR layout."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document, with the figures of every query.")
    ] = False,
) -> None:
    """Measure search: nDCG@10 and recall@100, through the code that serves searches, on a real database.

    Uses DATABASE_URL or the running stack, and leaves nothing there; without either, starts a Postgres of its own.
    """
    # These two import a model runtime and half the core.
    from core.gateway.embeddings.minilm import load_minilm
    from waybill.evals.files import UnreadableData
    from waybill.evals.retrieval import run_retrieval_eval

    output = Output(as_json=as_json)
    with Progress(console=open_console(sys.stderr), transient=True, disable=as_json) as bars:
        tasks = {what: bars.add_task(what, total=None) for what in ("documents", "queries")}
        try:
            report = run_retrieval_eval(
                data,
                load_minilm(),
                progress=lambda what, done, total: bars.update(tasks[what], completed=done, total=total),
            )
        except UnreadableData as error:
            raise typer.BadParameter(str(error), param_hint="--data") from error
    if as_json:
        output.document(report.as_json())
    else:
        output.show(_table(report))


@app.command()
def intents(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            exists=True,
            file_okay=False,
            envvar="WAYBILL_EVALS_INTENTS_DATA",
            help="A folder with train.csv and test.csv of the columns text and category.",
        ),
    ],
    cache: Annotated[
        Path | None, typer.Option("--cache", file_okay=False, help="Keep embeddings here between runs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure how well intents are told apart, by the classifier of customer_operations.resolve.

    Learns from the training half on the embedded model and guesses the test half. 10,000 messages take about a minute
    and 4 GB on two cores.
    """
    from core.gateway.embeddings.minilm import load_minilm
    from waybill.evals.files import UnreadableData
    from waybill.evals.intents import run_intents_eval

    output = Output(as_json=as_json)
    with Progress(console=open_console(sys.stderr), transient=True, disable=as_json) as bars:
        tasks = {what: bars.add_task(what, total=None) for what in ("train", "test")}
        try:
            report = run_intents_eval(
                data,
                load_minilm(),
                cache=cache,
                progress=lambda what, done, total: bars.update(tasks[what], completed=done, total=total),
            )
        except UnreadableData as error:
            raise typer.BadParameter(str(error), param_hint="--data") from error
    if as_json:
        output.document(report.as_json())
    else:
        output.show(*_intents_tables(report))


app.command()(documents)
app.command()(guard)


def _intents_tables(report: "IntentsReport") -> tuple[Table, Table]:
    title = f"{report.data}: {report.intents} intents, {report.train} examples, {report.test} messages"
    table = Table("measure", "value", "95 % interval", title=title, title_justify="left")
    table.add_row("accuracy", *_cells(report.accuracy))
    table.add_row("accuracy by leave-one-out on the examples", f"{report.left_out_accuracy:.4f}", "")
    table.add_row("expected calibration error", f"{report.calibration_error:.4f}", "")
    table.add_row("answered alone at 95 % right", f"{report.covered_at_95:.3f}", "")
    table.add_row("embedding / learning", f"{report.embedding_seconds:.0f} / {report.learning_seconds:.0f} s", "")
    table.add_row("one guess, without embedding", f"{report.guess_ms:.2f} ms", "")
    confused = Table("wanted", "guessed", "times", title="Mistaken most", title_justify="left")
    for wanted, guessed, times in report.confused:
        confused.add_row(wanted, guessed, str(times))
    return table, confused


def _table(report: "Report") -> Table:
    title = f"{report.data}: {len(report.queries)} queries, {report.documents} documents, {report.chunks} chunks"
    table = Table("measure", "mean", "95 % interval", title=title, title_justify="left")
    table.add_row("nDCG@10", *_cells(report.ndcg_at_10))
    table.add_row("recall@100", *_cells(report.recall_at_100))
    table.add_row("search p50 / p95", f"{report.search_p50_ms:.1f} / {report.search_p95_ms:.1f} ms", "")
    return table


def _cells(mean: "Mean") -> tuple[str, str]:
    return f"{mean.value:.4f}", f"{mean.low:.3f} to {mean.high:.3f}"

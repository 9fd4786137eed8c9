"""``waybill evals documents``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from waybill.cli.output import Output, open_console

if TYPE_CHECKING:
    from waybill.evals.documents.report import FileResult, Report


def documents(
    data: Annotated[
        Path,
        typer.Option(
            "--data", exists=True, file_okay=False, help="A folder of files, some with NAME.reference.md beside them."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure how much of files is read: words found and words invented, beside other readers.

    A file is compared with its reference; one without, with the words that most of pypdf, pdfminer.six, pdfplumber and
    mammoth agree on. Works without a server.
    """
    from waybill.evals.documents.report import run_documents_eval
    from waybill.evals.files import UnreadableData

    output = Output(as_json=as_json)
    with Progress(console=open_console(sys.stderr), transient=True, disable=as_json) as bars:
        task = bars.add_task("files", total=None)
        try:
            report = run_documents_eval(
                data, progress=lambda done, total: bars.update(task, completed=done, total=total)
            )
        except UnreadableData as error:
            raise typer.BadParameter(str(error), param_hint="--data") from error
    if as_json:
        output.document(report.as_json())
        return
    output.show(_files_table(report), _summary_table(report))
    for name in report.missing_peers:
        output.note(f"not compared with {name}: it is not installed", style="yellow")


def _files_table(report: "Report") -> Table:
    from waybill.evals.documents.peers import PEERS
    from waybill.evals.documents.report import OURS

    readers = (OURS, *(peer.name for peer in PEERS if peer.name not in report.missing_peers))
    title = f"{report.data}: words found / words invented, in %"
    table = Table("file", "compared with", *readers, "", title=title, title_justify="left")
    for each in report.files:
        table.add_row(each.name, each.reference, *(_cell(each, name) for name in readers), _remark(each))
    return table


def _cell(result: "FileResult", reader: str) -> str:
    found = result.scores.get(reader)
    if found is None or result.reference == "none":
        return ""
    return f"{100 * found.found_share:.1f} / {100 * found.invented_share:.1f}"


def _remark(result: "FileResult") -> str:
    if result.refused:
        return f"refused: {result.refused}"
    return "silently empty" if result.is_silently_empty else ""


def _summary_table(report: "Report") -> Table:
    beside = len(report.beside_peers)
    table = Table("measure", "value", title=f"{len(report.files)} files", title_justify="left")
    table.add_row(f"as many words as the best peer, of {beside} files", _percent(report.as_good_share))
    table.add_row("… with the heads and page numbers that are named once", _percent(report.as_good_or_named_share))
    table.add_row("words lost against the references, median", _percent(report.median_lost))
    table.add_row("silently empty", str(len(report.silently_empty)))
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"

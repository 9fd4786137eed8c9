"""``waybill costs``: reports, chargeback statements and the FOCUS export."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output, open_stdout

if TYPE_CHECKING:
    from waybill.client.models import CostLine, CostTotal

app = typer.Typer(no_args_is_help=True, help="Report costs, and charge them back to projects.", epilog=EPILOG)

From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DAY", show_default="the first of the month", help="Jobs accepted on or after this day."
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="DAY", show_default="the end of today", help="Jobs accepted before this day."),
]
Project = Annotated[
    str | None,
    typer.Option(metavar="PROJECT_ID", show_default="all that the key can see", help="Only this project: prj_…."),
]
File = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", show_default="stdout", help="File to write.")
]


@app.command(epilog=EPILOG)
def report(
    group_by: Annotated[
        list[str] | None,
        typer.Option(
            "--group-by",
            "-g",
            metavar="GROUP",
            show_default="everything in one line",
            help="project, capability, model, model_version, deployment, provider, key, day or label:NAME;"
            " several with commas, or repeated.",
        ),
    ] = None,
    begins: From = None,
    ends: To = None,
    project: Project = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Report costs by any combination of groups. The lines add up exactly to the ledger.

    Example: waybill costs report --group-by project,model --from 2026-11-01 --to 2026-12-01
    """
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    groups = [word for text in group_by or () for word in text.split(",")]
    with connect(url, api_key) as client:
        if as_csv:
            _write([client.costs.report_csv(group_by=groups, begins=begins, ends=ends, project=project)], None)
            return
        found = client.costs.report(group_by=groups, begins=begins, ends=ends, project=project)
    if as_json:
        output.document(found.as_json())
        return
    names = list(found.data[0].group) if found.data else []
    made = table(*(name.upper() for name in names), "USD", "CALLS", "JOBS")
    for line in found.data:
        made.add_row(*(value or "" for value in line.group.values()), _amount(line), str(line.calls), str(line.jobs))
    if names:
        made.add_row("TOTAL", *("" for _ in names[1:]), _amount(found.total), str(found.total.calls), "")
    output.show(made)


@app.command(epilog=EPILOG)
def statement(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="The month, for example 2026-11.", show_default=False)],
    project: Project = None,
    form: Annotated[
        Literal["csv", "html"] | None,
        typer.Option(
            "--format", show_default="by the file's name, else csv", help="csv, or html for a printable page."
        ),
    ] = None,
    output_file: File = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Create a project's monthly chargeback statement, as CSV or as a printable page.

    Example: waybill costs statement 2026-11 -o statement.html
    """
    by_name = "html" if output_file is not None and output_file.suffix in {".html", ".htm"} else "csv"
    with connect(url, api_key) as client:
        _write([client.costs.statement(month, project=project, form=form or by_name)], output_file)


@app.command(epilog=EPILOG)
def export(
    begins: From = None,
    ends: To = None,
    project: Project = None,
    output_file: File = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Export every charge as CSV, in the columns of FinOps FOCUS 1.4.

    Example: waybill costs export --from 2026-11-01 --to 2026-12-01 -o focus.csv
    """
    with connect(url, api_key) as client:
        _write(client.costs.export(begins=begins, ends=ends, project=project), output_file)


@app.command(epilog=EPILOG)
def anomalies(
    begins: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", show_default="a day ago", help="Hours at or after this time."),
    ] = None,
    ends: Annotated[
        str | None, typer.Option("--to", metavar="TIME", show_default="now", help="Hours before this time.")
    ] = None,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Find hours in which a key spent far more than usual, and on what."""
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.costs.anomalies(begins=begins, ends=ends, project=project)
    if as_json:
        output.document(found.as_json())
        return
    if not found.data:
        output.note("nothing unusual")
        return
    made = table("HOUR (UTC)", "KEY", "USD", "USUALLY", "SCORE", "MOSTLY ON")
    for each in found.data:
        cause = each.causes[0] if each.causes else None
        on = "" if cause is None else f"{cause.capability} with {cause.model}: {cause.amount_usd}"
        score = "new" if each.score is None else f"{each.score:.1f}"
        made.add_row(
            f"{each.at:%Y-%m-%d %H:%M}", each.key_id or "", str(each.amount_usd), str(each.expected_usd), score, on
        )
    output.show(made)


def _write(pieces: Iterable[bytes], target: Path | None) -> None:
    if target is None:
        out = open_stdout()
        for piece in pieces:
            out.write(piece)
        out.flush()
        return
    try:
        with target.open("wb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise CliError(
            f"cannot write {target}: {error.strerror}", code="output_unwritable", exit_code=Exit.USAGE
        ) from error


def _amount(line: "CostLine | CostTotal") -> str:
    if line.amount_usd is None:
        return "not priced"
    return f"{line.amount_usd} + {line.unpriced_calls} not priced" if line.unpriced_calls else str(line.amount_usd)

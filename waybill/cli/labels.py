"""``waybill quality choose|label|agreement``: let people label results."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client import WaybillClient
    from waybill.client.models import Label

_VERDICTS = {"g": "good", "b": "bad", "u": "unsure"}
_SHOWN_MAX = 4000
Capability = Annotated[
    str | None, typer.Argument(metavar="CAPABILITY", help="Only jobs of this capability.", show_default=False)
]


def register(quality: typer.Typer) -> None:
    """Add the commands to `waybill quality`."""
    for command in (choose, label, agreement):
        quality.command(epilog=EPILOG)(command)


def choose(
    capability: Capability = None,
    how: Annotated[
        Literal["random", "uncertain"], typer.Option(help="Choose at random, or the most uncertain first.")
    ] = ("random"),
    job: Annotated[
        list[str] | None,
        typer.Option("--job", metavar="JOB_ID", show_default=False, help="Choose this job. Repeatable."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=500, help="Number of jobs to choose.")] = 20,
    days: Annotated[int, typer.Option(min=1, max=366, help="Choose from jobs that ended within this many days.")] = 7,
    labelers: Annotated[int, typer.Option(min=1, max=5, help="How many people label each job.")] = 1,
    model_version: Annotated[
        str | None, typer.Option(show_default="all", help="Only results of this model version: mver_….")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Queue jobs for people to label, and print their ids.

    Example: waybill quality choose knowledge.search --count 50 --labelers 2
    """
    output = Output(as_json=as_json)
    if (capability is None) != bool(job):
        raise CliError("name a capability, or name jobs with --job", exit_code=Exit.USAGE)
    with connect(url, api_key) as client:
        if job:
            chosen = client.quality.choose_jobs(how="named", job_ids=job, labels_wanted=labelers)
        else:
            chosen = client.quality.choose_jobs(
                capability, how=how, count=count, days=days, model_version=model_version, labels_wanted=labelers
            )
    if as_json:
        output.document({"job_ids": chosen})
        return
    for job_id in chosen:
        output.show(job_id)
    output.note(f"{len(chosen)} chosen; label them with: waybill quality label", style="dim")


def label(
    job_id: Annotated[
        str | None, typer.Argument(metavar="JOB", show_default="each of the queue", help="Label only this job: job_….")
    ] = None,
    verdict: Annotated[
        Literal["good", "bad", "unsure"] | None,
        typer.Option(show_default="asked for", help="Verdict on the result; requires JOB."),
    ] = None,
    expected: Annotated[
        str | None, typer.Option(metavar="JSON", show_default=False, help="The expected result.")
    ] = None,
    note: Annotated[str | None, typer.Option(show_default=False, help="A comment.")] = None,
    capability: Annotated[str | None, typer.Option(show_default="all", help="Only jobs of this capability.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Label results: shows each queued job and asks for good, bad or unsure.

    Example: waybill quality label job_01k… --verdict bad --note 'the deadline is ten days'
    """
    output = Output(as_json=as_json)
    if verdict is None and (expected is not None or note is not None):
        raise CliError("--expected and --note require --verdict", exit_code=Exit.USAGE)
    if verdict is not None and job_id is None:
        raise CliError("--verdict requires JOB", exit_code=Exit.USAGE)
    with connect(url, api_key) as client:
        if job_id is not None and verdict is not None:
            made = client.quality.label(job_id, verdict, expected=_parse(expected), note=note)
            _show(output, made)
            return
        _ask(output, client, job_id, capability)


def agreement(
    capability: Capability = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Number of days to look back.")] = 90,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show how far each pair of labelers agrees beyond chance (Cohen's kappa)."""
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.quality.agreement(capability=capability, days=days)
    if as_json:
        output.document({"data": [each.as_json() for each in found]})
        return
    if not found:
        output.note("no two people have labeled the same job; choose jobs with --labelers 2")
        return
    made = table("LABELERS", "JOBS", "AGREE", "KAPPA", "95 % INTERVAL")
    for each in found:
        kappa = "?" if each.kappa is None else f"{each.kappa:.2f}"
        bounds = "" if each.low is None or each.high is None else f"{each.low:.2f} to {each.high:.2f}"
        made.add_row(" ".join(each.labelers), str(each.jobs), f"{each.share:.0%}", kappa, bounds)
    output.show(made)


def _ask(output: Output, client: "WaybillClient", job_id: str | None, capability: str | None) -> None:
    """Show each job and ask for its label, until none is left or the answer is q."""
    if job_id is None:
        wanted = [each.job_id for each in client.quality.annotations(capability=capability, limit=200).data]
    else:
        client.quality.choose_jobs(how="named", job_ids=[job_id])
        wanted = [job_id]
    if not wanted:
        output.note("nothing to label; choose jobs with: waybill quality choose CAPABILITY")
    for number, each in enumerate(wanted, start=1):
        case = client.quality.annotation(each)
        output.show(f"{number} of {len(wanted)}: {each}  {case.capability}")
        for title, payload in (("input", case.input), ("result", case.result)):
            shown = json.dumps(payload, indent=2, ensure_ascii=False)
            more = f"\n… ({len(shown) - _SHOWN_MAX:,} more characters)" if len(shown) > _SHOWN_MAX else ""
            output.show(f"{title}: {shown[:_SHOWN_MAX]}{more}")
        answer = typer.prompt("good, bad, unsure, skip or quit (g/b/u/s/q)", default="s", err=True).strip().lower()[:1]
        if answer == "q":
            return
        if answer in _VERDICTS:
            note = typer.prompt("note", default="", show_default=False, err=True).strip()
            _show(output, client.quality.label(each, _VERDICTS[answer], note=note or None))


def _parse(expected: str | None) -> dict[str, Any] | None:
    if expected is None:
        return None
    try:
        value = json.loads(expected)
    except ValueError as error:
        raise CliError(f"--expected is not JSON: {error}", exit_code=Exit.USAGE) from error
    if not isinstance(value, dict):
        raise CliError("--expected must be a JSON object", exit_code=Exit.USAGE)
    return value


def _show(output: Output, made: "Label") -> None:
    if output.as_json:
        output.document(made.as_json())
    else:
        output.show(f"{made.job_id} {made.verdict}")

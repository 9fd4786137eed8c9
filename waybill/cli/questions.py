"""``waybill jobs questions|answer|tree``: questions that jobs ask people, and their child jobs."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.answer_examples import answer_command
from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.jobs import JobId
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client import WaybillClient


def register(jobs: typer.Typer) -> None:
    """Add the commands to `waybill jobs`."""
    for command in (questions, answer, tree):
        jobs.command(epilog=EPILOG)(command)


def questions(job_id: JobId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show the questions of a waiting job, with their details and the JSON Schema of the answer."""
    from waybill.cli.tables import moment

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        job = client.jobs.get(job_id)
    if as_json:
        output.document({"data": [question.as_json() for question in job.questions]})
        return
    if not job.questions:
        output.note(f"{job.id} has no open questions: it is {job.state}")
    for question in job.questions:
        due = f"until {moment(question.due_at)}" if question.due_at is not None else ""
        output.show(f"{question.key}: {question.question}")
        if question.approves is not None:
            output.show(f"  approves {question.approves}: not to be answered by the person who submitted the job")
        if question.details:
            output.show(f"  details {json.dumps(question.details)}")
        output.show(f"  schema  {json.dumps(question.answer_schema)}")
        output.note(f"  answer {due}: {answer_command(job.id, question)}", style="dim")


def answer(
    job_id: JobId,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="The answer, parsed as JSON if possible, else used as text.", show_default=False
        ),
    ],
    key: Annotated[
        str | None, typer.Option(metavar="KEY", show_default="the only open one", help="Key of the question.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Answer a waiting job, which then resumes. The first answer counts.

    Example: waybill jobs answer job_01k… '{"approved": true}'
    """
    from waybill.client.errors import InvalidRequest

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        try:
            job = client.jobs.answer(job_id, _read(value), key=key)
        except InvalidRequest as problem:
            is_of_value = any(field.path.startswith("body.value") for field in problem.fields)
            example = _example(client, job_id, key) if is_of_value else None
            if example is None:
                raise
            raise CliError(
                problem.detail,
                remedy=f"for example: {example}",
                code=problem.code,
                exit_code=Exit.REFUSED,
                fields=[{"path": field.path, "message": field.message} for field in problem.fields],
            ) from problem
    output.answer(job.as_json(), f"{job.id} resumed: it is {job.state}")


def tree(job_id: JobId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a job and its child jobs with their costs."""
    from waybill.cli.answers import money
    from waybill.cli.tables import tree_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.jobs.tree(job_id)
    if as_json:
        output.document(found.as_json())
        return
    output.show(tree_table(found.jobs))
    output.note(f"total {money(found.total_cost_usd, priced=found.total_priced)}", style="dim")


def _example(client: "WaybillClient", job_id: str, key: str | None) -> str | None:
    """The command that answers the question; None when the key may not read the job, or it is not clear which one."""
    from waybill.client.errors import ApiProblem

    try:
        asked = [each for each in client.jobs.get(job_id).questions if key in {None, each.key}]
    except ApiProblem:
        return None
    return answer_command(job_id, asked[0]) if len(asked) == 1 else None


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value

"""``waybill quality judge|prefer``: let a model label results, or choose the better of two."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client import WaybillClient
    from waybill.client.models import AnnotationCase, LineResult, Prompt

_CASES_MAX = 500
_NOTE_MAX = 2000
Model = Annotated[str, typer.Option(help="Model or alias to use as the judge.", show_default=False)]
Rubric = Annotated[str, typer.Option(help="Prompt with the grading criteria. Its version in force is used.")]
MaxCost = Annotated[
    str | None, typer.Option("--max-cost", metavar="USD", show_default=False, help="Maximum cost in total.")
]
MaxLineCost = Annotated[
    str | None, typer.Option("--max-line-cost", metavar="USD", show_default=False, help="Maximum cost per judgment.")
]


def register(quality: typer.Typer) -> None:
    """Add the commands to `waybill quality`."""
    for command in (judge, prefer):
        quality.command(epilog=EPILOG)(command)


def judge(
    capability: Annotated[
        str, typer.Argument(metavar="CAPABILITY", help="Only jobs of this capability.", show_default=False)
    ],
    model: Model,
    rubric: Rubric = "quality/judge",
    limit: Annotated[int, typer.Option(min=1, max=_CASES_MAX, help="Maximum number of jobs to judge.")] = 100,
    max_cost: MaxCost = None,
    max_line_cost: MaxLineCost = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Let a model label jobs of the queue that it has not labeled yet. Use a separate key with its own budget.

    Jobs that it cannot judge, because it is down or out of budget, are skipped. Other jobs are not affected.

    Example: waybill quality judge knowledge.search --model judge --max-cost 2 --max-line-cost 0.02
    """
    from waybill.regression.judge import point, verdict_of

    output = Output(as_json=as_json)
    counts: Counter[str] = Counter()
    with connect(url, api_key) as client:
        prompt = _rubric(client, rubric)
        cases = _unjudged(client, capability, limit)
        asked = {each.job_id: point(model, prompt.text, each.input or {}, each.result) for each in cases}
        answers = _ask(client, output, asked, max_cost, max_line_cost)
        for job_id in asked:
            answer = answers.get(job_id)
            said = verdict_of(None if answer is None else answer.result)
            if said is None:
                counts["no verdict"] += 1
                continue
            note = f"{prompt.name} {prompt.digest[:19]}: {said[1]}"[:_NOTE_MAX]
            client.quality.label(job_id, said[0], note=note, is_judge=True)
            counts[said[0]] += 1
    _report(
        output, dict(counts), f"{len(asked)} judged; compare with human labels: waybill quality agreement {capability}"
    )


def prefer(
    dataset: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="DATASET", help="A data set.", show_default=False)
    ],
    before: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, metavar="RUN", help="A run of the data set.", show_default=False),
    ],
    after: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="RUN", help="Another run of it.", show_default=False)
    ],
    model: Model,
    rubric: Rubric = "quality/judge",
    max_cost: MaxCost = None,
    max_line_cost: MaxLineCost = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Ask a model which of two runs has the better results.

    Each pair is judged in both orders; if the verdicts differ, it is a tie.

    Example: waybill quality prefer golden.jsonl champion.jsonl candidate.jsonl --model judge
    """
    from waybill.regression.files import FileProblem, read_cases, read_outcomes
    from waybill.regression.judge import better_of, pair

    output = Output(as_json=as_json)
    try:
        cases, first, second = read_cases(dataset), read_outcomes(before), read_outcomes(after)
    except FileProblem as problem:
        raise CliError(str(problem), exit_code=Exit.USAGE) from problem
    shown = [each for each in cases if each.custom_id in first and each.custom_id in second]
    pairs = [(each, first[each.custom_id].result, second[each.custom_id].result) for each in shown]
    differing = [(each, old, new) for each, old, new in pairs if old is not None and new is not None and old != new]
    if len(differing) > _CASES_MAX:
        raise CliError(f"{len(differing)} pairs are too many; at most {_CASES_MAX}", exit_code=Exit.USAGE)
    counts: Counter[str] = Counter({"identical": sum(old == new for _, old, new in pairs)})
    with connect(url, api_key) as client:
        prompt = _rubric(client, rubric)
        asked = {}
        for number, (each, old, new) in enumerate(differing):
            asked[f"{number}.forward"] = pair(model, prompt.text, each.input, old, new)
            asked[f"{number}.backward"] = pair(model, prompt.text, each.input, new, old)
        answers = _ask(client, output, asked, max_cost, max_line_cost)
    for number in range(len(differing)):
        ways = [answers.get(f"{number}.{way}") for way in ("forward", "backward")]
        found = better_of(*(None if way is None else way.result for way in ways))
        counts["no verdict" if found is None else found.value] += 1
    _report(output, dict(counts), f"{len(differing)} pairs, each in both orders")


def _rubric(client: "WaybillClient", name: str) -> "Prompt":
    found = next((each for each in client.prompts.list(name=name).data if each.in_force), None)
    if found is None:
        raise CliError(
            f"no version of the prompt {name} is in force",
            remedy=f"write the grading criteria to a file, then run: waybill prompts add {name} FILE --activate",
            exit_code=Exit.FAILED,
        )
    return found


def _unjudged(client: "WaybillClient", capability: str, limit: int) -> "list[AnnotationCase]":
    """Queued jobs with a payload that this key has not labeled yet."""
    page = client.quality.annotations(capability=capability, is_open=False, is_unlabeled=True, limit=min(limit, 200))
    found = [client.quality.annotation(each.job_id) for each in page.data]
    return [each for each in found if each.input is not None][:limit]


def _ask(
    client: "WaybillClient",
    output: Output,
    asked: dict[str, dict[str, Any]],
    max_cost: str | None,
    max_line_cost: str | None,
) -> "dict[str, LineResult]":
    if not asked:
        return {}
    batch = client.batches.create(
        [{"custom_id": name, "capability": "models.chat", "input": given} for name, given in asked.items()],
        priority="low",
        max_cost_usd=max_cost,
        max_line_cost_usd=max_line_cost,
        metadata={"quality": "judge"},
    )
    output.note(f"{batch.id}; Ctrl-C leaves it running", style="dim")
    client.batches.wait(batch.id)
    return {each.custom_id: each for each in client.batches.results(batch.id)}


def _report(output: Output, counts: dict[str, int], note: str) -> None:
    if output.as_json:
        output.document(counts)
        return
    for name, count in counts.items():
        if count:
            output.show(f"{name}: {count}")
    output.note(note, style="dim")

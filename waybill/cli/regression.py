"""``waybill quality dataset|run|diff|gate|gates``: run known cases again, compare, and block worse versions."""

import hashlib
from collections.abc import Iterator, Mapping
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
    from waybill.client.models import Label, LineResult
    from waybill.regression.files import Case, Outcome

_PAGE = 200
# As many lines as a batch takes in a request.
_CASES_MAX = 1000
DataSet = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="DATASET", help="A data set.", show_default=False)
]


def register(quality: typer.Typer) -> None:
    """Add the commands to `waybill quality`."""
    for command in (dataset, run, diff, gate, gates):
        quality.command(epilog=EPILOG)(command)


def dataset(
    capability: Annotated[str, typer.Argument(metavar="CAPABILITY", help="The capability.", show_default=False)],
    file: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="File to write.", show_default=False)],
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Create a data set from labeled jobs, with each input and the expected result.

    Omits jobs whose labels disagree or whose input was erased, and bad ones without an expected result.
    Inputs are written unchanged: store the file where such data is allowed.

    Example: waybill quality dataset knowledge.search --output golden.jsonl
    """
    from waybill.regression.files import write_lines

    output = Output()
    with connect(url, api_key) as client:
        written = write_lines(file, _labeled(client, capability))
    output.note(f"{written} cases; run them with: waybill quality run {file}")


def run(
    cases: DataSet,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", dir_okay=False, show_default=False, help="File to write the result of each case to."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(show_default="as in each case", help="Model or alias to use, for inputs with a model field."),
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option("--max-cost", metavar="USD", show_default=False, help="Maximum cost of the whole run.")
    ] = None,
    max_line_cost: Annotated[
        str | None,
        typer.Option("--max-line-cost", metavar="USD", show_default=False, help="Maximum cost of each case."),
    ] = None,
    min_share: Annotated[
        float,
        typer.Option("--min-share", min=0, max=1, help="Exit with 1 if a smaller share of the checked cases passes."),
    ] = 0.0,
    record: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Record the run for gates, under this data set name."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Run a data set as a low-priority batch, and check the results.

    Example: waybill quality run golden.jsonl --model candidate --output run.jsonl --min-share 0.9
    """
    from waybill.regression.files import write_lines

    output = Output(as_json=as_json)
    wanted = _read(cases)
    with connect(url, api_key) as client:
        batch_id, outcomes = _carry_out(client, output, wanted, model, max_cost, max_line_cost)
        if file is not None:
            write_lines(file, (_line(each) for each in outcomes))
        checked = [each for each in outcomes if each.passed is not None]
        passed = sum(bool(each.passed) for each in checked)
        if record is not None:
            digest = f"sha256:{hashlib.sha256(cases.read_bytes()).hexdigest()}"
            made = client.quality.record_run(
                batch_id, dataset=record, dataset_digest=digest, checked=len(checked), passed=passed
            )
            output.note(f"{made.id}: recorded for {made.model_version}", style="dim")
    share = passed / len(checked) if checked else None
    if as_json:
        output.document({"cases": len(outcomes), "checked": len(checked), "passed": passed, "share": share})
    else:
        for each in checked:
            if not each.passed:
                output.show(f"{each.custom_id}  {each.state}  {_words(each)}")
        output.show(f"{passed} of {len(checked)} checked cases passed; {len(outcomes)} in total")
    if share is None and min_share > 0:
        raise CliError("no case has an expected result, so nothing was checked", exit_code=Exit.FAILED)
    if share is not None and share < min_share:
        raise CliError(f"{share:.1%} of the cases passed, fewer than {min_share:.1%}", exit_code=Exit.FAILED)


def diff(
    before: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="RUN", help="The first run.", show_default=False)
    ],
    after: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="RUN", help="The second run.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Compare two runs of a data set, case by case. Exit code 1 if a case passed in the first but not in the second.

    Example: waybill quality diff champion.jsonl candidate.jsonl
    """
    from waybill.cli.tables import table
    from waybill.regression.files import FileProblem, read_outcomes

    output = Output(as_json=as_json)
    try:
        first, second = read_outcomes(before), read_outcomes(after)
    except FileProblem as problem:
        raise CliError(str(problem), exit_code=Exit.USAGE) from problem
    rows = [(name, first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second))]
    changed = [(name, _verdict(old), _verdict(new), new) for name, old, new in rows if _verdict(old) != _verdict(new)]
    same = sum(old is not None and new is not None and old.result == new.result for _, old, new in rows)
    lost = sum(old == "passed" and new != "passed" for _, old, new, _ in changed)
    gained = sum(new == "passed" for _, _, new, _ in changed)
    if as_json:
        output.document(
            {
                "cases": len(rows),
                "identical": same,
                "gained": gained,
                "lost": lost,
                "changed": [{"custom_id": name, "before": old, "after": new} for name, old, new, _ in changed],
            }
        )
    else:
        made = table("CASE", "BEFORE", "AFTER", "NOT AS EXPECTED")
        for name, old, new, outcome in changed:
            made.add_row(name, old, new, "" if outcome is None else _words(outcome))
        if changed:
            output.show(made)
        output.show(f"{len(rows)} cases: {same} identical, {gained} gained, {lost} lost")
    if lost:
        raise typer.Exit(Exit.FAILED)


def gate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's id: mdl_….", show_default=False)],
    dataset_name: Annotated[
        str | None,
        typer.Option(
            "--dataset", metavar="NAME", show_default=False, help="Data set name that runs are recorded under."
        ),
    ] = None,
    min_share: Annotated[
        float, typer.Option("--min-share", min=0, max=1, help="Share of checked cases that must pass.")
    ] = 0.9,
    min_cases: Annotated[int, typer.Option("--min-cases", min=1, help="Minimum number of checked cases.")] = 1,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the gate.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Require a good enough latest run before a version can be promoted. Rollbacks are never gated.

    Example: waybill quality gate mdl_01k… --dataset golden --min-share 0.9 --min-cases 50
    """
    output = Output(as_json=as_json)
    if remove == (dataset_name is not None):
        raise CliError("use --dataset NAME, or --remove", exit_code=Exit.USAGE)
    with connect(url, api_key) as client:
        if dataset_name is None:
            client.quality.remove_gate(model)
            output.note(f"{model} can promote any version again")
            return
        made = client.quality.set_gate(model, dataset=dataset_name, min_share=min_share, min_cases=min_cases)
    output.answer(
        made.as_json(), f"{made.model_id} can promote versions that pass {made.min_share:.0%} of {made.dataset}"
    )


def gates(url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """List the gates of the organization's models."""
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.quality.gates()
    if as_json:
        output.document({"data": [each.as_json() for each in found]})
        return
    if not found:
        output.note("no gates; set one with: waybill quality gate MODEL --dataset NAME")
        return
    made = table("MODEL", "DATASET", "MIN SHARE", "MIN CASES", "SET")
    for each in found:
        made.add_row(each.model_id, each.dataset, f"{each.min_share:.1%}", str(each.min_cases), moment(each.set_at))
    output.show(made)


def _labeled(client: "WaybillClient", capability: str) -> Iterator[Mapping[str, Any]]:
    cursor: str | None = None
    while True:
        page = client.quality.annotations(capability=capability, is_open=False, limit=_PAGE, cursor=cursor)
        for each in page.data:
            if each.labels:
                case = client.quality.annotation(each.job_id)
                found = _expected(client.quality.labels(each.job_id))
                if case.input is not None and found is not None:
                    expected, verdict = found
                    yield {
                        "custom_id": each.job_id,
                        "capability": each.capability,
                        "input": case.input,
                        "expected": expected,
                        "verdict": verdict,
                    }
        cursor = page.next_cursor
        if cursor is None:
            return


def _expected(labels: "list[Label]") -> tuple[dict[str, Any] | None, str] | None:
    """The latest expected result and the shared verdict; None if the case cannot be used."""
    people = [label for label in labels if not label.is_judge]
    verdicts = {label.verdict for label in people} - {"unsure"}
    if len(verdicts) != 1:
        return None
    verdict = verdicts.pop()
    expected = next((label.expected for label in reversed(people) if label.expected is not None), None)
    return None if verdict == "bad" and expected is None else (expected, verdict)


def _read(path: Path) -> "list[Case]":
    from waybill.regression.files import FileProblem, read_cases

    try:
        return read_cases(path)
    except FileProblem as problem:
        raise CliError(str(problem), exit_code=Exit.USAGE) from problem


def _carry_out(
    client: "WaybillClient",
    output: Output,
    cases: "list[Case]",
    model: str | None,
    max_cost: str | None,
    max_line_cost: str | None,
) -> "tuple[str, list[Outcome]]":
    if len(cases) > _CASES_MAX:
        raise CliError(f"{len(cases):,} cases are too many for one run; at most {_CASES_MAX:,}", exit_code=Exit.USAGE)
    lines = [
        {
            "custom_id": case.custom_id,
            "capability": case.capability,
            "input": case.input if model is None else {**case.input, "model": model},
        }
        for case in cases
    ]
    batch = client.batches.create(
        lines,
        priority="low",
        max_cost_usd=max_cost,
        max_line_cost_usd=max_line_cost,
        metadata={"quality_run": model or "as is"},
    )
    output.note(f"{batch.id}; Ctrl-C leaves it running", style="dim")
    client.batches.wait(batch.id)
    by_name = {each.custom_id: each for each in client.batches.results(batch.id)}
    return batch.id, [_outcome(case, by_name.get(case.custom_id)) for case in cases]


def _outcome(case: "Case", line: "LineResult | None") -> "Outcome":
    from waybill.regression.files import Outcome
    from waybill.regression.matching import mismatches

    state = "missing" if line is None else line.status
    result = None if line is None else line.result
    wrong = list(mismatches(case.expected or {}, result)) if state == "succeeded" else []
    passed = None if state == "succeeded" and case.expected is None else state == "succeeded" and not wrong
    return Outcome(
        case.custom_id,
        state,
        passed,
        [{"path": each.path, "expected": each.expected, "found": each.found} for each in wrong],
        result,
        None if line is None else line.job_id,
        None if line is None or line.cost_usd is None else str(line.cost_usd),
    )


def _line(each: "Outcome") -> dict[str, Any]:
    return {
        "custom_id": each.custom_id,
        "state": each.state,
        "passed": each.passed,
        "mismatches": list(each.mismatches),
        "result": each.result,
        "job_id": each.job_id,
        "cost_usd": each.cost_usd,
    }


def _verdict(each: "Outcome | None") -> str:
    if each is None:
        return "absent"
    if each.passed is None:
        return each.state
    return "passed" if each.passed else "failed"


def _words(each: "Outcome") -> str:
    return ", ".join(str(wrong["path"]) for wrong in each.mismatches) or each.state

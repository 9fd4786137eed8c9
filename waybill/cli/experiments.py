"""``waybill experiments``: compare versions on real jobs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from rich.table import Table

    from waybill.client.models import Experiment, Results, ShadowResults

app = typer.Typer(no_args_is_help=True, help="Compare versions on real jobs.", epilog=EPILOG)

ExperimentId = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="The experiment's id: exp_….", show_default=False)
]
Why = Annotated[str | None, typer.Option("--reason", show_default=False, help="Reason, recorded in the audit trail.")]
_TERMINAL = "terminal"


@app.command(epilog=EPILOG)
def create(
    definition: Annotated[
        str, typer.Argument(metavar="DEFINITION", help="JSON, @FILE, or - for stdin.", show_default=False)
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a draft experiment from a JSON definition and print its id.

    Example: waybill experiments create @shorter-answers.json
    """
    from waybill.cli.jobs import read_input

    output = Output(as_json=as_json)
    body = read_input(definition, [])
    with connect(url, api_key) as client:
        made = client.experiments.create(body)
    if as_json:
        output.document(made.as_json())
        return
    output.show(made.id)
    plan = made.plan
    output.note(
        f"needs {plan.units_control:,} units of the control and {plan.units_treatment:,} of each treatment; start it"
        f" with: waybill experiments start {made.id}",
        style="dim",
    )


@app.command("list", epilog=EPILOG)
def list_experiments(
    state: Annotated[
        str | None, typer.Option(show_default=False, help="Only experiments in this state, such as running.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the organization's experiments, newest first."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.experiments.list(state=state, limit=limit, cursor=cursor)
    output.page(page, _table, "no experiments; create one with: waybill experiments create @FILE")


@app.command(epilog=EPILOG)
def show(experiment: ExperimentId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show an experiment and its arms."""
    with connect(url, api_key) as client:
        found = client.experiments.get(experiment)
    _answer(as_json, found)


@app.command(epilog=EPILOG)
def start(experiment: ExperimentId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Start an experiment, or resume it after a pause."""
    with connect(url, api_key) as client:
        changed = client.experiments.start(experiment)
    _answer(as_json, changed)


@app.command(epilog=EPILOG)
def pause(
    experiment: ExperimentId, reason: Why = None, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """Pause an experiment: no more units are assigned until it is started again."""
    with connect(url, api_key) as client:
        changed = client.experiments.pause(experiment, reason)
    _answer(as_json, changed)


@app.command(epilog=EPILOG)
def stop(
    experiment: ExperimentId, reason: Why = None, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """Stop an experiment permanently."""
    with connect(url, api_key) as client:
        changed = client.experiments.stop(experiment, reason)
    _answer(as_json, changed)


@app.command(epilog=EPILOG)
def promote(
    experiment: ExperimentId,
    arm: Annotated[str, typer.Argument(metavar="ARM", help="The arm's name.", show_default=False)],
    reason: Why = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Promote one arm to all units, until the experiment is stopped."""
    with connect(url, api_key) as client:
        changed = client.experiments.promote(experiment, arm, reason)
    _answer(as_json, changed)


@app.command(epilog=EPILOG)
def rollback(
    experiment: ExperimentId, reason: Why = None, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """Roll back to the control. No job gets a treatment any more."""
    with connect(url, api_key) as client:
        changed = client.experiments.rollback(experiment, reason)
    _answer(as_json, changed)


@app.command(epilog=EPILOG)
def weights(
    experiment: ExperimentId,
    weight: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARM=WEIGHT…", help="New weights of all arms, which add up to 1.", show_default=False),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(min=0, max=1, show_default=False, help="Share of the treatments' weights to apply: 0.25."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Ramp an experiment or change its weights. Units already assigned keep their arm.

    Example: waybill experiments weights exp_01jd3q8v9tfq8a1b2c3d4e5f6g --share 0.25
    """
    if not weight and share is None:
        raise typer.BadParameter("nothing to change; use --share, or ARM=WEIGHT for every arm")
    with connect(url, api_key) as client:
        changed = client.experiments.set_weights(experiment, share=share, weights=_weights(weight or []) or None)
    _answer(as_json, changed)


@app.command(epilog=EPILOG)
def results(
    experiment: ExperimentId,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar=f"{_TERMINAL}|FILE.svg", show_default=False, help="Plot the intervals in the terminal or to a file."
        ),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show an experiment's results so far. The intervals stay valid however often you look."""
    output = Output(as_json=as_json)
    if plot is not None and plot != _TERMINAL and not plot.endswith(".svg"):
        raise typer.BadParameter(f"{_TERMINAL}, or a file name ending in .svg", param_hint="--plot")
    with connect(url, api_key) as client:
        found = client.experiments.results(experiment)
    if as_json:
        output.document(found.as_json())
    else:
        _report(output, found)
    if plot == _TERMINAL:
        from waybill.cli.experiment_plot import lines

        output.write("\n" + "".join(f"{line.rstrip()}\n" for line in lines(found)))
    elif plot is not None:
        from waybill.cli.experiment_plot import svg

        Path(plot).write_text(svg(found), encoding="utf-8")
        output.note(f"wrote {plot}")


def _weights(given: list[str]) -> dict[str, float]:
    found = {}
    for each in given:
        name, separator, value = each.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            separator = ""
        if not separator or not name:
            raise typer.BadParameter(f"expected ARM=WEIGHT, got {each!r}", param_hint="ARM=WEIGHT")
    return found


def _answer(as_json: bool, experiment: "Experiment") -> None:
    from waybill.cli.tables import table

    made = table("ARM", "KIND", "WEIGHT", "NOW", "MODEL VERSION", "PROMPT")
    for arm in experiment.arms:
        model = f"{arm.model} = {arm.model_version_id}" if arm.model else ""
        prompt = f"{arm.prompt} = {(arm.prompt_digest or '')[:12]}" if arm.prompt else ""
        made.add_row(arm.name, arm.kind, f"{arm.weight:g}", f"{arm.weight_now:g}", model, prompt)
    Output(as_json=as_json).answer(experiment.as_json(), _table([experiment]), "", made)


def _table(experiments: "list[Experiment]") -> "Table":
    from waybill.cli.tables import moment, table

    made = table("EXPERIMENT", "NAME", "CAPABILITY", "UNIT", "STATE", "STARTED", "REASON")
    for each in experiments:
        state = f"{each.state} ({each.promoted_arm})" if each.promoted_arm else each.state
        made.add_row(each.id, each.name, each.capability, each.unit, state, moment(each.started_at), each.reason or "")
    return made


def _report(output: Output, found: "Results") -> None:
    from waybill.cli.experiment_plot import words
    from waybill.cli.tables import table

    progress = found.progress
    output.show(
        f"{found.name} is {found.state}: {progress.units:,} of {progress.units_planned:,} planned units"
        f" ({progress.share:.0%}); intervals at {1 - found.alpha:.0%}, valid at every look"
    )
    if found.sample_ratio.is_mismatched:
        output.show(
            f"SAMPLE RATIO MISMATCH (p = {found.sample_ratio.p_value:.2g}): the arms did not get the units that their"
            " weights promise. Find out where units were lost before you read on."
        )
    made = table("ARM", "UNITS", "JOBS", "OPEN", "SUCCESS", "QUALITY", "COST USD", "LATENCY s", "P95 s")
    for arm in found.arms:
        means = (words(arm.means[name]) for name in ("success", "quality", "cost", "latency"))
        made.add_row(arm.arm, f"{arm.units:,}", f"{arm.jobs:,}", f"{arm.open:,}", *means, words(arm.latency_p95))
    output.show("", made)
    compared = table("AGAINST THE CONTROL", "SUCCESS", "p", "QUALITY", "COST USD", "LATENCY s", "VERDICT")
    for each in found.comparisons:
        success, *rest = (each.differences[name] for name in ("success", "quality", "cost", "latency"))
        compared.add_row(
            each.arm, words(success), f"{success.p_value:.2g}", *(words(other) for other in rest), each.verdict
        )
    output.show("", compared)
    if found.shadows:
        _report_shadows(output, found.shadows)


def _report_shadows(output: Output, shadows: "list[ShadowResults]") -> None:
    from waybill.cli.experiment_plot import words
    from waybill.cli.tables import table

    differences = ("COST USD (-)", "LATENCY s (-)")
    made = table("SHADOW", "JOBS", "WAITING", "DROPPED", "SUCCESS", "SAME ANSWER", *differences, "SPENT USD")
    for each in shadows:
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in sorted(each.dropped.items()))
        made.add_row(
            each.arm,
            f"{each.sampled:,}",
            f"{each.due + each.open:,}",
            dropped or "0",
            words(each.success),
            words(each.identical),
            words(each.cost.difference),
            words(each.latency.difference),
            f"{each.spent_usd:.4g}",
        )
    output.show("", made)
    output.show("(-): the shadow arm minus the arm shown, over the same inputs")

"""The ``waybill`` command tree. Heavy imports happen inside the commands that need them."""

from typing import Annotated

import typer

from waybill.cli import (
    artifacts,
    audit,
    backtests,
    backups,
    batches,
    budgets,
    capabilities,
    capacity,
    costs,
    events,
    experiments,
    files,
    guard,
    jobs,
    judge,
    keys,
    knowledge,
    labels,
    limits,
    logs,
    members,
    models,
    organizations,
    prices,
    projects,
    prompts,
    quality,
    questions,
    quotes,
    receipts,
    regression,
    retention,
    roles,
    sample_system,
    smoke,
    stack,
    tools,
    top,
    webhooks,
)
from waybill.cli.exits import EPILOG, EPILOG_ROOT
from waybill.cli.failures import WaybillGroup

_USE = "Use Waybill"
_MEASURE = "Measure"
_PART = "Run one process (for containers and service units)"

app = typer.Typer(
    name="waybill",
    cls=WaybillGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG_ROOT,
)

stack.register(app)
logs.register(app, rich_help_panel=stack.PANEL)
app.add_typer(jobs.app, name="jobs", rich_help_panel=_USE)
app.add_typer(batches.app, name="batches", rich_help_panel=_USE)
app.add_typer(events.app, name="events", rich_help_panel=_USE)
app.add_typer(knowledge.app, name="kb", rich_help_panel=_USE)
app.add_typer(capabilities.app, name="capabilities", rich_help_panel=_USE)
app.add_typer(budgets.app, name="budgets", rich_help_panel=_USE)
app.add_typer(files.app, name="files", rich_help_panel=_USE)
app.add_typer(limits.app, name="limits", rich_help_panel=_USE)
app.add_typer(retention.app, name="retention", rich_help_panel=_USE)
app.add_typer(guard.app, name="guard", rich_help_panel=_USE)
app.add_typer(costs.app, name="costs", rich_help_panel=_USE)
app.add_typer(backtests.app, name="backtest", rich_help_panel=_USE)
app.add_typer(prices.app, name="prices", rich_help_panel=_USE)
app.add_typer(models.app, name="models", rich_help_panel=_USE)
app.add_typer(prompts.app, name="prompts", rich_help_panel=_USE)
app.add_typer(experiments.app, name="experiments", rich_help_panel=_USE)
app.add_typer(quality.app, name="quality", rich_help_panel=_USE)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=_USE)
app.add_typer(keys.app, name="keys", rich_help_panel=_USE)
app.add_typer(organizations.app, name="organizations", rich_help_panel=_USE)
app.add_typer(projects.app, name="projects", rich_help_panel=_USE)
app.add_typer(members.app, name="members", rich_help_panel=_USE)
app.add_typer(audit.app, name="audit", rich_help_panel=_USE)
app.add_typer(tools.app, name="tools", rich_help_panel=_USE)
app.add_typer(guard.app, name="guard", rich_help_panel=_PART)
questions.register(jobs.app)
labels.register(quality.app)
regression.register(quality.app)
judge.register(quality.app)
artifacts.register(jobs.app)
receipts.register(app, jobs.app, rich_help_panel=_USE)
quotes.register(app, rich_help_panel=_USE)
top.register(app, rich_help_panel=_USE)
smoke.register(app, rich_help_panel=_USE)
backups.register(app)
roles.register(app)
sample_system.register(app)
capacity.register(app, rich_help_panel=_MEASURE)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"waybill {installed('waybill')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Waybill runs AI capabilities as durable jobs: submit over HTTP, watch live, and get a verifiable answer.

    New here? Run `waybill demo` for a one-minute tour with sample documents. Run `waybill up` to start a local stack.
    """


@app.command(
    rich_help_panel=_MEASURE,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog=EPILOG,
)
def evals(context: typer.Context) -> None:
    """Measure quality on a data set, for example: waybill evals retrieval --data DIR. See waybill evals --help."""
    # The evaluation code needs numpy and a model runtime; import it only when it is used.
    from waybill.evals import app as measuring

    measuring(args=context.args, prog_name="waybill evals")

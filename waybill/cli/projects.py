"""``waybill projects``: manage the organization's projects. Every command calls the API."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, ClassName, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.client.models import Project

app = typer.Typer(no_args_is_help=True, help="Manage the organization's projects.", epilog=EPILOG)

ProjectId = Annotated[
    str, typer.Argument(metavar="PROJECT_ID", help="The project's id, for example prj_01k….", show_default=False)
]
CostCentre = Annotated[
    str | None,
    typer.Option("--cost-centre", show_default=False, help="Cost center that the project's costs are charged to."),
]
Owner = Annotated[
    str | None, typer.Option("--owner", show_default=False, help="Person or team responsible for the project.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="NAME=VALUE", show_default=False, help="A custom label. Repeatable."),
]

LeastClass = Annotated[
    ClassName | None, typer.Option("--data-class", show_default=False, help="Minimum data class of the project's jobs.")
]


@app.command(epilog=EPILOG)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, unique in the organization.", show_default=False)],
    cost_centre: CostCentre = None,
    owner: Owner = None,
    label: Labels = None,
    data_class: LeastClass = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a project and print its id."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        made = client.projects.create(
            name, cost_centre=cost_centre, owner=owner, labels=_labels(label), data_class=data_class
        )
    if as_json:
        output.document(made.as_json())
        return
    output.show(made.id)
    output.note(f"create a key for it: waybill keys issue --project {made.id} --name …", style="dim")


@app.command("list", epilog=EPILOG)
def list_projects(
    archived: Annotated[bool, typer.Option("--archived", help="Include archived ones.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the organization's projects, newest first."""
    from waybill.cli.tables import projects_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.projects.list(archived=archived, limit=limit, cursor=cursor)
    output.page(page, projects_table)


@app.command(epilog=EPILOG)
def get(project_id: ProjectId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a project and its labels."""
    with connect(url, api_key) as client:
        _print(client.projects.get(project_id), Output(as_json=as_json))


@app.command(epilog=EPILOG)
def update(
    project_id: ProjectId,
    name: Annotated[str | None, typer.Option(show_default=False, help="New name.")] = None,
    cost_centre: CostCentre = None,
    owner: Owner = None,
    label: Labels = None,
    data_class: LeastClass = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Change a project. Options that you omit stay unchanged.

    An empty --cost-centre or --owner clears it; labels are replaced.
    """
    changes: dict[str, Any] = {"name": name, "labels": _labels(label), "data_class": data_class}
    changes = {field: value for field, value in changes.items() if value is not None}
    changes |= {
        field: value or None for field, value in (("cost_centre", cost_centre), ("owner", owner)) if value is not None
    }
    if not changes:
        raise CliError("nothing to change", remedy="see --help", code="no_change", exit_code=Exit.USAGE)
    with connect(url, api_key) as client:
        _print(client.projects.update(project_id, changes), Output(as_json=as_json))


@app.command(epilog=EPILOG)
def archive(project_id: ProjectId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Archive a project, which makes it read-only. Accepted jobs still run."""
    with connect(url, api_key) as client:
        _print(client.projects.archive(project_id), Output(as_json=as_json))


@app.command(epilog=EPILOG)
def restore(project_id: ProjectId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Restore an archived project."""
    with connect(url, api_key) as client:
        _print(client.projects.restore(project_id), Output(as_json=as_json))


def _labels(given: list[str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    pairs = [text.partition("=") for text in given]
    for text, (name, separator, _) in zip(given, pairs, strict=True):
        if not separator or not name:
            raise CliError(f"--label takes NAME=VALUE, not {text!r}", code="bad_pair", exit_code=Exit.USAGE)
    return {name: value for name, _, value in pairs}


def _print(project: "Project", output: Output) -> None:
    from waybill.cli.tables import projects_table

    if output.as_json:
        output.document(project.as_json())
    else:
        output.show(projects_table([project]))

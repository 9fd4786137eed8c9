"""``waybill models``: manage models, their versions and aliases."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output
from waybill.cli.shared_models import Registry, registry

if TYPE_CHECKING:
    from rich.table import Table

    from waybill.client.models import Model
    from waybill.client.sync.registry import Models

app = typer.Typer(no_args_is_help=True, help="Manage models, their versions and aliases.", epilog=EPILOG)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.", show_default=False)]
Number = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version's number.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Reason, recorded in the history.", show_default=False)]
Shared = Annotated[bool, typer.Option("--shared", help="Apply to shared models. Accesses the database directly.")]


@app.command("list", epilog=EPILOG)
def list_models(
    limit: Limit = 50, cursor: Cursor = None, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """List the organization's models and the shared ones, newest first."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.models.list(limit=limit, cursor=cursor)
    output.page(page, _models_table)


@app.command(epilog=EPILOG)
def show(model: Name, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a model and its versions, newest first."""
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = _find(client.models, model)
        versions = client.models.versions(found.id, limit=200).data
    if as_json:
        output.document({**found.as_json(), "versions": [each.as_json() for each in versions]})
        return
    output.show(_models_table([found]))
    made = table("VERSION", "STAGE", "DEPLOYMENT", "MODEL THERE", "WINDOW", "CEILING", "PRICED")
    for each in versions:
        window = "" if each.context_window is None else f"{each.context_window:,}"
        priced = "yes" if each.priced else "no"
        made.add_row(
            str(each.version), each.stage, each.deployment, each.provider_model, window, each.data_class_ceiling, priced
        )
    output.show(made)


@app.command(epilog=EPILOG)
def create(
    name: Name,
    description: Annotated[str, typer.Option(help="What the model is for.")] = "",
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Create a model and print its id. It cannot be called until a version is added and promoted."""
    output = Output(as_json=as_json)
    with registry(url, api_key, shared=shared) as models:
        made = models.create(name, description)
    output.answer(made.as_json(), made.id)


@app.command("add-version", epilog=EPILOG)
def add_version(
    model: Name,
    deployment: Annotated[str, typer.Option(help="Deployment that serves it; see `waybill models deployments`.")],
    provider_model: Annotated[str, typer.Option("--model", help="The model's name at that deployment.")],
    context_window: Annotated[int, typer.Option(min=1, help="Maximum tokens of one call, input and output together.")],
    max_output_tokens: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Maximum output tokens.")
    ] = None,
    ability: Annotated[
        list[str] | None,
        typer.Option(show_default=False, help="streams, writes, tools, json_schema, vision, and so on. Repeatable."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=JSON",
            show_default=False,
            help="Parameter sent with every call, such as temperature=0.2. Repeatable.",
        ),
    ] = None,
    ceiling: Annotated[
        Literal["public", "internal", "confidential", "restricted"] | None,
        typer.Option(show_default="internal", help="The highest data class it may receive."),
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(show_default="the deployment's", help="Region of the model. Repeatable.")
    ] = None,
    price_provider: Annotated[str | None, typer.Option(show_default=False, help="Provider whose prices apply.")] = None,
    price_model: Annotated[
        str | None, typer.Option(show_default=False, help="The model's name in the price list.")
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIGEST", show_default=False, help="Prompt to use with this version. Repeatable."),
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(show_default=False, help="Model to fall back to when this one fails. Repeatable, in order."),
    ] = None,
    promote_because: Annotated[
        str | None,
        typer.Option(
            "--promote", metavar="REASON", show_default=False, help="Promote the version immediately, for this reason."
        ),
    ] = None,
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Add an immutable version and print its number.

    Example: waybill models add-version writer --deployment sweden --model gpt-4o --context-window 128000
    """
    given: dict[str, Any] = {
        "max_output_tokens": max_output_tokens,
        "abilities": ability or None,
        "parameters": {name: _json(value, name) for name, value in _pairs(parameter, "--parameter")} or None,
        "data_class_ceiling": ceiling,
        "regions": region or None,
        "price_provider": price_provider,
        "price_model": price_model,
        "prompt_set": dict(_pairs(prompt, "--prompt")) or None,
        "fallbacks": fallback or None,
    }
    required = {"deployment": deployment, "provider_model": provider_model, "context_window": context_window}
    body = required | {name: value for name, value in given.items() if value is not None}
    output = Output(as_json=as_json)
    with registry(url, api_key, shared=shared) as models:
        found = _find(models, model)
        made = models.add_version(found.id, body)
        if promote_because is not None:
            models.promote(found.id, made.version, promote_because)
    if as_json:
        output.document(made.as_json())
    else:
        output.show(str(made.version))
    if not made.priced:
        output.note(
            f"no price is known for {made.as_json().get('price_provider')}/{made.as_json().get('price_model')}: calls"
            " are metered but not priced; see `waybill prices set`",
            style="yellow",
        )


@app.command(epilog=EPILOG)
def promote(
    model: Name,
    version: Number,
    reason: Reason,
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion, which serves the model's name. Takes effect within two seconds."""
    output = Output(as_json=as_json)
    with registry(url, api_key, shared=shared) as models:
        changed = models.promote(_find(models, model).id, version, reason)
    _answer_model(output, changed)


@app.command(epilog=EPILOG)
def rollback(
    model: Name,
    reason: Reason,
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Roll back to the previous champion. Run it again to go back further."""
    output = Output(as_json=as_json)
    with registry(url, api_key, shared=shared) as models:
        found = _find(models, model)
        # Send the champion seen here, so that a concurrent rollback is not repeated.
        changed = models.rollback(found.id, reason, champion=found.champion)
    _answer_model(output, changed)


@app.command(epilog=EPILOG)
def retire(
    model: Name,
    version: Number,
    reason: Reason,
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Retire a version, so that it serves no more calls."""
    output = Output(as_json=as_json)
    with registry(url, api_key, shared=shared) as models:
        changed = models.retire(_find(models, model).id, version, reason)
    output.answer(changed.as_json(), f"version {changed.version} is {changed.stage}")


@app.command(epilog=EPILOG)
def restore(
    model: Name,
    version: Number,
    reason: Reason,
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Make a retired version a candidate again."""
    output = Output(as_json=as_json)
    with registry(url, api_key, shared=shared) as models:
        changed = models.restore(_find(models, model).id, version, reason)
    output.answer(changed.as_json(), f"version {changed.version} is {changed.stage}")


@app.command(epilog=EPILOG)
def history(
    model: Name,
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show which versions were promoted, by whom, when and why, newest first."""
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.models.history(_find(client.models, model).id, limit=limit, cursor=cursor)
    if as_json:
        output.document(page.as_json())
        return
    made = table("WHEN", "VERSION", "WHAT", "STAGE", "WHO", "REASON")
    for each in page.data:
        who = each.actor_id or each.actor_kind
        made.add_row(moment(each.changed_at), str(each.version), each.cause, each.stage, who, each.reason)
    output.show(made)
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def resolve(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model or an alias.", show_default=False)],
    capability: Annotated[str, typer.Option(show_default=False, help="Resolve for this capability.")] = "",
    project: Annotated[
        str | None, typer.Option(show_default="the key's", help="Resolve in this project: prj_….")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show which version a name resolves to, and why."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.models.resolve(name, capability=capability, project_id=project)
    version = "" if found.version is None else f" version {found.version}"
    output.answer(found.as_json(), f"{found.model}{version} at {found.deployment} ({found.because})")


@app.command(epilog=EPILOG)
def deployments(url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """List the deployments that the operator has configured."""
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.models.deployments()
    if as_json:
        output.document({"data": [each.as_json() for each in found]})
        return
    made = table("DEPLOYMENT", "PROVIDER", "REGION", "CEILING")
    for each in found:
        made.add_row(each.name, each.provider, each.region or "", each.data_class_ceiling)
    output.show(made)


@app.command(epilog=EPILOG)
def aliases(
    limit: Limit = 50, cursor: Cursor = None, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """List the organization's aliases and the shared ones."""
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.aliases.list(limit=limit, cursor=cursor)
    if as_json:
        output.document(page.as_json())
        return
    made = table("ALIAS ID", "ALIAS", "MODEL", "VERSION", "PROJECT", "CAPABILITY", "FOR")
    for each in page.data:
        pinned = "champion" if each.version is None else str(each.version)
        made.add_row(
            each.id, each.alias, each.model, pinned, each.project_id or "", each.capability or "", each.applies_to
        )
    output.show(made)
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def alias(
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="The alias.", show_default=False)],
    model: Name,
    version: Annotated[
        int | None, typer.Option(min=1, show_default="the champion", help="Pin to this version.")
    ] = None,
    project: Annotated[str | None, typer.Option(show_default=False, help="Only in this project: prj_….")] = None,
    capability: Annotated[str | None, typer.Option(show_default=False, help="Only for this capability.")] = None,
    shared: Shared = False,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Point an alias at a model, for the organization, a project or one capability.

    Example: waybill models alias default writer --capability knowledge.search
    """
    if shared and (project or capability):
        raise typer.BadParameter("shared aliases apply everywhere", param_hint="--shared")
    output = Output(as_json=as_json)
    if shared:
        with registry(url, api_key, shared=True) as models:
            made = models.set_alias(name, model, version)
    else:
        with connect(url, api_key) as client:
            made = client.aliases.set(name, model, version=version, project_id=project, capability=capability)
    output.answer(made.as_json(), made.id)


@app.command(epilog=EPILOG)
def unalias(
    alias_id: Annotated[str, typer.Argument(metavar="ALIAS_ID", help="The alias's id: als_….", show_default=False)],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Remove an alias and show its last target."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        removed = client.aliases.remove(alias_id)
    output.answer(removed.as_json(), f"{removed.alias} was {removed.model}")


def _find(models: "Registry | Models", name: str) -> "Model":
    found = models.find(name)
    if found is None:
        raise CliError(
            f"no model named {name}",
            remedy="see `waybill models list`, or create it with `waybill models create`",
            code="model_not_found",
            exit_code=Exit.FAILED,
        )
    return found


def _pairs(given: list[str] | None, option: str) -> list[tuple[str, str]]:
    found = []
    for each in given or ():
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"expected NAME=VALUE, got {each}", param_hint=option)
        found.append((name, value))
    return found


def _json(value: str, name: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        # Words need no quotes on a command line: reasoning_effort=low.
        if value.isalnum():
            return value
        raise typer.BadParameter(f"{name} is not JSON", param_hint="--parameter") from None


def _answer_model(output: Output, model: "Model") -> None:
    output.answer(model.as_json(), f"{model.name}: version {model.champion} is the champion")


def _models_table(models: "list[Model]") -> "Table":
    from waybill.cli.tables import table

    made = table("MODEL", "NAME", "CHAMPION", "VERSIONS", "FOR", "DESCRIPTION")
    for each in models:
        champion = "none" if each.champion is None else str(each.champion)
        made.add_row(each.id, each.name, champion, str(each.version_count), each.applies_to, each.description)
    return made

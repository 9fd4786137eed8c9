"""``waybill guard policy``, ``test`` and ``erase``: manage and test guard policies, and erase values."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from rich.text import Text

    from waybill.client.models import GuardFinding, GuardPolicy, GuardScreening

policy_app = typer.Typer(
    no_args_is_help=True, help="Manage guard policies of the organization and its projects.", epilog=EPILOG
)

_STYLES = {"detect": "yellow", "redact": "magenta", "block": "bold red"}
_RANKS = ("off", "detect", "redact", "block")


class Template(StrEnum):
    """The policies that come with Waybill; a test compares them with the API's."""

    OFF = "off"
    OBSERVE = "observe"
    BALANCED = "balanced"
    STRICT = "strict"


class Direction(StrEnum):
    """The directions; a test compares them with the API's."""

    TO_MODEL = "to_model"
    TO_TOOL = "to_tool"
    TO_CLIENT = "to_client"


class Source(StrEnum):
    """Where a text comes from; a test compares them with the API's."""

    INPUT = "input"
    DOCUMENT = "document"
    TOOL_OUTPUT = "tool_output"
    MODEL_OUTPUT = "model_output"
    CHILD_RESULT = "child_result"
    REMOTE = "remote"


Project = Annotated[
    str | None, typer.Option(show_default=False, help="Policy of this project: prj_…. Defaults to the organization's.")
]


@policy_app.command(epilog=EPILOG)
def show(
    project: Project = None,
    version: Annotated[int | None, typer.Option(min=1, show_default=False, help="Show an earlier version.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show the policy in force as JSON, as `waybill guard policy set` accepts it. Details go to stderr."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.guard.policy(project_id=project, version=version)
    if as_json:
        output.document(found.as_json())
        return
    output.show(json.dumps(found.as_json()["policy"], indent=2, ensure_ascii=False))
    output.note(_about(found), style="dim")


@policy_app.command("set", epilog=EPILOG)
def set_policy(
    policy: Annotated[
        str,
        typer.Argument(metavar="TEMPLATE|FILE", help="off, observe, balanced or strict; a JSON file; or - for stdin."),
    ],
    project: Project = None,
    version: Annotated[
        int | None,
        typer.Option(min=0, show_default=False, help="Replace the policy only if this is its current version."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Set the guard policy: a template, or your own document. Takes effect within two seconds.

    Example: waybill guard policy set balanced
    """
    output = Output(as_json=as_json)
    document = None if policy in list(Template) else _document(policy)
    with connect(url, api_key) as client:
        if document is None:
            made = client.guard.use_template(policy, project_id=project, version=version)
        else:
            made = client.guard.put(document, project_id=project, version=version)
    output.answer(made.as_json(), _about(made))


@policy_app.command(epilog=EPILOG)
def templates(url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """List the built-in policies with their rules."""
    from waybill.cli.tables import table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.guard.templates()
    if as_json:
        output.document({"data": [each.as_json() for each in found]})
        return
    made = table("TEMPLATE", "ACTION", "KINDS", "DIRECTIONS", "SOURCES")
    for template in found:
        for rule in template.policy["rules"] or [{"action": "off"}]:
            lists = (", ".join(rule.get(name) or ["all"]) for name in ("kinds", "directions", "sources"))
            made.add_row(template.name, rule["action"], *lists)
    output.show(made)


def register(app: typer.Typer) -> None:
    """Add the commands to ``waybill guard``."""
    app.add_typer(policy_app, name="policy")
    app.command("test", epilog=EPILOG)(try_text)
    app.command(epilog=EPILOG)(erase)


def erase(
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The whole value, or - to read it from stdin.")],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Permanently make the pseudonyms of a value unreadable in all jobs.

    Example: waybill guard erase "Anna Schmidt"
    """
    output = Output(as_json=as_json)
    given = sys.stdin.read().strip() if value == "-" else value
    with connect(url, api_key) as client:
        erased = client.guard.erase(given)
    output.answer({"erased_pseudonyms": erased}, f"erased {erased} pseudonyms")


def try_text(
    text: Annotated[
        str, typer.Argument(metavar="TEXT|FILE", help="A text, a text file, or - for stdin.", show_default=False)
    ],
    direction: Annotated[Direction, typer.Option(help="Direction in which the text moves.")] = Direction.TO_MODEL,
    source: Annotated[Source, typer.Option(help="Source of the text.")] = Source.INPUT,
    template: Annotated[
        Template | None, typer.Option(show_default=False, help="Test this template instead of the policy in force.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, show_default=False, help="Test this JSON file instead of the policy in force."
        ),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show what the guard finds in a text and what the policy would do. Nothing is stored.

    Example: waybill guard test "Call Ada on +44 20 7946 0958" --template balanced
    """
    if template is not None and policy is not None:
        raise typer.BadParameter("use --template or --policy, not both", param_hint="--policy")
    output = Output(as_json=as_json)
    tried = _text(text)
    with connect(url, api_key) as client:
        found = client.guard.screen(
            tried,
            direction=direction,
            source=source,
            policy=None if policy is None else _document(str(policy)),
            template=template,
        )
    if as_json:
        output.document(found.as_json())
    else:
        _show(output, tried, found)


def _show(output: Output, text: str, found: "GuardScreening") -> None:
    from waybill.cli.tables import table

    [screened] = found.data
    if not screened.findings:
        output.show("nothing found")
    else:
        output.show(_highlighted(text, screened.findings))
        made = table("KIND", "ACTION", "AT", "SCORE", "FOUND BY", "TEXT")
        for each in screened.findings:
            value = text[each.start : each.end]
            at = f"{each.start}-{each.end}"
            made.add_row(each.kind, each.action, at, f"{each.score:.2f}", each.recognizer, value)
        output.show(made)
        output.show(screened.redacted)
    if found.data_class:
        output.note(f"class: {found.data_class}")
    if found.incomplete:
        output.note("incomplete: the analyzer did not answer, so only the policy's own words and expressions count")


def _highlighted(text: str, findings: "list[GuardFinding]") -> "Text":
    from rich.text import Text

    shown = Text(text)
    # Rich paints later spans over earlier ones: the strictest comes last.
    for each in sorted(findings, key=lambda each: _RANKS.index(each.action) if each.action in _RANKS else 0):
        shown.stylize(f"reverse {_STYLES.get(each.action, '')}", each.start, each.end)
    return shown


def _about(policy: "GuardPolicy") -> str:
    whose = policy.project_id or policy.scope
    template = f", template {policy.template}" if policy.template else ""
    floor = f"; the operator's floor is {policy.floor}" if policy.floor != Template.OFF else ""
    return f"{whose}: version {policy.version}{template}{floor}"


def _document(name: str) -> dict[str, Any]:
    try:
        document = json.loads(_read(name))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise typer.BadParameter(
            f"{name} is neither a template ({', '.join(Template)}) nor a file of a JSON object", param_hint="POLICY"
        )
    return document


def _text(given: str) -> str:
    try:
        is_file = given == "-" or Path(given).is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        return given
    try:
        return _read(given)
    except UnicodeDecodeError:
        raise typer.BadParameter("the file is not text in UTF-8", param_hint="FILE") from None


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(str(error)) from None

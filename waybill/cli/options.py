"""Options shared by many commands."""

from typing import Annotated, Literal

import typer

_CONNECTION = "Connection"

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="WAYBILL_URL",
        show_default=False,
        metavar="URL",
        help="URL of the API. Defaults to the stack running on this machine.",
        rich_help_panel=_CONNECTION,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="WAYBILL_API_KEY",
        show_default=False,
        show_envvar=True,
        metavar="KEY",
        help="API key. Prefer the environment variable: other users of this machine can read command lines.",
        rich_help_panel=_CONNECTION,
    ),
]


ClassName = Literal["public", "internal", "confidential", "restricted"]
DataClass = Annotated[
    ClassName | None,
    typer.Option("--data-class", show_default=False, help="How sensitive the data is. Jobs inherit this class."),
]


def _remember_json(context: typer.Context, value: bool) -> bool:
    context.find_root().meta["waybill.json"] = value
    return value


Json = Annotated[
    bool,
    typer.Option("--json", callback=_remember_json, help="Print JSON to stdout and errors as JSON to stderr."),
]
Limit = Annotated[int, typer.Option(min=1, max=200, help="Maximum number of results.")]
Cursor = Annotated[str | None, typer.Option(show_default=False, help="Cursor from the previous page.")]

"""Options that many commands share, spelled once."""

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
        help="Where the API is. Unset: the stack that `waybill up` started on this machine.",
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
        help="The key to use. Prefer the variable: other users of this machine can read command lines.",
        rich_help_panel=_CONNECTION,
    ),
]


ClassName = Literal["public", "internal", "confidential", "restricted"]
DataClass = Annotated[
    ClassName | None, typer.Option("--data-class", show_default=False, help="How sensitive it is; jobs inherit it.")
]


def _remember_json(context: typer.Context, value: bool) -> bool:
    context.find_root().meta["waybill.json"] = value
    return value


Json = Annotated[
    bool,
    typer.Option(
        "--json", callback=_remember_json, help="Print JSON on stdout, for programs; errors are JSON on stderr."
    ),
]

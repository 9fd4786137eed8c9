"""``waybill capabilities``: list and describe capabilities, and create new ones."""

import json
from pathlib import Path
from typing import Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="List and describe capabilities, and create new ones.", epilog=EPILOG)


@app.command("list", epilog=EPILOG)
def list_capabilities(url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """List the available capabilities."""
    from waybill.cli.tables import capabilities_table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.capabilities.list()
    output.answer(page.as_json(), capabilities_table(page.data))


@app.command(epilog=EPILOG)
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The capability, for example knowledge.search.", show_default=False)
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Show a capability: what it does, the JSON Schemas of its input and output, and examples."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        capability = client.capabilities.get(name)
    if as_json:
        output.document(capability.as_json())
        return
    output.show(f"{capability.id}  {capability.version}", capability.description, "", "Input")
    output.show(json.dumps(capability.input_schema, indent=2), "", "Output")
    output.show(json.dumps(capability.output_schema, indent=2))
    for example in capability.examples:
        output.show("", "Example input", json.dumps(example, indent=2))


@app.command(epilog=EPILOG)
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="<folder>.<verb>: language.translate", show_default=False)
    ],
    into: Annotated[Path, typer.Option(file_okay=False, help="Folder in which to create it.")] = Path(),
    as_json: Json = False,
) -> None:
    """Create the package of a new capability, which runs and passes its own tests. Works offline.

    Example: waybill capabilities new language.translate
    """
    from waybill.scaffold.package import write_package

    output = Output(as_json=as_json)
    root = write_package(name, into)
    output.show(f"{root} written", f"cd {root} && pip install -e . && python -m pytest")
    if as_json:
        output.document({"folder": str(root)})

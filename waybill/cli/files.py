"""``waybill files``: files uploaded for jobs to read."""

import mimetypes
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, ClassName, Cursor, DataClass, Json, Limit, Url
from waybill.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="Upload files for jobs to read.", epilog=EPILOG)

FileId = Annotated[str, typer.Argument(metavar="FILE", help="The file's id: file_….", show_default=False)]


@app.command(epilog=EPILOG)
def upload(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Files to upload.", show_default=False)
    ],
    content_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE/SUBTYPE",
            show_default=False,
            help="Media type; by default taken from the file name.",
        ),
    ] = None,
    data_class: DataClass = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Upload files and print their ids. Large files are sent in parts, with progress.

    Example: waybill files upload receipt.png
    """
    output = Output(as_json=as_json)
    made = []
    with connect(url, api_key) as client:
        for path in paths:
            kind = content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            file = client.files.upload(
                path, content_type=kind, data_class=data_class, on_progress=partial(_show_progress, output, path.name)
            )
            made.append(file)
            output.show(f"{file.id}  {file.name}  {file.content_type}")
    if as_json:
        output.document([file.as_json() for file in made])


@app.command("list", epilog=EPILOG)
def list_files(
    limit: Limit = 50,
    cursor: Cursor = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the project's files, newest first."""
    from waybill.cli.tables import moment, size, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.files.list(limit=limit, cursor=cursor)
    if as_json:
        output.document(page.as_json())
        return
    if not page.data:
        output.note("no files; upload one with: waybill files upload PATH")
        return
    made = table("FILE", "NAME", "TYPE", "SIZE", "CREATED", "EXPIRES")
    for each in page.data:
        expires = moment(each.expires_at) if each.expires_at else ""
        made.add_row(each.id, each.name, each.content_type, size(each.size_bytes), moment(each.created_at), expires)
    output.show(made)
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def download(
    file: FileId,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", "-o", dir_okay=False, show_default=False, help="File to write; defaults to the file's own name."
        ),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Download a file. Does not overwrite an existing one."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.files.get(file)
        target = to or Path(found.name)
        with target.open("xb") as written:
            client.files.download(file, written)
    output.show(f"{target} written")
    if as_json:
        output.document({**found.as_json(), "path": str(target)})


@app.command(epilog=EPILOG)
def label(
    file: FileId,
    data_class: Annotated[
        ClassName, typer.Argument(metavar="CLASS", help="public, internal, confidential or restricted.")
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Set a file's data class. Jobs that read it from now on have at least this class."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        changed = client.files.label(file, data_class)
    output.show(f"{file} is {changed.data_class}")
    if as_json:
        output.document(changed.as_json())


@app.command(epilog=EPILOG)
def delete(file: FileId, url: Url = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Delete a file. Jobs that read it later fail."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        client.files.delete(file)
    output.show(f"{file} is deleted")
    if as_json:
        output.document({"id": file, "deleted": True})


def _show_progress(output: Output, name: str, done: int, total: int) -> None:
    output.note(f"{name}: {done * 100 // total} %", style="dim")

"""``waybill jobs artifacts``: the files that a job produced."""

from pathlib import Path
from typing import Annotated

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output


def register(app: typer.Typer) -> None:
    """Add the command to ``waybill jobs``."""
    app.command(epilog=EPILOG)(artifacts)


def artifacts(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id.", show_default=False)],
    download: Annotated[
        Path | None,
        typer.Option(
            "--download", metavar="FOLDER", file_okay=False, show_default=False, help="Folder to download them to."
        ),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List the files that a job produced, and download them.

    Example: waybill jobs artifacts job_… --download .
    """
    from waybill.cli.tables import size, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        found = client.files.artifacts(job_id)
        if download is not None:
            download.mkdir(parents=True, exist_ok=True)
            for each in found:
                # The server stores names without folders, but a client must not rely on it.
                with (download / Path(each.name).name).open("wb") as written:
                    client.files.download_artifact(each, written)
    if as_json:
        output.document([each.as_json() for each in found])
        return
    if not found:
        output.note("this job produced no files")
        return
    made = table("NAME", "TYPE", "SIZE", "ATTEMPT", "SHA-256")
    for each in found:
        made.add_row(each.name, each.content_type, size(each.size_bytes), str(each.attempt), f"{each.sha256[:12]}…")
    output.show(made)
    if download is not None:
        output.show(f"{len(found)} written to {download}")

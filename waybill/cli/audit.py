"""``waybill audit``: read the trail, verify it, export it, erase a person from it.

``verify``, ``export`` and ``seal`` work on the database and the blob store themselves: whoever doubts the API should
not have to ask it. The others ask the API.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.options import ApiKey, Json, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from uuid import UUID

    from core.audit.findings import Report
    from core.kit.db import Database
    from core.kit.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The audit trail: who did what, and the proof of it.", epilog=EPILOG)

Organization = Annotated[
    str | None, typer.Option(metavar="ID", show_default="every one", help="Only this organization: org_….")
]


@app.command("list", epilog=EPILOG)
def list_records(
    actor: Annotated[str | None, typer.Option(show_default=False, help="Only what it did: key_….")] = None,
    subject: Annotated[str | None, typer.Option(show_default=False, help="Only what was done to it: job_….")] = None,
    action: Annotated[list[str] | None, typer.Option(show_default=False, help="As api:job:submit. Repeatable.")] = None,
    after: Annotated[str | None, typer.Option(metavar="TIME", show_default=False, help="From this time on.")] = None,
    before: Annotated[str | None, typer.Option(metavar="TIME", show_default=False, help="Before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    cursor: Annotated[str | None, typer.Option(show_default=False, help="Where the last page ended.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """List audit records, newest first."""
    from waybill.cli.tables import moment, table

    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        page = client.audit.list(
            actor=actor,
            subject=subject,
            actions=tuple(action or ()),
            after=after,
            before=before,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        output.document(page.as_json())
        return
    made = table("RECORD", "SEQUENCE", "TIME", "ACTION", "SUBJECT", "ACTOR")
    for record in page.data:
        made.add_row(
            record.id,
            "waits" if record.sequence is None else str(record.sequence),
            moment(record.recorded_at),
            record.action,
            record.subject_id,
            record.actor_id or record.actor_kind,
        )
    output.show(made)
    if page.next_cursor:
        output.note(f"more: --cursor {page.next_cursor}", style="dim")


@app.command(epilog=EPILOG)
def verify(organization: Organization = None, as_json: Json = False) -> None:
    """Hash every record again, and compare records, seals and anchors. Exit code 1 when anything is wrong.

    Works on the database: needs DATABASE_URL or a running stack, and the public keys (WAYBILL_SIGNING_KEY).
    """
    output = Output(as_json=as_json)
    with _local() as (settings, database):
        reports = list(_verify(settings, database, organization))
    is_intact = all(report.is_intact for report in reports)
    if as_json:
        output.document({"intact": is_intact, "organizations": [report.as_json() for report in reports]})
    for report in reports:
        _show(report, output)
    if not reports:
        output.note("there is no organization yet")
    if not is_intact:
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def export(organization: Organization = None, as_json: Json = False) -> None:
    """Write what is sealed and not exported yet to the blob store, with an anchor. Works on the database."""
    from core.audit.export import export_once
    from core.kit.blob import open_blob_store

    output = Output(as_json=as_json)
    written = []
    with _local() as (settings, database):
        blobs = open_blob_store(settings)
        while done := export_once(database, blobs, organization_id=_organization(organization)):
            written += done
    found = [
        {
            "blob_key": each.blob_key,
            "first_seal": each.first_number,
            "last_seal": each.last_number,
            "records": each.records,
        }
        for each in written
    ]
    if as_json:
        output.document({"exports": found})
        return
    for each in found:
        output.show(f"{each['blob_key']}: {each['records']} records")
    if not found:
        output.note("nothing that is not exported already")


@app.command(epilog=EPILOG)
def seal(as_json: Json = False) -> None:
    """Seal what waits, now. The dispatcher does it about every second. Works on the database."""
    from core.audit.sealer import seal_once
    from core.kit.signing import Signer

    output = Output(as_json=as_json)
    sealed = 0
    with _local() as (settings, database):
        signer = Signer.from_settings(settings)
        while done := seal_once(database, signer):
            sealed += done
    if as_json:
        output.document({"sealed": sealed})
    else:
        output.show(f"sealed {sealed} records")


@app.command(epilog=EPILOG)
def erase(
    data_subject: Annotated[
        str, typer.Argument(metavar="PERSON", help="What records name the person by.", show_default=False)
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Erase a person's values from the trail, for good. The trail verifies as before."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        done = client.audit.erase(data_subject)
    if as_json:
        output.document(done)
    else:
        output.show(f"erased {done['erased_values']} values ({done['id']})")


@contextmanager
def _local() -> Iterator[tuple["Settings", "Database"]]:
    from core.kit.db import Database
    from waybill.cli.local import local_settings

    settings = local_settings()
    database = Database(settings, application_name="waybill-cli", pool_size=1)
    try:
        yield settings, database
    finally:
        database.close()


def _verify(settings: "Settings", database: "Database", organization: str | None) -> Iterator["Report"]:
    from core.audit.verification import verify_all
    from core.kit.blob import open_blob_store
    from core.kit.signing import Keyring

    keyring, blobs = Keyring.from_settings(settings), open_blob_store(settings)
    return verify_all(database, blobs, keyring, _organization(organization))


def _organization(text: str | None) -> "UUID | None":
    from core.kit.ids import ORGANIZATION, decode

    if text is None:
        return None
    try:
        return decode(ORGANIZATION, text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--organization") from error


def _show(report: "Report", output: Output) -> None:
    found: dict[str, Any] = report.as_json()
    name = found["organization_id"]
    if report.is_intact:
        anchored = f", anchored up to seal {report.anchored_through}" if report.anchors else ", no anchors"
        output.show(f"{name}: intact, {report.records} records in {report.seals} seals{anchored}")
        return
    output.show(f"{name}: NOT intact, {len(report.findings)} findings in {report.records} records")
    for finding in report.findings:
        output.show(f"  {finding.kind}: {finding.message}")

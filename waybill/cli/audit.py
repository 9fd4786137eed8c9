"""``waybill audit``: read, verify and export the audit trail, and erase a person from it.

``verify``, ``export`` and ``seal`` access the database and the blob store directly, so that an auditor does not have to
trust the API. The other commands call the API.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.connect import connect
from waybill.cli.exits import EPILOG, Exit
from waybill.cli.options import ApiKey, Cursor, Json, Limit, Url
from waybill.cli.output import Output

if TYPE_CHECKING:
    from uuid import UUID

    from core.audit.findings import Report
    from core.kit.db import Database
    from core.kit.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Read, verify and export the audit trail.", epilog=EPILOG)

Organization = Annotated[
    str | None, typer.Option(metavar="ID", show_default="all organizations", help="Only this organization: org_….")
]


@app.command("list", epilog=EPILOG)
def list_records(
    actor: Annotated[str | None, typer.Option(show_default=False, help="Only actions of this actor: key_….")] = None,
    subject: Annotated[
        str | None, typer.Option(show_default=False, help="Only actions on this subject: job_….")
    ] = None,
    action: Annotated[
        list[str] | None, typer.Option(show_default=False, help="Only this action, such as api:job:submit. Repeatable.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="Recorded at or after this time.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="Recorded before this time.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
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
    output.more(page.next_cursor)


@app.command(epilog=EPILOG)
def verify(organization: Organization = None, as_json: Json = False) -> None:
    """Verify the trail: recompute every hash and compare records, seals and anchors. Exit with 1 on any mismatch.

    Accesses the database directly: needs DATABASE_URL or a running stack, and the public keys (WAYBILL_SIGNING_KEY).
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
        output.note("no organizations yet")
    if not is_intact:
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def export(organization: Organization = None, as_json: Json = False) -> None:
    """Export new sealed records to the blob store, with an anchor. Accesses the database directly."""
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
        output.note("nothing to export")


@app.command(epilog=EPILOG)
def seal(as_json: Json = False) -> None:
    """Seal pending records now. The dispatcher does so about every second. Accesses the database directly."""
    from core.audit.sealer import seal_once
    from core.kit.signing import Signer

    output = Output(as_json=as_json)
    sealed = 0
    with _local() as (settings, database):
        signer = Signer.from_settings(settings)
        while done := seal_once(database, signer):
            sealed += done
    output.answer({"sealed": sealed}, f"sealed {sealed} records")


@app.command(epilog=EPILOG)
def erase(
    data_subject: Annotated[
        str,
        typer.Argument(metavar="PERSON", help="The identifier that records use for the person.", show_default=False),
    ],
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Permanently erase a person's values from the trail. The trail still verifies."""
    output = Output(as_json=as_json)
    with connect(url, api_key) as client:
        done = client.audit.erase(data_subject)
    output.answer(done, f"erased {done['erased_values']} values ({done['id']})")


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

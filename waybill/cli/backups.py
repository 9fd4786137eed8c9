"""``waybill backup`` and ``waybill restore``: back up a whole installation to a folder, and restore it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from core.kit.settings import Settings

_PANEL = "Back up and restore an installation"
_MEBIBYTE = 1024 * 1024
Programs = Annotated[
    Path | None,
    typer.Option(
        "--postgres-programs",
        envvar="WAYBILL_POSTGRES_PROGRAMS",
        exists=True,
        file_okay=False,
        show_default="the path, Debian's packages, the embedded PostgreSQL",
        help="Folder with pg_dump and pg_restore, of the server's version or newer.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(backup)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(restore)


def backup(
    destination: Annotated[
        Path | None, typer.Argument(metavar="DESTINATION", help="A folder that does not exist yet.", show_default=False)
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="FOLDER",
            file_okay=False,
            help="Use instead of DESTINATION: a folder of backups, where this one is named by its timestamp.",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="With --into: keep only this many of the newest backups."),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Back up even if blobs that the database refers to are missing.")
    ] = False,
    programs: Programs = None,
    as_json: Json = False,
) -> None:
    """Back up Postgres and the blobs it refers to, as one consistent snapshot, while everything runs.

    Connect as waybill_backup, which can read everything and change nothing. The backup records the ids of the keys
    it needs, never the keys themselves: store those separately.
    """
    if (destination is None) == (into is None):
        raise typer.BadParameter(
            "use either DESTINATION, a folder that does not exist yet, or --into", param_hint="DESTINATION"
        )
    if keep is not None and into is None:
        raise typer.BadParameter("--keep works only with --into", param_hint="--keep")
    output, began = Output(as_json=as_json), monotonic()
    with _ending_on_termination(), _installation() as settings:
        from core.kit.clock import utc_now
        from core.kit.startup import wait_for_postgres
        from waybill.backup import series
        from waybill.backup.backup import back_up

        folder = destination or series.member(into or Path(), utc_now())
        if settings.database_url is None:
            raise CliError(
                "DATABASE_URL is not set and no embedded stack is running",
                remedy="run `waybill up`, or set DATABASE_URL to the address of waybill_backup",
                code="database_not_configured",
            )
        wait_for_postgres(settings)
        made = back_up(settings, folder, programs=programs, allow_missing=allow_missing, progress=output.note)
        seconds = monotonic() - began
        removed = series.thin(into, keep) if into and keep else []
    if as_json:
        output.document(
            {
                "backup": str(folder),
                "seconds": round(seconds, 1),
                "removed": removed,
                **made.model_dump(mode="json"),
            }
        )
        return
    size = sum(part.size_bytes for part in made.parts.values()) + made.blobs.size_bytes
    output.show(
        f"{folder}:",
        f"{sum(made.rows.values())} rows, {made.blobs.count} blobs, {size / _MEBIBYTE:.1f} MiB"
        f" of {made.taken_at:%Y-%m-%d %H:%M:%S %Z}, in {seconds:.1f} s",
    )
    if removed:
        output.show(f"removed {', '.join(removed)}")
    if made.blobs.missing:
        output.note(f"{len(made.blobs.missing)} blobs are missing; see manifest.json", style="yellow")


def restore(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", exists=True, file_okay=False, help="The backup's folder.", show_default=False),
    ],
    programs: Programs = None,
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty database, blob store and Redis, then verify the result.

    Connect as the future owner of the tables, and stop all other processes. Without DATABASE_URL, restores into the
    built-in Postgres in WAYBILL_HOME. Exit code 1 if the audit trail or an invariant does not hold.
    """
    output, began = Output(as_json=as_json), monotonic()
    with _ending_on_termination(), _installation() as settings:
        from core.kit.startup import wait_for_postgres
        from waybill.backup.restore import restore as restore_into

        with _database(settings) as complete:
            wait_for_postgres(complete)
            restored = restore_into(complete, source, programs=programs, progress=output.note)
    seconds = monotonic() - began
    if as_json:
        output.document(
            {
                "restored": str(source),
                "taken_at": restored.manifest.taken_at.isoformat(),
                "seconds": round(seconds, 1),
                "jobs_requeued": restored.jobs_requeued,
                "jobs_waiting": restored.jobs_waiting,
                "audit_records": restored.audit_records,
                "missing_blobs": restored.manifest.blobs.missing,
                "findings": restored.findings,
            }
        )
    output.show(
        f"restored {source} of {restored.manifest.taken_at:%Y-%m-%d %H:%M:%S %Z} in {seconds:.1f} s",
        f"jobs: {restored.jobs_requeued} were running and are queued again, {restored.jobs_waiting} were waiting",
    )
    if restored.manifest.blobs.missing:
        output.note(f"{len(restored.manifest.blobs.missing)} blobs were missing when it was taken", style="yellow")
    if restored.findings:
        output.show("it does NOT hold:", *(f"  {finding}" for finding in restored.findings))
        raise typer.Exit(Exit.FAILED)
    output.show(f"verified: {restored.audit_records} audit records, all invariants hold")


@contextmanager
def _installation() -> Iterator["Settings"]:
    """The settings, with the keys of the stack in WAYBILL_HOME."""
    from pydantic import SecretStr

    from waybill.cli.local import local_settings
    from waybill.stack.home import PSEUDONYM_KEY_FILE, SECRET_KEY_FILE, SIGNING_KEY_FILE, Home, running_stack
    from waybill.stack.leftovers import without_leftovers

    settings = local_settings()
    home = Home(settings.home)
    if running_stack(settings.home) is None:
        settings = without_leftovers(settings, home)
    files = {"secret_key": SECRET_KEY_FILE, "pseudonym_key": PSEUDONYM_KEY_FILE, "signing_key": SIGNING_KEY_FILE}
    made = {name: home.find_secret(file) for name, file in files.items()}
    yield settings.model_copy(
        update={name: SecretStr(value) for name, value in made.items() if value and getattr(settings, name) is None}
    )


@contextmanager
def _database(settings: "Settings") -> Iterator["Settings"]:
    """The settings with a database. Without DATABASE_URL, runs the embedded one for the duration of the block."""
    if settings.database_url is not None:
        yield settings
        return
    from pydantic import SecretStr

    from waybill.stack.home import Home
    from waybill.stack.postgres import EmbeddedPostgres

    home = Home(settings.home)
    home.acquire(0)
    server = EmbeddedPostgres(home.folder / "postgres")
    try:
        server.start()
        yield settings.model_copy(update={"database_url": SecretStr(server.url)})
    finally:
        server.stop()
        home.release()


@contextmanager
def _ending_on_termination() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, and unfinished work is removed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

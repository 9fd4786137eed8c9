"""The long-running roles, one process each, and `migrate` and `reseal`, which prepare their database.

Each command imports only its own role's code, inside the command: the images of the API and of the workers are
separate, and neither contains the other's packages.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    pass

_PANEL = "Run one process (for containers and service units)"


def register(app: typer.Typer) -> None:
    """Add the role commands to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(api)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(worker)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(dispatcher)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(deliverer)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(flower)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(migrate)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(reseal)


def api(
    host: Annotated[str | None, typer.Option(envvar="WAYBILL_API_HOST", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(envvar="WAYBILL_API_PORT", min=0, max=65535, help="Port to listen on.")
    ] = None,
) -> None:
    """Serve the HTTP API until SIGTERM, then drain: open requests finish, and streams end so that clients reconnect."""
    from core.kit.garbage import uncollected

    with uncollected():
        from api.server import run
        from core.kit.settings import get_settings

    changes = {name: value for name, value in (("api_host", host), ("api_port", port)) if value is not None}
    run(get_settings().model_copy(update=changes))


def worker(
    capability: Annotated[
        str,
        typer.Option(
            "--capability",
            "-c",
            envvar="WAYBILL_POOL",
            show_default=False,
            metavar="NAME",
            help="Pool of capabilities to serve, for example knowledge for all of knowledge.*",
        ),
    ],
    concurrency: Annotated[
        int | None, typer.Option(min=1, show_default="the pool's setting", help="Concurrent jobs in this process.")
    ] = None,
) -> None:
    """Run jobs of one pool until SIGTERM, then let running ones finish and hand the rest back.

    Jobs run in a child process, which is replaced when it crashes or exceeds its limits
    (WAYBILL_WORKER_MEMORY_MB, WAYBILL_WORKER_MAX_JOBS).
    """
    from importlib.util import find_spec

    from core.kit.settings import get_settings

    pool = capability.partition(".")[0]
    _require_pool(pool)
    if find_spec("celery") is None:
        # The supervisor does not need it, and could only report that its child does not start.
        raise ModuleNotFoundError(name="celery")
    from workers.supervisor import main

    raise typer.Exit(main(get_settings(), pool, concurrency))


def dispatcher() -> None:
    """Dispatch due jobs to the workers until SIGTERM. Run two: if one stops, the other takes over within seconds."""
    from core.kit.garbage import uncollected

    with uncollected():
        from core.kit.settings import get_settings
        from workers.dispatcher import main

    main(get_settings())


def deliverer() -> None:
    """Send webhooks until SIGTERM, then finish open attempts. Run any number: they share the work."""
    from core.kit.garbage import uncollected

    with uncollected():
        from core.kit.settings import get_settings
        from workers.deliverer import main

    main(get_settings())


def flower(
    host: Annotated[str, typer.Option(envvar="WAYBILL_FLOWER_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(envvar="WAYBILL_FLOWER_PORT", min=0, max=65535, help="Port to listen on.")
    ] = None,
) -> None:
    """Show Celery's pools, queues and tasks in a browser: read-only, user `waybill`.

    Flower serves /metrics and /healthcheck without a password: expose it only behind a proxy that blocks them.
    Messages carry only job ids, so no payloads are visible here.
    """
    from importlib.util import find_spec

    from core.kit.settings import get_settings

    settings = get_settings()
    if find_spec("flower") is None:
        raise ModuleNotFoundError(name="flower")
    if settings.flower_password is None:
        raise CliError(
            "WAYBILL_FLOWER_PASSWORD is not set, and Flower does not start without a password",
            remedy="export WAYBILL_FLOWER_PASSWORD=… (`waybill up` creates one itself)",
            code="flower_password_missing",
        )
    if settings.redis_url is None:
        raise CliError(
            "REDIS_URL is not set and no embedded stack is running",
            remedy="run `waybill up`, or set REDIS_URL",
            code="redis_not_configured",
        )
    from celery.__main__ import main

    options = find_spec("workers.flower_config")
    assert options is not None
    listen = [f"--address={host}", f"--port={settings.flower_port if port is None else port}"]
    sys.argv = ["celery", "-A", "workers.app", "-q", "flower", f"--conf={options.origin}", *listen]
    main()


def migrate(
    passwords: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            show_default="none are set",
            help="Folder with a password file for each process's login, such as `waybill_api.password`.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Migrate the database to the latest schema and load default prices if there are none. Safe to run concurrently.

    Connect as the owner of the tables, which is not a process's login: each kind of process has its own.
    """
    from core.kit.migrate import upgrade
    from core.kit.processes import LOGINS, OPTIONAL_LOGINS, set_passwords
    from core.kit.startup import wait_for_postgres
    from waybill.cli.local import local_settings

    output = Output(as_json=as_json)
    settings = local_settings()
    url = settings.database_url
    if url is None:
        raise CliError(
            "DATABASE_URL is not set and no embedded stack is running",
            remedy="run `waybill up`, which migrates its own database, or set DATABASE_URL to the owner's address",
            code="database_not_configured",
        )
    found = {} if passwords is None else {login: passwords / f"{login}.password" for login in LOGINS}
    found = {login: path for login, path in found.items() if path.is_file() or login not in OPTIONAL_LOGINS}
    missing = [path.name for path in found.values() if not path.is_file()]
    if missing:
        raise CliError(
            f"{passwords} has no {', '.join(missing)}",
            remedy="create a password for every login, for example with `openssl rand -hex 24`",
            code="password_missing",
        )
    wait_for_postgres(settings)
    upgrade(url.get_secret_value())
    set_passwords(
        url.get_secret_value(), {login: path.read_text(encoding="utf-8").strip() for login, path in found.items()}
    )
    from core.ledger.prices.seed import seed_prices_once

    filled = seed_prices_once(settings, "waybill-migrate")
    seeded = 0 if filled is None else filled.added
    if as_json:
        output.document({"migrated": True, "passwords_set": list(found), "prices_added": seeded})
    else:
        output.show("the database is on the latest schema")
        if seeded:
            output.show(f"added {seeded:,} prices from the package genai-prices")
        if found:
            output.show(f"passwords are set: {', '.join(found)}")


def reseal(as_json: Json = False) -> None:
    """Re-encrypt webhook secrets and pseudonyms with the latest keys, after earlier ones were retired."""
    from core.guard.pseudonyms import PseudonymKeys
    from core.kit.db import Database
    from core.kit.sealing import CannotOpen
    from core.webhooks.resealing import reseal as seal_again
    from waybill.cli.local import local_settings

    output = Output(as_json=as_json)
    database = Database(local_settings(), application_name="waybill-reseal", pool_size=1)
    try:
        with database.system() as session:
            count = seal_again(session, local_settings())
            # The key is optional; without one, nothing is sealed with it.
            keys = PseudonymKeys(local_settings())
            pseudonyms = keys.reseal(session) if local_settings().pseudonym_key is not None else 0
    except CannotOpen as error:
        raise CliError(
            f"a webhook secret cannot be decrypted: {error}",
            remedy="add the key that sealed it to WAYBILL_SECRET_KEYS_RETIRED",
            code="cannot_open",
        ) from error
    finally:
        database.close()
    output.answer(
        {"resealed": count, "pseudonyms": pseudonyms},
        f"{count} webhook secrets and {pseudonyms} pseudonyms are sealed with the latest keys",
    )


def _require_pool(pool: str) -> None:
    from pipelines.registry import pools

    if pool not in pools():
        offered = ", ".join(pools())
        raise CliError(
            f"no pool {pool!r}",
            remedy=f"choose one of: {offered}",
            code="pool_unknown",
            exit_code=Exit.USAGE,
        )

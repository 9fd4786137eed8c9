"""The long-running roles, one process each, and what prepares the database for them: `migrate` and `reseal`.

Each command imports only its own role's code, inside the command: the images of the API and of the workers are
separate, and neither has the other's packages.
"""

import os
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

_PANEL = "Run one part (what a container or a service unit starts)"


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
    """Serve the HTTP API until SIGTERM, then drain: open requests finish, streams end so that clients resume them."""
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
            help="Whose jobs to run, for example knowledge: one pool of workers serves all of knowledge.*",
        ),
    ],
    concurrency: Annotated[
        int | None, typer.Option(min=1, show_default="the pool's own", help="Jobs at a time in this process.")
    ] = None,
) -> None:
    """Run jobs of one capability until SIGTERM, then let running ones finish and hand the rest back.

    The jobs run in a process of their own, which is replaced when it crashes or outgrows its bounds
    (WAYBILL_WORKER_MEMORY_MB, WAYBILL_WORKER_MAX_JOBS).
    """
    from importlib.util import find_spec

    from core.kit.settings import get_settings

    pool = capability.partition(".")[0]
    _require_pool(pool)
    if find_spec("celery") is None:
        # The supervisor itself needs nothing of it, and could only say that its child does not start.
        raise ModuleNotFoundError(name="celery")
    from workers.supervisor import main

    raise typer.Exit(main(get_settings(), pool, concurrency))


def dispatcher() -> None:
    """Move due jobs to the workers until SIGTERM. Run two: one works, the other takes over within seconds."""
    from core.kit.settings import get_settings
    from workers.dispatcher import main

    main(get_settings())


def deliverer() -> None:
    """Send webhooks until SIGTERM, then finish the attempts under way. Run as many as you like: they share the work."""
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

    Its /metrics and /healthcheck answer without the password (Flower's own limitation): publish it only behind a
    proxy that closes them. Messages carry job ids and nothing else, so no payload can be seen here.
    """
    from importlib.util import find_spec

    from core.kit.settings import get_settings

    settings = get_settings()
    if find_spec("flower") is None:
        raise ModuleNotFoundError(name="flower")
    if settings.flower_password is None:
        raise CliError(
            "WAYBILL_FLOWER_PASSWORD is not set, and Flower is not started without a password",
            remedy="export WAYBILL_FLOWER_PASSWORD=… (`waybill up` makes one by itself)",
            code="flower_password_missing",
        )
    if settings.redis_url is None:
        raise CliError(
            "REDIS_URL is not set and no embedded stack is running",
            remedy="`waybill up`, or set REDIS_URL",
            code="redis_not_configured",
        )
    listen = [f"--address={host}", f"--port={settings.flower_port if port is None else port}"]
    options = find_spec("workers.flower_config")
    assert options is not None
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "-q", "flower", f"--conf={options.origin}", *listen]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606


def migrate(
    passwords: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            show_default="none are set",
            help="A folder with a file for each login of the processes, such as `waybill_api.password`.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the database to the newest schema, and fill an empty price book. Safe at every start, by several at once.

    Connect as the owner of the tables, who is no process's login: each kind of process has one of its own.
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
            remedy="`waybill up` migrates its own database; else set DATABASE_URL to the owner's address",
            code="database_not_configured",
        )
    found = {} if passwords is None else {login: passwords / f"{login}.password" for login in LOGINS}
    found = {login: path for login, path in found.items() if path.is_file() or login not in OPTIONAL_LOGINS}
    missing = [path.name for path in found.values() if not path.is_file()]
    if missing:
        raise CliError(
            f"{passwords} has no {', '.join(missing)}",
            remedy="give every login a password, for example from `openssl rand -hex 24`",
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
        output.show("the database has the newest schema")
        if seeded:
            output.show(f"the price book is filled: {seeded:,} prices from the package genai-prices")
        if found:
            output.show(f"passwords are set: {', '.join(found)}")


def reseal(as_json: Json = False) -> None:
    """Seal webhook secrets and pseudonyms again with the newest keys, after earlier ones were retired."""
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
            # Where no policy needs the key there may be none, and nothing is sealed with it.
            keys = PseudonymKeys(local_settings())
            pseudonyms = keys.reseal(session) if local_settings().pseudonym_key is not None else 0
    except CannotOpen as error:
        raise CliError(
            f"a webhook secret does not open: {error}",
            remedy="name the key that sealed it in WAYBILL_SECRET_KEYS_RETIRED",
            code="cannot_open",
        ) from error
    finally:
        database.close()
    if as_json:
        output.document({"resealed": count, "pseudonyms": pseudonyms})
    else:
        output.show(f"{count} webhook secrets and {pseudonyms} pseudonyms are sealed with the newest keys")


def _require_pool(pool: str) -> None:
    from pipelines.registry import pools

    if pool not in pools():
        offered = ", ".join(pools())
        raise CliError(
            f"no capability belongs to a pool {pool!r}",
            remedy=f"choose one of: {offered}",
            code="pool_unknown",
            exit_code=Exit.USAGE,
        )

"""The long-running roles, one process each: `api`, `worker`, `dispatcher`, `deliverer`, `flower`; and `migrate`.

Each command imports only its own role's code, inside the command: the images of the API and of the workers are
separate, and neither has the other's packages.
"""

import os
import sys
from typing import Annotated

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

_PANEL = "Run one part (what a container or a service unit starts)"
FLOWER_USER = "waybill"


def register(app: typer.Typer) -> None:
    """Add the role commands to the root command."""
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(api)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(worker)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(dispatcher)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(deliverer)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(flower)
    app.command(epilog=EPILOG, rich_help_panel=_PANEL)(migrate)


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
    environment = {
        **os.environ,
        # In the environment, not in the arguments, which every user of the machine can read.
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{settings.flower_password.get_secret_value()}",
        "FLOWER_READ_ONLY": "true",
        "FLOWER_PERSISTENT": "false",
        "FLOWER_MAX_TASKS": "10000",
        "FLOWER_PURGE_OFFLINE_WORKERS": "60",
    }
    listen = [f"--address={host}", f"--port={settings.flower_port if port is None else port}"]
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "-q", "flower", *listen]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606


def migrate(as_json: Json = False) -> None:
    """Bring the database to the newest schema. Safe to run at every start, and by several at once."""
    from core.kit.migrate import upgrade
    from waybill.cli.local import local_settings

    output = Output(as_json=as_json)
    url = local_settings().database_url
    if url is None:
        raise CliError(
            "DATABASE_URL is not set and no embedded stack is running",
            remedy="`waybill up` migrates its own database; else set DATABASE_URL to the owner's address",
            code="database_not_configured",
        )
    upgrade(url.get_secret_value())
    if as_json:
        output.document({"migrated": True})
    else:
        output.show("the database has the newest schema")


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

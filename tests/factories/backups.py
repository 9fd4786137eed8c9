"""An installation to back up, and an empty one to restore into."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from core.kit.processes import BACKUP_LOGIN, address_of
from core.kit.settings import Settings
from tests.factories.processes import settings_of
from tests.factories.services import PASSWORDS, direct
from tests.waybill.cli.conftest import Cli
from waybill.stack.postgres import EmbeddedPostgres


@contextmanager
def empty_installation(settings: Settings, folder: Path) -> Iterator[Settings]:
    """The same keys over a new Postgres server, a new folder of blobs and no key in Redis."""
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        yield settings_of(
            settings,
            home=folder / "home",
            database_url=SecretStr(server.url),
            key_prefix=f"{settings.key_prefix}restored",
        )
    finally:
        server.stop()


def command_line(settings: Settings, *, login: str | None = None, **environment: str) -> Cli:
    """The command as an operator of that installation runs it."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    assert settings.secret_key is not None
    assert settings.pseudonym_key is not None
    assert settings.signing_key is not None
    address = settings.database_url.get_secret_value()
    return Cli(
        {
            "WAYBILL_HOME": str(settings.home),
            "DATABASE_URL": address if login is None else address_of(address, login, PASSWORDS[login]),
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "WAYBILL_KEY_PREFIX": settings.key_prefix,
            "WAYBILL_SECRET_KEY": settings.secret_key.get_secret_value(),
            "WAYBILL_PSEUDONYM_KEY": settings.pseudonym_key.get_secret_value(),
            "WAYBILL_SIGNING_KEY": settings.signing_key.get_secret_value(),
            **environment,
        }
    )


def backup_command(settings: Settings) -> Cli:
    """The same under the login of backups."""
    assert settings.database_url is not None
    address = SecretStr(direct(settings.database_url.get_secret_value()))
    return command_line(settings_of(settings, database_url=address), login=BACKUP_LOGIN)

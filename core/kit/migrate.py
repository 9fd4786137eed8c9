"""Migrates a database to the newest schema, with the migrations of ``infra/migrations``."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path


def _folder() -> Path:
    # Located, not imported: nothing imports infra, and Alembic runs its files itself.
    spec = find_spec("infra")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "migrations"


def _configuration(database_url: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_folder()))
    configuration.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return configuration


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run every missing migration up to `revision`; a second process doing the same waits for the first.

    Does nothing when the schema is a newer release's, as after the rollback of a release.
    """
    from alembic import command

    if revision == "head" and _stored_revision(database_url) > newest_revision():
        return
    command.upgrade(_configuration(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Undo migrations down to `revision`."""
    from alembic import command

    command.downgrade(_configuration(database_url), revision)


def _stored_revision(database_url: str) -> str:
    import psycopg

    from core.kit.db import normalize_url

    url = normalize_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        try:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return ""
    return "" if found is None else str(found[0])


@cache
def newest_revision() -> str:
    """The newest revision that this release knows: the four digits at the start of its file's name."""
    return max(path.name[:4] for path in (_folder() / "versions").glob("[0-9]*.py"))

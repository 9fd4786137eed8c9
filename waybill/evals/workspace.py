"""A real database to measure in, restored to its earlier state."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from waybill.stack.postgres import EmbeddedPostgres

# A measurement is one transaction, and one of its statements may be slow on a busy machine.
_STATEMENT_TIMEOUT_SECONDS = 300.0


@contextmanager
def measuring(settings: Settings) -> Iterator[tuple[Session, Principal]]:
    """A session of a new tenant, and that tenant. Everything is rolled back at the end, also after a crash.

    Uses the database the settings name, which must be migrated, or a throwaway embedded one.
    """
    principal = Principal(new_id(), new_id(), None, frozenset())
    with ExitStack() as stack:
        if settings.database_url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-evals-")))
            server = EmbeddedPostgres(folder / "postgres")
            stack.callback(server.stop)
            server.start()
            upgrade(server.url)
            settings = settings.model_copy(update={"database_url": SecretStr(server.url)})
        settings = settings.model_copy(update={"database_statement_timeout_seconds": _STATEMENT_TIMEOUT_SECONDS})
        database = Database(settings, application_name="waybill-evals", pool_size=1)
        stack.callback(database.close)
        session = stack.enter_context(database.tenant(principal.organization_id))
        try:
            yield session, principal
        finally:
            session.rollback()

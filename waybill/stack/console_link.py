"""A link that signs a browser in to the console, made with access to the database as the first key is."""

from core.keys.authentication import Authenticator
from core.keys.sessions.service import ConsoleSessions
from core.kit.db import Database
from core.kit.settings import Settings


def console_link(settings: Settings, url: str, key: str) -> str:
    """A link to the API at `url` that signs in with `key`, once, within ten minutes.

    Raises `Unauthenticated` for a key that this database does not know.
    """
    database = Database(settings, application_name="waybill-stack", pool_size=1)
    try:
        authenticator = Authenticator(settings, database)
        principal = authenticator.authenticate(key)
        token = ConsoleSessions(settings, database, authenticator).create_link(principal)
    finally:
        database.close()
    return f"{url.rstrip('/')}/console/sign-in?link={token}"

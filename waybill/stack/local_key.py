"""The organization, project and owner's key with which the command line of this machine uses its own stack."""

from core.keys.authentication import Authenticator
from core.keys.roles import Role
from core.keys.service import KeyService
from core.kit.db import Database
from core.kit.errors import Unauthenticated
from core.kit.settings import Settings
from waybill.stack.home import Home

ORGANIZATION, PROJECT, NAME = "local", "default", "local-cli"
_SECRET = "local-cli.key"  # noqa: S105 - the name of the file


def local_key(home: Home, settings: Settings) -> str:
    """The stored key if this database still has it, else a new one, which is stored."""
    database = Database(settings, application_name="waybill-stack", pool_size=1)
    try:
        kept = home.find_secret(_SECRET)
        if kept is not None and _is_good(kept, settings, database):
            return kept
        with database.system() as session:
            issued = KeyService(settings).create_key(
                session, organization=ORGANIZATION, project=PROJECT, name=NAME, scopes=Role.OWNER.scopes
            )
        home.store_secret(_SECRET, issued.plaintext)
        return issued.plaintext
    finally:
        database.close()


def _is_good(key: str, settings: Settings, database: Database) -> bool:
    # The database or the secret key may have changed since, and new releases bring new scopes.
    try:
        principal = Authenticator(settings, database).authenticate(key)
    except Unauthenticated:
        return False
    return principal.scopes >= Role.OWNER.scopes

import gc
import warnings

from sqlalchemy import text

from core.kit.db import Database
from core.kit.settings import Settings


def test_a_connection_in_use_while_its_pool_is_closed_is_closed_when_it_returns(settings: Settings) -> None:
    database = Database(settings, application_name="test", pool_size=1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        with database.system() as session:
            session.execute(text("SELECT 1"))
            database.close()
        del database, session
        gc.collect()
    # psycopg warns of a connection that the garbage collector had to close.
    assert [str(each.message) for each in warned if "psycopg" in str(each.message)] == []

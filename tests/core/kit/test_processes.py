"""What whoever takes over a process can do with its login: what the process does, and nothing else."""

import psycopg
import pytest
from psycopg import sql

from core.kit.processes import BACKUP_LOGIN, LOGINS, SECRETS, Process, address_of, secret_settings, set_passwords
from core.kit.settings import Settings
from tests.factories.services import PASSWORDS

# Passwords are the whole server's: nobody may log in while one is another.
pytestmark = pytest.mark.xdist_group("logins")

PROCESSES = [process for process in Process if process.login not in {None, BACKUP_LOGIN}]
Connection = psycopg.Connection[tuple[object, ...]]


def connect(settings: Settings, login: str) -> Connection:
    assert settings.database_url is not None
    address = address_of(settings.database_url.get_secret_value(), login, PASSWORDS[login])
    return psycopg.connect(address, autocommit=True)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_login_owns_nothing_and_becomes_no_one_else(settings: Settings, process: Process) -> None:
    assert process.login is not None
    with connect(settings, process.login) as connection:
        owned = connection.execute(
            "SELECT count(*) FROM pg_class WHERE pg_has_role(current_user, relowner, 'MEMBER')"
        ).fetchone()
        assert owned == (0,)
        roles = connection.execute(
            "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'SET')"
        ).fetchall()
        assert {role for (role,) in roles} <= {process.login, "waybill_app", "waybill_system"}
        connection.execute("SET ROLE waybill_system")
        connection.execute("SELECT count(*) FROM jobs")
        connection.execute("RESET ROLE")
        for statement in (
            "SELECT count(*) FROM jobs",
            "SELECT count(*) FROM api_keys",
            "CREATE TABLE mine (id int)",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "ALTER ROLE waybill_scaler PASSWORD 'x'",
            *(f"SET ROLE {other}" for other in LOGINS if other != process.login),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL(statement))


def test_the_deliverer_cannot_act_for_a_tenant(settings: Settings) -> None:
    with connect(settings, "waybill_deliverer") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET ROLE waybill_app")


def test_the_scaler_learns_one_figure(settings: Settings) -> None:
    with connect(settings, "waybill_scaler") as connection:
        assert connection.execute("SELECT waybill_pool_demand('no such pool')").fetchone() == (0,)
        for statement in ("SELECT count(*) FROM jobs", "SET ROLE waybill_app", "SET ROLE waybill_system"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL(statement))


def test_the_login_of_backups_reads_every_row_and_writes_none(settings: Settings) -> None:
    with connect(settings, BACKUP_LOGIN) as connection:
        # Policies, not privileges, would leave rows out in silence.
        hidden = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND (NOT has_table_privilege(oid, 'SELECT') OR (relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy"
            " WHERE polrelid = pg_class.oid AND polcmd = 'r' AND polroles = ARRAY['waybill_backup'::regrole::oid]"
            " AND pg_get_expr(polqual, polrelid) = 'true')))"
        ).fetchall()
        assert hidden == []
        for statement in (
            "UPDATE jobs SET priority = 0",
            "DELETE FROM audit_records",
            "INSERT INTO organizations (id, name) VALUES (uuidv7(), 'mine')",
            "CREATE TABLE mine (id int)",
            "SET ROLE waybill_app",
            "SET ROLE waybill_system",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL(statement))


def test_the_login_of_backups_reads_the_partitions_of_months_to_come(settings: Settings) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as owner:
        owner.execute("SELECT ensure_partitions(4)")
    with connect(settings, BACKUP_LOGIN) as connection:
        unreadable = connection.execute(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
            " AND NOT has_table_privilege(oid, 'SELECT')"
        ).fetchall()
    assert unreadable == []


def test_a_password_that_is_set_again_is_the_new_one(postgres_url: str) -> None:
    set_passwords(postgres_url, {"waybill_scaler": "another"})
    try:
        psycopg.connect(address_of(postgres_url, "waybill_scaler", "another")).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(address_of(postgres_url, "waybill_scaler", PASSWORDS["waybill_scaler"]))
    finally:
        set_passwords(postgres_url, {"waybill_scaler": PASSWORDS["waybill_scaler"]})


def test_every_secret_is_some_process_s_or_the_client_s() -> None:
    held = frozenset[str]().union(*SECRETS.values())
    assert secret_settings() - held == {"api_key"}
    assert held <= secret_settings()

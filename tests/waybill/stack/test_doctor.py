"""What the doctor says about this machine, about Postgres and about the blob store."""

import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from core.kit.pooling import TransactionPooler
from core.kit.processes import LOGINS, address_of
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.services import PASSWORDS
from waybill.stack.doctor import Check, run_checks
from waybill.stack.doctor.machine import (
    check_disk,
    check_pseudonym_key,
    check_python,
    check_secret_key,
    check_signing_key,
)
from waybill.stack.doctor.postgres import check_clock, check_pooler, check_postgres, check_tls
from waybill.stack.doctor.storage import check_storage
from waybill.stack.postgres import free_port


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def at(url: str) -> Settings:
    return Settings(database_url=SecretStr(url))


def test_all_is_well_on_the_servers_of_the_tests(settings: Settings) -> None:
    checks = by_name(run_checks(settings.model_copy(update={"api_port": free_port(), "flower_port": 0})))
    assert [check for check in checks.values() if check.status == "fail"] == []
    assert checks["schema"].status == "ok"
    assert checks["database roles"].status == "ok"
    assert checks["pgvector"].status == "ok"
    assert checks["clock"].status == "ok"
    assert checks["blob store"].status == "ok"
    assert all(check.remedy for check in checks.values() if check.status != "ok")


@pytest.mark.parametrize("login", LOGINS)
def test_no_login_of_a_process_is_asked_for_more_than_it_is_meant_to_have(login: str, settings: Settings) -> None:
    assert settings.database_url is not None
    checks = check_postgres(at(address_of(settings.database_url.get_secret_value(), login, PASSWORDS[login])))
    # Other tests leave deliveries that nobody sends.
    assert [check for check in checks if check.status != "ok" and check.name != "webhooks"] == []


def test_with_nothing_running_it_says_what_would_be_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "stack.json").write_text('{"pid": 1, "settings": {"database_url": "postgresql://127.0.0.1:9/gone"}}')
    found = Settings(home=home, database_url=SecretStr("postgresql://127.0.0.1:9/gone"))
    checks = by_name(run_checks(found.model_copy(update={"api_port": 0, "flower_port": 0})))
    assert checks["stack"].status == "warn"
    # The address came from the run file of a stack that was killed, so nobody is to blame that it does not answer.
    if "DATABASE_URL" not in os.environ:
        assert checks["Postgres"].status == "ok"
        assert "waybill up" in checks["Postgres"].found


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        check = by_name(run_checks(Settings(home=tmp_path, api_port=port)))["API port"]
    assert check.status == "warn"
    assert str(port) in check.found


def test_machine_limits(tmp_path: Path) -> None:
    assert check_python((3, 10, 9)).status == "fail"
    assert check_python((3, 13, 2)).status == "ok"
    assert check_python((3, 14, 0)).status == "fail"
    assert [check_disk(tmp_path, free).status for free in (0.1, 1.0, 50.0)] == ["fail", "warn", "ok"]


@pytest.mark.parametrize(
    ("mode", "is_encrypted", "is_local", "status", "found"),
    [
        ("verify-full", True, False, "ok", "certificate is verified"),
        ("verify-ca", True, False, "warn", "host name is not verified"),
        ("require", True, False, "warn", "certificate is not verified (sslmode=require)"),
        ("prefer", False, False, "warn", "not encrypted"),
        ("prefer", False, True, "ok", "on this machine"),
    ],
)
def test_what_a_network_could_do_with_the_connection_to_postgres_is_named(
    mode: str, is_encrypted: bool, is_local: bool, status: str, found: str
) -> None:
    check = check_tls(mode, is_encrypted=is_encrypted, is_local=is_local)
    assert check.status == status
    assert found in check.found
    assert status == "ok" or "sslmode=verify-full" in check.remedy


@pytest.mark.parametrize(
    ("pooler", "prepares", "status"),
    [
        (None, True, "ok"),
        (TransactionPooler(keeps_prepared=True), True, "ok"),
        (TransactionPooler(keeps_prepared=False), False, "ok"),
        (TransactionPooler(keeps_prepared=False), True, "fail"),
    ],
)
def test_a_pooler_that_loses_what_is_prepared_is_named(
    pooler: TransactionPooler | None, prepares: bool, status: str
) -> None:
    assert check_pooler(pooler, prepares=prepares).status == status


def test_a_short_secret_key_is_refused(tmp_path: Path) -> None:
    assert check_secret_key(Settings(home=tmp_path, secret_key=SecretStr("short"))).status == "fail"
    assert check_secret_key(Settings(home=tmp_path, secret_key=SecretStr("x" * 32))).status == "ok"
    assert check_secret_key(Settings(home=tmp_path, secret_key=None)).status == "ok"
    assert check_secret_key(Settings(home=tmp_path, secret_key=None, environment="production")).status == "fail"


def test_a_short_pseudonym_key_is_refused_and_none_is_a_warning(tmp_path: Path) -> None:
    assert check_pseudonym_key(Settings(home=tmp_path, pseudonym_key=SecretStr("short"))).status == "fail"
    assert check_pseudonym_key(Settings(home=tmp_path, pseudonym_key=SecretStr("x" * 32))).status == "ok"
    assert check_pseudonym_key(Settings(home=tmp_path, pseudonym_key=None)).status == "ok"
    assert check_pseudonym_key(Settings(home=tmp_path, pseudonym_key=None, environment="production")).status == "warn"


@dataclass
class Scratch:
    """A database of its own on the tests' server, and a user who may do nothing there but connect."""

    url: str
    stranger: str


@pytest.fixture
def scratch(postgres_url: str) -> Iterator[Scratch]:
    name, password = f"scratch_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), password))
    url = make_url(postgres_url).set(database=name)
    yield Scratch(
        url.render_as_string(hide_password=False),
        url.set(username=name, password=password).render_as_string(hide_password=False),
    )
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_an_empty_database_wants_migrating(scratch: Scratch) -> None:
    schema = by_name(check_postgres(at(scratch.url)))["schema"]
    assert schema.status == "warn"
    assert "waybill migrate" in schema.remedy


def test_a_database_of_a_newer_version_is_left_alone(scratch: Scratch) -> None:
    with psycopg.connect(scratch.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    schema = by_name(check_postgres(at(scratch.url)))["schema"]
    assert schema.status == "fail"
    assert "newer Waybill" in schema.remedy


def test_a_database_that_takes_no_writes_is_named(scratch: Scratch) -> None:
    assert by_name(check_postgres(at(scratch.url)))["Postgres writes"].status == "ok"
    name = sql.Identifier(make_url(scratch.url).database or "")
    with psycopg.connect(scratch.url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    writes = by_name(check_postgres(at(scratch.url)))["Postgres writes"]
    assert writes.status == "fail"
    assert "disk" in writes.remedy


def test_a_server_whose_connections_are_used_up_is_named(scratch: Scratch) -> None:
    name = sql.Identifier(make_url(scratch.stranger).username or "")
    with psycopg.connect(scratch.url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(name))
    found = by_name(check_postgres(at(scratch.stranger)))["Postgres"]
    assert found.status == "fail"
    assert "connections" in found.remedy


def test_a_user_who_may_not_assume_the_roles_is_shown_the_grant(scratch: Scratch) -> None:
    roles = by_name(check_postgres(at(scratch.stranger)))["database roles"]
    assert roles.status == "fail"
    assert "GRANT waybill_app, waybill_system TO" in roles.remedy
    with psycopg.connect(scratch.url, autocommit=True) as admin:
        admin.execute(roles.remedy.partition(": ")[2])
    assert by_name(check_postgres(at(scratch.stranger)))["database roles"].status == "ok"
    with psycopg.connect(scratch.url, autocommit=True) as admin:
        user = sql.Identifier(make_url(scratch.stranger).username or "")
        admin.execute(sql.SQL("REVOKE waybill_app, waybill_system FROM {}").format(user))


def test_a_user_who_may_not_look_is_notified(scratch: Scratch) -> None:
    with psycopg.connect(scratch.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    checks = check_postgres(at(scratch.stranger))
    assert checks[-1].status == "fail"
    assert "alembic_version" in checks[-1].found
    assert checks[0].status == "ok", "what was found before is kept"


def test_a_wrong_password_is_explained_and_not_shown(postgres_url: str) -> None:
    url = make_url(postgres_url).set(password="open-sesame").render_as_string(hide_password=False)
    [check] = check_postgres(at(url))
    assert check.status == "fail"
    assert "DATABASE_URL" in check.remedy
    assert "open-sesame" not in f"{check.found}{check.remedy}"


def test_a_clock_that_is_off_is_named() -> None:
    assert check_clock(0.4).status == "ok"
    assert check_clock(-90).status == "warn"
    assert "90.0 s behind" in check_clock(-90).found


def test_a_blob_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [in_the_way] = check_storage(Settings(blob_url=f"file://{tmp_path}/file/blobs"))
    assert in_the_way.status == "fail"
    [unknown] = check_storage(Settings(blob_url="s3://bucket"))
    assert unknown.status == "fail"
    assert "azure:" in unknown.found


def test_the_key_that_signs_must_be_one(tmp_path: Path) -> None:
    assert check_signing_key(Settings(home=tmp_path)).status == "ok"
    assert check_signing_key(Settings(home=tmp_path, environment="production")).status == "fail"
    assert check_signing_key(Settings(home=tmp_path, signing_key=SecretStr("no key"))).status == "fail"
    seed = SecretStr(generate_seed())
    assert check_signing_key(Settings(home=tmp_path, signing_key=seed)).status == "ok"
    assert check_signing_key(Settings(home=tmp_path, signing_key=seed, signing_keys_retired=["x"])).status == "fail"

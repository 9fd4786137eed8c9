"""Backups and restores that are refused, and what is left behind then: nothing."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import text
from typer.testing import Result

from core.guard.pseudonyms import PseudonymKeys, Pseudonyms
from core.kit.blob import open_blob_store
from core.kit.ids import JOB, encode
from core.kit.processes import BACKUP_LOGIN, LOGINS, address_of
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from core.webhooks.records import NewEndpoint
from core.webhooks.service import WebhookService
from tests.factories.attempts import attempt
from tests.factories.azurite import AzuriteMissing, azurite
from tests.factories.backups import backup_command, command_line, empty_installation
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import ROOT, settings_of
from tests.factories.services import PASSWORDS, direct, drop_database, new_database
from tests.factories.waiting import wait_until
from waybill.backup.backup import back_up
from waybill.backup.manifest import DUMP, INDEX, MANIFEST, Manifest, blob_path, read_index
from waybill.stack.postgres import EmbeddedPostgres, binaries

pytestmark = pytest.mark.xdist_group("logins")


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A migrated database of each test's own, as each has keys of its own."""
    url = direct(new_database(postgres_url))
    yield url
    drop_database(postgres_url, url)


@pytest.fixture
def source(settings: Settings) -> Iterator[Tenant]:
    """An installation with a large input, an artifact, pseudonyms, a sealed webhook secret and a sealed trail."""
    tenant = new_tenant(settings)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        WebhookService(settings).create(session, tenant.principal, NewEndpoint("https://example.com/hook", events=()))
    job_id = tenant.submit(note="x" * 100_000)
    with attempt(settings, encode(JOB, job_id)) as driven:
        driven.context.artifact("report.txt", b"what was found", "text/plain")
        names = Pseudonyms(driven.context.executor, PseudonymKeys(settings), tenant.principal.organization_id, job_id)
        names.name_all([("person", "Anna Schmidt"), ("person", "Ben Okafor")])
        driven.succeed(said="done")
    for words in (("audit", "seal"), ("audit", "export")):
        assert command_line(settings)(*words).exit_code == 0
    yield tenant
    tenant.close()


@pytest.fixture
def backup(settings: Settings, source: Tenant, tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    taken = backup_command(settings)("backup", str(folder))
    assert taken.exit_code == 0, taken.stderr
    return folder


@pytest.fixture
def empty(settings: Settings, postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
    """An empty database of the same server, with another folder and another prefix."""
    name = f"empty_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    address = postgres_url.rpartition("/")[0] + f"/{name}"
    yield settings_of(
        settings,
        home=tmp_path / "elsewhere",
        database_url=SecretStr(address),
        key_prefix=f"{settings.key_prefix}new",
    )
    drop_database(postgres_url, address)


def read_manifest(folder: Path) -> Manifest:
    return Manifest.model_validate_json((folder / MANIFEST).read_bytes())


def refused(result: Result, code: str) -> dict[str, Any]:
    assert result.exit_code != 0
    error: dict[str, Any] = json.loads(result.stderr.strip().splitlines()[-1])["error"]
    assert error["code"] == code, error
    assert error["remedy"]
    return error


def tables(settings: Settings) -> int:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        [[count]] = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return int(count)


def assert_untouched(settings: Settings) -> None:
    assert tables(settings) == 0
    assert list(open_blob_store(settings).list("")) == []


def schema(settings: Settings) -> Counter[str]:
    """The statements that make the schema, with all grants and policies, line by line."""
    assert settings.database_url is not None
    command = [str(binaries() / "pg_dump"), "--schema-only", f"--dbname={settings.database_url.get_secret_value()}"]
    dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # A token of the dump's own, and where the events' positions go on.
    return Counter(line for line in dumped.splitlines() if not re.search(r"restrict |SELECT \d+::bigint", line))


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_comes_back_is_what_was_there(settings: Settings, source: Tenant, backup: Path, empty: Settings) -> None:
    result = command_line(empty)("restore", str(backup))
    assert result.exit_code == 0, result.stderr + result.stdout
    assert "all invariants hold" in result.stdout
    before, after = open_blob_store(settings), open_blob_store(empty)
    keys = list(before.list(""))
    assert list(after.list("")) == keys
    assert {key.split("/")[0] for key in keys} == {"jobs", "audit"}
    assert all(after.get(key) == before.get(key) for key in keys)
    assert schema(settings) == schema(empty)
    restored = new_tenant(empty)
    with restored.database.system() as session:
        actions = session.execute(
            text("SELECT action FROM audit_inbox WHERE organization_id = :id"),
            {"id": source.principal.organization_id},
        ).scalars()
        assert list(actions) == ["system:installation:restore"]
    restored.close()


def test_no_key_is_in_a_backup_and_only_its_owner_reads_it(settings: Settings, backup: Path) -> None:
    assert settings.secret_key is not None
    assert settings.pseudonym_key is not None
    assert settings.signing_key is not None
    written = b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
    for secret in (settings.secret_key, settings.pseudonym_key, settings.signing_key):
        assert secret.get_secret_value().encode() not in written
    assert backup.stat().st_mode & 0o077 == 0
    found = read_manifest(backup)
    assert [each.sealed_values for each in found.secret_keys] == [1]
    assert [each.sealed_values for each in found.pseudonym_keys] == [2]
    assert [each.seals for each in found.signing_keys] == [1]


def test_checksums_can_be_checked_without_waybill(backup: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=backup, check=True, capture_output=True, text=True
    )
    assert done.stdout.count(": OK") == 3


def test_a_restore_with_another_secret_key_is_refused(backup: Path, empty: Settings) -> None:
    other = settings_of(empty, secret_key=SecretStr(secrets.token_urlsafe(32)))
    error = refused(command_line(other)("restore", str(backup), "--json"), "wrong_key")
    assert read_manifest(backup).secret_keys[0].fingerprint in error["message"]
    assert_untouched(empty)


def test_a_restore_with_another_pseudonym_key_is_refused(backup: Path, empty: Settings) -> None:
    other = settings_of(empty, pseudonym_key=SecretStr(secrets.token_urlsafe(32)))
    error = refused(command_line(other)("restore", str(backup), "--json"), "wrong_key")
    assert read_manifest(backup).pseudonym_keys[0].fingerprint in error["message"]
    assert_untouched(empty)


def test_a_backup_of_pseudonyms_needs_their_key(settings: Settings, source: Tenant, tmp_path: Path) -> None:
    keyless = backup_command(settings)("backup", str(tmp_path / "backup"), "--json", WAYBILL_PSEUDONYM_KEY=None)
    refused(keyless, "pseudonym_key_not_configured")
    assert not list(tmp_path.glob("*backup*"))


def test_a_key_that_was_retired_since_is_good_enough(backup: Path, empty: Settings) -> None:
    assert empty.secret_key is not None
    assert empty.pseudonym_key is not None
    retired = {
        "WAYBILL_SECRET_KEYS_RETIRED": json.dumps([empty.secret_key.get_secret_value()]),
        "WAYBILL_PSEUDONYM_KEYS_RETIRED": json.dumps([empty.pseudonym_key.get_secret_value()]),
    }
    key = SecretStr(secrets.token_urlsafe(32))
    newer = settings_of(empty, secret_key=key, pseudonym_key=key)
    result = command_line(newer, **retired)("restore", str(backup))
    assert result.exit_code == 0, result.stderr


def test_a_restore_with_another_signing_key_is_refused(backup: Path, empty: Settings) -> None:
    other = settings_of(empty, signing_key=SecretStr(generate_seed()))
    error = refused(command_line(other)("restore", str(backup), "--json"), "wrong_key")
    assert "WAYBILL_SIGNING_KEY" in error["message"]
    assert_untouched(empty)


def test_a_backup_with_keys_that_do_not_open_what_is_stored_is_refused(
    settings: Settings,
    source: Tenant,
    tmp_path: Path,
) -> None:
    other = settings_of(settings, secret_key=SecretStr(secrets.token_urlsafe(32)))
    refused(backup_command(other)("backup", str(tmp_path / "backup"), "--json"), "cannot_open")
    assert not list(tmp_path.glob("*backup*"))


@pytest.mark.parametrize("part", [DUMP, INDEX, MANIFEST, "blob"])
def test_a_changed_byte_is_found_before_anything_is_written(backup: Path, empty: Settings, part: str) -> None:
    flip(blob_path(backup, next(read_index(backup)).sha256) if part == "blob" else backup / part)
    refused(command_line(empty)("restore", str(backup), "--json"), "backup_damaged")
    assert_untouched(empty)


def test_a_missing_part_is_found_before_anything_is_written(backup: Path, empty: Settings) -> None:
    blob_path(backup, next(read_index(backup)).sha256).unlink()
    refused(command_line(empty)("restore", str(backup), "--json"), "backup_damaged")
    (backup / MANIFEST).unlink()
    refused(command_line(empty)("restore", str(backup), "--json"), "backup_incomplete")
    assert_untouched(empty)


def test_only_what_is_empty_is_restored_into(settings: Settings, backup: Path, empty: Settings) -> None:
    before = tables(settings)
    error = refused(command_line(settings)("restore", str(backup), "--json"), "target_not_empty")
    assert "database" in error["message"]
    assert tables(settings) == before

    client: Redis = connect(empty)
    client.set(empty.key("jobs", "left"), "behind")
    assert "Redis" in refused(command_line(empty)("restore", str(backup), "--json"), "target_not_empty")["message"]
    client.delete(empty.key("jobs", "left"))

    open_blob_store(empty).put("jobs/other", b"another's", "text/plain")
    assert "jobs/other" in refused(command_line(empty)("restore", str(backup), "--json"), "target_not_empty")["message"]
    assert tables(empty) == 0
    assert list(open_blob_store(empty).list("")) == ["jobs/other"]


def test_what_was_written_is_taken_back_when_the_database_does_not_follow(backup: Path, empty: Settings) -> None:
    assert empty.database_url is not None
    # An old dump with the manifest to match is not what pg_restore will take.
    (backup / DUMP).write_bytes(b"PGDMP, or so it says")
    found = read_manifest(backup)
    sums = subprocess.run(["sha256sum", DUMP], cwd=backup, check=True, capture_output=True, text=True).stdout.split()[0]
    parts = {**found.parts, DUMP: found.parts[DUMP].model_copy(update={"sha256": sums, "size_bytes": 20})}
    (backup / MANIFEST).write_text(found.model_copy(update={"parts": parts}).model_dump_json(), encoding="utf-8")
    (backup / "SHA256SUMS").write_text(
        subprocess.run(
            ["sha256sum", MANIFEST, DUMP, INDEX], cwd=backup, check=True, capture_output=True, text=True
        ).stdout,
        encoding="utf-8",
    )
    refused(command_line(empty)("restore", str(backup), "--json"), "pg_restore_failed")
    assert_untouched(empty)


def test_a_blob_that_the_store_lacks_fails_the_backup_unless_it_is_allowed(
    settings: Settings, source: Tenant, tmp_path: Path, empty: Settings
) -> None:
    key = f"jobs/{source.submitted[0]}/input.json"
    open_blob_store(settings).delete(key)
    with pytest.raises(Exception, match="lacks 1 blobs") as caught:
        back_up(
            settings,
            tmp_path / "backup",
            programs=None,
            allow_missing=False,
            progress=lambda _: None,
            pause_seconds=0,
        )
    assert key in str(caught.value)
    assert not list(tmp_path.glob("*backup*"))

    taken = backup_command(settings)("backup", str(tmp_path / "backup"), "--allow-missing", "--json")
    assert taken.exit_code == 0, taken.stderr
    assert json.loads(taken.stdout)["blobs"]["missing"] == [key]
    result = command_line(empty)("restore", str(tmp_path / "backup"), "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["missing_blobs"] == [key]


def test_a_blob_that_is_not_what_its_row_says_fails_the_backup(
    settings: Settings, source: Tenant, tmp_path: Path
) -> None:
    with source.database.system() as session:
        key = session.execute(text("SELECT blob_key FROM job_artifacts")).scalar_one()
    open_blob_store(settings).put(key, b"something else", "text/plain")
    error = refused(backup_command(settings)("backup", str(tmp_path / "backup"), "--json"), "blob_corrupt")
    assert key in error["message"]
    assert not list(tmp_path.glob("*backup*"))


def test_what_is_removed_or_stored_while_blobs_are_copied_disturbs_nothing(
    settings: Settings, source: Tenant, tmp_path: Path
) -> None:
    blobs, [old] = open_blob_store(settings), source.submitted
    gone = f"jobs/{old}/input.json"

    def work_on(text_: str) -> None:
        if text_.startswith("Postgres") and text_.endswith("done"):
            source.submit(note="y" * 100_000)
            blobs.delete(gone)
            with source.database.system() as session:
                session.execute(text("UPDATE jobs SET input_ref = NULL WHERE id = :id"), {"id": old})

    made = back_up(settings, tmp_path / "backup", programs=None, allow_missing=False, progress=work_on)
    assert (made.blobs.missing, made.blobs.removed_meanwhile) == ([], 1)
    assert made.rows["jobs"] == 1
    copied = {line.key for line in read_index(tmp_path / "backup")}
    assert {key for key in copied if key.endswith("input.json")} == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_backup_never_looks_whole(
    settings: Settings, source: Tenant, tmp_path: Path, empty: Settings, number: signal.Signals
) -> None:
    folder = tmp_path / "backup"
    environment = {**os.environ, **{k: v for k, v in backup_command(settings).environment.items() if v is not None}}
    command = [sys.executable, "-m", "waybill", "backup", str(folder)]
    with source.database.engine.begin() as connection:
        # It waits for this, in the middle of its work.
        connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        # A shell in the background lets its commands ignore Ctrl-C, and so those of the tests that it runs.
        process = subprocess.Popen(
            ["env", "--default-signal=INT", *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE
        )
        wait_until(lambda: any(tmp_path.glob(".backup.unfinished-*")), timeout_seconds=60, what="the backup to begin")
        process.send_signal(number)
        process.communicate(timeout=60)
    assert not folder.exists()
    left = list(tmp_path.glob(".backup.unfinished-*"))
    if number is signal.SIGKILL:
        [unfinished] = left
        refused(command_line(empty)("restore", str(unfinished), "--json"), "backup_incomplete")
    else:
        assert process.returncode == 130
        assert left == []


def test_a_folder_that_is_there_is_not_written_to(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    refused(backup_command(settings)("backup", str(tmp_path / "backup"), "--json"), "destination_exists")
    assert list((tmp_path / "backup").iterdir()) == []


@pytest.mark.parametrize("login", ["waybill_api", "waybill_scaler"])
def test_a_login_that_does_not_see_every_row_backs_nothing_up(settings: Settings, login: str, tmp_path: Path) -> None:
    result = command_line(settings, login=login)("backup", str(tmp_path / "backup"), "--json")
    refused(result, "rows_hidden")


def test_a_folder_without_postgres_programs_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    options = ["--postgres-programs", str(tmp_path / "bin"), "--json"]
    refused(backup_command(settings)("backup", str(tmp_path / "backup"), *options), "postgres_program_missing")
    assert not list(tmp_path.glob("*backup*"))


def test_the_login_of_backups_needs_a_password_only_where_it_is_used(
    settings: Settings, postgres_url: str, tmp_path: Path
) -> None:
    for login in set(LOGINS) - {BACKUP_LOGIN}:
        (tmp_path / f"{login}.password").write_text(PASSWORDS[login], encoding="utf-8")
    result = command_line(settings)("migrate", "--passwords", str(tmp_path), "--json")
    assert result.exit_code == 0, result.stderr
    assert BACKUP_LOGIN not in json.loads(result.stdout)["passwords_set"]
    (tmp_path / f"{BACKUP_LOGIN}.password").write_text(PASSWORDS[BACKUP_LOGIN], encoding="utf-8")
    result = command_line(settings)("migrate", "--passwords", str(tmp_path), "--json")
    assert BACKUP_LOGIN in json.loads(result.stdout)["passwords_set"]
    assert json.loads(result.stdout)["prices_added"] == 0, "the book was filled by the first run"
    psycopg.connect(address_of(postgres_url, BACKUP_LOGIN, PASSWORDS[BACKUP_LOGIN])).close()
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        (known,) = connection.execute("SELECT count(*) FROM prices WHERE source = 'genai-prices'").fetchone() or (0,)
    assert known > 5_000


def test_an_owner_who_is_no_superuser_restores(backup: Path, settings: Settings, tmp_path: Path) -> None:
    with empty_installation(settings, tmp_path / "managed") as managed:
        assert managed.database_url is not None
        administrator = managed.database_url.get_secret_value()
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute("CREATE ROLE the_owner LOGIN CREATEROLE PASSWORD 'of_the_tests'")
            connection.execute("CREATE DATABASE managed OWNER the_owner")
        address = address_of(administrator, "the_owner", "of_the_tests").rpartition("/")[0] + "/managed"
        with psycopg.connect(administrator.rpartition("/")[0] + "/managed", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        result = command_line(settings_of(managed, database_url=SecretStr(address)))("restore", str(backup))
        assert result.exit_code == 0, result.stderr + result.stdout
        with psycopg.connect(address) as connection:
            roles = connection.execute(_MEMBERSHIPS).fetchall()
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        assert roles == connection.execute(_MEMBERSHIPS).fetchall()


def test_without_an_address_the_embedded_postgres_is_restored_into(
    settings: Settings, source: Tenant, backup: Path, tmp_path: Path
) -> None:
    home = tmp_path / "machine"
    cli = command_line(settings_of(settings, home=home))
    result = cli("restore", str(backup), DATABASE_URL=None, REDIS_URL=None)
    assert result.exit_code == 0, result.stderr + result.stdout
    server = EmbeddedPostgres(home / "postgres")
    server.start()
    try:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT id FROM jobs").fetchall() == [(source.submitted[0],)]
    finally:
        server.stop()


# What the migrations made in the server of the tests is what a restore makes in a new one.
_MEMBERSHIPS = """
SELECT roleid::regrole::text, member::regrole::text, inherit_option, set_option FROM pg_auth_members
WHERE roleid::regrole::text LIKE 'waybill\\_%' AND pg_get_userbyid(member) LIKE 'waybill\\_%'
  AND pg_get_userbyid(member) <> 'waybill_owner' ORDER BY 1, 2
"""


@pytest.mark.heavy
def test_blobs_come_from_and_go_to_azure(settings: Settings, tmp_path: Path, empty: Settings) -> None:
    from azure.storage.blob import BlobServiceClient

    try:
        server = azurite(tmp_path / "azurite")
        with server as connection_string:
            service = BlobServiceClient.from_connection_string(connection_string)
            for container in ("lost", "new"):
                service.create_container(container)
            given = {"azure_storage_connection_string": SecretStr(connection_string)}
            lost = settings_of(settings, blob_url="azure://lost", **given)
            tenant = new_tenant(lost)
            tenant.submit(note="z" * 5_000_000)
            tenant.close()
            store = {"AZURE_STORAGE_CONNECTION_STRING": connection_string}
            taken = command_line(lost, WAYBILL_BLOB_URL="azure://lost", **store)("backup", str(tmp_path / "backup"))
            assert taken.exit_code == 0, taken.stderr
            result = command_line(empty, WAYBILL_BLOB_URL="azure://new", **store)("restore", str(tmp_path / "backup"))
            assert result.exit_code == 0, result.stderr + result.stdout
            key = f"jobs/{tenant.submitted[0]}/input.json"
            new = settings_of(empty, blob_url="azure://new", **given)
            assert open_blob_store(new).get(key) == open_blob_store(lost).get(key)
    except AzuriteMissing as missing:
        pytest.skip(str(missing))

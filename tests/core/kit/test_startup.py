from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from core.kit.errors import Unavailable
from core.kit.migrate import newest_revision
from core.kit.processes import address_of
from core.kit.settings import Settings
from core.kit.startup import wait_for_postgres, wait_for_schema
from infra.migrations import versions


def test_the_newest_revision_is_that_of_the_newest_file() -> None:
    files = sorted(Path(versions.__path__[0]).glob("[0-9]*.py"))
    assert f'revision = "{newest_revision()}"' in files[-1].read_text(encoding="utf-8")


@pytest.mark.parametrize(("revision", "code"), [(newest_revision(), None), ("9999", None), ("0001", "schema_outdated")])
def test_a_process_starts_on_its_own_schema_or_a_newer_one(settings: Settings, revision: str, code: str | None) -> None:
    assert settings.database_url is not None
    at_once = settings.model_copy(update={"start_timeout_seconds": 0.0})
    url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))
        try:
            wait_for_schema(at_once)
            found = None
        except Unavailable as refusal:
            found = refusal.code
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", (newest_revision(),))
    assert found == code


def test_an_empty_database_and_an_absent_one_are_told_apart(settings: Settings) -> None:
    assert settings.database_url is not None
    at_once = settings.model_copy(update={"start_timeout_seconds": 0.0})
    url = make_url(settings.database_url.get_secret_value())
    empty = url.set(database="postgres").render_as_string(hide_password=False)
    absent = url.set(port=1).render_as_string(hide_password=False)
    refused = address_of(empty, "waybill_api", "not its password")
    for address, code in (
        (empty, "schema_outdated"),
        (absent, "postgres_unreachable"),
        (refused, "postgres_login_refused"),
    ):
        with pytest.raises(Unavailable) as refusal:
            wait_for_schema(at_once.model_copy(update={"database_url": SecretStr(address)}))
        assert refusal.value.code == code
        assert (url.password or "") not in refusal.value.detail


def test_migrations_wait_for_a_server_only(settings: Settings) -> None:
    assert settings.database_url is not None
    at_once = settings.model_copy(update={"start_timeout_seconds": 0.0})
    url = make_url(settings.database_url.get_secret_value())
    empty = url.set(database="postgres").render_as_string(hide_password=False)
    wait_for_postgres(at_once.model_copy(update={"database_url": SecretStr(empty)}))
    absent = url.set(port=1).render_as_string(hide_password=False)
    with pytest.raises(Unavailable) as refusal:
        wait_for_postgres(at_once.model_copy(update={"database_url": SecretStr(absent)}))
    assert refusal.value.code == "postgres_unreachable"


def test_a_setting_is_read_from_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "DATABASE_URL").write_text("postgresql://from-a-file/waybill\n", encoding="utf-8")
    (secrets / "WAYBILL_SECRET_KEY").write_text("k" * 40, encoding="utf-8")
    monkeypatch.setenv("WAYBILL_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("WAYBILL_HOME", str(tmp_path))
    found = Settings()
    assert found.database_url is not None
    assert found.database_url.get_secret_value() == "postgresql://from-a-file/waybill"
    assert found.secret_key is not None
    monkeypatch.setenv("DATABASE_URL", "postgresql://from-the-environment/waybill")
    assert "from-the-environment" in Settings().database_url.get_secret_value()  # type: ignore[union-attr]

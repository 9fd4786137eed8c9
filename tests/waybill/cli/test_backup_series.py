"""A folder of backups: each in a folder of its own, and no more of them than are to be kept."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.kit.settings import Settings
from tests.factories.backups import backup_command
from tests.factories.jobs import new_tenant
from tests.factories.services import drop_database, new_database
from waybill.backup import manifest, series
from waybill.cli.failures import CliError

pytestmark = pytest.mark.xdist_group("logins")


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    url = new_database(postgres_url)
    yield url
    drop_database(postgres_url, url)


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} - {"home"}


def made(folder: Path, *members: str) -> None:
    for name in members:
        (folder / name / "blobs" / "ab").mkdir(parents=True)
        (folder / name / "blobs" / "ab" / "ab12").write_bytes(b"content")
        (folder / name / manifest.SUMS).write_text("", encoding="utf-8")


def test_a_backup_is_named_after_its_moment_and_the_oldest_go(settings: Settings, tmp_path: Path) -> None:
    tenant = new_tenant(settings)
    tenant.submit(note="x" * 100_000)
    tenant.close()
    cli = backup_command(settings)
    made(tmp_path, "2026-01-01T031500Z", "2026-01-02T031500Z", "2026-01-03T031500Z")
    result = cli("backup", "--into", str(tmp_path), "--keep", "2", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["removed"] == ["2026-01-01T031500Z", "2026-01-02T031500Z"]
    new = Path(report["backup"])
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{6}Z", new.name)
    assert names(tmp_path) == {"2026-01-03T031500Z", new.name}
    assert manifest.read(new).blobs.count == 1


def test_without_keep_all_of_them_stay(settings: Settings, tmp_path: Path) -> None:
    made(tmp_path, "2026-01-01T031500Z")
    result = backup_command(settings)("backup", "--into", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    assert len(names(tmp_path)) == 2


def test_what_the_system_refuses_is_no_defect(settings: Settings, tmp_path: Path) -> None:
    result = backup_command(settings)("backup", str(tmp_path / ("x" * 300)), "--json")
    assert result.exit_code == 1
    error = json.loads(result.stderr.strip().splitlines()[-1])["error"]
    assert error["code"] == "backup_not_written"
    assert error["message"].startswith("File name too long: ")


def test_a_backup_that_fails_removes_none(settings: Settings, tmp_path: Path) -> None:
    made(tmp_path, "2026-01-01T031500Z", "2026-01-02T031500Z")
    before = names(tmp_path)
    result = backup_command(settings)("backup", "--into", str(tmp_path), "--keep", "1", WAYBILL_SECRET_KEY=None)
    assert result.exit_code != 0
    assert names(tmp_path) == before


def test_only_older_backups_and_what_killed_ones_left_are_removed(tmp_path: Path) -> None:
    foreign = {"2026-01-01", "2026-01-01T031500Z.copy", "notes", "2026-01-02T000000Z"}
    made(tmp_path, "2026-01-02T031500Z", "2026-01-04T031500Z", *foreign - {"2026-01-02T000000Z"})
    elsewhere = tmp_path / "elsewhere"
    made(elsewhere, "2025-12-31T031500Z")
    (tmp_path / "2026-01-02T000000Z").symlink_to(elsewhere / "2025-12-31T031500Z")
    running = ".2026-01-04T060000Z.unfinished-abc"
    made(tmp_path, ".2026-01-03T031500Z.unfinished-abc", running)
    assert series.thin(tmp_path, 1) == ["2026-01-02T031500Z"]
    assert names(tmp_path) == {"2026-01-04T031500Z", "elsewhere", running, *foreign}
    assert (elsewhere / "2025-12-31T031500Z" / manifest.SUMS).exists()


def test_what_cannot_be_removed_is_named_and_the_new_backup_stays(tmp_path: Path) -> None:
    made(tmp_path, "2026-01-01T031500Z", "2026-01-02T031500Z")
    (tmp_path / "2026-01-01T031500Z" / manifest.SUMS).unlink()
    (tmp_path / "2026-01-01T031500Z" / manifest.SUMS).mkdir()
    with pytest.raises(CliError, match=r"the new backup was made, but .*2026-01-01T031500Z could not be removed"):
        series.thin(tmp_path, 1)
    assert names(tmp_path) == {"2026-01-01T031500Z", "2026-01-02T031500Z"}


@pytest.mark.parametrize(
    "words",
    [(), ("{}/new", "--into", "{}"), ("{}/new", "--keep", "3"), ("--into", "{}", "--keep", "0")],
)
def test_a_backup_has_one_destination(settings: Settings, words: tuple[str, ...], tmp_path: Path) -> None:
    result = backup_command(settings)("backup", *(word.format(tmp_path) for word in words))
    assert result.exit_code == 2
    assert names(tmp_path) == set()

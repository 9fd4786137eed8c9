import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from core.audit.actions import AuditAction
from core.audit.record import Actor, Personal, record
from core.jobs.receipts.document import sign
from core.kit.signing import Signer
from tests.factories.api import RunningApi
from tests.factories.attempts import attempt
from tests.waybill.cli.conftest import Cli

pytestmark = pytest.mark.own_database

GIVEN = {"act": "noop"}


def made(cli: Cli, api: RunningApi, tmp_path: Path) -> Path:
    """The waybill of a finished job, in a file."""
    job = cli("jobs", "submit", "probe.act", "-s", "act=noop").stdout.strip()
    with attempt(api.settings, job) as driven:
        driven.succeed(said="done")
    assert cli("audit", "seal").exit_code == 0
    file = tmp_path / "waybill.json"
    fetched = cli("jobs", "waybill", job, "-o", str(file))
    assert fetched.exit_code == 0, fetched.stderr
    return file


@pytest.fixture
def waybill(cli: Cli, api: RunningApi, tmp_path: Path) -> Path:
    return made(cli, api, tmp_path)


@pytest.fixture
def jwks(api: RunningApi, tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    with api.client("") as anybody:
        file.write_text(anybody.get("/.well-known/jwks.json").text, encoding="utf-8")
    return file


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def rewrite(file: Path, document: dict[str, Any]) -> str:
    file.write_text(json.dumps(document), encoding="utf-8")
    return str(file)


def failed(result: Result) -> list[str]:
    assert result.exit_code == 1, result.stdout
    return [line for line in result.stdout.splitlines() if line.startswith("FAILS")]


def test_a_waybill_is_checked_where_there_is_no_waybill(
    isolated: Cli, waybill: Path, jwks: Path, tmp_path: Path
) -> None:
    given = tmp_path / "input.json"
    given.write_text(json.dumps(GIVEN), encoding="utf-8")
    checked = isolated("verify", str(waybill), "--jwks", str(jwks), "--input", str(given))
    assert checked.exit_code == 0, checked.stdout + checked.stderr
    assert "the signature by key" in checked.stdout
    assert "3 audit records proved to be in 1 signed seal" in checked.stdout
    assert "the input is the one that this waybill is about" in checked.stdout
    given.write_text('{"act": "other"}', encoding="utf-8")
    reported = failed(isolated("verify", str(waybill), "--jwks", str(jwks), "--input", str(given)))
    assert len(reported) == 1
    assert "the input is not the one" in reported[0]


def test_without_keys_nothing_is_proved(isolated: Cli, cli: Cli, api: RunningApi, waybill: Path) -> None:
    unknown = isolated("verify", str(waybill))
    assert unknown.exit_code == 1
    assert "nobody can tell who signed this" in unknown.stdout
    assert cli("verify", str(waybill)).exit_code == 0, "an installation knows its own keys"
    assert isolated("verify", str(waybill), "--jwks", f"{api.url}/.well-known/jwks.json").exit_code == 0
    unreachable = isolated("verify", str(waybill), "--jwks", "http://127.0.0.1:1/jwks.json")
    assert unreachable.exit_code == 3


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda document: document["job"].update(state="failed"), "changed after it was signed"),
        (lambda document: document.pop("signature"), "not signed"),
        (lambda document: document["signature"].update(key_id="x"), "not among the public keys given"),
        (lambda document: document.update(type="other"), "not a waybill"),
        (lambda document: document.pop("costs"), "missing or unreadable"),
    ],
)
def test_a_changed_waybill_does_not_hold(isolated: Cli, waybill: Path, jwks: Path, change: Any, reported: str) -> None:
    document = read(waybill)
    change(document)
    result = isolated("verify", rewrite(waybill, document), "--jwks", str(jwks))
    assert result.exit_code == 1
    assert reported in result.stdout


def drop_middle(document: dict[str, Any]) -> None:
    document["audit"]["records"][1]["proof"]["path"] = []


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda d: d["audit"]["records"][0]["record"].update(actor_id="key_other"), "is not in seal"),
        (drop_middle, "is not in seal"),
        (lambda d: d["audit"]["records"][0]["record"].update(subject_id="job_other"), "is not about this job"),
        (lambda d: d["audit"]["seals"][0].update(root="00" * 32), "its content does not give its hash"),
        (lambda d: d["audit"]["seals"].clear(), "which is not in the document"),
        (lambda d: d["asked"].update(input_digest="00" * 32), "document and audit trail disagree"),
        (lambda d: d["result"].update(digest="00" * 32), "document and audit trail disagree"),
        (lambda d: d["job"].update(attempts=2), "2 attempts are claimed, 1 were recorded"),
        (lambda d: d["costs"].update(total_usd="1.00"), "not to 1.00"),
    ],
)
def test_a_liar_with_the_right_key_is_caught_by_the_trail(  # noqa: PLR0917 - fixtures
    isolated: Cli, api: RunningApi, waybill: Path, jwks: Path, change: Any, reported: str
) -> None:
    document = read(waybill)
    change(document)
    signed = sign(Signer.from_settings(api.settings), document)
    lines = failed(isolated("verify", rewrite(waybill, signed), "--jwks", str(jwks)))
    assert any(reported in line for line in lines), lines


def test_unreadable_files_are_named(isolated: Cli, tmp_path: Path) -> None:
    assert isolated("verify", str(tmp_path / "none.json")).exit_code == 2
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert isolated("verify", str(broken)).exit_code == 2
    keys = tmp_path / "keys.json"
    keys.write_text("[]", encoding="utf-8")
    empty = tmp_path / "empty.json"
    empty.write_text("{}", encoding="utf-8")
    assert isolated("verify", str(empty), "--jwks", str(keys)).exit_code == 2


def test_the_trail_is_listed_verified_exported_and_erased_from(cli: Cli, api: RunningApi) -> None:
    with api.runtime.database.tenant(api.key.organization_id) as session:
        record(
            session,
            api.key.organization_id,
            api.key.project_id,
            AuditAction.MEMBER_ADD,
            subject_id="mem_1",
            actor=Actor("key", "key_1"),
            personal=Personal("ada", {"email": "ada@example.org"}),
        )
    listed = cli("audit", "list", "--subject", "mem_1", "--action", "api:member:add")
    assert "waits" in listed.stdout
    assert json.loads(cli("audit", "seal", "--json").stdout)["sealed"] >= 1
    exported = json.loads(cli("audit", "export", "--json").stdout)["exports"]
    assert exported
    assert json.loads(cli("audit", "export", "--json").stdout)["exports"] == []
    assert "erased 1 values" in cli("audit", "erase", "ada").stdout
    assert "erased 0 values" in cli("audit", "erase", "ada").stdout

    intact = cli("audit", "verify")
    assert intact.exit_code == 0, intact.stdout
    assert "intact" in intact.stdout
    assert "anchored up to seal" in intact.stdout
    with api.runtime.database.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE audit_records SET actor_id = 'x' WHERE sequence = 1")
    broken = cli("audit", "verify", "--json")
    assert broken.exit_code == 1
    report = json.loads(broken.stdout)
    assert report["intact"] is False
    assert {finding["first_sequence"] for each in report["organizations"] for finding in each["findings"]} == {1}
    assert "record 1 was altered" in cli("audit", "verify").stdout
    assert cli("audit", "verify", "--organization", "nonsense").exit_code == 2

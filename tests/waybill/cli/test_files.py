import json
from pathlib import Path

from tests.factories.api import RunningApi
from tests.factories.attempts import attempt
from tests.waybill.cli.conftest import Cli


def test_files_are_uploaded_listed_downloaded_and_deleted(cli: Cli, tmp_path: Path) -> None:
    small, large = tmp_path / "note.txt", tmp_path / "scan.pdf"
    small.write_text("It says.", encoding="utf-8")
    large.write_bytes(b"%PDF-1.7\n" + bytes(17 * 1024 * 1024))
    made = json.loads(cli("files", "upload", str(small), str(large), "--json").stdout)
    assert [(file["name"], file["content_type"]) for file in made] == [
        ("note.txt", "text/plain"),
        ("scan.pdf", "application/pdf"),
    ]
    listed = cli("files", "list").stdout
    assert "note.txt" in listed
    assert "scan.pdf" in listed
    target = tmp_path / "back.pdf"
    cli("files", "download", made[1]["id"], "--to", str(target))
    assert target.read_bytes() == large.read_bytes()
    cli("files", "delete", made[0]["id"])
    assert [file["name"] for file in json.loads(cli("files", "list", "--json").stdout)["data"]] == ["scan.pdf"]


def test_a_jobs_files_are_fetched(cli: Cli, api: RunningApi, tmp_path: Path) -> None:
    job = json.loads(cli("jobs", "submit", "probe.act", "--input", '{"act": "noop"}', "--json").stdout)
    assert "produced no files" in cli("jobs", "artifacts", job["id"]).output
    with attempt(api.settings, job["id"]) as driven:
        driven.context.artifact("report.md", b"# It says", "text/markdown")
        driven.succeed(said="")
    assert "report.md" in cli("jobs", "artifacts", job["id"], "--download", str(tmp_path / "out")).stdout
    assert (tmp_path / "out" / "report.md").read_bytes() == b"# It says"

"""Files over HTTP: in one request, in parts, whole and by ranges; and what is refused."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from core.files import service
from core.files.content import detect, settle_type
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.settings import Settings
from tests.api.test_bad_input import problem
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import attempt

pytestmark = pytest.mark.own_database

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64
PDF = b"%PDF-1.7\n" + b"x" * 5_000
KIB = 1024


@pytest.fixture(scope="module")
def module_settings(module_settings: Settings) -> Settings:
    return module_settings.model_copy(update={"file_max_bytes": 300 * KIB, "file_part_max_bytes": 100 * KIB})


@pytest.fixture
def project(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client(issue_key(api.settings, project=str(uuid4()))) as opened:
        yield opened


def upload(client: httpx.Client, name: str, content: bytes, kind: str | None = None) -> httpx.Response:
    headers = {} if kind is None else {"content-type": kind}
    return client.post("/v1/files", params={"name": name}, content=content, headers=headers)


def blobs_of(api: RunningApi, prefix: str) -> list[str]:
    return list(open_blob_store(api.settings).list(prefix))


def test_a_file_is_uploaded_read_listed_downloaded_and_deleted(api: RunningApi, project: httpx.Client) -> None:
    answer = upload(project, "../../etc/receipt.png", PNG, "image/png")
    assert answer.status_code == 201, answer.text
    file = answer.json()
    where = answer.headers["location"]
    assert where == f"/v1/files/{file['id']}"
    # A path is a name's last part: nothing of it ever becomes a path of ours.
    assert (file["name"], file["content_type"], file["size_bytes"]) == ("receipt.png", "image/png", len(PNG))
    assert file["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert project.get(where).json() == file
    assert project.get("/v1/files").json() == {"data": [file], "next_cursor": None}
    sent = project.get(f"{where}/content")
    assert (sent.status_code, sent.content, sent.headers["content-type"]) == (200, PNG, "image/png")
    assert sent.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in sent.headers["content-security-policy"]
    assert project.delete(where).status_code == 204
    problem(project.get(where), 404, "file_not_found")
    problem(project.get(f"{where}/content"), 404, "file_not_found")
    problem(project.delete(where), 404, "file_not_found")
    assert blobs_of(api, f"files/{file['project_id']}") == []


def test_the_same_request_again_is_the_same_file(project: httpx.Client) -> None:
    def send(content: bytes) -> httpx.Response:
        headers = {"Idempotency-Key": "a"}
        return project.post("/v1/files", params={"name": "a.txt"}, content=content, headers=headers)

    first, again = send(b"once"), send(b"once")
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = send(b"twice")
    assert other.status_code == 422


def test_ranges_are_served_as_the_rfc_says(project: httpx.Client) -> None:
    file = upload(project, "a.pdf", PDF).json()
    where = f"/v1/files/{file['id']}/content"
    etag = f'"{file["sha256"]}"'

    def ask(**headers: str) -> httpx.Response:
        return project.get(where, headers={name.replace("_", "-"): value for name, value in headers.items()})

    part = ask(range="bytes=5-9")
    assert (part.status_code, part.content) == (206, PDF[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(PDF)}"
    assert ask(range="bytes=-4").content == PDF[-4:]
    assert ask(range=f"bytes={len(PDF) - 2}-999999").content == PDF[-2:]
    assert ask(range="bytes=0-1,3-4").content == PDF
    assert ask(range="lines=0-1").content == PDF
    assert ask(range="bytes=0-1", if_range='"another"').content == PDF
    assert ask(if_none_match=etag).status_code == 304
    problem(ask(range=f"bytes={len(PDF)}-"), 416, "range_not_satisfiable")


@pytest.mark.parametrize(
    ("declared", "content"),
    [
        ("image/png", PDF),
        ("application/pdf", PNG),
        ("image/jpeg", b"hello, I am a picture"),
        ("text/plain", PNG),
        ("text/csv", b"a,b\x00c"),
        ("audio/wav", b"RIFF\x00\x00\x00\x00WEBPVP8 "),
        ("application/pdf", b"MZ\x90\x00 %PDF-1.7"),
        ("image/gif", b"GIF88a"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", PDF),
    ],
)
def test_a_file_that_is_not_what_it_is_said_to_be_is_refused(
    api: RunningApi, project: httpx.Client, declared: str, content: bytes
) -> None:
    problem(upload(project, "a", content, declared), 415, "file_type_mismatch")
    assert project.get("/v1/files").json()["data"] == []


def test_what_no_one_declared_is_looked_at() -> None:
    assert settle_type("application/octet-stream", PNG) == "image/png"
    assert settle_type("application/octet-stream", "grüß dich".encode()) == "text/plain"
    assert settle_type("application/octet-stream", b"\x00\x01\x02") == "application/octet-stream"
    assert settle_type("image/jpg", b"\xff\xd8\xff\xe0") == "image/jpg"
    assert settle_type("audio/mp4", b"\x00\x00\x00\x18ftypM4A ") == "audio/mp4"
    assert settle_type("application/x-of-our-own", b"\x01\x02") == "application/x-of-our-own"
    assert detect(b"") is None


@pytest.mark.parametrize("name", ["", "..", "a\x00b", "x" * 256, "line\nbreak", "folder/"])
def test_names_that_are_none_are_refused(project: httpx.Client, name: str) -> None:
    assert upload(project, name, b"text").status_code == 422


def test_too_much_and_nothing_are_refused(project: httpx.Client) -> None:
    problem(upload(project, "a", b"x" * (300 * KIB + 1)), 413, "payload_too_large")
    assert upload(project, "a", b"").status_code == 422
    assert project.get("/v1/files").json()["data"] == []


def begin(client: httpx.Client, content: bytes, **given: object) -> httpx.Response:
    body = {"name": "long.pdf", "size_bytes": len(content), "content_type": "application/pdf", **given}
    return client.post("/v1/file-uploads", json=body)


def put(client: httpx.Client, upload_id: str, offset: int, part: bytes) -> httpx.Response:
    return client.put(f"/v1/file-uploads/{upload_id}/part", content=part, headers={"Upload-Offset": str(offset)})


def test_a_file_in_parts_goes_on_where_it_broke_off(api: RunningApi, project: httpx.Client) -> None:
    content = b"%PDF-1.7\n" + bytes(range(256)) * 1000
    begun = begin(project, content, sha256=hashlib.sha256(content).hexdigest())
    assert begun.status_code == 201, begun.text
    upload_id = begun.json()["id"]
    assert put(project, upload_id, 0, content[: 90 * KIB]).json()["received_bytes"] == 90 * KIB
    # The client does not know whether the part arrived, and sends it again.
    refused = put(project, upload_id, 0, content[: 90 * KIB])
    problem(refused, 409, "upload_offset_mismatch")
    assert refused.json()["offset"] == 90 * KIB
    problem(project.post(f"/v1/file-uploads/{upload_id}/complete"), 409, "upload_incomplete")
    problem(put(project, upload_id, 90 * KIB, b"x" * (100 * KIB + 1)), 413, "payload_too_large")
    done = 90 * KIB
    while done < len(content):
        assert project.get(f"/v1/file-uploads/{upload_id}").json()["received_bytes"] == done
        part = content[done : done + 90 * KIB]
        assert put(project, upload_id, done, part).status_code == 200
        done += len(part)
    problem(put(project, upload_id, done, b"more"), 422, "upload_too_long")
    completed = project.post(f"/v1/file-uploads/{upload_id}/complete", headers={"Idempotency-Key": "end"})
    assert completed.status_code == 201, completed.text
    again = project.post(f"/v1/file-uploads/{upload_id}/complete", headers={"Idempotency-Key": "end"})
    assert again.json() == completed.json()
    assert project.get(f"{completed.headers['location']}/content").content == content
    problem(project.get(f"/v1/file-uploads/{upload_id}"), 404, "upload_not_found")
    assert blobs_of(api, "uploads/") == []


def test_parts_that_are_not_what_was_announced_make_no_file(api: RunningApi, project: httpx.Client) -> None:
    upload_id = begin(project, PDF, sha256="0" * 64).json()["id"]
    put(project, upload_id, 0, PDF).raise_for_status()
    problem(project.post(f"/v1/file-uploads/{upload_id}/complete"), 422, "digest_mismatch")
    lying = begin(project, PDF, content_type="image/png").json()["id"]
    put(project, lying, 0, PDF).raise_for_status()
    problem(project.post(f"/v1/file-uploads/{lying}/complete"), 415, "file_type_mismatch")
    assert project.get("/v1/files").json()["data"] == []
    assert project.delete(f"/v1/file-uploads/{upload_id}").status_code == 204
    assert project.delete(f"/v1/file-uploads/{lying}").status_code == 204
    assert blobs_of(api, "uploads/") == []
    problem(begin(project, PDF, size_bytes=300 * KIB + 1), 413, "payload_too_large")


def test_what_is_past_its_time_is_swept_with_its_content(api: RunningApi, project: httpx.Client) -> None:
    file = upload(project, "old.pdf", PDF).json()
    upload_id = begin(project, PDF).json()["id"]
    put(project, upload_id, 0, PDF[:10]).raise_for_status()
    database = Database(api.settings, application_name="test", pool_size=1)
    blobs = open_blob_store(api.settings)
    with database.system() as session:
        from sqlalchemy import text

        session.execute(text("UPDATE files SET expires_at = now() - interval '1 second' WHERE name = 'old.pdf'"))
        session.execute(text("UPDATE file_uploads SET expires_at = now() - interval '1 second'"))
    problem(project.get(f"/v1/files/{file['id']}"), 404, "file_not_found")
    problem(put(project, upload_id, 10, PDF[10:]), 404, "upload_not_found")
    assert service.sweep(database, blobs) == 2
    assert service.sweep(database, blobs) == 0
    assert blobs_of(api, f"files/{file['project_id']}") == []
    assert blobs_of(api, "uploads/") == []
    database.close()


def test_a_local_copy_is_there_for_the_time_of_the_block(api: RunningApi, project: httpx.Client) -> None:
    from core.files.records import FileRecord
    from core.kit.clock import utc_now
    from core.kit.ids import FILE, PROJECT, decode

    file = upload(project, "a.pdf", PDF).json()
    file_id, project_id = decode(FILE, file["id"]), decode(PROJECT, file["project_id"])
    record = FileRecord(file_id, project_id, "a", "a/b", len(PDF), "", f"files/{project_id}/{file_id}", utc_now(), None)
    with service.local_copy(open_blob_store(api.settings), record) as path:
        assert path.read_bytes() == PDF
    assert not Path(path).exists()


def test_a_jobs_artifacts_are_listed_and_downloaded(api: RunningApi, project: httpx.Client) -> None:
    job = project.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}}).json()
    assert project.get(f"/v1/jobs/{job['id']}/artifacts").json() == {"data": []}
    with attempt(api.settings, job["id"]) as driven:
        driven.context.artifact("the report.md", b"# It says\n" * 100, "text/markdown")
        (listed,) = project.get(f"/v1/jobs/{job['id']}/artifacts").json()["data"]
        assert (listed["name"], listed["size_bytes"], listed["attempt"]) == ("the report.md", 1000, 1)
        part = project.get(listed["url"], headers={"Range": "bytes=0-8"})
        assert (part.status_code, part.content) == (206, b"# It says")
        problem(project.get(f"/v1/jobs/{job['id']}/artifacts/other.md"), 404, "artifact_not_found")
        driven.succeed(said="")
    with api.client(issue_key(api.settings, project=str(uuid4()))) as stranger:
        problem(stranger.get(listed["url"]), 404, "job_not_found")

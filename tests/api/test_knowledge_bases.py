import hashlib
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from core.kit.errors import Unavailable
from core.kit.settings import Settings
from tests.api.test_bad_input import paths, problem
from tests.factories.api import RunningApi, issue_key


@pytest.fixture(scope="module")
def module_settings(module_settings: Settings) -> Settings:
    return module_settings.model_copy(update={"document_max_bytes": 2 * 1024 * 1024})


@pytest.fixture
def project(api: RunningApi) -> Iterator[httpx.Client]:
    """A client of a project that has nothing yet."""
    with api.client(issue_key(api.settings, project=str(uuid4()))) as opened:
        yield opened


def create(client: httpx.Client, name: str = "handbook") -> str:
    response = client.post("/v1/knowledge-bases", json={"name": name, "description": "what we know"})
    assert response.status_code == 201, response.text
    return str(response.headers["location"])


def upload(
    client: httpx.Client,
    base: str,
    name: str = "a.txt",
    content: bytes = b"hello",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    return client.post(f"{base}/documents", params={"name": name}, content=content, headers=headers)


def test_a_base_is_created_read_listed_and_deleted(project: httpx.Client) -> None:
    where = create(project)
    base = project.get(where).json()
    assert base["name"] == "handbook"
    assert base["description"] == "what we know"
    assert base["chunk_count"] == 0
    assert where == f"/v1/knowledge-bases/{base['id']}"
    assert project.get("/v1/knowledge-bases").json() == {"data": [base], "next_cursor": None}
    assert project.delete(where).status_code == 204
    problem(project.get(where), 404, "knowledge_base_not_found")
    problem(project.delete(where), 404, "knowledge_base_not_found")
    assert project.get("/v1/knowledge-bases").json()["data"] == []


def test_bases_are_listed_page_by_page_and_by_name(project: httpx.Client) -> None:
    made = [create(project, f"base {number}") for number in range(5)]
    first = project.get("/v1/knowledge-bases?limit=3").json()
    second = project.get("/v1/knowledge-bases", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    seen = [f"/v1/knowledge-bases/{base['id']}" for base in first["data"] + second["data"]]
    assert seen == list(reversed(made))
    assert second["next_cursor"] is None
    named = project.get("/v1/knowledge-bases", params={"name": "base 2"}).json()["data"]
    assert [base["name"] for base in named] == ["base 2"]


def test_a_name_is_taken_once_in_a_project(api: RunningApi, project: httpx.Client) -> None:
    create(project)
    problem(project.post("/v1/knowledge-bases", json={"name": "handbook"}), 409, "knowledge_base_exists")
    with api.client(issue_key(api.settings, project=str(uuid4()))) as other:
        create(other)


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 201, 5, None])
def test_bad_names_of_bases(project: httpx.Client, name: object) -> None:
    assert paths(problem(project.post("/v1/knowledge-bases", json={"name": name}), 422, "validation_error")) == [
        "body.name"
    ]


def test_creating_is_idempotent(project: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    first = project.post("/v1/knowledge-bases", json={"name": "a"}, headers=headers)
    second = project.post("/v1/knowledge-bases", json={"name": "a"}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]


def test_a_document_is_uploaded_listed_and_deleted(api: RunningApi, project: httpx.Client) -> None:
    base = create(project)
    content = bytes(range(256)) * 6000
    accepted = upload(project, base, "Überblick 2026.pdf", content, headers={"Content-Type": "application/pdf; x=y"})
    assert accepted.status_code == 201, accepted.text
    document = accepted.json()
    assert document["name"] == "Überblick 2026.pdf"
    assert document["media_type"] == "application/pdf"
    assert document["size_bytes"] == len(content)
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert document["state"] == "pending"
    assert document["error"] is None
    assert project.get(f"{base}/documents").json() == {"data": [document], "next_cursor": None}
    assert project.get(f"{base}/documents/{document['id']}").json() == document
    keys = list(api.runtime.blobs.list("knowledge/"))
    assert api.runtime.blobs.get(keys[-1]) == content
    assert project.delete(f"{base}/documents/{document['id']}").status_code == 204
    assert set(api.runtime.blobs.list("knowledge/")) == set(keys[:-1])
    problem(project.get(f"{base}/documents/{document['id']}"), 404, "document_not_found")
    problem(project.delete(f"{base}/documents/{document['id']}"), 404, "document_not_found")


def test_a_known_name_gets_new_content(project: httpx.Client) -> None:
    base = create(project)
    first = upload(project, base, content=b"one")
    second = upload(project, base, content=b"two")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["sha256"] == hashlib.sha256(b"two").hexdigest()
    assert len(project.get(f"{base}/documents").json()["data"]) == 1


def test_an_upload_is_idempotent(project: httpx.Client) -> None:
    base = create(project)
    headers = {"Idempotency-Key": "k"}
    first, again = upload(project, base, headers=headers), upload(project, base, headers=headers)
    assert again.content == first.content
    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    problem(upload(project, base, content=b"other", headers=headers), 422, "idempotency_key_reused")
    problem(upload(project, base, name="b.txt", headers=headers), 422, "idempotency_key_reused")


def test_documents_are_listed_page_by_page(project: httpx.Client) -> None:
    base = create(project)
    made = [upload(project, base, f"{number}.txt").json()["id"] for number in range(5)]
    first = project.get(f"{base}/documents?limit=2&state=pending").json()
    rest = project.get(f"{base}/documents", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [document["id"] for document in first["data"] + rest["data"]] == list(reversed(made))
    assert project.get(f"{base}/documents?state=ready").json()["data"] == []


def test_deleting_a_base_deletes_its_files(api: RunningApi, project: httpx.Client) -> None:
    before = set(api.runtime.blobs.list("knowledge/"))
    base = create(project)
    upload(project, base)
    assert set(api.runtime.blobs.list("knowledge/")) != before
    project.delete(base)
    assert set(api.runtime.blobs.list("knowledge/")) == before


@pytest.mark.parametrize("what", ["base", "document"])
def test_a_deletion_whose_files_stay_can_be_tried_again(
    api: RunningApi, project: httpx.Client, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    before = set(api.runtime.blobs.list("knowledge/"))
    base = create(project)
    document = upload(project, base).json()["id"]
    where = base if what == "base" else f"{base}/documents/{document}"

    def out(prefix: str) -> int:
        raise Unavailable(f"{prefix} is out", code="blob_unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(api.runtime.blobs, "delete_prefix", out)
        problem(project.delete(where), 503, "blob_unavailable")
    assert project.get(where).status_code == 200
    assert project.delete(where).status_code == 204
    assert set(api.runtime.blobs.list("knowledge/")) == before


def test_bad_uploads(project: httpx.Client) -> None:
    base = create(project)
    problem(upload(project, base, content=b""), 422, "document_empty")
    problem(project.post(f"{base}/documents", content=b"x"), 422, "validation_error")
    problem(upload(project, base, name=""), 422, "validation_error")
    problem(upload(project, base, name="a\nb"), 422, "validation_error")
    problem(upload(project, base, name="x" * 201), 422, "validation_error")
    problem(project.post(f"{base}/documents?name=a%00b", content=b"x"), 422, "invalid_text")
    problem(upload(project, base, headers={"Content-Type": "nonsense"}), 415, "unsupported_media_type")
    problem(upload(project, base, headers={"Content-Encoding": "gzip"}), 415, "unsupported_media_type")
    form = project.post(f"{base}/documents?name=a", files={"file": b"x"})
    problem(form, 415, "unsupported_media_type")
    assert project.get(f"{base}/documents").json()["data"] == []


def test_oversized_uploads(project: httpx.Client) -> None:
    base = create(project)
    problem(upload(project, base, content=b"x" * (2 * 1024 * 1024 + 1)), 413, "payload_too_large")
    chunks = (b"x" * 65536 for _ in range(40))
    response = project.post(f"{base}/documents", params={"name": "a"}, content=chunks)
    assert problem(response, 413, "payload_too_large")["max_bytes"] == 2 * 1024 * 1024
    assert upload(project, base, content=b"x" * (2 * 1024 * 1024)).status_code == 201


def test_foreign_bases_are_not_found(api: RunningApi, project: httpx.Client) -> None:
    base = create(project)
    document = upload(project, base).json()["id"]
    for stranger in (issue_key(api.settings, organization="stranger"), issue_key(api.settings, project="stranger")):
        with api.client(stranger) as foreign:
            problem(foreign.get(base), 404, "knowledge_base_not_found")
            problem(foreign.delete(base), 404, "knowledge_base_not_found")
            problem(upload(foreign, base), 404, "knowledge_base_not_found")
            problem(foreign.get(f"{base}/documents"), 404, "knowledge_base_not_found")
            problem(foreign.get(f"{base}/documents/{document}"), 404, "knowledge_base_not_found")
            problem(foreign.delete(f"{base}/documents/{document}"), 404, "knowledge_base_not_found")
    other = create(project, "other")
    problem(project.get(f"{other}/documents/{document}"), 404, "document_not_found")
    problem(project.delete(f"{other}/documents/{document}"), 404, "document_not_found")
    assert project.get(f"{base}/documents/{document}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "missing"),
    [
        ("POST", "/v1/knowledge-bases", "knowledge:write"),
        ("GET", "/v1/knowledge-bases", "knowledge:read"),
        ("DELETE", "/v1/knowledge-bases/kb_01jd3q8v9tfq8a1b2c3d4e5f6g", "knowledge:write"),
        ("POST", "/v1/knowledge-bases/kb_01jd3q8v9tfq8a1b2c3d4e5f6g/documents", "knowledge:write"),
    ],
)
def test_scopes(api: RunningApi, method: str, path: str, missing: str) -> None:
    with api.client(issue_key(api.settings, scopes=("jobs:read", "jobs:write"))) as client:
        assert problem(client.request(method, path), 403, "scope_missing")["scope"] == missing

"""``/v1/metrics``: what happened, by group and over time, and who may see it."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from core.keys.service import SCOPES, IssuedKey
from core.kit.ids import PROJECT, encode
from tests.api.test_bad_input import paths, problem
from tests.factories import rollups
from tests.factories.api import RunningApi, issue_key

NARROW = tuple(scope for scope in SCOPES if scope != "organization:read")
NOW = datetime.now(UTC).replace(second=30)


@pytest.fixture(scope="module")
def keys(api: RunningApi) -> tuple[IssuedKey, IssuedKey, IssuedKey]:
    """Two projects of one organization with something to show, the second key seeing both; and a stranger's."""
    claims = issue_key(api.settings, organization="measured", project="claims", scopes=NARROW)
    office = issue_key(api.settings, organization="measured", project="office")
    stranger = issue_key(api.settings, organization="elsewhere")
    organization = claims.organization_id
    moments = rollups.every(timedelta(seconds=6), NOW - timedelta(minutes=12), 100)
    searches = [
        rollups.ended(
            organization,
            claims.project_id,
            at,
            ran=0.1 + number / 1000,
            state="succeeded" if number % 25 else "failed",
        )
        for number, at in enumerate(moments)
    ]
    long_ago = NOW - timedelta(hours=5)
    reports = [
        rollups.ended(organization, office.project_id, long_ago, capability="research.report", ran=90.0, failures=2)
    ]
    hidden = [rollups.ended(organization, claims.project_id, NOW, is_shadow=True)]
    calls = [
        rollups.settled(organization, claims.project_id, NOW - timedelta(minutes=2), "0.25", key_id=claims.id),
        rollups.settled(organization, claims.project_id, NOW - timedelta(minutes=1), "-0.05", is_correction=True),
        rollups.settled(organization, office.project_id, NOW - timedelta(hours=5), "4", model="o9", is_unpriced=True),
    ]
    rollups.add(api.settings, [*searches, *reports, *hidden], calls)
    return claims, office, stranger


def read(api: RunningApi, key: IssuedKey, **query: str) -> httpx.Response:
    with api.client(key) as client:
        return client.get("/v1/metrics", params=query)


def test_totals_groups_and_series_say_the_same(api: RunningApi, keys: tuple[IssuedKey, ...]) -> None:
    found = read(api, keys[1], group_by="capability", interval="minute").json()
    assert found["total"]["jobs"] == {"failed": 4, "succeeded": 97}
    assert found["total"]["error_rate"] == pytest.approx(4 / 101, abs=1e-4)
    assert found["total"]["amount_usd"] == "4.20"
    assert found["total"]["unpriced_calls"] == 1
    for name in ("knowledge.search", "research.report"):
        [line] = [each for each in found["data"] if each["group"]["capability"] == name]
        points = [each for each in found["series"] if each["group"]["capability"] == name]
        assert sum(sum(point["jobs"].values()) for point in points) == sum(line["jobs"].values())
        assert sum(point["calls"] for point in points) == line["calls"]
    [search] = [each for each in found["data"] if each["group"]["capability"] == "knowledge.search"]
    # The true ones are 0.150 and 0.195 s.
    assert search["duration_seconds"]["p50"] == pytest.approx(0.15, rel=0.055)
    assert search["duration_seconds"]["p95"] == pytest.approx(0.195, rel=0.055)
    [report] = [each for each in found["data"] if each["group"]["capability"] == "research.report"]
    assert report["failed_attempts"] == 2


def test_a_key_sees_its_project_and_no_stranger_anything(api: RunningApi, keys: tuple[IssuedKey, ...]) -> None:
    claims, office, stranger = keys
    own = read(api, claims).json()
    assert own["total"]["jobs"] == {"failed": 4, "succeeded": 96}
    assert own["total"]["amount_usd"] == "0.20"
    denied = read(api, claims, project=encode(PROJECT, office.project_id))
    assert denied.status_code == 403
    assert read(api, stranger).json()["total"]["jobs"] == {}
    assert read(api, stranger, project=encode(PROJECT, office.project_id)).json()["data"] == []


def test_calls_are_grouped_by_model_and_key(api: RunningApi, keys: tuple[IssuedKey, ...]) -> None:
    by_model = read(api, keys[1], group_by="model").json()
    assert {line["group"]["model"]: (line["amount_usd"], line["jobs"]) for line in by_model["data"]} == {
        "o9": ("4.00", None),
        "gpt-4o": ("0.20", None),
    }
    by_key = read(api, keys[0], group_by="key").json()
    assert {line["amount_usd"] for line in by_key["data"]} == {"0.25", "-0.05"}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"from": "2026-11-02", "to": "2026-11-01"}, "query.from"),
        ({"interval": "minute", "from": "2000-01-01"}, "query.interval"),
        ({"interval": "week"}, "query.interval"),
        ({"group_by": "step"}, "query.group_by"),
        ({"project": "prj_no"}, "query.project"),
        ({"until": "2026-11-01"}, "query.until"),
    ],
)
def test_a_wrong_question_names_its_field(
    api: RunningApi, keys: tuple[IssuedKey, ...], query: dict[str, str], path: str
) -> None:
    refused = problem(read(api, keys[1], **query), 422, "validation_error")
    assert path in paths(refused)

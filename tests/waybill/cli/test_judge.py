"""``waybill quality judge|prefer``: what a judge says is a label of its own, and its preference outlasts the order."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from core.batches.outcome import finish_once
from core.batches.service import Batches
from core.batches.submission import submit_lines
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import JOB, encode
from pipelines.registry import manifests
from tests.factories.api import RunningApi, principal_of
from tests.factories.attempts import attempt
from tests.factories.quality import SEARCH, Collector, Ended, answer, write_ended
from tests.factories.waiting import wait_until
from tests.waybill.cli.conftest import Cli
from waybill.regression.judge import Better, better_of, verdict_of

pytestmark = pytest.mark.own_database


@dataclass(frozen=True)
class Failed:
    """The judge's job ends with this code."""

    code: str


DOWN = Failed("provider_unavailable")
Judge = Callable[[dict[str, Any]], dict[str, str] | str | Failed]


def judged(api: RunningApi, cli: Cli, judge: Judge, *arguments: str) -> Result:
    """Run the command while `judge` answers what it asks: an object, a text, or how its job fails."""
    database = Database(api.settings, application_name="test-judge", pool_size=3)
    runtime, blobs = api.runtime, open_blob_store(api.settings)
    with ThreadPoolExecutor(1) as pool:
        command = pool.submit(cli, "quality", *arguments)

        def is_done() -> bool:
            for job in submit_lines(database, runtime.jobs, manifests(), 100).made:
                with database.tenant(job.organization_id) as session:
                    _, payload, _ = runtime.jobs.get_with_payloads(session, principal_of(api.key), job.id)
                assert payload is not None
                assert job.priority == 2
                said = judge(json.loads(payload["messages"][1]["content"]))
                with attempt(api.settings, encode(JOB, job.id)) as driven:
                    if isinstance(said, Failed):
                        driven.fail(said.code)
                    else:
                        driven.succeed(text=said if isinstance(said, str) else json.dumps(said))
            finish_once(database, blobs, Batches(runtime.jobs), runtime.files)
            return command.done()

        wait_until(is_done, timeout_seconds=120, what="the judge to end")
    database.close()
    return command.result()


@pytest.fixture
def rubric(api: RunningApi) -> None:
    with api.client() as client:
        body = {"name": "quality/judge", "text": "Good answers quote the documents.", "activate": True}
        assert client.post("/v1/prompts", json=body).is_success


@pytest.mark.usefixtures("rubric")
def test_a_judges_labels_are_a_signal_of_their_own(cli: Cli, api: RunningApi, database_url: str) -> None:
    jobs = [Ended(answer(2)), Ended(answer(0, 2)), Ended(answer(1)), Ended(answer(1, 1))]
    ids = [encode(JOB, each) for each in write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)]
    database = Database(api.settings, application_name="test-judge", pool_size=2)
    collector = Collector(api.settings, database)
    collector.collect(4)
    assert cli("quality", "choose", SEARCH).exit_code == 0
    answers: list[dict[str, str] | str | Failed] = [{"verdict": "good", "why": "quotes"}, "I like it", DOWN]

    def judge(asked: dict[str, Any]) -> dict[str, str] | str | Failed:
        assert asked["input"] == {"query": "How long may a claim be filed?"}
        return answers.pop() if answers else {"verdict": "bad", "why": "no quote"}

    done = judged(api, cli, judge, "judge", SEARCH, "--model", "judge", "--json")
    assert json.loads(done.stdout) == {"no verdict": 2, "good": 1, "bad": 1}, done.output
    with api.client() as client:
        queue = client.get("/v1/quality/annotations", params={"unlabeled": "false"}).json()["data"]
        # A judge takes no work from people, and what it could not judge is asked again.
        assert {each["labels"] for each in queue} == {0}
        said = [label for job in ids for label in client.get(f"/v1/quality/annotations/{job}/labels").json()["data"]]
        assert [each["is_judge"] for each in said] == [True, True]
        assert all(each["note"].startswith("quality/judge sha256:") for each in said)
    # What the judge was asked are jobs like any other.
    collector.collect(4, rated=2)
    database.close()
    [line] = json.loads(cli("quality", "show", SEARCH, "-s", "judged_good", "--json").stdout)["data"]
    assert (line["jobs"], line["estimate"]) == (2, 0.5)
    assert json.loads(cli("quality", "show", SEARCH, "-s", "labeled_good", "--json").stdout)["data"] == []
    again = judged(api, cli, judge, "judge", SEARCH, "--model", "judge", "--json")
    assert json.loads(again.stdout) == {"bad": 2}
    none = judged(api, cli, judge, "judge", SEARCH, "--model", "judge", "--rubric", "quality/other")
    assert "no version of the prompt quality/other is in force" in none.stderr


@pytest.mark.usefixtures("rubric")
@pytest.mark.parametrize("failure", [DOWN, Failed("budget_exhausted")])
def test_a_judge_that_is_down_or_over_its_budget_changes_nothing_for_users(
    cli: Cli, api: RunningApi, database_url: str, failure: Failed
) -> None:
    def measured() -> int:
        shown = json.loads(cli("quality", "show", SEARCH, "-s", "succeeded", "--json").stdout)["data"]
        return sum(line["jobs"] for line in shown)

    known, jobs = measured(), [Ended(answer(2)), Ended(answer(0, 2))]
    ids = [encode(JOB, each) for each in write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)]
    database = Database(api.settings, application_name="test-judge", pool_size=2)
    collector = Collector(api.settings, database)
    wait_until(
        lambda: bool(collector.once()) and measured() == known + len(ids), timeout_seconds=120, what="the signals"
    )
    database.close()
    assert cli("quality", "choose", SEARCH).exit_code == 0

    def seen_by_users() -> list[Any]:
        with api.client() as client:
            paths = [*(f"/v1/jobs/{job}" for job in ids), f"/v1/quality?capability={SEARCH}", "/v1/quality/annotations"]
            shown = [client.get(path).raise_for_status().json() for path in paths]
        return [{name: value for name, value in each.items() if name not in {"from", "to"}} for each in shown]

    before = seen_by_users()
    done = judged(api, cli, lambda _: failure, "judge", SEARCH, "--model", "judge", "--json")
    said = json.loads(done.stdout)
    assert (done.exit_code, list(said)) == (0, ["no verdict"]), done.output
    assert said["no verdict"] >= len(ids)
    assert seen_by_users() == before
    with api.client() as client:
        assert all(client.get(f"/v1/quality/annotations/{job}/labels").json()["data"] == [] for job in ids)


@pytest.mark.usefixtures("rubric")
def test_of_two_runs_the_better_one_is_named_whatever_the_order(cli: Cli, api: RunningApi, tmp_path: Path) -> None:
    golden, old, new = (tmp_path / name for name in ("golden.jsonl", "old.jsonl", "new.jsonl"))

    def write(file: Path, results: list[str]) -> None:
        lines = [
            {"custom_id": f"{number}", "state": "succeeded", "result": {"answer": said}}
            for number, said in enumerate(results)
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    cases = [{"custom_id": f"{number}", "capability": SEARCH, "input": {"query": "x"}} for number in range(5)]
    golden.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    write(old, ["short", "longer", "same", "equal", "down"])
    write(new, ["longer", "short", "same", "alike", "gone"])

    def prefers_the_longer(asked: dict[str, Any]) -> dict[str, str] | Failed:
        first, second = asked["first"]["answer"], asked["second"]["answer"]
        if "down" in {first, second}:
            return DOWN
        # Of two that are as long, the one that is shown first.
        return {"better": "second" if len(second) > len(first) else "first", "why": ""}

    done = judged(api, cli, prefers_the_longer, "prefer", str(golden), str(old), str(new), "--model", "judge", "--json")
    assert json.loads(done.stdout) == {"identical": 1, "before": 1, "after": 1, "tie": 1, "no verdict": 1}, done.output


def test_words_that_are_no_verdict_are_none() -> None:
    for text in ("", "good", "[]", '{"verdict": "great"}', "null"):
        assert verdict_of({"text": text}) is None
    assert verdict_of(None) is None
    assert better_of({"text": '{"better": "same"}'}, {"text": '{"better": "first"}'}) is Better.TIE
    assert better_of({"text": '{"better": "first"}'}, None) is None

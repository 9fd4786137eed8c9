"""``waybill jobs questions``, ``answer`` and ``tree``."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from core.capability import ChildCall, JobSuspended
from core.jobs.states import SUSPEND
from core.kit.expressions import validator_of
from pipelines._kit.tools.approvals import CallApproval
from tests.factories.api import RunningApi
from tests.factories.attempts import Attempt
from tests.factories.attempts import attempt as driven
from tests.factories.question_capabilities import REFUND_SCHEMA
from tests.waybill.cli.conftest import Cli
from waybill.cli.answer_examples import example_of


def asked(cli: Cli, attempt: Attempt, **rest: Any) -> str:
    """The job, waiting for an answer."""
    with pytest.raises(JobSuspended) as suspended:
        attempt.context.ask("approve", "May it be refunded?", REFUND_SCHEMA, details={"amount_usd": "250.00"}, **rest)
    why = suspended.value
    attempt.context.end(SUSPEND, "job.waiting", {"reason": why.reason}, reason=why.reason, error=why.why)
    job_id: str = json.loads(cli("jobs", "list", "--capability", "probe.ask", "--json").stdout)["data"][0]["id"]
    return job_id


@pytest.fixture
def attempt(cli: Cli, api: RunningApi) -> Iterator[Attempt]:
    job_id = cli("jobs", "submit", "probe.ask", "-i", "{}").stdout.strip()
    with driven(api.settings, job_id) as opened:
        yield opened


def test_a_question_is_shown_and_answered(cli: Cli, attempt: Attempt) -> None:
    job_id = asked(cli, attempt)
    shown = cli("jobs", "questions", job_id)
    assert "approve: May it be refunded?" in shown.stdout
    assert '"amount_usd": "250.00"' in shown.stdout
    [question] = json.loads(cli("jobs", "questions", job_id, "--json").stdout)["data"]
    assert question["schema"] == REFUND_SCHEMA
    wrong = cli("jobs", "answer", job_id, "yes")
    assert wrong.exit_code == 5
    assert "body.value" in wrong.stderr
    command = f"waybill jobs answer {job_id} '{{\"approved\": true}}' --key approve"
    for printed in (wrong.stderr, shown.stderr, cli("jobs", "get", job_id).stdout):
        assert command in " ".join(printed.split())
    answered = cli(*shlex.split(command)[1:])
    assert answered.exit_code == 0, answered.stderr
    assert "queued" in answered.stdout
    assert cli("jobs", "answer", job_id, '{"approved": false}').exit_code != 0
    assert "no open questions" in cli("jobs", "questions", job_id).stderr


def test_who_may_not_approve_is_told_who_may(cli: Cli, attempt: Attempt) -> None:
    job_id = asked(cli, attempt, approves="money")
    refused = cli("jobs", "answer", job_id, '{"approved": true}')
    assert refused.exit_code == 4
    assert "try: answer as another person" in refused.stderr
    assert "required scopes" not in refused.stderr


@pytest.mark.parametrize(
    "schema",
    [
        CallApproval.model_json_schema(),
        REFUND_SCHEMA,
        {"type": "object", "properties": {"happened": {"type": "boolean"}}, "required": ["happened"]},
        {"properties": {"at": {"$ref": "#/$defs/At"}}, "required": ["at"], "$defs": {"At": {"enum": [3]}}},
        {"type": "array", "items": {"type": "integer", "minimum": 7}, "minItems": 2},
        {"anyOf": [{"type": "string", "minLength": 5}, {"type": "null"}]},
        {},
    ],
)  # fmt: skip
def test_the_example_fits_the_schema(schema: dict[str, Any]) -> None:
    validator_of(schema).validate(example_of(schema))


def test_a_tree_is_drawn_with_its_keys(cli: Cli, attempt: Attempt) -> None:
    with pytest.raises(JobSuspended):
        attempt.context.call_all([ChildCall(key, "probe.act", {"act": "noop"}) for key in ("left", "right")])
    job_id = json.loads(cli("jobs", "list", "--capability", "probe.ask", "--json").stdout)["data"][0]["id"]
    drawn = cli("jobs", "tree", job_id)
    assert drawn.exit_code == 0, drawn.stderr
    assert [line.split()[1] for line in drawn.stdout.splitlines()[2:4]] == ["left", "right"]
    found = json.loads(cli("jobs", "tree", job_id, "--json").stdout)
    assert [job["key"] for job in found["jobs"]] == [None, "left", "right"]

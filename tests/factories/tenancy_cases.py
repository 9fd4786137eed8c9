"""How each route is asked for another tenant's things, in `tests/api/test_tenancy_matrix.py`."""

from dataclasses import dataclass, field
from typing import Any

from core.kit.ids import (
    ALIAS,
    AUDIT,
    BATCH,
    BUDGET,
    DOCUMENT,
    EXPERIMENT,
    FILE,
    JOB,
    KEY,
    KNOWLEDGE_BASE,
    MEMBER,
    MESSAGE,
    MODEL,
    PROJECT,
    PROMPT,
    QUALITY_ALERT,
    UPLOAD,
    WEBHOOK_ENDPOINT,
)
from tests.factories.charges import month_start

ISSUER = "https://login.example/v2.0"
# Marks the victim's data, so that a leak of any of it is found in an answer.
MARK = "victims-7f3a"
# What both tenants call their things: a name that is taken elsewhere must not show.
NAME = "handbook"

# What stands for an id in a path, and the prefix of such ids.
PREFIXES = {
    "job_id": JOB,
    "base_id": KNOWLEDGE_BASE,
    "document_id": DOCUMENT,
    "project_id": PROJECT,
    "key_id": KEY,
    "member_id": MEMBER,
    "budget_id": BUDGET,
    "record_id": AUDIT,
    "model_id": MODEL,
    "alias_id": ALIAS,
    "prompt_id": PROMPT,
    "experiment_id": EXPERIMENT,
    "file_id": FILE,
    "batch_id": BATCH,
    "upload_id": UPLOAD,
    "endpoint_id": WEBHOOK_ENDPOINT,
    "delivery_id": MESSAGE,
    "response_id": "resp",
    "item_id": "msg",
    "alert_id": QUALITY_ALERT,
    "scope": PROJECT,
}
# A time that has passed, so that asking twice says the same.
_A_DAY = {"from": f"{month_start():%Y-%m-%d}", "to": f"{month_start():%Y-%m-02}"}
# A word in a path that is no id: what is limited.
KIND = "jobs_per_day"
# Documents that are the same for every tenant.
SHARED = {
    "/v1/guard/templates",
    "/v1/capabilities",
    "/v1/capabilities/{name}",
    "/v1/deployments",
    "/openai/v1/models/{name:path}",
}

VERSION = {"deployment": "local/smollm2", "provider_model": "local/smollm2", "context_window": 4096}


BATCH_BODY = {"capability": "probe.act", "lines": [{"custom_id": NAME, "input": {"act": "noop"}}]}

# An experiment, but for its arms' names.
EXPERIMENT_BODY = {"name": NAME, "capability": "probe.act", "plan": {"baseline": 0.2, "minimum_lift": 0.05}}
ARMS = [{"name": "new", "weight": 0.5}, {"name": "old", "kind": "control", "weight": 0.5}]


# An address of the public internet: nothing is looked up, and nothing is sent without a deliverer.
HOOK_URL = "https://93.184.215.14/hook"


FORM_TYPE = "multipart/form-data; boundary=b"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ntext\r\n--b--\r\n'
)


@dataclass(frozen=True)
class Case:
    """How to ask a route for another tenant's things.

    `body` and `query` may name ids as ``{key_id}``. `creates`: the route makes something of the caller's own, and
    refers to nothing foreign unless its body does. `absent`: the status by which it says that there is no such thing.
    """

    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    creates: bool = False
    absent: int = 404


CASES: dict[tuple[str, str], tuple[Case, ...]] = {
    ("POST", "/v1/jobs"): (Case({"capability": "probe.act", "input": {"act": "noop"}}, creates=True),),
    ("GET", "/v1/jobs"): (Case(), Case(query={"project": "all"}), Case(query={"project": "{project_id}"})),
    ("POST", "/v1/batches"): (
        Case(BATCH_BODY, creates=True),
        Case({"capability": "probe.act", "input_file_id": "{file_id}"}),
    ),
    ("POST", "/v1/batches/{batch_id}/cancel"): (Case(),),
    ("GET", "/v1/events"): (Case(query={"follow": "false", "starting_after": "0"}),),
    ("POST", "/v1/jobs/{job_id}/cancel"): (Case(),),
    ("POST", "/v1/jobs/{job_id}/cost/corrections"): (
        Case({"attempt": 1, "call": 1, "amount_usd": "-0.1", "reason": "none"}),
    ),
    ("POST", "/v1/jobs/{job_id}/input"): (Case({"value": {"approved": True}}), Case({"key": "x", "value": 1})),
    ("POST", "/v1/jobs/{job_id}/feedback"): (Case({"score": 0.5, "comment": "mine"}),),
    ("POST", "/v1/experiments"): (
        Case({**EXPERIMENT_BODY, "arms": ARMS}, creates=True),
        Case({**EXPERIMENT_BODY, "name": "theirs", "arms": ARMS, "project_id": "{project_id}"}),
    ),
    ("POST", "/v1/experiments/{experiment_id}/start"): (Case(),),
    ("POST", "/v1/experiments/{experiment_id}/pause"): (Case({"reason": "x"}),),
    ("POST", "/v1/experiments/{experiment_id}/stop"): (Case({}),),
    ("POST", "/v1/experiments/{experiment_id}/rollback"): (Case({}),),
    ("POST", "/v1/experiments/{experiment_id}/promote"): (Case({"arm": "new"}),),
    ("PUT", "/v1/experiments/{experiment_id}/weights"): (Case({"share": 0.5}),),
    ("POST", "/v1/quality/alerts/{alert_id}/acknowledge"): (Case(),),
    ("POST", "/v1/quality/alerts/{alert_id}/close"): (Case({}),),
    ("POST", "/v1/quality/runs"): (
        Case(
            {
                "batch_id": "{batch_id}",
                "dataset": NAME,
                "dataset_digest": f"sha256:{'0' * 64}",
                "checked": 0,
                "passed": 0,
            }
        ),
    ),
    ("PUT", "/v1/quality/gates/{model_id}"): (Case({"dataset": NAME, "min_share": 0.9}),),
    ("DELETE", "/v1/quality/gates/{model_id}"): (Case(),),
    ("POST", "/v1/quality/annotations"): (Case({"how": "named", "job_ids": ["{job_id}"]}),),
    ("POST", "/v1/quality/annotations/{job_id}/labels"): (Case({"verdict": "bad", "note": "mine"}),),
    ("GET", "/v1/jobs/{job_id}/artifacts/{name}"): (Case(),),
    ("POST", "/v1/files"): (Case(content=b"text", query={"name": "a.txt"}, creates=True),),
    ("PATCH", "/v1/files/{file_id}"): (Case({"data_class": "public"}),),
    ("DELETE", "/v1/files/{file_id}"): (Case(),),
    ("POST", "/v1/file-uploads"): (Case({"name": NAME, "size_bytes": 4}, creates=True),),
    ("PUT", "/v1/file-uploads/{upload_id}/part"): (Case(content=b"text", headers={"Upload-Offset": "0"}),),
    ("POST", "/v1/file-uploads/{upload_id}/complete"): (Case(),),
    ("DELETE", "/v1/file-uploads/{upload_id}"): (Case(),),
    ("POST", "/v1/knowledge-bases"): (Case({"name": NAME}, creates=True),),
    ("PATCH", "/v1/knowledge-bases/{base_id}"): (Case({"data_class": "public"}),),
    ("DELETE", "/v1/knowledge-bases/{base_id}"): (Case(),),
    ("POST", "/v1/knowledge-bases/{base_id}/documents"): (Case(content=b"text", query={"name": "a.txt"}),),
    ("DELETE", "/v1/knowledge-bases/{base_id}/documents/{document_id}"): (Case(),),
    ("POST", "/v1/projects"): (Case({"name": NAME}, creates=True),),
    ("PATCH", "/v1/projects/{project_id}"): (Case({"owner": "mallory"}),),
    ("POST", "/v1/projects/{project_id}/archive"): (Case(),),
    ("POST", "/v1/projects/{project_id}/restore"): (Case(),),
    ("POST", "/v1/members"): (
        Case({"subject": NAME, "issuer": ISSUER, "role": "developer", "email": "x@y.example"}, creates=True),
    ),
    ("PATCH", "/v1/members/{member_id}"): (Case({"role": "auditor"}),),
    ("DELETE", "/v1/members/{member_id}"): (Case(),),
    ("GET", "/v1/keys"): (Case(), Case(query={"project_id": "{project_id}"})),
    ("POST", "/v1/keys"): (
        Case({"name": NAME}, creates=True),
        Case({"name": "theirs", "project_id": "{project_id}"}),
    ),
    ("POST", "/v1/keys/{key_id}/rotate"): (Case({"overlap_seconds": 0}),),
    ("POST", "/v1/keys/{key_id}/revoke"): (Case(),),
    ("GET", "/v1/guard/policy"): (Case(), Case(query={"project_id": "{project_id}"})),
    ("GET", "/v1/guard/policy/versions"): (Case(), Case(query={"project_id": "{project_id}"})),
    ("PUT", "/v1/guard/policy"): (
        Case({"template": "observe"}, creates=True),
        Case({"template": "off"}, query={"project_id": "{project_id}"}),
    ),
    ("POST", "/v1/guard/erasures"): (Case({"value": NAME}, creates=True),),
    ("POST", "/v1/guard/screen"): (Case({"text": NAME}, creates=True),),
    ("POST", "/v1/guard/reviews"): (
        Case({"kind": "person", "value": NAME, "verdict": "correct"}, creates=True),
        Case({"kind": "person", "value": "theirs", "verdict": "correct", "job_id": "{job_id}"}),
    ),
    ("POST", "/v1/budgets"): (
        Case({"name": NAME, "limit_usd": "5"}, creates=True),
        Case({"name": "theirs", "limit_usd": "5", "scope": "project", "scope_id": "{project_id}"}),
        Case({"name": "theirs", "limit_usd": "5", "scope": "key", "scope_id": "{key_id}"}),
    ),
    ("POST", "/v1/quotes"): (Case({"capability": "probe.act", "input": {"act": "noop"}}, creates=True),),
    ("POST", "/v1/backtests/budget"): (
        Case({"limit_usd": "5"}, creates=True),
        Case({"limit_usd": "5", "scope": "project", "scope_id": "{project_id}"}, creates=True),
        Case({"limit_usd": "5", "scope": "key", "scope_id": "{key_id}"}, creates=True),
    ),
    ("POST", "/v1/backtests/limit"): (
        Case({"requests_per_minute": 5}, creates=True),
        Case({"requests_per_minute": 5, "scope": "project", "scope_id": "{project_id}"}, creates=True),
    ),
    ("POST", "/v1/backtests/prices"): (
        Case(
            {
                "project_id": "{project_id}",
                "prices": [{"provider": "p", "model": "*", "unit": "input_tokens", "usd_per_unit": "1"}],
            },
            creates=True,
        ),
    ),
    ("PATCH", "/v1/budgets/{budget_id}"): (Case({"limit_usd": "1"}),),
    ("POST", "/v1/budgets/{budget_id}/archive"): (Case(),),
    ("PUT", "/v1/limits/{scope}/{kind}"): (Case({"value": 5}),),
    ("DELETE", "/v1/limits/{scope}/{kind}"): (Case(),),
    ("PUT", "/v1/retention"): (
        Case({"kind": "payloads", "days": 30}, creates=True),
        Case({"kind": "payloads", "days": 7, "data_class": "restricted"}, creates=True),
    ),
    ("DELETE", "/v1/retention"): (
        Case(query={"kind": "payloads"}, creates=True),
        Case(query={"kind": "payloads", "data_class": "restricted"}, creates=True),
    ),
    ("POST", "/v1/audit/erasures"): (Case({"data_subject": NAME}, creates=True),),
    ("GET", "/v1/prices/history"): (Case(query={"provider": "local", "model": "*"}),),
    ("POST", "/v1/prices"): (
        Case({"provider": "openai", "model": "m", "unit": "input_tokens", "usd_per_unit": "0.1"}, creates=True),
    ),
    ("POST", "/v1/models"): (Case({"name": NAME}, creates=True),),
    ("GET", "/v1/models/resolve"): (Case(query={"name": "local/extractive", "project_id": "{project_id}"}),),
    ("POST", "/v1/models/{model_id}/versions"): (Case(VERSION),),
    ("POST", "/v1/models/{model_id}/promote"): (Case({"version": 1, "reason": "mine"}),),
    ("POST", "/v1/models/{model_id}/rollback"): (Case({"reason": "mine"}),),
    ("POST", "/v1/models/{model_id}/retire"): (Case({"version": 2, "reason": "mine"}),),
    ("POST", "/v1/models/{model_id}/restore"): (Case({"version": 2, "reason": "mine"}),),
    ("PUT", "/v1/aliases"): (
        Case({"alias": NAME, "model": "local/extractive"}, creates=True),
        Case({"alias": "theirs", "model": "local/extractive", "project_id": "{project_id}"}),
    ),
    ("DELETE", "/v1/aliases/{alias_id}"): (Case(),),
    ("POST", "/v1/prompts"): (Case({"name": "knowledge/answer", "text": "Mine."}, creates=True),),
    ("POST", "/v1/webhook-endpoints"): (Case({"url": HOOK_URL}, creates=True),),
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): (Case({"description": "mine"}),),
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): (Case(),),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/pause"): (Case(),),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/resume"): (Case(),),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate"): (Case({"overlap_seconds": 0}),),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): (Case(),),
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/redeliver"): (Case({"since": "2020-01-01T00:00:00Z"}),),
    ("POST", "/v1/webhook-deliveries/{delivery_id}/redeliver"): (Case(),),
    ("POST", "/v1/webhook-secret/rotate"): (Case({}, creates=True),),
    ("POST", "/openai/v1/chat/completions"): (
        Case({"model": "{alias_id}", "messages": [{"role": "user", "content": "x"}]}),
    ),
    ("POST", "/openai/v1/completions"): (Case({"model": "{alias_id}", "prompt": "x"}),),
    ("POST", "/openai/v1/embeddings"): (Case({"model": "{alias_id}", "input": "x"}),),
    ("POST", "/openai/v1/responses"): (
        Case({"model": "local/extractive", "input": "x", "background": True}, creates=True),
        Case({"model": "local/extractive", "input": "x", "previous_response_id": "{response_id}"}, absent=400),
        Case({"model": "local/extractive", "input": [{"type": "item_reference", "id": "{item_id}"}]}, absent=400),
    ),
    ("POST", "/openai/v1/responses/{response_id}/cancel"): (Case(),),
    ("DELETE", "/openai/v1/responses/{response_id}"): (Case(),),
    ("POST", "/openai/v1/files"): (Case(content=FORM, headers={"Content-Type": FORM_TYPE}, creates=True),),
    ("DELETE", "/openai/v1/files/{file_id}"): (Case(),),
    ("POST", "/openai/v1/batches"): (
        Case({"input_file_id": "{file_id}", "endpoint": "/v1/responses", "completion_window": "24h"}),
    ),
    ("POST", "/openai/v1/batches/{batch_id}/cancel"): (Case(),),
    ("GET", "/v1/metrics"): (Case(query=_A_DAY),),
    ("GET", "/v1/costs/anomalies"): (Case(query=_A_DAY),),
    ("GET", "/v1/costs/statement"): (Case(query={"month": "2026-10", "project": "{project_id}"}),),
}

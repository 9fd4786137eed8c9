"""Renders the reference of problem codes: ``python -m api.errors_reference > docs/reference/errors.md``.

`PROBLEMS`, `FIELDS` and `FAILURES` are the closed lists; a test compares them with every refusal in the code.
"""

import sys

_HEAD = """\
# Problems

Every refusal is one document (RFC 9457, `application/problem+json`): `status`, `title`, a `detail` for a person, a
stable `code` to switch on, `trace_id` to quote when you ask for help, and, where fields are to blame, `errors` with
`path`, `code` and `message`. A refusal that passes by itself carries `Retry-After` in seconds. Codes are never renamed;
new ones may be added. This page is written by `python -m api.errors_reference`; a test keeps it true.

| status | code | why | remedy |
|---|---|---|---|
"""
_FIELDS_HEAD = "Codes of single fields, beside the rules of the JSON Schemas (`missing`, `string_too_short`, …)."
_FAILURES_HEAD = (
    "A job that was accepted and did not succeed says why in `reason`, and in `error.code` when it failed. Capabilities"
    " outside this repository add codes of their own."
)
_AGAIN = "the same request again after `Retry-After`"
_ID = "check the id; another tenant's things answer the same"

# By status: code, why, remedy.
PROBLEMS: dict[int, tuple[tuple[str, str, str], ...]] = {
    400: (
        ("bad_request", "the request cannot be read", "see `detail`"),
        ("idempotency_key_invalid", "not 1 to 255 printable characters", "a UUID is a good key"),
        ("malformed_json", "the body is not JSON in UTF-8", "`detail` says where it ends to be"),
        ("number_too_large", "the body holds a number beyond 1.8e308", "write it as text"),
        ("nesting_too_deep", "objects and lists are nested too deeply", "flatten the input"),
        ("upload_aborted", "the client hung up during an upload", "upload again"),
    ),
    401: (
        ("key_expired", "the key was good, and has expired", "the one that took its place; `waybill keys list`"),
        ("key_missing", "no key was sent", "`Authorization: Bearer wb_live_…`"),
        ("key_revoked", "the key was revoked", "another key"),
        ("key_unknown", "it was never issued here", "check that all of it was copied"),
        ("token_expired", "the token was good, and has expired", "sign in again"),
        ("token_invalid", "not a token of a trusted issuer", "[single sign-on](../howto/single-sign-on.md)"),
        ("unauthenticated", "nobody is recognised", "send a key or token"),
    ),
    402: (
        (
            "budget_exhausted",
            "a hard budget, or the job's own `max_cost_usd`, has no room; the members name it and its figures",
            "raise it, or wait: [budgets](../howto/set-a-budget.md)",
        ),
    ),
    403: (
        (
            "belongs_to_everybody",
            "it is everybody's; only the operator changes it",
            "make one of your own: [models](models.md)",
        ),
        ("capability_denied", "the key is narrowed to other capabilities", "a key for this one"),
        ("not_a_member", "a good token, but no role in the organization", "an owner or admin adds the person"),
        ("permission_denied", "the caller may not do this", "see `detail`"),
        ("project_archived", "a change in an archived project", "`waybill projects restore`"),
        ("project_mismatch", "`Waybill-Project` is not the key's own", "leave the header out"),
        (
            "quota_exceeded",
            "a quota of the day or month is used up; `limit` names it, `resets_at` says until when",
            "wait until then, or have it raised: [limits](limits.md)",
        ),
        ("scope_exceeded", "`scopes` names what you lack yourself", "ask somebody who holds it"),
        ("scope_missing", "`scope` names what is lacking", "a key or role that has it: [scopes](scopes.md)"),
    ),
    404: (
        ("alias_not_found", "no such alias in the organization", _ID),
        ("audit_record_not_found", "no such record in the organization", _ID),
        ("batch_not_found", "no such batch in the project", _ID),
        ("blob_not_found", "the file behind it is gone", "submit or upload it again"),
        ("artifact_not_found", "the job has no artifact of that name", "list the job's artifacts"),
        ("budget_not_found", "no such budget in the organization", _ID),
        ("call_not_found", "no model call of that number was settled", "see the job's cost lines"),
        ("capability_not_found", "not offered here", "`GET /v1/capabilities`"),
        ("document_not_found", "no such document in the project", _ID),
        ("file_not_found", "no such file in the project, or it has expired", _ID),
        ("upload_not_found", "no such upload in the project that goes on", "begin a new one"),
        ("experiment_not_found", "no such experiment in the organization", _ID),
        ("job_not_found", "no such job in the project", _ID),
        (
            "question_not_found",
            "the job has not asked under this key",
            "read the job; leave `key` out",
        ),
        ("key_not_found", "no such key", _ID),
        ("knowledge_base_not_found", "no such knowledge base in the project", _ID),
        ("limit_not_found", "no such limit is set", "`waybill limits list --all`"),
        ("member_not_found", "no such member in the organization", _ID),
        ("not_found", "there is no such thing", _ID),
        (
            "model_not_found",
            "no such model, or nothing answers to the name",
            "`waybill models list`; `detail` says more",
        ),
        ("model_version_not_found", "the model has no such version", "`waybill models versions`"),
        ("organization_not_found", "not your organization", _ID),
        ("project_not_found", "no such project in the organization", _ID),
        ("prompt_not_found", "no such version of a prompt", "`waybill prompts list`"),
        ("retention_not_set", "the organization or project has set no such clock", "`waybill retention show`"),
        ("route_not_found", "there is nothing at this path", "`/docs` lists the routes"),
        (
            "scope_not_found",
            "limits are set for an organization, a project or a key",
            "`organization`, `prj_…`, `key_…`",
        ),
        ("webhook_delivery_not_found", "no such delivery in the project", "`waybill webhooks deliveries`"),
        ("webhook_endpoint_not_found", "no such webhook endpoint in the project", "`waybill webhooks list`"),
    ),
    405: (("method_not_allowed", "the route exists, the method does not", "see `Allow`"),),
    408: (("request_timeout", "the request did not arrive in time", "send it again"),),
    409: (
        ("batch_validating", "the file of the batch is being looked at", "read the batch until it is `in_progress`"),
        ("upload_incomplete", "bytes of the upload are missing", "send the rest from `offset`"),
        ("upload_offset_mismatch", "the part does not begin where the last one ended", "begin at `offset`"),
        ("audit_record_not_sealed", "the record was written a moment ago", "again in a few seconds"),
        ("budget_archived", "it was archived and cannot be changed", "create a new one"),
        ("budget_name_taken", "there is a budget of that name", "another name"),
        ("champion_changed", "the champion is not the one that was named; `champion` says which", "look, then decide"),
        ("champion_in_use", "a champion cannot be retired", "promote another version first"),
        ("conflict", "not in this state", "see `detail`"),
        (
            "experiment_audience_taken",
            "another experiment runs, is paused or was promoted for this capability and audience",
            "`waybill experiments stop` that one first",
        ),
        ("experiment_name_taken", "there is an experiment of that name", "another name"),
        ("experiment_state", "the experiment is in a state that does not allow this", "see `detail`"),
        ("idempotency_in_progress", "the first request under this key is still running", _AGAIN),
        ("job_not_waiting", "the job does not wait for an answer", "read the job"),
        ("question_answered", "somebody answered before, and differently", "read the job: the first answer stands"),
        ("question_timed_out", "the time to answer is up; the job goes on without", "read the job"),
        ("job_not_finished", "a waybill is signed, and a result rated, when the job has ended", "wait for the end"),
        ("key_not_active", "it was rotated, revoked, or has expired", "rotate the one that took its place"),
        ("knowledge_base_exists", "there is one of that name", "another name"),
        ("last_owner", "the organization would be without an owner", "make somebody else an owner first"),
        ("member_exists", "the person is a member already", "`waybill members change`"),
        ("model_name_taken", "there is a model of that name", "add a version to it, or another name"),
        ("no_previous_champion", "there is nothing to go back to", "promote a version"),
        ("project_name_taken", "there is a project of that name", "another name"),
        ("version_pinned", "an alias holds on to the version", "point it elsewhere first; `detail` names it"),
        ("version_retired", "the version is retired", "`waybill models restore`"),
        ("webhook_delivery_pending", "the delivery has not ended", "it is tried again when it is due"),
        ("webhook_endpoint_state", "the endpoint is in a state that does not allow this", "see `detail`"),
        ("webhook_endpoints_too_many", "the project has as many endpoints as it may", "remove one first"),
        (
            "webhook_secret_missing",
            "the project has no secret for jobs' webhooks",
            "`waybill webhooks secret --rotate`",
        ),
    ),
    410: (
        ("batch_erased", "retention took the lines and results of the batch away", "create it again"),
        ("gone", "it existed, and its retention has ended", "submit it again"),
        ("history_expired", "retention took the job's events away", "read the job instead"),
        ("webhook_body_erased", "retention took the message away", "read the job instead"),
    ),
    413: (("payload_too_large", "the body is over the limit", "see [settings](settings.md)"),),
    414: (("target_too_long", "the path and query are over 16 KiB", "fewer or shorter parameters"),),
    415: (
        ("unsupported_media_type", "this route does not read that type", "`application/json`"),
        ("file_type_mismatch", "the first bytes are of another format than declared", "declare what the file is"),
    ),
    416: (("range_not_satisfiable", "the range begins behind the end", "the member `size_bytes` is the length"),),
    422: (
        (
            "batch_lines_invalid",
            "lines of the batch are wrong, and none was started; `errors` names them",
            "mend them all",
        ),
        ("digest_mismatch", "what came is not what was announced", "begin a new upload"),
        ("upload_too_long", "more bytes than the upload was announced with", "announce the file's true size"),
        ("capability_unknown", "no such capability", "`GET /v1/capabilities`"),
        ("document_empty", "the upload has no bytes", "upload the file's content"),
        ("idempotency_key_reused", "the key was used for another request", "a fresh key"),
        ("invalid_blob_key", "not a name that the blob store takes", "letters, digits, `-`, `_`, `.` and `/`"),
        ("invalid_name", "not a name that may be given", "see `detail`"),
        ("invalid_text", "text that cannot be stored: a NUL, or half a surrogate pair", "remove it"),
        ("issuer_required", "several identity providers are configured, or none", "name the member's `issuer`"),
        ("project_invalid", "a project is named by its id", "`Waybill-Project: prj_…`"),
        ("project_required", "a person must name the project", "`Waybill-Project: prj_…`"),
        ("report_too_large", "the report has too many rows", "a shorter time, or fewer groups"),
        ("validation_error", "readable, but wrong", "`errors` names each field"),
        ("webhook_url_refused", "nothing is sent to that URL", "`errors` says why: [webhooks](webhooks.md)"),
    ),
    429: (
        (
            "too_many_failed_authentications",
            "too many keys or tokens from this address were wrong",
            f"a key that is good, {_AGAIN}",
        ),
        (
            "rate_limited",
            "too many requests, or model tokens, a minute; `limit` names the rate",
            f"{_AGAIN}: [limits](limits.md)",
        ),
    ),
    431: (
        (
            "headers_too_large",
            "the head of the request is over its size, or over 100 headers",
            "fewer or shorter headers: [settings](settings.md)",
        ),
    ),
    500: (("internal_error", "our fault", "the `trace_id` lets us find out why"),),
    503: (
        (
            "too_many_connections",
            "the client's address, or the server, has as many connections as it may",
            "keep connections open and use them again",
        ),
        ("blob_corrupt", "a stored file is not what was written", "tell the operator"),
        ("blob_misconfigured", "the blob store is configured wrongly", "the operator: `WAYBILL_BLOB_URL`"),
        ("blob_unavailable", "the blob store does not answer", _AGAIN),
        (
            "credential_missing",
            "the credential of a deployment or of a tool server cannot be read",
            "the operator: `WAYBILL_SECRETS_DIR`",
        ),
        ("database_not_configured", "no database is named", "the operator: `DATABASE_URL`"),
        ("database_unavailable", "Postgres does not answer, or is too busy", _AGAIN),
        ("deployment_invalid", "a model's deployment is described wrongly", "the operator: `message` names what"),
        (
            "deployment_unknown",
            "a version names a deployment that is gone",
            "the operator; `detail` names what there is",
        ),
        ("deployments_invalid", "the file of deployments is wrong", "the operator: `WAYBILL_DEPLOYMENTS_FILE`"),
        ("embedding_model_missing", "the embedding model is not installed", "the operator installs it"),
        ("identity_provider_unavailable", "the issuer's keys cannot be read", _AGAIN),
        ("model_missing", "a model of this installation is not installed", "the operator installs it"),
        ("model_not_configured", "no model is configured under that name", "the operator: `WAYBILL_MODEL_…`"),
        ("not_ready", "the process does not serve yet, or no more", _AGAIN),
        ("redis_not_configured", "no Redis is named", "the operator: `REDIS_URL`"),
        ("secret_key_not_configured", "keys cannot be checked", "the operator: `WAYBILL_SECRET_KEY`"),
        ("signing_key_not_configured", "nothing can be signed", "the operator: `WAYBILL_SIGNING_KEY`"),
        ("unavailable", "something we depend on is away", _AGAIN),
    ),
}

# Codes of single fields, in `errors`; others there are the names of pydantic's rules (`string_too_short`, …).
FIELDS: dict[str, str] = {
    "file_name": "a file name of 1 to 255 printable characters, without a folder",
    "alias_invalid": "a capability of the form `<folder>.<verb>`",
    "below_zero": "take away at most what the call cost",
    "answer_invalid": "an answer that matches the question's JSON Schema",
    "capability_denied": "another capability, or a key that is for it and holds its scopes",
    "custom_id": "1 to 200 characters",
    "duplicate_custom_id": "every line its own",
    "extra_forbidden": "leave it out",
    "line_too_long": "at most a mebibyte of JSON a line; large inputs go into files",
    "malformed_json": "one JSON object a line",
    "max_line_cost_missing": "with `max_cost_usd`, `max_line_cost_usd` as well",
    "metadata": "at most 32 labels, names of 1 to 64 and texts of at most 512 characters",
    "nesting_too_deep": "at most 64 levels",
    "no_lines": "a file with a JSON object in each line",
    "object_expected": "an object",
    "too_many_lines": "at most 50,000 lines: split the batch",
    "capability_not_shadowable": "its jobs may act on the world or ask people, so none is run twice",
    "capability_unknown": "no such capability",
    "experiment_invalid": "an experiment that can be run; `message` says what is wrong",
    "feedback_invalid": "a score from 0 to 1, and a comment that is not too long",
    "invalid_cursor": "pass `next_cursor` of the page before, unchanged",
    "invalid_event_id": "`Last-Event-ID` is the id of an event of this job",
    "invalid_filter": "a filter of the form `key:value`",
    "invalid_id": "an id of that kind, with its prefix",
    "invalid_price": "US dollars for one unit, as text",
    "invalid_text": "text that cannot be stored",
    "key_required": "the job has asked more than one question: name the one you answer",
    "limit_value_invalid": "a whole number, or US dollars as text for `cost_per_…`",
    "out_of_range": "a number within the bounds that `message` names",
    "project_invalid": "a project's id",
    "project_name_taken": "another name",
    "prompt_invalid": "a name of the form `<folder>/<name>`, and a text or a digest",
    "reason_too_long": "at most 1,000 characters",
    "version_invalid": "what the message says; every fault of a version is named at once",
    "project_required": "name the project",
    "report_too_large": "a shorter time, or fewer groups",
    "scope_unknown": "one of the [scopes](scopes.md)",
    "window_empty": "`from` before `to`",
}

# How a job ended or why it waits: `reason`, and `error.code` of one that failed.
FAILURES: dict[str, str] = {
    "key_revoked": "the key that asked was revoked: nothing more is started for it",
    "batch_cancelled": "the batch was cancelled before this line was started",
    "cost_cap_reached": "too little of the batch's `max_cost_usd` was left to start this line",
    "web_search_off": "the job asks for the web, and the operator has configured no search service",
    "remote_bad_answer": "a service answered with something that is no result; see its logs",
    "remote_capabilities_invalid": "the operator's file of remote capabilities says something wrong",
    "remote_not_answered": "a service accepted the work and its entry does not say that it is to be asked again",
    "process_unavailable": "the process that opens files did not start (tried again)",
    "recognition_failed": "the process that recognises print or speech ended unexpectedly (tried again)",
    "remote_refused": "a service refused the request for good",
    "remote_unavailable": "a service could not be reached, or said that it is overloaded, on every try",
    "file_not_found": "the job's input names a file that its project does not have",
    "answer_malformed": "the model's answer does not obey its schema",
    "answer_withheld": "the answer could not be backed by the sources, and the request asked for one that is",
    "block_unknown": "a message of the capability holds a kind of part that models are not given",
    "budget": "waits for money: raise the budget, and it goes on",
    "budget_exhausted": "a hard budget, or `max_cost_usd`, had no room for the next model call",
    "cancelled_by_client": "cancelled on request, or with the job that called it",
    "capability_error": "the capability failed unexpectedly",
    "capability_failed": "the capability gave up; `message` says why",
    "capability_unknown": "no worker knows the capability any more",
    "children": "waits for its child jobs",
    "context_too_long": "the model reads less than it was given",
    "deadline": "the deadline passed",
    "deployment_resting": "the provider failed so often that it is left alone for a while (tried again)",
    "document_corrupt": "the document cannot be read",
    "document_missing": "the document is gone",
    "embedding_model_mismatch": "the knowledge base was made with another embedding model",
    "file_corrupt": "the file is damaged or cut off",
    "file_empty": "the file holds nothing",
    "file_encrypted": "the PDF is protected by a password: save it without one",
    "file_polyglot": "another format is hidden in the file",
    "file_too_large": "the file has too many bytes, pixels, pages or seconds: split it",
    "file_too_slow": "reading the file takes longer than is allowed",
    "file_unsupported": "this type of file is not read",
    "file_wrong_type": "the file's content is not what its media type says",
    "image_malformed": "a picture that is not valid base64",
    "image_not_inline": "a picture must be given as its bytes",
    "input": "waits for a person's answer; `questions` says to what",
    "invalid_child": "a child job's input does not match its capability's schema",
    "not_storable": "the result, an event or a step holds what cannot be stored: NaN, Infinity, too many levels",
    "invalid_output": "the capability's result was not of its schema",
    "message_missing": "the model was asked nothing",
    "model_data_class": "the model may not see data of this class",
    "model_failed": "a model call did not succeed",
    "model_lacks_ability": "the model cannot do what the step needs",
    "model_not_configured": "no model is configured for this",
    "model_request_invalid": "the request lacks a part that the model needs",
    "model_unknown": "no model of that name",
    "parent_ended": "the job that called it has ended, and nobody waits for it",
    "policy_denied": "a policy refused it",
    "prompt_unknown": "a model's version or an experiment names a prompt that does not exist",
    "provider_bad_response": "the model provider answered with something unreadable (tried again)",
    "provider_key_refused": "the provider refused our key: tell the operator",
    "provider_model_unknown": "the provider does not know the model: tell the operator",
    "provider_quota_exhausted": "our quota at the provider is used up: tell the operator",
    "provider_rate_limited": "the provider limits our rate (tried again)",
    "provider_refused": "the provider refused the request",
    "provider_stream_cut": "the provider's answer was cut short (tried again)",
    "provider_timeout": "the provider was silent for too long (tried again)",
    "provider_unavailable": "the provider is overloaded (tried again)",
    "provider_unreachable": "the provider cannot be reached (tried again)",
    "question_missing": "the request holds no question",
    "retry": "failed, and will be tried again",
    "schema_invalid": "the schema to fill is none, or uses what is not read",
    "text_too_long": "the files hold more text than one model call reads",
    "too_deep": "jobs call jobs more levels deep than the operator allows",
    "too_many_children": "a job calls more child jobs than the operator allows",
    "tool_amount_invalid": "money was to be moved without a positive amount",
    "tool_answer_too_large": "a company's tool answered more than is read",
    "tool_answer_unreadable": "a company's tool answered in other terms than the capability reads: tell the operator",
    "tool_approval_missing": "money was to be moved that a person has not approved",
    "tool_limit": "a tool was called as often, or moved as much, as the operator allows a job",
    "tool_server_refused": "a company's system refused our token: tell the operator",
    "tool_servers_invalid": "the operator's file of tool servers cannot be used",
    "tool_timeout": "a company's system gave no answer in time",
    "tool_unavailable": "a company's system gave no answer, and nothing had been done (tried again)",
    "tool_unknown": "the operator attached no tool for what the capability needs",
    "worker_lost": "the worker was lost, at every attempt",
    "worker_stopped": "the worker was stopped, and the job goes on elsewhere",
}


def render() -> str:
    """The page as Markdown."""
    problems = [
        f"| {status} | `{code}` | {why} | {remedy} |" for status, rows in PROBLEMS.items() for code, why, remedy in rows
    ]
    fields = [f"| `{code}` | {told} |" for code, told in FIELDS.items()]
    failures = [f"| `{code}` | {told} |" for code, told in FAILURES.items()]
    return "\n".join(
        [
            _HEAD + "\n".join(problems),
            "",
            "## Fields",
            "",
            _FIELDS_HEAD,
            "",
            "| code | what would be right |",
            "|---|---|",
            *fields,
            "",
            "## Jobs",
            "",
            _FAILURES_HEAD,
            "",
            "| code | why |",
            "|---|---|",
            *failures,
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(render())

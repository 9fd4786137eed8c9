"""Renders the scopes reference: ``python -m core.keys.scopes_reference > docs/reference/scopes.md``."""

import sys

from core.keys.roles import Role
from core.keys.scopes import SCOPES, WORKING_SCOPES

_HEAD = """\
# Scopes and roles

A scope says what a key, or a person, may do. A person has the scopes of a role; a key has a list of its own, which a
role can fill. This page is written by `python -m core.keys.scopes_reference`; a test keeps it true.

"""
_MEANING = {
    "jobs:read": "Read and follow jobs, list capabilities.",
    "jobs:write": "Submit and cancel jobs.",
    "jobs:answer": "Answer what a job asks a person. No key has it unless asked: who submits does not approve.",
    "knowledge:read": "Read knowledge bases and documents, and search them.",
    "knowledge:write": "Create and delete knowledge bases, upload and delete documents.",
    "files:read": "Read and download files that were uploaded for jobs.",
    "files:write": "Upload and delete files.",
    "customers:verify": "Say in a job that a customer is verified, who may then change things and be paid.",
    "projects:read": "Read every project of the organization; with `keys:read`, the keys of every project.",
    "projects:write": "Create, change and archive projects; with `keys:write`, administer every project's keys.",
    "keys:read": "List the keys of the own project; never the keys themselves.",
    "keys:write": "Issue, rotate and revoke keys of the own project that may do no more than oneself.",
    "members:read": "List who may act for the organization.",
    "members:write": "Add, change and remove members whose role is not above one's own.",
    "budgets:read": "Read budgets and what is spent and reserved of them.",
    "budgets:write": "Create, change and archive budgets.",
    "costs:read": "Read usage, costs and statements.",
    "costs:write": "Correct what a model call cost.",
    "prices:read": "Read the price book.",
    "prices:write": "Set prices of the organization's own.",
    "audit:read": "Read, verify and download the audit trail.",
    "audit:write": "Export the audit trail, and erase a person's data from it.",
    "models:read": "Read models, versions, their history, aliases, prompts and deployments.",
    "models:write": "Create models and versions, and add prompts; they are not used yet.",
    "models:promote": "Put versions and prompts to work, take them back, retire them; set aliases.",
    "limits:read": "Read limits and quotas and what is used of them.",
    "limits:write": "Set limits and quotas.",
    "retention:read": "Read how long what is kept.",
    "retention:write": "Set how long what is kept.",
    "guard:read": "Read guard policies, their versions, and what was said about findings.",
    "guard:write": "Put guard policies, allow texts, and read the texts that findings were about.",
    "guard:screen": "Try texts against a guard policy, and say whether a finding is right.",
    "experiments:read": "Read experiments and their results.",
    "experiments:write": "Create, start, ramp, promote, roll back and stop experiments.",
    "quality:read": "Read signals of quality, alerts about them, and what people labeled.",
    "quality:write": "Acknowledge and close alerts, choose and label jobs, record runs, set gates.",
    "webhooks:read": "Read webhook endpoints, without their secrets, and what was delivered.",
    "webhooks:write": "Add, change, pause and remove webhook endpoints, rotate their secrets, deliver again.",
    "organization:read": "Read the organization, and who one is in it.",
}
_KEYS = """
## Keys

* A new key holds {working}, unless `--scope`, `--role` or `scopes` ask for more.
* `capability:<id>` in the list narrows a key to that capability: it is refused others at submit (`capability_denied`),
  and jobs, batches and responses of others do not exist for it, whatever it asks about them (404).
  A key may be narrowed to several; without any it may ask for all. With nothing else in the list it holds the scopes
  above.
* Nobody hands on more than they hold: whoever issues, rotates or revokes a key, or gives or takes a role, needs every
  scope and capability of it (`scope_exceeded`). So an admin makes no owner, and cannot take over an owner's key by
  rotating it.
* A job does no more than the key behind it: [what a job may do](jobs.md#what-a-job-may-do).
* A key sees the keys of its own project. `projects:read` shows those of the organization's other projects,
  `projects:write` administers them.
* A key of an archived project can read, and is refused everything else (`project_archived`), except where the request
  is about the organization: projects, members and keys.

## Refusals

| status | code | why | remedy |
|---|---|---|---|
"""
_REFUSALS = (
    (401, "key_missing key_unknown", "no key, or one that this installation never issued", "`waybill keys issue`"),
    (
        401,
        "key_expired key_revoked",
        "the key has expired, or was revoked",
        "use the key that replaced it; `waybill keys list --ended`",
    ),
    (401, "token_invalid", "the token is not from a trusted issuer", "[single sign-on](../howto/single-sign-on.md)"),
    (401, "token_expired", "the token has expired", "sign in again"),
    (
        403,
        "scope_missing",
        "the key or role lacks the scope in the member `scope`",
        "use a key or role with that scope",
    ),
    (403, "capability_denied", "the key is limited to other capabilities", "use a key for this capability"),
    (403, "scope_exceeded", "you lack the scopes in the member `scopes`", "ask someone who holds them"),
    (
        403,
        "not_a_member",
        "the token is valid, but its subject has no role in the organization",
        "ask an owner or admin",
    ),
    (403, "project_mismatch", "`Waybill-Project` names another project than the key's", "leave the header out"),
    (403, "project_archived", "the project is archived and read-only", "`waybill projects restore`"),
    (
        404,
        "project_not_found key_not_found member_not_found",
        "it does not exist, or it is not yours: the response is the same",
        "",
    ),
    (409, "last_owner", "the organization would have no owner", "make someone else an owner first"),
    (409, "key_not_active", "it was rotated, revoked, or has expired", "rotate the key that replaced it"),
    (409, "project_name_taken member_exists", "it already exists", "another name; `waybill members change`"),
    (422, "project_required project_invalid", "a person names a project by its id", "`Waybill-Project: prj_…`"),
    (
        422,
        "scope_unknown capability_unknown",
        "there is no such scope or capability",
        "the table above; `GET /v1/capabilities`",
    ),
    (422, "issuer_required", "several identity providers are configured, or none", "name the member's `issuer`"),
    (
        503,
        "identity_provider_unavailable",
        "the issuer's keys cannot be read",
        "send the same request again after `Retry-After`",
    ),
)


def render() -> str:
    """The page as Markdown."""
    roles = list(Role)
    head = f"| scope | {' | '.join(roles)} | allows |\n|---|{':-:|' * len(roles)}---|\n"
    rows = [
        f"| `{scope}` | {' | '.join('✓' if scope in role.scopes else '' for role in roles)} | {_MEANING[scope]} |"
        for scope in SCOPES
    ]
    working = ", ".join(f"`{scope}`" for scope in WORKING_SCOPES)
    refusals = [
        f"| {status} | {' '.join(f'`{code}`' for code in codes.split())} | {why} | {remedy} |"
        for status, codes, why, remedy in _REFUSALS
    ]
    return "\n".join([_HEAD + head + "\n".join(rows), _KEYS.format(working=working) + "\n".join(refusals), ""])


if __name__ == "__main__":
    sys.stdout.write(render())

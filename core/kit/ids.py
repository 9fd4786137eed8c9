"""Identifiers: UUIDv7 in Postgres, prefixed base32 in the API (the TypeID form, github.com/jetify-com/typeid 0.3)."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUE_OF = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26

JOB = "job"
PROJECT = "prj"
ORGANIZATION = "org"
KEY = "key"
SESSION = "ses"
VIEW = "view"
MEMBER = "mem"
KNOWLEDGE_BASE = "kb"
DOCUMENT = "doc"
BUDGET = "bud"
PRICE = "prc"
AUDIT = "aud"
MODEL = "mdl"
ALIAS = "als"
PROMPT = "prm"
ERASURE = "ers"
FILE = "file"
UPLOAD = "upl"
EXPERIMENT = "exp"
ARM = "arm"
MODEL_VERSION = "mver"
WEBHOOK_ENDPOINT = "whe"
MESSAGE = "msg"
BATCH = "batch"
GUARD_REVIEW = "grev"
QUALITY_ALERT = "qal"
QUALITY_RUN = "qrun"
# The kind of object that a field with this name identifies, in logs and traces.
FIELDS = {
    "job_id": JOB,
    "parent_id": JOB,
    "project_id": PROJECT,
    "organization_id": ORGANIZATION,
    "key_id": KEY,
    "session_id": SESSION,
    "view_id": VIEW,
    "member_id": MEMBER,
    "base_id": KNOWLEDGE_BASE,
    "knowledge_base_id": KNOWLEDGE_BASE,
    "document_id": DOCUMENT,
    "budget_id": BUDGET,
    "price_id": PRICE,
    "record_id": AUDIT,
    "model_id": MODEL,
    "model_version_id": MODEL_VERSION,
    "alias_id": ALIAS,
    "prompt_id": PROMPT,
    "erasure_id": ERASURE,
    "file_id": FILE,
    "upload_id": UPLOAD,
    "experiment_id": EXPERIMENT,
    "arm_id": ARM,
    "endpoint_id": WEBHOOK_ENDPOINT,
    "message_id": MESSAGE,
    "delivery_id": MESSAGE,
    "batch_id": BATCH,
    "review_id": GUARD_REVIEW,
    "alert_id": QUALITY_ALERT,
}


def new_id() -> UUID:
    """A fresh UUIDv7: sortable by creation time to the millisecond (RFC 9562, section 5.7)."""
    return uuid7()


def made_at(value: UUID) -> datetime:
    """When a version 7 UUID was created, to the millisecond (RFC 9562, section 5.7)."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)


def encode(prefix: str, value: UUID) -> str:
    """`value` as ``prefix_`` and 26 characters of Crockford base32, lower case; sorts like the UUID itself."""
    number = value.int
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def encode_field(name: str, value: object) -> object:
    """`value` as the API writes it when it is the UUID of a field in `FIELDS`, or a text of one; else unchanged."""
    prefix = FIELDS.get(name)
    if prefix is None or not isinstance(value, UUID | str):
        return value
    try:
        return encode(prefix, value if isinstance(value, UUID) else UUID(value))
    except ValueError:
        return value


def decode(prefix: str, text: str) -> UUID:
    """The UUID behind an API id. Raises ValueError when the prefix, length or alphabet is not ours."""
    head, _, tail = text.rpartition("_")
    if head != prefix or len(tail) != _LENGTH or tail[0] > "7":
        message = f"expected an id of the form {prefix}_ followed by {_LENGTH} characters"
        raise ValueError(message)
    number = 0
    for character in tail:
        value = _VALUE_OF.get(character)
        if value is None:
            message = f"the id {prefix}_… holds a character that is not base32"
            raise ValueError(message)
        number = number << 5 | value
    return UUID(int=number)

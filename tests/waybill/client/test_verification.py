"""The receiver's side, against what our own sender signs and what the public package signs."""

import re
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from core.webhooks.signing import generate_secret, headers, show_secret
from waybill.client import WebhookMessage, WebhookRejected, WebhookVerifier

AT = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
NOW = AT.timestamp()
KEYS = generate_secret(), generate_secret()
OLD, NEW = map(show_secret, KEYS)
BODY = orjson.dumps({"type": "job.succeeded", "timestamp": "2026-01-31T08:00:00.000000Z", "data": {"id": "job_x"}})
SENT = headers(KEYS[:1], "msg_1", AT, BODY)


def reason(body: bytes = BODY, sent: dict[str, str] = SENT, *, secret: str = OLD, now: float = NOW) -> str:
    with pytest.raises(WebhookRejected) as rejected:
        WebhookVerifier(secret).verify(body, sent, now=now)
    return rejected.value.reason


def test_a_message_is_read_when_it_is_what_was_signed() -> None:
    message = WebhookVerifier(OLD).verify(BODY, SENT, now=NOW)
    assert message == WebhookMessage("msg_1", "job.succeeded", "2026-01-31T08:00:00.000000Z", {"id": "job_x"})


def test_the_names_of_headers_have_no_case() -> None:
    WebhookVerifier(OLD).verify(BODY, {name.title(): value for name, value in SENT.items()}, now=NOW)


@pytest.mark.parametrize("known", [OLD, NEW, [NEW, OLD]], ids=["old", "new", "both"])
def test_while_a_secret_is_changed_either_is_enough_on_either_side(known: str | list[str]) -> None:
    WebhookVerifier(known).verify(BODY, headers(KEYS, "msg_1", AT, BODY), now=NOW)
    WebhookVerifier([OLD, NEW]).verify(BODY, headers(KEYS[1:], "msg_1", AT, BODY), now=NOW)


def test_what_the_public_package_signs_is_verified() -> None:
    signature = Webhook(OLD).sign("msg_2", AT, BODY.decode())
    sent = {"webhook-id": "msg_2", "webhook-timestamp": str(int(NOW)), "webhook-signature": signature}
    assert WebhookVerifier(OLD).verify(BODY, sent, now=NOW).id == "msg_2"


@pytest.mark.parametrize("name", sorted(SENT))
def test_without_its_headers_it_is_rejected(name: str) -> None:
    assert reason(sent={key: value for key, value in SENT.items() if key != name}) == "header_missing"


@pytest.mark.parametrize("sent", ["soon", "-1", "1_0", " 1", "١٢", "1.5", "0x10"])
def test_a_time_that_is_no_number_is_rejected(sent: str) -> None:
    assert reason(sent={**SENT, "webhook-timestamp": sent}) == "timestamp_invalid"


def test_a_repeated_message_is_rejected_by_its_age() -> None:
    assert reason(now=NOW + 301) == "timestamp_too_old"
    assert reason(now=NOW - 301) == "timestamp_too_new"
    assert WebhookVerifier(OLD, tolerance_seconds=600).verify(BODY, SENT, now=NOW + 301).id == "msg_1"


@pytest.mark.parametrize(
    "sent",
    [
        {**SENT, "webhook-id": "msg_2"},
        {**SENT, "webhook-timestamp": str(int(NOW) + 1)},
        {**SENT, "webhook-signature": SENT["webhook-signature"].replace("v1,", "v2,")},
        {**SENT, "webhook-signature": "v1,"},
        {**SENT, "webhook-signature": "v1,é"},
        {**SENT, "webhook-signature": "nothing"},
        headers(KEYS[1:], "msg_1", AT, BODY),
    ],
    ids=["other-id", "other-time", "other-scheme", "empty", "not-base64", "no-scheme", "other-secret"],
)
def test_what_was_not_signed_so_is_rejected(sent: dict[str, str]) -> None:
    assert reason(sent=sent) == "signature_mismatch"


def test_one_changed_byte_is_rejected() -> None:
    assert reason(BODY.replace(b"job_x", b"job_y")) == "signature_mismatch"
    assert reason(BODY + b" ") == "signature_mismatch"


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_é", OLD.removeprefix("whsec_")], ids=["empty", "bare", "not-base64", "no-prefix"]
)
def test_a_secret_that_is_none_is_said_at_the_start(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        WebhookVerifier(secret)
    with pytest.raises(ValueError, match="one secret"):
        WebhookVerifier([])


def test_the_how_to_works_as_it_is_written() -> None:
    page = Path(__file__).parents[3] / "docs" / "howto" / "receive-webhooks.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    begin = block[: block.index("\n\n\n")].replace('os.environ["WAYBILL_WEBHOOK_SECRET"]', repr(OLD))
    names: dict[str, WebhookVerifier] = {}
    exec(begin, names)
    assert names["verifier"].verify(BODY, SENT, now=NOW).type == "job.succeeded"

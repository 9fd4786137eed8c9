"""One attempt against every kind of receiver."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.kit.settings import Settings
from core.webhooks.sender import Outcome, Sender
from core.webhooks.targets import TargetPolicy
from tests.factories.certificates import Authority
from tests.factories.webhook_receiver import Drip, Reply, Silence, WebhookReceiver
from waybill.stack.postgres import free_port

HEADERS = {"webhook-id": "msg_1"}
NAME = "hooks.example.com"


def loopback(_host: str, _port: int) -> Sequence[str]:
    return ("127.0.0.1",)


def send(url: str, timeout_seconds: float = 2.0, ca_file: Path | None = None) -> Outcome:
    settings = Settings(
        webhook_allowed_networks=["127.0.0.0/8"], webhook_timeout_seconds=timeout_seconds, webhook_ca_file=ca_file
    )
    return Sender(settings, TargetPolicy(settings, loopback)).send(url, HEADERS, b'{"a":1}')


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(status: int) -> None:
    with WebhookReceiver(Reply(status)) as receiver:
        outcome = send(receiver.url)
        assert (outcome.status, outcome.error) == (status, None)
        assert receiver.received[0].body == b'{"a":1}'
        assert receiver.received[0].headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.survive("S4")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    with WebhookReceiver() as inside, WebhookReceiver(Reply(status, {"location": inside.url})) as receiver:
        outcome = send(receiver.url)
        assert (outcome.status, outcome.error) == (status, "redirect_refused")
        assert inside.received == []
        assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410, 418, 429, 500, 503])
def test_any_other_status_is_a_failure(status: int) -> None:
    with WebhookReceiver(Reply(status, {"retry-after": "7"})) as receiver:
        assert send(receiver.url).retry_after == "7"
        assert send(receiver.url).error == "status_refused"


def test_a_receiver_that_is_down_or_silent_or_breaks_off_fails_with_a_code() -> None:
    assert send(f"http://127.0.0.1:{free_port()}/").error == "connect_failed"
    with WebhookReceiver(Reply(200, resets=True)) as receiver:
        assert send(receiver.url).error in {"connection_lost", "answer_invalid"}
    with WebhookReceiver(Silence()) as receiver:
        assert send(receiver.url, timeout_seconds=0.3).error == "timeout"


def test_the_bound_is_over_the_whole_attempt_however_slowly_a_receiver_answers() -> None:
    with WebhookReceiver(Drip(0.05)) as receiver:
        outcome = send(receiver.url, timeout_seconds=0.5)
        assert outcome.error == "timeout"
        assert outcome.latency_ms < 5_000


def test_a_certificate_must_be_of_the_name_and_of_an_authority_we_trust(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with WebhookReceiver(tls=authority.server_context(NAME)) as receiver:
        url = f"https://{NAME}:{receiver.port}/hook"
        # Connected to the address that was judged, and yet verified for the name, with the name in the Host header.
        assert send(url, ca_file=authority.file) == Outcome(pytest.approx(0, abs=5_000), 200)  # type: ignore[arg-type]
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
        assert send(url).error == "certificate_invalid"
        assert (
            send(f"https://other.example.com:{receiver.port}/", ca_file=authority.file).error == "certificate_invalid"
        )
        assert send(f"https://127.0.0.1:{receiver.port}/", ca_file=authority.file).error == "certificate_invalid"
    with WebhookReceiver() as plain:
        assert send(f"https://127.0.0.1:{plain.port}/").error == "tls_failed"
    with WebhookReceiver(tls=authority.server_context("127.0.0.1")) as receiver:
        assert send(receiver.url, ca_file=authority.file).error is None


@pytest.mark.survive("S4")
def test_a_resolver_that_changes_its_mind_gains_nothing() -> None:
    answers = iter([("93.184.215.14",), ("127.0.0.1",)])
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    settings = Settings(webhook_ports=[])
    with WebhookReceiver() as inside:
        url = f"https://rebind.example.com:{inside.port}/"
        policy = TargetPolicy(settings, rebinding)
        policy.check(url)  # at creation it led to the public internet
        outcome = Sender(settings, policy).send(url, HEADERS, b"{}")
        # Asked once for the attempt; what came of that one question was judged, and nothing was connected to.
        assert outcome.error == "address_refused"
        assert asked == ["rebind.example.com"] * 2
        assert inside.received == []


def test_proxies_of_the_environment_have_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with WebhookReceiver() as receiver:
        assert send(receiver.url).error is None

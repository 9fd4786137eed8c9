"""`waybill smoke`, as far as it can be judged without an installation; `make compose-test` runs it against one."""

from pipelines.capabilities import CAPABILITIES
from waybill.client import WaybillClient
from waybill.smoke.checks import Smoke


def test_every_capability_is_asked_once() -> None:
    with WaybillClient("http://127.0.0.1:1", "unused") as client:
        checks = Smoke(client, timeout_seconds=1, receiver=None, on_outcome=lambda _: None).checks()
    assert {manifest.id for manifest in CAPABILITIES} <= checks.keys()

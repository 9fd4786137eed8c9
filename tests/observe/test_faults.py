from infra.prometheus.objectives import OBJECTIVES
from tests.observe.faults import FAULTS, NOT_INJECTED
from tests.observe.runbooks import lines
from tests.observe.shortening import shorten

# What burns fast burns slowly too: the fault of the one is that of the other.
_SLOW = {f"{each.alert}BurnsSlowly" for each in OBJECTIVES}


def test_every_alert_has_a_fault_or_a_reason_why_not() -> None:
    alerts = {rule["alert"] for group in shorten(1)["groups"] for rule in group["rules"] if "alert" in rule}
    injected = {fault.alert for fault in FAULTS}
    assert len(injected) == len(FAULTS)
    assert not injected & NOT_INJECTED.keys()
    assert injected | NOT_INJECTED.keys() | _SLOW == alerts


def test_every_fault_has_commands_to_look_at_it() -> None:
    assert not [fault.page for fault in FAULTS if not lines(fault.page)]

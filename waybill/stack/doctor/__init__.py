"""``waybill doctor``: checks everything that Waybill depends on, whether or not a stack is running."""

from core.kit.settings import Settings
from waybill.stack.doctor.check import Check, Status
from waybill.stack.doctor.guard import check_guard
from waybill.stack.doctor.machine import check_machine
from waybill.stack.doctor.postgres import SCHEMA, check_postgres
from waybill.stack.doctor.redis import check_redis
from waybill.stack.doctor.storage import check_storage
from waybill.stack.home import Home, running_stack
from waybill.stack.leftovers import without_leftovers

__all__ = ["SCHEMA", "Check", "Status", "check_postgres", "check_redis", "run_checks"]


def run_checks(settings: Settings) -> list[Check]:
    """Check the machine, Postgres, Redis, blob storage and guard. Takes seconds at most and leaves no data behind."""
    running = running_stack(settings.home)
    if running is None:
        # The run file of a crashed stack describes servers that no longer exist.
        settings = without_leftovers(settings, Home(settings.home))
    return [
        *check_machine(settings, running),
        *check_postgres(settings),
        *check_redis(settings),
        *check_storage(settings),
        *check_guard(settings),
    ]

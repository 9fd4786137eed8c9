"""The capability's prompts for one job, from the registry or the files, and sources as a model reads them."""

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from core.gateway.calls import JobModels
from core.gateway.routing import CHAT
from core.guard.provenance import as_data
from pipelines._kit.prompts import choose_prompt
from pipelines.research.state import Found

_PACKAGE = "pipelines.research"


class Prompts:
    """Reads prompts for the model behind the alias `CHAT`, and records their digests."""

    def __init__(self, models: JobModels) -> None:
        self._models = models
        self._model = models.resolve(CHAT)
        self.digests: dict[str, str] = {}

    def text(self, name: str) -> str:
        """The prompt called `name`."""
        prompt = choose_prompt(self._models, self._model, _PACKAGE, name)
        self.digests[f"research/{name}"] = prompt.digest
        return prompt.text


def show_sources(sources: Iterable[tuple[int, Found]]) -> str:
    """Numbered sources as data: none can end its own element, and outside content is marked as such."""
    return "\n\n".join(_show(number, source) for number, source in sources)


def _show(number: int, source: Found) -> str:
    place = {"number": str(number), "title": source["title"]}
    if source["kind"] == "web":
        place["origin"] = "outside content from the web"
    if source.get("section"):
        place["section"] = str(source["section"])
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in place.items())
    text = source["text"].replace("</source", "< /source")
    return f"<source {attributes}>\n{as_data(text)}\n</source>"

"""Prompts are files beside the capability; a result records the digests of those that were used.

The registry may replace a file's text with that of a model version or of the organization.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Protocol

from core.registry.digests import digest
from core.registry.prompts.records import ChosenPrompt
from core.registry.records import ResolvedModel

__all__ = ["Prompt", "choose_prompt", "digest", "load_prompt", "packaged_prompts"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text and its version: ``sha256:`` and the hexadecimal digest of the text in UTF-8."""

    text: str
    digest: str


@lru_cache(maxsize=64)
def load_prompt(package: str, name: str) -> Prompt:
    """The prompt ``prompts/<name>.md`` of `package`, without surrounding white space. Raises FileNotFoundError."""
    text = files(package).joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()
    return Prompt(text, digest(text))


class ChoosesPrompts(Protocol):
    """The part of `core.gateway.calls.JobModels` that is used here."""

    def prompt(self, name: str, model: ResolvedModel) -> ChosenPrompt | None:
        """The registry's replacement for the file when `model` reads it."""


def choose_prompt(models: ChoosesPrompts, model: ResolvedModel, package: str, name: str) -> Prompt:
    """The prompt that `model` reads for this job: the registry's replacement for the file, or the file.

    Raises `core.registry.prompts.cache.PromptUnknown` when the model's version or an experiment's arm names a version
    of the prompt that does not exist.
    """
    chosen = models.prompt(registered_name(package, name), model)
    return load_prompt(package, name) if chosen is None else Prompt(chosen.text, chosen.digest)


def registered_name(package: str, name: str) -> str:
    """The registry's name for a package's prompt: ``knowledge/answer``."""
    return f"{package.rpartition('.')[2]}/{name}"


def packaged_prompts() -> Iterator[tuple[str, str]]:
    """The name and text of every prompt file of the installed capabilities, by name."""
    from pipelines.registry import manifests

    packages = {manifest.entry.partition(":")[0].rpartition(".")[0] for manifest in manifests().values()}
    for package in sorted(packages - {""}):
        folder = files(package).joinpath("prompts")
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".md"):
                    name = file.name.removesuffix(".md")
                    yield registered_name(package, name), load_prompt(package, name).text

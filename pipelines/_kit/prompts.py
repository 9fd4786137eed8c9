"""Prompts are files beside the capability; a result records the digest of the ones that made it."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


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


def digest(*texts: str) -> str:
    """One digest over several texts, each preceded by its length so that no two lists share one."""
    hashed = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return f"sha256:{hashed.hexdigest()}"

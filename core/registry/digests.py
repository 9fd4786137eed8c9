"""Digests that identify versions of prompts, and the contents of model versions."""

import hashlib
from collections.abc import Mapping
from typing import Any

from core.kit.canonical import canonical, exact
from core.kit.json_values import dumps


def digest(*texts: str) -> str:
    """One digest over several texts, each preceded by its length so that no two lists share one."""
    hashed = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return f"sha256:{hashed.hexdigest()}"


def digest_of_facts(facts: Mapping[str, Any]) -> str:
    """The digest of a JSON object in canonical form (RFC 8785); fractions are hashed as the text of their digits."""
    return f"sha256:{hashlib.sha256(canonical(exact(dumps(dict(facts)).decode()))).hexdigest()}"

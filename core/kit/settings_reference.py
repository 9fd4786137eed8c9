"""Renders the settings reference: ``python -m core.kit.settings_reference > docs/reference/settings.md``."""

import json
import sys
from typing import Any

from pydantic import AliasChoices
from pydantic_core import PydanticUndefined

from core.kit.settings import Settings

_HEAD = """\
# Settings

Every setting is an environment variable. What is not set is taken from the run file that `waybill up` leaves in
`WAYBILL_HOME` while it runs, then from the default. This page is written by
`python -m core.kit.settings_reference`; a test keeps it true.

| variable | default | |
|---|---|---|
"""


def render() -> str:
    """The page as Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        spelled = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"WAYBILL_{name.upper()}"
        rows.append(f"| `{spelled}` | {_default(name, field.default)} | {field.description or ''} |")
    return _HEAD + "\n".join(rows) + "\n"


def _default(name: str, value: Any) -> str:
    if name == "home":
        return "`~/.local/share/waybill`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return "" if value in (None, PydanticUndefined, []) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(render())

"""TOML files written by an operator: bounded, read whole, and refused with a list of all their errors.

Messages never repeat a file's content, since a key or a token may be where its name should be.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from core.kit.errors import Unavailable

_MAX_BYTES = 1024 * 1024
_SHOWN_MAX = 20

Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """A file at `path`, which the setting `variable` names; `code` is the error code of its refusals."""

    path: Path | Traversable
    variable: str
    code: str

    def read(self, kind: type[Content]) -> Content:
        """The content as a `kind`. Raises `Unavailable`, which names entries and fields but never a value."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
            if len(raw) > _MAX_BYTES:
                raise self.invalid(f"it is larger than {_MAX_BYTES} bytes")
            content = tomllib.loads(raw.decode())
        except OSError as error:
            raise self.invalid(error.strerror or "it cannot be read") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            # The parser's message may quote the line.
            raise self.invalid("it is not TOML in UTF-8") from None
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            wrong = [
                f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
                for each in error.errors(include_input=False, include_url=False, include_context=False)
            ]
            raise self.invalid("; ".join(wrong[:_SHOWN_MAX])) from None

    def invalid(self, why: str) -> Unavailable:
        """The refusal of the file because of `why`."""
        return Unavailable(f"{self.variable} {self.path.name}: {why}", code=self.code)

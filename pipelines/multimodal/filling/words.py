"""The words of bills in several languages, from ``words.toml``."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _sections() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))


def words(section: str, name: str) -> frozenset[str]:
    """The words called `name` in `section`."""
    return frozenset(_sections()[section][name].split())


def months() -> dict[str, int]:
    """The beginnings of the months' names, three or four letters, to the month's number."""
    return {name: int(number) for number, names in _sections()["months"].items() for name in names.split()}


def expression(section: str, name: str, *, beginnings: bool = False) -> str:
    """An alternative of the words as whole words of a text, or as the `beginnings` of its words."""
    alternatives = "|".join(map(re.escape, sorted(words(section, name))))
    return rf"\b(?:{alternatives})" + ("" if beginnings else r"\b")

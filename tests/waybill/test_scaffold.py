"""A new capability's package, used as its author would: its tests run, and a worker finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.processes import ROOT
from waybill.cli.failures import CliError
from waybill.scaffold.package import write_package

pytestmark = pytest.mark.heavy


def test_a_new_package_passes_its_own_tests_and_is_found(tmp_path: Path) -> None:
    root = write_package("plain_language.count_words", tmp_path)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{root}"}
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout
    # As an installed package would say it, without an installation.
    info = root / "waybill_plain_language-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: waybill-plain-language\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[waybill.capabilities]\nplain_language = waybill_plain_language.manifest:COUNT_WORDS\n"
    )
    code = (
        "import json; from pipelines.registry import manifests, pools;"
        "found = manifests()['plain_language.count_words'];"
        "print(json.dumps([found.title, 'plain_language' in pools(), sorted(found.input.model_json_schema())]))"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    title, has_pool, _ = json.loads(listed.stdout)
    assert (title, has_pool) == ("Count words", True)


@pytest.mark.parametrize("name", ["translate", "Language.translate", "a.b.c", "../x.y", "x.y; rm", ""])
def test_what_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CliError, match="no capability's id"):
        write_package(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_package("language.translate", tmp_path)
    with pytest.raises(CliError, match="there already"):
        write_package("language.summarise", tmp_path)

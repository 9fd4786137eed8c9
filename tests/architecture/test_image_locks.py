"""What each image holds: the versions of the one lock, and nothing of another's."""

import re
import tomllib
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from pipelines.capabilities import CAPABILITIES
from tests.factories.processes import ROOT

_FOLDER = ROOT / "infra" / "images"
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_AGENTS = {
    "celery",
    "crewai",
    "kombu",
    "langchain-core",
    "langgraph",
    "mcp",
    "numpy",
    "onnxruntime",
    "openai",
    "rapidocr",
}
_ABSENT = {
    "api": _AGENTS,
    "backup": _AGENTS | {"fastapi"},
    "dispatcher": _AGENTS - {"celery", "kombu"} | {"fastapi"},
    "guard": {"celery", "kombu", "crewai", "langgraph", "fastapi", "onnxruntime", "openai"},
    "models": {"crewai", "langgraph", "rapidocr", "fastapi", "trafilatura"},
    "knowledge": {"crewai", "rapidocr", "fastapi", "mcp"},
    "customer_operations": {"crewai", "rapidocr", "fastapi", "trafilatura"},
    "multimodal": {"crewai", "fastapi", "trafilatura", "mcp"},
    "research": {"rapidocr", "faster-whisper", "fastapi", "trafilatura"},
}


def _pins(path: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / path).read_text(encoding="utf-8")))


def test_there_is_a_lock_for_every_image() -> None:
    assert {path.stem for path in _FOLDER.glob("*.lock")} == set(_ABSENT)
    assert set(_ABSENT) == {"api", "backup", "dispatcher", "guard", *(manifest.pool for manifest in CAPABILITIES)}


@pytest.mark.parametrize("image", sorted(_ABSENT))
def test_an_image_holds_what_it_needs_in_the_versions_that_are_tested(image: str) -> None:
    tested, pins = _pins("requirements.lock"), _pins(f"infra/images/{image}.lock")
    differing = {name: version for name, version in pins.items() if tested.get(name) != version}
    assert not differing, "run: make lock"
    assert not _ABSENT[image] & pins.keys()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    wanted = [Requirement(each) for each in extras[image.replace("_", "-")]]
    there = {"python_version": "3.13"}
    needed = {each.name for each in wanted if each.marker is None or each.marker.evaluate(there)} - {"waybill"}
    assert needed <= pins.keys(), "run: make lock"


def test_an_image_that_reaches_the_broker_holds_what_its_transport_imports() -> None:
    needed = {re.split(r"[<>=]", each)[0] for each in requires("kombu") or () if 'extra == "redis"' in each}
    assert "redis" in needed
    for image in _ABSENT:
        pins = _pins(f"infra/images/{image}.lock").keys()
        assert "kombu" not in pins or needed <= pins, f"{image}: celery[redis]"

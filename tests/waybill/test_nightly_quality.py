"""What the guide runs every night is a command that there is, and the cluster's job for it asks nothing twice."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.factories.processes import ROOT
from waybill.cli.main import app

GUIDE = ROOT / "docs" / "howto" / "gate-a-promotion.md"
CRON_JOB = yaml.safe_load((ROOT / "infra" / "helm" / "quality.yaml").read_text(encoding="utf-8"))
EXPECTED = {"model": "candidate", "record": "golden", "min_share": 0.9, "max_cost": "5", "max_line_cost": "0.05"}


def parsed(arguments: list[str], data_set: Path) -> dict[str, Any]:
    """The parameters of ``waybill quality run``, with a data set that is there."""
    command: Any = typer.main.get_command(app)
    for word in arguments[:2]:
        command = command.commands[word]
    found: dict[str, Any] = command.make_context("run", [str(data_set), *arguments[3:]]).params
    return found


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    path = tmp_path / "golden.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    return path


def test_the_cluster_runs_what_the_command_line_knows(data_set: Path) -> None:
    job = CRON_JOB["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert parsed(container["args"], data_set).items() >= EXPECTED.items()
    (mount,) = container["volumeMounts"]
    assert container["args"][2].startswith(f"{mount['mountPath']}/")
    assert {each["name"] for each in container["env"]} == {"WAYBILL_URL", "WAYBILL_API_KEY"}
    assert (job["backoffLimit"], CRON_JOB["spec"]["concurrencyPolicy"]) == (0, "Forbid")


def test_so_does_the_line_for_cron(data_set: Path) -> None:
    (line,) = [each for each in GUIDE.read_text(encoding="utf-8").splitlines() if each.strip().startswith("30 2 * * *")]
    _, _, arguments = line.partition("waybill quality run ")
    assert parsed(["quality", "run", *shlex.split(arguments)], data_set).items() >= EXPECTED.items()

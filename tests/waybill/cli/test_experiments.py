import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from core.kit.ids import EXPERIMENT, decode
from core.registry.experiments.service import ExperimentService
from tests.factories.api import RunningApi, principal_of
from tests.factories.experiment_outcomes import Outcome, write_outcomes
from tests.waybill.cli.conftest import Cli
from waybill.cli.experiment_plot import lines, svg
from waybill.client.models import Results

pytestmark = pytest.mark.own_database

DEFINITION = {
    "name": "shorter answers",
    "capability": "probe.act",
    "arms": [{"name": "short", "weight": 0.5}, {"name": "as it is", "kind": "control", "weight": 0.5}],
    "plan": {"baseline": 0.2, "minimum_lift": 0.05},
}


@pytest.fixture
def definition(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    path = tmp_path / "experiment.json"
    path.write_text(json.dumps({**DEFINITION, "name": f"{DEFINITION['name']} {request.node.name}"}), encoding="utf-8")
    return f"@{path}"


def test_an_experiment_is_run_from_the_command_line(cli: Cli, definition: str) -> None:
    made = cli("experiments", "create", definition)
    assert made.exit_code == 0, made.stderr
    experiment = made.stdout.strip()
    assert "2,090 units" in made.stderr
    assert "shorter answers" in cli("experiments", "list").stdout
    assert "running" in cli("experiments", "start", experiment).stdout
    assert "0.125" in cli("experiments", "weights", experiment, "--share", "0.25").stdout
    moved = cli("experiments", "weights", experiment, "short=0.4", "as it is=0.6", "--json")
    assert [arm["weight"] for arm in json.loads(moved.stdout)["arms"]] == [0.4, 0.6]
    assert cli("experiments", "weights", experiment).exit_code == 2
    assert cli("experiments", "weights", experiment, "short").exit_code == 2
    assert "paused" in cli("experiments", "pause", experiment, "--reason", "holiday").stdout
    assert "promoted (short)" in cli("experiments", "promote", experiment, "short").stdout
    assert "stopped" in cli("experiments", "stop", experiment).stdout
    assert cli("experiments", "rollback", experiment).exit_code != 0
    assert json.loads(cli("experiments", "show", experiment, "--json").stdout)["state"] == "stopped"
    assert cli("experiments", "create", "{").exit_code == 2


def test_results_are_shown_and_drawn(
    cli: Cli, api: RunningApi, database_url: str, definition: str, tmp_path: Path
) -> None:
    made = cli("experiments", "create", definition)
    assert made.exit_code == 0, made.stderr
    experiment_id = made.stdout.strip()
    cli("experiments", "start", experiment_id)
    nothing = cli("experiments", "results", experiment_id, "--plot", "terminal")
    assert (nothing.exit_code, "no data" in nothing.stdout) == (0, True)
    principal = principal_of(api.key)
    with api.runtime.database.tenant(principal.organization_id) as session:
        experiment = ExperimentService().get(session, principal, decode(EXPERIMENT, experiment_id))
    for arm, failures in zip(experiment.arms, (30, 100), strict=True):
        write_outcomes(
            database_url, experiment, arm, [Outcome("failed")] * failures + [Outcome(score=0.5)] * (200 - failures)
        )
    shown = cli("experiments", "results", experiment_id, "--plot", "terminal")
    assert shown.exit_code == 0, shown.stderr
    for expected in ("better", "0.85 (0.7", "400 of 4,180", "├", "●", "success rate"):
        assert expected in shown.stdout
    picture = tmp_path / "results.svg"
    assert cli("experiments", "results", experiment_id, "--plot", str(picture)).exit_code == 0
    root = ET.parse(picture).getroot()
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}circle")) >= 8
    assert cli("experiments", "results", experiment_id, "--plot", "results.png").exit_code == 2
    assert json.loads(cli("experiments", "results", experiment_id, "--json").stdout)["alpha"] == 0.05
    cli("experiments", "stop", experiment_id)


def test_a_shadow_has_a_table_of_its_own(cli: Cli) -> None:
    listed = json.loads(cli("models", "list", "--json").stdout)["data"]
    version = next(model["champion_id"] for model in listed if model["name"] == "local/extractive")
    shadow = {"name": "in the dark", "kind": "shadow", "weight": 0.1, "model": "m", "model_version_id": version}
    body = {
        "name": "dark",
        "capability": "probe.act",
        "arms": [{"name": "as it is", "kind": "control", "weight": 1}, shadow],
        "shadow": {"max_cost_usd": "1", "budget_usd": "10"},
        "plan": {"baseline": 0.5, "minimum_lift": 0.1},
    }
    experiment = cli("experiments", "create", json.dumps(body)).stdout.strip()
    shown = cli("experiments", "results", experiment)
    assert shown.exit_code == 0, shown.stderr
    assert "in the dark" in shown.stdout
    assert "SAME ANSWER" in shown.stdout
    assert "no jobs" in cli("jobs", "list", "--shadows").stderr


def test_a_picture_escapes_names_and_says_what_cannot_be_trusted() -> None:
    nothing = {"estimate": None, "low": None, "high": None, "units": 0}
    half = {"estimate": 0.5, "low": 0.4, "high": None, "units": 60}
    arm = {"kind": "control", "weight": 1, "units": 60, "jobs": 60, "open": 0, "left_out": 0, "latency_p95": nothing}
    means = {"success": half, "quality": nothing, "cost": nothing, "latency": nothing}
    results = Results.model_validate(
        {
            "experiment_id": "exp_x",
            "name": "<script>",
            "state": "running",
            "alpha": 0.05,
            "progress": {"units": 60, "units_planned": 100, "share": 0.6},
            "sample_ratio": {"p_value": 0.001, "is_mismatched": True},
            "arms": [
                {**arm, "arm": "a & b", "means": means},
                {**arm, "arm": "c", "means": {**means, "success": nothing}},
            ],
            "comparisons": [],
        }
    )
    drawn = svg(results)
    ET.fromstring(drawn)
    assert "<script>" not in drawn
    assert "do not trust these results" in drawn
    reported = list(lines(results))
    assert any("0.5 (0.4 to ?)" in line and "╌" in line for line in reported)
    assert not any("cost" in line for line in reported)


def test_a_job_is_rated(cli: Cli) -> None:
    job = cli("jobs", "submit", "probe.act", "--set", "act=noop").stdout.split()[0]
    assert cli("jobs", "rate", job, "0.5").exit_code != 0
    cli("jobs", "cancel", job)
    assert "0.5" in cli("jobs", "rate", job, "0.5", "--comment", "so so").stdout
    assert cli("jobs", "rate", job, "1.5").exit_code == 2

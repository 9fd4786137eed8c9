"""The capacity model: what its figures must obey, and that page, chart and code say the same as its data."""

import json

import pytest
import yaml

from api.streaming import _POOL_SIZE
from core.jobs.fairness import HORIZON_SECONDS
from core.kit.settings import Settings
from pipelines.capabilities import CAPABILITIES
from tests.bench import capacity_page
from tests.factories.processes import ROOT
from tests.waybill.cli.conftest import Cli
from waybill.capacity.load import DEFAULT_MIX, PODS, Limits, Load, PoolLoad
from waybill.capacity.model import (
    JOBS_OF_A_POOL,
    LOAD_JOBS_PER_SECOND,
    PACE_SECONDS,
    PACE_UNDER_LOAD_SECONDS,
    REMEDIES,
    STREAM_TTL_SECONDS,
    Use,
    plan,
)
from waybill.capacity.units import DRIVERS, RESOURCES, measured_units
from waybill.cli.exits import Exit
from workers import dispatcher
from workers.pools import get_pool

UNITS = measured_units()
POOLS = {manifest.pool for manifest in CAPABILITIES}


def test_the_page_is_what_the_data_say() -> None:
    page = capacity_page.PAGE.read_text(encoding="utf-8")
    assert page == capacity_page.write(), "run: python -m tests.bench.capacity_page"


def test_the_pods_are_those_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "infra/helm/waybill/values.yaml").read_text(encoding="utf-8"))
    units = {"Gi": 1024, "Mi": 1}
    asked = {name: row["resources"]["requests"]["memory"] for name, row in values["pools"].items()}
    found = {
        name: (row["slots"], int(asked[name][:-2]) * units[asked[name][-2:]]) for name, row in values["pools"].items()
    }
    assert found == dict(PODS)
    assert DEFAULT_MIX.keys() == POOLS
    assert sum(pool.share for pool in DEFAULT_MIX.values()) == pytest.approx(1)


def test_the_data_have_every_cost_and_the_settings_are_those_of_the_model() -> None:
    assert {driver: set(costs) for driver, costs in UNITS.costs.items()} == {
        driver: set(RESOURCES) for driver in DRIVERS
    }
    assert Settings.model_fields["event_stream_ttl_seconds"].default == STREAM_TTL_SECONDS
    assert (PACE_SECONDS, PACE_UNDER_LOAD_SECONDS) == (dispatcher._PACE_SECONDS, dispatcher._PACE_UNDER_LOAD_SECONDS)
    assert pytest.approx(dispatcher._LOAD_LOOKAHEAD_JOBS / HORIZON_SECONDS) == LOAD_JOBS_PER_SECOND
    assert {get_pool(name).limit for name in POOLS} == {JOBS_OF_A_POOL}
    assert UNITS.connections["api"] == Settings.model_fields["database_pool_size"].default + _POOL_SIZE


def test_slots_follow_littles_law() -> None:
    load = Load(600, {"knowledge": PoolLoad(1.0, 7.0)}, headroom=0.5)
    assert load.running_jobs == 70
    worker = next(pods for pods in plan(load, Limits(), UNITS).pods if pods.kind == "worker")
    # 70 jobs in slots of which half are free, four a pod.
    assert (worker.count, worker.reason) == (35, "slots")


def test_what_a_job_computes_asks_for_cores() -> None:
    load = Load(600, {"knowledge": PoolLoad(1.0, 0.1, cpu_seconds=2.0)}, headroom=0.0)
    worker = next(pods for pods in plan(load, Limits(), UNITS).pods if pods.kind == "worker")
    assert worker.count >= 20
    assert worker.reason == "processor"


@pytest.mark.parametrize("resource", sorted(REMEDIES))
def test_a_resource_is_full_where_the_model_says(resource: str) -> None:
    def use_at(jobs_per_minute: float) -> Use:
        uses = plan(Load(jobs_per_minute), Limits(), UNITS).uses
        return next(use for use in uses if use.resource == resource)

    rate = use_at(1000).full_at_jobs_per_minute
    assert use_at(rate * 0.95).share < 1 < use_at(rate * 1.05).share


def test_the_bottleneck_is_what_is_full_first_however_small_the_load() -> None:
    rates = {}
    for jobs_per_minute in (10, 100_000):
        found = plan(Load(jobs_per_minute), Limits(), UNITS)
        rates[found.bottleneck.resource] = found.bottleneck.full_at_jobs_per_minute
    [(resource, rate)] = rates.items()
    found = plan(Load(rate * 1.05), Limits(), UNITS)
    assert [use.resource for use in found.uses if use.share > 1] == [resource]


def test_the_command_prints_the_plan_and_every_assumption(isolated: Cli) -> None:
    result = isolated("capacity", "--jobs-per-minute", "1000", "--payload-kb", "7", "--streams", "123")
    assert result.exit_code == Exit.OK, result.stderr
    for words in ("worker, research", "with PgBouncer", "What moves it: ", "7 kB", "123 open streams", "30% of every"):
        assert words in result.stdout


def test_json_has_pods_uses_bottleneck_and_assumptions(isolated: Cli) -> None:
    pools = ("--pool", "knowledge=90%:4", "--pool", "mine=0.1:30:2")
    result = isolated("capacity", "--jobs-per-minute", "50000", *pools, "--json")
    assert result.exit_code == Exit.OK, result.stderr
    found = json.loads(result.stdout)
    assert {each["pool"] for each in found["pods"]} == {None, "knowledge", "mine"}
    assert found["bottleneck"]["moves_it"] == REMEDIES[found["uses"][0]["resource"]]
    assert any("mine 10.0% of 30 s" in sentence for sentence in found["assumptions"])


@pytest.mark.parametrize(
    ("pools", "words"),
    [
        (["knowledge=50%:4"], "add up to 50.0%"),
        (["knowledge=1:4", "knowledge=0:4"], "given twice"),
        (["knowledge"], "NAME=SHARE:SECONDS"),
        (["knowledge=1.2.3:4"], "NAME=SHARE:SECONDS"),
    ],
)
def test_a_mix_that_is_none_is_refused(isolated: Cli, pools: list[str], words: str) -> None:
    options = [word for pool in pools for word in ("--pool", pool)]
    result = isolated("capacity", "--jobs-per-minute", "10", *options)
    assert result.exit_code == Exit.USAGE
    assert words in result.stderr

"""The plan is data: what runs, with which settings, on which ports."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.kit.processes import Process
from core.kit.settings import Settings
from pipelines.registry import pools
from waybill.stack.child_secrets import ChildSecrets
from waybill.stack.errors import StackError
from waybill.stack.plan import Answers, Child, Logged, choose_port, is_free, own_guard_url, plan_children, url_of
from waybill.stack.postgres import free_port
from waybill.stack.scraping import metrics_addresses, metrics_environment, prepare_shared, render_targets


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_default_port_that_is_taken_is_replaced(taken: int) -> None:
    chosen = choose_port("127.0.0.1", taken, is_explicit=False, purpose="the API")
    assert chosen != taken
    assert is_free("127.0.0.1", chosen)


def test_a_port_somebody_insisted_on_is_refused_when_taken(taken: int) -> None:
    with pytest.raises(StackError, match=f"port {taken} for the API is in use"):
        choose_port("127.0.0.1", taken, is_explicit=True, purpose="the API")


def test_a_free_port_is_none_that_an_outgoing_connection_takes() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert all(port < max(first, 10_340) for port in (free_port() for _ in range(50)))


def test_a_free_port_is_kept_and_zero_means_any() -> None:
    port = free_port()
    assert choose_port("127.0.0.1", port, is_explicit=False, purpose="the API") == port
    assert choose_port("0.0.0.0", 0, is_explicit=True, purpose="the API") > 0


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(StackError, match="cannot listen on"):
        is_free("256.0.0.1.invalid", 80)


def test_the_product_is_an_api_a_dispatcher_a_deliverer_a_worker_per_pool_and_flower() -> None:
    settings = Settings(api_port=8123, flower_port=5999, metrics_port=9400)
    children = {child.name: child for child in plan_children(settings, True)}
    # Other tests of this process may have added capabilities of their own to the registry.
    assert list(children) == ["api", "dispatcher", "deliverer", *(f"worker-{pool}" for pool in pools()), "flower"]
    assert "worker-knowledge" in children
    assert children["worker-knowledge"].argv[1:] == ("-P", "-m", "waybill", "worker", "--capability", "knowledge")
    assert children["api"].ready == Answers("127.0.0.1", 8123, "/readyz")
    assert children["worker-knowledge"].grace_seconds > settings.drain_seconds
    ports = [children[name].environment["WAYBILL_METRICS_PORT"] for name in ("dispatcher", f"worker-{pools()[0]}")]
    assert ports == ["9400", "9401"]
    every = [child.environment["WAYBILL_METRICS_PORT"] for child in children.values() if child.environment]
    assert len(set(every)) == len(pools()) + 2
    assert [child.name for child in plan_children(settings, False)] == [name for name in children if name != "flower"]
    assert sorted(children.values(), key=lambda child: child.tier) == list(children.values())


def test_every_process_shows_its_metrics_on_loopback_without_being_asked(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, api_port=8123)
    settings = settings.model_copy(update={"guard_url": own_guard_url(settings)})
    children = plan_children(settings, True)
    addresses = metrics_addresses(children)
    assert addresses.keys() == {child.name for child in children} - {"flower"}
    assert addresses["api"] == "127.0.0.1:8123"
    assert len(set(addresses.values())) == len(addresses)
    for child in children:
        if child.name not in {"api", "flower"}:
            host, port = addresses[child.name].split(":")
            assert (host, port) == (
                child.environment["WAYBILL_METRICS_HOST"],
                child.environment["WAYBILL_METRICS_PORT"],
            )
            assert 0 < int(port) < 32_768, "an outgoing connection may take it"
    found = {each["labels"]["instance"]: each for each in json.loads(render_targets(children))}
    assert found.keys() == addresses.keys()
    assert found["worker-models"] == {
        "targets": [addresses["worker-models"]],
        "labels": {"instance": "worker-models", "process": "worker", "pool": "models"},
    }
    assert "pool" not in found["dispatcher"]["labels"]


def test_processes_that_count_together_begin_with_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "metrics" / "pool"
    folder.mkdir(parents=True)
    (folder / "counter_1.db").write_text("of an earlier stack", encoding="utf-8")
    prepare_shared([Child("one", (), Logged(""), environment=metrics_environment(20_000, shared=folder))])
    assert list(folder.iterdir()) == []


def test_the_guard_is_a_part_where_its_socket_is_the_stacks_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, metrics_port=9400)
    own = settings.model_copy(update={"guard_url": own_guard_url(settings)})
    children = {child.name: child for child in plan_children(own, True)}
    assert children["guard"].argv[1:] == ("-P", "-m", "waybill", "guard", "serve")
    # It ends after the workers, which ask it.
    assert children["guard"].tier < children["worker-knowledge"].tier
    assert "guard" not in {child.name for child in plan_children(settings, True)}
    elsewhere = settings.model_copy(update={"guard_url": "http://guard:8095"})
    assert "guard" not in {child.name for child in plan_children(elsewhere, True)}
    every = [child.environment["WAYBILL_METRICS_PORT"] for child in children.values() if child.environment]
    assert len(set(every)) == len(every)


def test_the_guard_gets_no_secret(tmp_path: Path) -> None:
    secret = SecretStr("s" * 40)
    settings = Settings(home=tmp_path, secret_key=secret, signing_key=secret, database_url=secret, redis_url=secret)
    child = Child("guard", (), Logged(""), process=Process.GUARD)
    variables = ChildSecrets(settings, {}).environment(child)
    assert list(Path(variables["WAYBILL_SECRETS_DIR"]).iterdir()) == []
    assert "s" * 40 not in variables.values()


def test_a_child_reads_the_settings_that_its_supervisor_has(tmp_path: Path) -> None:
    child = Child("one", (), Logged(""), process=Process.WORKER, secrets={"TOOL_TOKEN": "t0ken"})
    settings = Settings(
        home=tmp_path,
        secret_key=SecretStr("s" * 40),
        pseudonym_key=SecretStr("p" * 40),
        database_url=SecretStr("postgresql://u:p%40ss@db/waybill"),
        extra_capabilities=["a:b", "c:d"],
        drain_seconds=3.5,
        log_level="error",
    )
    seen = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import json; from core.kit.credentials import read_credential;"
                "from core.kit.settings import Settings; s = Settings();"
                "print(json.dumps([str(s.home), s.database_url.get_secret_value(), s.extra_capabilities,"
                "s.drain_seconds, s.log_level, s.secret_key, s.pseudonym_key.get_secret_value(),"
                "read_credential('TOOL_TOKEN', s.secrets_dir, whose='')]))"
            ),
        ],
        env=ChildSecrets(settings, {}).environment(child),
        check=True,
        capture_output=True,
        text=True,
    )
    # It holds no secret of another process. Readiness is read off the logs, so they are never quieter than info.
    address = "postgresql://u:p%40ss@db/waybill"
    expected = [str(tmp_path), address, ["a:b", "c:d"], 3.5, "info", None, "p" * 40, "t0ken"]
    assert json.loads(seen.stdout) == expected


def test_a_credential_of_the_operator_is_not_written_over(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "TOOL_TOKEN").write_text("theirs", encoding="utf-8")
    settings = Settings(home=tmp_path / "home", secrets_dir=given)
    child = Child("one", (), Logged(""), process=Process.WORKER, secrets={"TOOL_TOKEN": "ours"})
    folder = Path(ChildSecrets(settings, {}).environment(child)["WAYBILL_SECRETS_DIR"])
    assert (folder / "TOOL_TOKEN").read_text(encoding="utf-8") == "ours"
    assert (given / "TOOL_TOKEN").read_text(encoding="utf-8") == "theirs"


def test_the_url_is_one_that_this_machine_can_reach() -> None:
    assert url_of(Settings(api_host="0.0.0.0", api_port=81)) == "http://127.0.0.1:81"
    assert url_of(Settings(api_host="::", api_port=81)) == "http://[::1]:81"


def test_readiness() -> None:
    assert Logged("owned", times=2).is_met("owned\nowned")
    assert not Logged("owned", times=2).is_met("owned")
    assert not Answers("127.0.0.1", free_port(), "/readyz").is_met("")


def test_a_child_that_shares_its_metrics_imports_everything_itself() -> None:
    alone, shared = metrics_environment(20_000), metrics_environment(20_000, shared=Path("metrics"))
    argv = (sys.executable, "-P", "-m", "waybill", "worker")
    assert Child("one", argv, Logged(""), environment=alone).module == ("waybill", "worker")
    assert Child("one", argv, Logged(""), environment=shared).module is None
    assert Child("one", (sys.executable, "-c", "pass"), Logged("")).module is None

"""compose.yaml, as far as it can be judged without a container engine; `make compose-test` brings it up."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.kit.processes import SECRETS, Process
from pipelines.capabilities import CAPABILITIES
from tests.containers.images import name_of
from tests.factories.processes import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
_WORKERS = {name for name in SERVICES if name.startswith("worker-")}


_OPTIONAL = {"secret_keys_retired", "pseudonym_keys_retired", "model_api_key", "web_search_key"}


def _process(service: str) -> Process | None:
    kind = service.partition("-")[0]
    return Process(kind) if kind in set(Process) else None


def _secrets(service: str) -> set[str]:
    mounted = SERVICES[service].get("secrets", [])
    return {each if isinstance(each, str) else each["source"] for each in mounted}


def test_every_pool_has_a_worker_of_its_own_image() -> None:
    images = {SERVICES[name]["image"].rpartition("/")[2].partition(":")[0] for name in _WORKERS}
    assert images == {f"waybill-worker-{manifest.pool}" for manifest in CAPABILITIES}


def test_make_images_builds_what_is_run() -> None:
    [line] = re.findall(r"^IMAGES := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    run = {service["image"] for service in SERVICES.values() if "waybill-" in service["image"]}
    assert run == {
        f"${{WAYBILL_REGISTRY:-localhost}}/{name_of(image)}:${{WAYBILL_TAG:-latest}}" for image in line.split()
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_no_privilege_and_a_limit(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}


def test_only_the_proxy_is_published() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_only_what_speaks_to_the_outside_has_a_way_out() -> None:
    inside = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    outward = {name for name, service in SERVICES.items() if set(service["networks"]) - inside}
    assert outward == {"proxy", "api-1", "api-2", "deliverer", "alertmanager", *_WORKERS}


@pytest.mark.parametrize("name", sorted(name for name in SERVICES if _process(name)))
def test_a_process_holds_its_own_secrets_and_no_others(name: str) -> None:
    process = _process(name)
    assert process is not None
    mounted = {each["target"]: each["source"] for each in SERVICES[name]["secrets"]}
    assert {target.removeprefix("WAYBILL_").lower() for target in mounted} == SECRETS[process] - _OPTIONAL
    if process.login:
        assert mounted["DATABASE_URL"] == f"database_url_{process}"


def test_the_operators_files_lie_where_the_chart_puts_them_and_cannot_be_changed_there() -> None:
    mount = "${WAYBILL_FILES:-./files}:/etc/waybill:ro"
    holders = {name for name, service in SERVICES.items() if mount in service.get("volumes", [])}
    assert holders == {"api-1", "api-2", "dispatcher-1", "dispatcher-2", "deliverer", *_WORKERS}
    # Docker would make it as root, and the operator could not put anything there.
    assert (ROOT / "files").is_dir()


def test_each_secret_is_needed_and_the_owners_only_to_migrate() -> None:
    holders = {name: {service for service in SERVICES if name in _secrets(service)} for name in COMPOSE["secrets"]}
    # A restore makes the tables again.
    assert holders["database_url_migrate"] == {"migrate", "restore"}
    assert holders["waybill_migrate.password"] == {"postgres"}
    assert not [name for name, services in holders.items() if not services]


def test_a_backup_and_a_restore_run_when_they_are_asked_for_and_once() -> None:
    by_profile = {name for name, service in SERVICES.items() if service.get("profiles") == ["backup"]}
    assert by_profile == {"backup", "restore"}
    assert all(SERVICES[name]["restart"] == "no" for name in by_profile)
    backup, restore = SERVICES["backup"]["volumes"], SERVICES["restore"]["volumes"]
    assert restore == [f"{each}:ro" for each in backup]


def test_the_script_makes_every_secret_once(tmp_path: Path) -> None:
    script = [str(ROOT / "infra" / "compose" / "make-secrets.sh"), str(tmp_path / "secrets")]
    subprocess.run(script, check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert set(COMPOSE["secrets"]) <= made.keys()
    assert all(made.values())
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    again = subprocess.run(script, check=True, capture_output=True)
    assert again.stdout == b""
    assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == made


def test_no_secret_reaches_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert "!secrets" not in ignored

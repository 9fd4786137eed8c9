"""Every pod: locked down, with its own account, probes, room to end, and the settings and secrets of its process."""

import json
import re
from pathlib import Path

import pytest
from pydantic import AliasChoices
from typer.testing import CliRunner

from core.kit.processes import LOGINS, OPTIONAL_LOGINS, SECRETS, Process
from core.kit.settings import Settings
from core.registry.deployments import read_deployments
from pipelines._kit.tools.servers import read_tool_servers
from pipelines.remote.manifests import read_remote
from tests.chart.rendering import (
    VALUES,
    Manifest,
    component,
    container,
    environment,
    named,
    pod,
    render,
    secret_files,
    workloads,
)
from waybill.cli.main import app
from waybill.stack.plan import variable_of

# Where identities of the cloud are used, or nothing was rotated, these stay away.
_OPTIONAL = {
    "azure_storage_connection_string",
    "model_api_key",
    "pseudonym_keys_retired",
    "secret_keys_retired",
    "web_search_key",
}
_SECRETS = {process.value: {variable_of(name) for name in SECRETS[process] - _OPTIONAL} for process in Process}
_SECRETS["migrate"] = {"DATABASE_URL", *(f"{login}.password" for login in LOGINS if login not in OPTIONAL_LOGINS)}
_OPTIONAL_PASSWORDS = {f"{login}.password" for login in OPTIONAL_LOGINS}
_STORAGE = "AZURE_STORAGE_CONNECTION_STRING"
# Read by the command line itself, in waybill/cli/roles.py.
_OPTIONS = {"WAYBILL_POOL", "WAYBILL_FLOWER_HOST"}
_UNITS = {"Mi": 1, "Gi": 1024}
_SPARE_SECONDS = 20


def _setting_names() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names |= (
            {str(each) for each in alias.choices} if isinstance(alias, AliasChoices) else {f"WAYBILL_{name}".upper()}
        )
    return names


def _megabytes(quantity: str) -> int:
    found = re.fullmatch(r"(\d+)(Mi|Gi)", quantity)
    assert found, quantity
    return int(found[1]) * _UNITS[found[2]]


def test_a_pod_is_restricted(values: Path) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    for workload in workloads(render(values)).values():
        spec, own = pod(workload), container(workload)["securityContext"]
        shared = spec["securityContext"]
        assert shared["runAsNonRoot"] is True
        assert (shared["runAsUser"], shared["runAsGroup"], shared["fsGroup"]) == (10001, 10001, 10001)
        assert shared["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "projected", "csi", "configMap", "persistentVolumeClaim"}
        assert not any("hostPort" in port for port in container(workload).get("ports", []))


def test_a_pod_may_write_where_its_process_writes(values: Path) -> None:
    for workload in workloads(render(values)).values():
        empty = {each["name"] for each in pod(workload)["volumes"] if "emptyDir" in each}
        mounts = {each["mountPath"] for each in container(workload)["volumeMounts"] if each["name"] in empty}
        assert mounts == {"/var/lib/waybill", "/tmp"}


def test_no_pod_speaks_to_the_cluster_or_is_given_services(values: Path) -> None:
    for workload in workloads(render(values)).values():
        assert pod(workload)["automountServiceAccountToken"] is False
        # A Service `waybill-api` would set WAYBILL_API_PORT=tcp://…, which is no port.
        assert pod(workload)["enableServiceLinks"] is False


def test_each_process_has_an_account_of_its_own(values: Path) -> None:
    manifests = render(values)
    accounts = {name: pod(each)["serviceAccountName"] for name, each in workloads(manifests).items()}
    for name, account in accounts.items():
        assert account == f"waybill-{name.removesuffix('-canary')}"
        assert named(manifests, "ServiceAccount", account)["automountServiceAccountToken"] is False


def test_an_identity_is_asked_for_where_there_is_one(values: Path) -> None:
    manifests = render(values)
    for workload in workloads(manifests).values():
        account = named(manifests, "ServiceAccount", pod(workload)["serviceAccountName"])
        client = account["metadata"].get("annotations", {}).get("azure.workload.identity/client-id")
        asked = workload["spec"]["template"]["metadata"]["labels"].get("azure.workload.identity/use")
        assert (asked == "true") == (client is not None)


def test_no_kinds_of_process_share_an_identity() -> None:
    manifests = render(next(path for path in VALUES if path.name == "production-values.yaml"))
    clients: dict[str, set[str]] = {}
    for workload in workloads(manifests).values():
        if component(workload) == "guard":
            continue  # it signs in nowhere
        account = named(manifests, "ServiceAccount", pod(workload)["serviceAccountName"])
        client = account["metadata"]["annotations"]["azure.workload.identity/client-id"]
        clients.setdefault(client, set()).add(component(workload))
    assert clients.keys().isdisjoint({None, ""})
    assert len(clients) == len(_SECRETS) - 1
    assert all(len(kinds) == 1 for kinds in clients.values())


def test_a_process_is_probed_at_a_port_that_it_has(values: Path) -> None:
    for workload in workloads(render(values)).values():
        if workload["kind"] == "Job":
            continue
        found = container(workload)
        (port,) = found["ports"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert found[probe]["httpGet"]["port"] == port["name"]
        # A start may wait for Postgres for two minutes.
        startup = found["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= Settings().start_timeout_seconds
    api = container(workloads(render(values))["api"])
    assert api["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_a_worker_has_time_for_its_drain_and_room_for_its_bound(values: Path) -> None:
    manifests = render(values)
    workers = [each for each in workloads(manifests).values() if component(each) == "worker"]
    assert workers
    for worker in workers:
        variables = environment(manifests, worker)
        drain = float(variables["WAYBILL_DRAIN_SECONDS"])
        assert pod(worker)["terminationGracePeriodSeconds"] >= drain + _SPARE_SECONDS
        ((pool, bound),) = json.loads(variables["WAYBILL_WORKER_MEMORY_MB"]).items()
        arguments = container(worker)["args"]
        assert arguments[arguments.index("--capability") + 1] == pool
        # At twice its bound a worker ends by itself, and says why; below that the kernel must not be first.
        assert _megabytes(container(worker)["resources"]["limits"]["memory"]) > 2 * bound


def test_a_process_gets_the_secrets_it_needs_and_no_others(values: Path) -> None:
    manifests = render(values)
    for workload in workloads(manifests).values():
        kind, files = component(workload), set(secret_files(manifests, workload))
        assert files >= _SECRETS[kind]
        more = files - _SECRETS[kind]
        if kind == "worker":
            # A provider's or a service's key is a worker's business; the two that prove and admit are not.
            assert not more & {"WAYBILL_SECRET_KEY", "WAYBILL_SIGNING_KEY", "WAYBILL_FLOWER_PASSWORD"}
        elif kind == "migrate":
            assert more == (_OPTIONAL_PASSWORDS if "backup" in workloads(manifests) else set())
        else:
            assert more <= ({_STORAGE} if kind in {"api", "dispatcher", "backup"} else set())


def test_no_two_kinds_of_process_share_a_login_of_the_database(values: Path) -> None:
    manifests = render(values)
    logins: dict[str, set[str]] = {}
    for workload in workloads(manifests).values():
        source = secret_files(manifests, workload).get("DATABASE_URL")
        if source:
            logins.setdefault(source, set()).add(component(workload))
    assert all(len(kinds) == 1 for kinds in logins.values()), logins


def test_every_variable_and_secret_is_a_setting_or_a_named_credential(values: Path) -> None:
    manifests = render(values)
    known = _setting_names()
    configuration = json.dumps([each.get("data") for each in manifests if each["kind"] == "ConfigMap"])
    credentials = set(re.findall(r'credential = \\"(\w+)\\"', configuration.replace('\\\\"', '\\"')))
    for workload in workloads(manifests).values():
        variables = {name for name in environment(manifests, workload) if not name.startswith("OTEL_")}
        assert variables <= known | _OPTIONS
        assert set(secret_files(manifests, workload)) <= known | credentials | _SECRETS["migrate"] | _OPTIONAL_PASSWORDS


def test_a_process_reads_its_settings_and_files(values: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(values)
    folder = tmp_path / "etc"
    folder.mkdir()
    if any(each["kind"] == "ConfigMap" and each["metadata"]["name"] == "waybill-files" for each in manifests):
        for name, content in named(manifests, "ConfigMap", "waybill-files")["data"].items():
            (folder / name).write_text(content, encoding="utf-8")
    for name, workload in workloads(manifests).items():
        secrets = tmp_path / name
        secrets.mkdir()
        for file in secret_files(manifests, workload):
            (secrets / file).write_text("x" * 40, encoding="utf-8")
        with monkeypatch.context() as patch:
            for variable, value in environment(manifests, workload).items():
                patch.setenv(variable, value.replace("/etc/waybill", str(folder)))
            patch.setenv("WAYBILL_SECRETS_DIR", str(secrets))
            patch.setenv("WAYBILL_HOME", str(tmp_path))
            settings = Settings()
        _check_settings(settings, workload, secrets)


def test_policies_of_the_operator_are_files_like_any(tmp_path: Path) -> None:
    # As docs/howto/run-on-kubernetes.md gives them.
    ours = tmp_path / "ours"
    assert CliRunner().invoke(app, ["tools", "init", str(ours)]).exit_code == 0
    given = [
        argument
        for name in ("policy", "replies")
        for argument in ("--set-file", f"files.{name}\\.toml={ours}/{name}.toml")
    ]
    manifests = render(VALUES[0], *given, "--set", "settings.WAYBILL_CUSTOMER_OPERATIONS_DIR=/etc/waybill")
    mounted = named(manifests, "ConfigMap", "waybill-files")["data"]
    assert {name: mounted[name] for name in ("policy.toml", "replies.toml")} == {
        each.name: each.read_text(encoding="utf-8") for each in ours.iterdir()
    }
    worker = workloads(manifests)["worker-customer-operations"]
    assert environment(manifests, worker)["WAYBILL_CUSTOMER_OPERATIONS_DIR"] == "/etc/waybill"
    mounts = {each["mountPath"]: each for each in container(worker)["volumeMounts"]}
    assert mounts["/etc/waybill"] == {"name": "files", "mountPath": "/etc/waybill", "readOnly": True}


def _check_settings(settings: Settings, workload: Manifest, secrets: Path) -> None:
    for file in sorted(secrets.iterdir()):
        field = file.name.removeprefix("WAYBILL_").lower()
        if field in Settings.model_fields:
            assert getattr(settings, field).get_secret_value() == "x" * 40
    if settings.remote_capabilities_file is not None:
        (found,) = read_remote(settings)
        assert found[1].url == "http://words.legacy.svc.cluster.local:8080/count"
        assert found[1].timeout_seconds == 5
        assert found[1].max_tries == 2
        assert found[1].body == {"text": "input.text", "reference": "job.id"}
    if settings.deployments_file is not None:
        assert "azure-eastus2" in read_deployments(settings).names
    if settings.tool_servers_file is not None:
        assert [each.operation for each in read_tool_servers(settings)] == ["find_customer"]
    if component(workload) not in {"migrate", "flower"}:
        assert settings.blob_url is not None


def test_settings_that_change_start_new_pods() -> None:
    before, after = (
        {
            name: each["spec"]["template"]["metadata"]["annotations"]["checksum/configuration"]
            for name, each in workloads(render(VALUES[0], "--set", f"settings.WAYBILL_LOG_LEVEL={level}")).items()
        }
        for level in ("info", "debug")
    )
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)

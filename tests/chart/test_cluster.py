"""What stands around the pods: who reaches whom, what selects what, scaling, disruption, the route and the hooks."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from core.kit.settings import Settings
from infra.rollout.prometheus import Target
from infra.rollout.steps import Plan
from pipelines.remote.manifests import read_remote
from tests.chart.rendering import (
    CHART,
    VALUES,
    Manifest,
    component,
    container,
    environment,
    labels,
    named,
    of_kind,
    pod,
    render,
    secret_files,
    selects,
    workloads,
)
from waybill.cli.main import app

_BY_NAME = {path.name.removesuffix("-values.yaml"): path for path in VALUES}
_DNS, _POSTGRES, _REDIS, _HTTPS, _OTLP = 53, 5432, 10000, 443, 4318
# The arrows of the design: https is the storage account, identity providers, model providers or receivers of webhooks.
_ARROWS = {
    "api": {_DNS, _POSTGRES, _REDIS, _HTTPS, _OTLP},
    "dispatcher": {_DNS, _POSTGRES, _REDIS, _HTTPS, _OTLP},
    "deliverer": {_DNS, _POSTGRES, _HTTPS, 8443, _OTLP},
    "worker": {_DNS, _POSTGRES, _REDIS, _HTTPS, _OTLP},
    "flower": {_DNS, _REDIS},
    "migrate": {_DNS, _POSTGRES},
    "backup": {_DNS, _POSTGRES, _HTTPS},
}


def _policies_of(manifests: Sequence[Manifest], workload: Manifest) -> list[Manifest]:
    found = of_kind(manifests, "NetworkPolicy")
    return [each for each in found if selects(each["spec"]["podSelector"], labels(workload))]


def _ports(rules: Sequence[Manifest]) -> set[int]:
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


def test_every_selector_selects_pods_of_this_release(values: Path) -> None:
    manifests = render(values)
    pods = [labels(each) for each in workloads(manifests).values()]
    selectors: list[tuple[str, dict[str, Any]]] = [
        *((each["metadata"]["name"], each["spec"]["podSelector"]) for each in of_kind(manifests, "NetworkPolicy")),
        *(
            (each["metadata"]["name"], each["spec"]["selector"])
            for each in of_kind(manifests, "Service", "PodDisruptionBudget", "PodMonitor", "PeerAuthentication")
        ),
    ]
    assert selectors
    for name, selector in selectors:
        assert selector, f"{name} selects every pod of the namespace"
        assert any(selects(selector, found) for found in pods), name


def test_a_deployment_a_budget_and_a_service_select_one_process(values: Path) -> None:
    manifests = render(values)
    pods = {name: labels(each) for name, each in workloads(manifests).items()}
    for each in of_kind(manifests, "Deployment", "Service", "PodDisruptionBudget"):
        found = {name for name, own in pods.items() if selects(each["spec"]["selector"], own)}
        assert found == {each["metadata"]["name"].removeprefix("waybill-")}


def test_a_pod_is_spread_among_its_like(values: Path) -> None:
    for workload in workloads(render(values)).values():
        if workload["kind"] == "Deployment":
            spread = pod(workload)["topologySpreadConstraints"]
            assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
            assert all(selects(each["labelSelector"], labels(workload)) for each in spread)


def test_every_pod_is_under_a_denial_and_under_its_arrows(values: Path) -> None:
    manifests = render(values)
    for workload in workloads(manifests).values():
        policies = _policies_of(manifests, workload)
        names = {each["metadata"]["name"] for each in policies}
        assert names >= {"waybill-default-deny", f"waybill-{component(workload)}"}
        for policy in policies:
            assert "Egress" in policy["spec"]["policyTypes"]
            # A rule without peers would admit everyone.
            assert all(rule.get("from") for rule in policy["spec"].get("ingress") or [])
            assert all(rule.get("to") and rule.get("ports") for rule in policy["spec"].get("egress") or [])


def test_the_arrows_are_those_of_the_design() -> None:
    collector = "networkPolicy.egress.telemetry.to[0].namespaceSelector.matchLabels.name=monitoring"
    manifests = render(_BY_NAME["canary"], "--set", collector, "--set", "backup.enabled=true")
    for workload in workloads(manifests).values():
        egress = [rule for each in _policies_of(manifests, workload) for rule in each["spec"].get("egress") or []]
        assert _ports(egress) == _ARROWS[component(workload)]


def test_only_named_callers_come_in() -> None:
    manifests = render(_BY_NAME["existing-secrets"], "--set", "backup.enabled=true")
    callers = {
        "api": {("istio-ingress", 8080), ("monitoring", 8080)},
        "dispatcher": {("monitoring", 9100)},
        "deliverer": {("monitoring", 9100)},
        "worker": {("monitoring", 9100)},
        "flower": {("operators", 5555)},
        "migrate": set(),
        "backup": set(),
    }
    for workload in workloads(manifests).values():
        rules = [rule for each in _policies_of(manifests, workload) for rule in each["spec"].get("ingress") or []]
        found = {
            (peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], port["port"])
            for rule in rules
            for peer in rule["from"]
            for port in rule["ports"]
        }
        assert found == callers[component(workload)]


def test_the_guard_is_asked_by_the_api_and_the_workers_and_goes_nowhere() -> None:
    manifests = render(_BY_NAME["existing-secrets"], "--set", "guard.enabled=true")
    guard = workloads(manifests)["guard"]
    rules = [rule for each in _policies_of(manifests, guard) for rule in each["spec"].get("ingress") or []]
    assert _ports(rules) == {8095}
    inside = [peer["podSelector"] for rule in rules for peer in rule["from"] if "podSelector" in peer]
    pods = {name: each for name, each in workloads(manifests).items() if each["kind"] == "Deployment"}
    callers = {component(each) for each in pods.values() if any(selects(peer, labels(each)) for peer in inside)}
    assert callers == {"api", "worker"}
    assert not [each for policy in _policies_of(manifests, guard) for each in policy["spec"].get("egress") or []]
    for workload in pods.values():
        ways = [
            rule
            for policy in _policies_of(manifests, workload)
            for rule in policy["spec"].get("egress") or []
            for peer in rule["to"]
            if selects(peer.get("podSelector") or {"matchLabels": {"no": "pod"}}, labels(guard))
        ]
        assert bool(ways) == (component(workload) in {"api", "worker"})
        assert environment(manifests, workload)["WAYBILL_GUARD_URL"] == "http://waybill-guard:8095"
    assert secret_files(manifests, guard) == {}


def test_another_guard_may_be_named() -> None:
    named_by_settings = "settings.WAYBILL_GUARD_URL=http://guard.shared.svc:8095"
    manifests = render(_BY_NAME["minimal"], "--set", named_by_settings)
    assert "guard" not in workloads(manifests)
    found = {environment(manifests, each).get("WAYBILL_GUARD_URL") for each in workloads(manifests).values()}
    assert found <= {"http://guard.shared.svc:8095", None}


def test_a_webhook_and_a_provider_are_never_a_private_address() -> None:
    manifests = render(_BY_NAME["canary"])
    for kind in ("deliverer", "worker"):
        for rule in named(manifests, "NetworkPolicy", f"waybill-{kind}")["spec"]["egress"]:
            if _HTTPS in _ports([rule]):
                for peer in rule["to"]:
                    refused = set(peer["ipBlock"]["except"])
                    assert refused >= {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}


def test_a_remote_capability_is_reached_by_its_own_pool_only(tmp_path: Path) -> None:
    manifests = render(_BY_NAME["existing-secrets"])
    policy = named(manifests, "NetworkPolicy", "waybill-legacy-count-words")
    found = {
        name for name, each in workloads(manifests).items() if selects(policy["spec"]["podSelector"], labels(each))
    }
    assert found == {"worker-legacy"}
    (rule,) = policy["spec"]["egress"]
    assert _ports([rule]) == {8080}
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"app": "words"}}
    for name, content in named(manifests, "ConfigMap", "waybill-files")["data"].items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    settings = Settings(remote_capabilities_file=tmp_path / "remote.toml")
    ((manifest, _),) = read_remote(settings)
    assert manifest.pool == "legacy"


def test_in_ambient_mode_the_mesh_and_its_probes_pass() -> None:
    manifests = render(_BY_NAME["production"])
    rules = named(manifests, "NetworkPolicy", "waybill-worker")["spec"]["ingress"]
    assert {9100, 15008} <= _ports(rules)
    assert any(peer.get("ipBlock", {}).get("cidr") == "169.254.7.127/32" for rule in rules for peer in rule["from"])
    for workload in workloads(manifests).values():
        expected = "none" if workload["kind"] == "Job" else "ambient"
        assert labels(workload)["istio.io/dataplane-mode"] == expected


def test_a_pool_is_scaled_by_what_is_due_or_running(values: Path) -> None:
    manifests = render(values)
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each for each in of_kind(manifests, "ScaledObject")}
    scaled_by_load = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(manifests, "HorizontalPodAutoscaler")}
    for name, workload in workloads(manifests).items():
        if workload["kind"] == "Job":
            continue
        # What scales owns the number; a release that wrote it as well would set it back.
        by_itself = f"waybill-{name}" in scaled.keys() | scaled_by_load
        assert ("replicas" not in workload["spec"]) == by_itself
    for target, each in scaled.items():
        worker = named(manifests, "Deployment", target)
        arguments = container(worker)["args"]
        (trigger,) = each["spec"]["triggers"]
        pool, slots = arguments[arguments.index("--capability") + 1], arguments[arguments.index("--concurrency") + 1]
        assert trigger["metadata"]["query"] == f"SELECT waybill_pool_demand('{pool}')"
        assert trigger["metadata"]["targetQueryValue"] == slots
        assert each["spec"]["minReplicaCount"] <= each["spec"]["maxReplicaCount"]
        named(manifests, "TriggerAuthentication", trigger["authenticationRef"]["name"])


def test_some_pools_scale_to_zero_in_production_and_all_in_dev() -> None:
    least = {
        name: {each["metadata"]["name"]: each["spec"]["minReplicaCount"] for each in of_kind(found, "ScaledObject")}
        for name, found in (("production", render(_BY_NAME["production"])), ("dev", render(_BY_NAME["dev"])))
    }
    assert {name for name, count in least["production"].items() if count == 0} == {
        "waybill-worker-multimodal",
        "waybill-worker-research",
    }
    assert set(least["dev"].values()) == {0}


def test_the_scaler_has_a_login_of_its_own() -> None:
    existing = named(render(_BY_NAME["canary"]), "TriggerAuthentication", "waybill-scaler")["spec"]
    assert existing["secretTargetRef"] == [
        {"parameter": "connection", "name": "waybill-scaler-database-url", "key": "DATABASE_URL"}
    ]
    vault = named(render(_BY_NAME["production"]), "TriggerAuthentication", "waybill-scaler")["spec"]["azureKeyVault"]
    assert vault["secrets"] == [{"parameter": "connection", "name": "waybill-scaler-database-url"}]
    assert vault["podIdentity"]["identityId"].endswith("b7")


def test_a_budget_lets_one_pod_go_at_a_time(values: Path) -> None:
    manifests = render(values)
    budgets = list(of_kind(manifests, "PodDisruptionBudget"))
    assert len(budgets) == len(list(of_kind(manifests, "Deployment")))
    assert all(each["spec"]["maxUnavailable"] == 1 for each in budgets)


def test_migrations_come_before_everything_and_bring_what_they_need(values: Path) -> None:
    manifests = render(values)
    hooks = {
        (each["kind"], each["metadata"]["name"]): int(each["metadata"]["annotations"].get("helm.sh/hook-weight", 0))
        for each in manifests
        if each["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-install,pre-upgrade"
    }
    job = hooks.pop(("Job", "waybill-migrate"))
    assert hooks.keys() >= {("ServiceAccount", "waybill-migrate"), ("NetworkPolicy", "waybill-migrate")}
    assert all(weight < job for weight in hooks.values())
    migrate = workloads(manifests)["migrate"]
    assert container(migrate)["args"] == ["migrate", "--passwords", "/run/secrets/waybill"]
    # Of a first installation nothing else is there yet.
    assert "envFrom" not in container(migrate)
    assert "priorityClassName" not in pod(migrate)


def test_backups_are_taken_one_at_a_time_onto_a_volume_that_outlives_the_release() -> None:
    for name, claim in (("production", "waybill-backups"), ("minimal", "waybill-backups")):
        manifests = render(_BY_NAME[name])
        schedule = named(manifests, "CronJob", "waybill-backup")["spec"]
        assert schedule["concurrencyPolicy"] == "Forbid"
        assert schedule["timeZone"] == "Etc/UTC"
        backup = workloads(manifests)["backup"]
        mounts = {each["name"]: each["mountPath"] for each in container(backup)["volumeMounts"]}
        volumes = {each["name"]: each for each in pod(backup)["volumes"]}
        assert volumes["backups"]["persistentVolumeClaim"] == {"claimName": claim}
        assert container(backup)["args"][:3] == ["backup", "--into", mounts["backups"]]
        made = list(of_kind(manifests, "PersistentVolumeClaim"))
        assert [each["metadata"]["name"] for each in made] == ([claim] if name == "minimal" else [])
        assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in made)


def test_the_arguments_of_a_backup_are_those_of_the_command_line() -> None:
    for name, kept in (("production", "30"), ("minimal", None)):
        arguments = container(workloads(render(_BY_NAME[name]))["backup"])["args"]
        backup = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
        parameters = backup.make_context("backup", arguments[1:]).params
        assert (str(parameters["into"]), parameters["keep"]) == ("/backups", kept and int(kept))


def test_without_backups_nothing_of_them_is_there() -> None:
    manifests = render(_BY_NAME["dev"])
    assert not [each["metadata"]["name"] for each in manifests if "backup" in each["metadata"]["name"]]


def test_the_route_publishes_what_asks_for_a_key_and_cuts_no_stream() -> None:
    (route,) = of_kind(render(_BY_NAME["production"]), "HTTPRoute")
    (rule,) = route["spec"]["rules"]
    assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    paths = [each["path"]["value"] for each in rule["matches"]]
    assert "/v1" in paths
    assert not {"/", "/metrics", "/readyz", "/healthz"} & set(paths)


def test_a_canary_gets_its_share_and_its_release() -> None:
    manifests = render(_BY_NAME["canary"])
    (route,) = of_kind(manifests, "HTTPRoute")
    shares = {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}
    assert shares == {"waybill-api": 90, "waybill-api-canary": 10}
    for name in shares:
        named(manifests, "Service", name)
    found = workloads(manifests)
    assert container(found["api"])["image"].endswith("/waybill-api:0.1.0")
    assert container(found["api-canary"])["image"].endswith("/waybill-api:0.2.0")
    old, new = found["worker-knowledge"], found["worker-knowledge-canary"]
    assert container(new)["args"] == container(old)["args"]
    assert (container(old)["image"], container(new)["image"]) == (
        "waybillprod.azurecr.io/waybill-worker-knowledge:0.1.0",
        "waybillprod.azurecr.io/waybill-worker-knowledge:0.2.0",
    )
    # The newer schema, on which both run.
    assert container(found["migrate"])["image"].endswith("/waybill-api:0.2.0")
    # What the autoscaler counts is the queue's, so it moves one of the two only.
    assert "replicas" not in old["spec"]
    assert new["spec"]["replicas"] == 1
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(manifests, "ScaledObject")}
    assert "waybill-worker-knowledge" in scaled
    assert "waybill-worker-knowledge-canary" not in scaled


def test_the_values_of_a_rollout_are_the_charts() -> None:
    targets = {Target("api", "api"): 3, Target("customer_operations", "worker-customer-operations"): 2}
    plan = Plan("0.3", targets, [25], 1, 1.0)
    route = (
        "route.enabled=true",
        "networkPolicy.enabled=false",
        "route.parentRefs[0].name=public",
        "route.hostnames={a.example}",
    )
    given = [word for value in route for word in ("--set", value)]

    def with_values(values: Mapping[str, int | str]) -> tuple[dict[str, Manifest], dict[str, int]]:
        sets = (
            ("--set" if isinstance(value, int) else "--set-string", f"{name}={value}") for name, value in values.items()
        )
        manifests = render(_BY_NAME["minimal"], *given, *(word for pair in sets for word in pair))
        (found,) = of_kind(manifests, "HTTPRoute")
        return workloads(manifests), {each["name"]: each["weight"] for each in found["spec"]["rules"][0]["backendRefs"]}

    found, shares = with_values(plan.canary(25))
    assert shares == {"waybill-api": 75, "waybill-api-canary": 25}
    for name, replicas in (("api-canary", 3), ("worker-customer-operations-canary", 2)):
        assert found[name]["spec"]["replicas"] == replicas
        assert container(found[name])["image"].endswith(":0.3")
    assert container(found["migrate"])["image"].endswith(":0.3")
    stable = container(found["api"])["image"]
    found, shares = with_values({**plan.canary(25), **plan.end()})
    assert shares == {"waybill-api": 100}
    assert not any(name.endswith("-canary") for name in found)
    assert container(found["migrate"])["image"] == stable


def test_what_is_pinned_by_digest_runs_by_it() -> None:
    digest = "sha256:" + "a" * 64
    manifests = render(_BY_NAME["minimal"], "--set", f"images.digests.waybill-api={digest}")
    assert container(workloads(manifests)["api"])["image"] == f"registry.internal.example/waybill-api@{digest}"


def _names(groups: Iterable[Manifest]) -> list[str]:
    return [rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]]


def test_each_alert_names_its_runbook_where_the_operators_read_it() -> None:
    base = "https://wiki.example.com/waybill/"
    manifests = render(_BY_NAME["production"], "--set", f"monitoring.runbooks={base}")
    groups = [group for made in of_kind(manifests, "PrometheusRule") for group in made["spec"]["groups"]]
    sources = [
        yaml.safe_load((CHART / "files" / name).read_text(encoding="utf-8")) for name in ("alerts.yaml", "rules.yaml")
    ]
    assert _names(groups) == _names([group for source in sources for group in source["groups"]])
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    for rule in alerts:
        assert re.fullmatch(re.escape(base) + r"[\w-]+\.md", rule["annotations"]["runbook_url"])
    [monitor] = of_kind(manifests, "PodMonitor")
    api = labels(named(manifests, "Deployment", "waybill-api"))
    assert api[monitor["spec"]["jobLabel"]] == "waybill"


def test_grafanas_sidecar_finds_each_dashboard() -> None:
    base = "https://wiki.example.com/waybill/"
    manifests = render(_BY_NAME["production"], "--set", f"monitoring.runbooks={base}")
    made = [each for each in of_kind(manifests, "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    files = {file.name: file for file in (CHART / "files" / "dashboards").glob("*.json")}
    assert {name for each in made for name in each["data"]} == files.keys()
    for each in made:
        [(name, content)] = each["data"].items()
        assert each["metadata"]["annotations"] == {"grafana_folder": "Waybill"}
        wanted = files[name].read_text(encoding="utf-8").replace("docs/runbooks/", base)
        assert json.loads(content) == json.loads(wanted)
    assert not [
        each
        for each in of_kind(render(_BY_NAME["minimal"]), "ConfigMap")
        if "grafana_dashboard" in each["metadata"]["labels"]
    ]

"""What the chart accepts, and what it refuses before anything reaches a cluster."""

from pathlib import Path

import pytest

from tests.chart import tools
from tests.chart.rendering import CHART, VALUES, render, template

_MINIMAL = next(path for path in VALUES if path.name == "minimal-values.yaml")


def test_lint_finds_nothing(values: Path) -> None:
    done = tools.run(tools.HELM, "lint", "--strict", "--kube-version", "1.33.0", CHART, "--values", values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_manifest_has_a_name_of_its_own(values: Path) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in render(values)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("api.replica=3", "replica"),
        ("api.replicas=three", "/api/replicas"),
        ("pools.knowledge.slot=4", "slot"),
        ("pools.knowledge.slots=0", "/pools/knowledge/slots"),
        ("pools.extra.minReplicas=1", "/pools/extra"),
        ("images.registry=", "/images/registry"),
        ("images.digests.waybill-api=latest", "/images/digests/waybill-api"),
        ("settings.WAYBILL_SECRET_KEY=inthevalues", "WAYBILL_SECRET_KEY"),
        ("settings.LOG_LEVEL=info", "LOG_LEVEL"),
        ("blob.claim=", "/blob/claim"),
        ("blob.url=s3://bucket", "/blob/url"),
        ("secrets.provider=keyVault", "/secrets/keyVault"),
        ("workloadIdentity.enabled=true", "/workloadIdentity/clientIds"),
        ("networkPolicy.egress.redis.ports={}", "/networkPolicy/egress/redis/ports"),
        ("route.enabled=true", "/route"),
        ("mesh.mode=linkerd", "/mesh/mode"),
        ("backup.schedule=nightly", "/backup/schedule"),
        ("backup.keep=-1", "/backup/keep"),
        ("backup.storage.size=", "/backup/storage/size"),
    ],
)
def test_a_wrong_value_is_refused_and_named(argument: str, complaint: str) -> None:
    done = template(_MINIMAL, "--set", argument)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_a_backup_without_an_identity_is_refused_where_the_others_have_one() -> None:
    identities = next(path for path in VALUES if path.name == "dev-values.yaml")
    done = template(identities, "--set", "backup.enabled=true")
    assert done.returncode != 0
    assert "missing property 'backup'" in done.stderr
    assert template(_MINIMAL, "--set", "backup.enabled=true").returncode == 0


def test_what_could_not_be_reached_is_refused() -> None:
    route = ("--set", "route.enabled=true,route.hostnames={a.example},route.parentRefs[0].name=public")
    done = template(_MINIMAL, *route, "--set-json", "networkPolicy.ingress.api=[]")
    assert "networkPolicy.ingress.api" in done.stderr
    done = template(_MINIMAL, "--set", "monitoring.enabled=true")
    assert "networkPolicy.ingress.monitoring" in done.stderr
